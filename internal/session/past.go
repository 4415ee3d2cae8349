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
	}
	p.recallResets()
	return p
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
