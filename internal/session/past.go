package session

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/durable"
	"airbridged/internal/recovery"
)

// past is what recovery knows of former failures, with the hard resets of the last hour
// kept on disk, so that a daemon that is started anew, perhaps by its own last rung, does
// not begin with a full budget.
type past struct {
	*recovery.Past
	resets   durable.Note[resetsRecord]
	boots    durable.Note[bootsRecord]
	recalled bool // the resets of earlier processes are known
	log      *zap.Logger
}

type resetsRecord struct {
	At []time.Time `json:"at"`
}

func newPast(o Options, random *rand.Rand) past {
	p := past{
		Past:   recovery.NewPast(o.Recovery.policy(), time.Now(), random),
		resets: durable.NewNote[resetsRecord](o.State, "resets.json"), log: o.Log,
		boots: durable.NewNote[bootsRecord](o.State, "boots.json"),
	}
	p.recallResets()
	return p
}

// bootsRecord is how long one module took to answer after its last boots.
type bootsRecord struct {
	IMEI    string    `json:"imei"`
	Seconds []float64 `json:"seconds"` // the newest last
}

// knows takes in how long the boots of the module took that was just identified, the
// one that it comes from too (took, where ok), and keeps that over a restart. What is
// known of another module is of no use.
func (p *past) knows(imei string, took time.Duration, ok bool) {
	r, err := p.boots.Load()
	if err != nil || r.IMEI != imei {
		r = bootsRecord{}
	}
	var list []time.Duration
	for _, s := range r.Seconds {
		list = append(list, time.Duration(s*float64(time.Second)))
	}
	if ok {
		list = append(list, took)
	}
	list = p.Boots(list)
	if !ok || err != nil && !errors.Is(err, fs.ErrNotExist) && !durable.Verdict(err) {
		return // nothing new, or what is there cannot be read now and must not be replaced
	}
	r = bootsRecord{IMEI: imei}
	for _, d := range list {
		r.Seconds = append(r.Seconds, d.Round(time.Millisecond).Seconds())
	}
	if err := p.boots.Save(r); err != nil {
		p.log.Warn("how long the module takes to boot could not be stored; it is learned anew after a restart", zap.Error(err))
	}
}

// recallResets takes in the resets that earlier processes made. A damaged file is as
// good as none; one that cannot be read now is read later.
func (p *past) recallResets() {
	if p.recalled {
		return
	}
	r, err := p.resets.Load()
	p.recalled = err == nil || errors.Is(err, fs.ErrNotExist) || durable.Verdict(err)
	if err == nil {
		p.Recall(r.At, time.Now())
	}
}

// bookReset books a hard reset before it is made, over a restart too.
func (p *past) bookReset() {
	if err := p.resets.Save(resetsRecord{p.Reset(time.Now())}); err != nil {
		p.log.Warn("a reset could not be recorded; a restart may exceed hard_resets_per_hour", zap.Error(err))
	}
}
