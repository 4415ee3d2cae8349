package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/durable"
	"airbridged/internal/recovery"
)

// A module starts at the speed of its firmware, or takes it from the first AT. Once
// it is known, modem.work_baud lets it run faster (AT+IPR). The speed is never
// saved in the module, so that a restart of it is the way back; firmware that
// keeps it all the same is found, because every speed that may be set is one that
// is tried. What worked last is remembered: a new daemon finds the module there.

// How long one speed is tried. The default gets more, because a module that is
// just starting answers late. A whole round stays under 20 s, so that a dead
// module is known within 35 s; the ladder gives a booting one the 90 s that the
// hardware guide asks for before anything is reset.
const (
	trainFirst = 6
	trainOther = 2
	trainEach  = 800 * time.Millisecond
)

// checkRounds is how often a module at a new speed has to tell the same as
// before: 20 commands, some 800 bytes, without one that goes wrong.
const checkRounds = 5

// unsteady is how often the module may fall silent or out of step at the raised
// speed, without a stable session in between, before that speed is given up.
const unsteady = 3

// speedFile remembers the speed that the module was last known at.
const speedFile = "speed.json"

type speedRecord struct {
	Baud int `json:"baud"`
}

// speed is what is known of line speeds.
type speed struct {
	fixed int // modem.baud; 0: not said
	work  int // modem.work_baud; 0: the speed is left alone
	note  durable.Note[speedRecord]

	last    int  // where the module was last known; 0: not known
	base    int  // where it is without us; 0: not known yet
	bad     int  // failures at the raised speed since the session was stable
	unfit   bool // the raised speed does not work; until the daemon is started anew
	refused bool // the module said no, and that was told
}

// newSpeed begins with the speed at which the last process left the module, if it
// is one that a module may be found at.
func newSpeed(m Modem, state durable.Directory) speed {
	s := speed{fixed: m.Baud, work: m.WorkBaud, note: durable.NewNote[speedRecord](state, speedFile)}
	if r, err := s.note.Load(); err == nil && slices.Contains(air.Speeds(), r.Baud) {
		s.last = r.Baud
	}
	return s
}

// knownAt remembers where the module is, over a restart too.
func (s *speed) knownAt(baud int) error {
	if s.last == baud {
		return nil
	}
	s.last = baud
	return s.note.Save(speedRecord{baud})
}

// candidate is a speed to look for the module at.
type candidate struct{ baud, tries int }

// home is where the module is after a restart, as far as anybody told us.
func (s *speed) home() candidate {
	if s.fixed != 0 {
		return candidate{s.fixed, trainFirst * 3}
	}
	return candidate{115200, trainFirst}
}

// candidates lists where the module may be: where it was last, at home, where we
// would have put it, and everywhere else unless modem.baud says where home is.
func (s *speed) candidates() []candidate {
	rest := air.Speeds()
	if s.fixed != 0 {
		rest = nil
	}
	var list []candidate
	for _, baud := range slices.Concat([]int{s.last, s.home().baud, s.work}, rest) {
		c := candidate{baud, trainOther}
		if baud == s.home().baud {
			c = s.home()
		}
		if baud != 0 && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// train opens the port at one speed after the other until the module answers.
func (p *port) train(ctx context.Context) error {
	for _, c := range p.speed.candidates() {
		err := p.answersAt(ctx, c)
		if err == nil && p.raised && p.speed.unfit {
			err = p.callBack(ctx)
		}
		if err == nil || !nobody(err) {
			return err
		}
	}
	return &recovery.Failure{Cause: recovery.NoAnswer, Err: errors.New("no OK at any speed")}
}

// nobody says whether an error means no more than that the module is not at this
// speed.
func nobody(err error) bool {
	return silence(err) || errors.Is(err, atengine.ErrOutOfSync) || errors.Is(err, atengine.ErrRebooted)
}

// answersAt opens the port at a speed and waits for the module's OK there.
func (p *port) answersAt(ctx context.Context, c candidate) error {
	if err := p.open(ctx, c.baud); err != nil {
		return failed(recovery.PortMissing, err)
	}
	p.progress.expect(time.Duration(c.tries) * trainEach)
	err := p.modem.Train(ctx, c.tries, trainEach)
	switch {
	case err == nil:
		p.raised = c.baud == p.speed.work && c.baud != p.speed.home().baud
		p.show.log.Debug("module answers", zap.Int("baud", c.baud))
		p.since, p.off = p.modem.Mark(), ""
		return nil
	case ctx.Err() != nil || nobody(err):
		return err
	}
	return failed(recovery.NoAnswer, err)
}

// workSpeed brings the identified module to the speed it is to work at.
func (p *port) workSpeed(ctx context.Context, id air.Identity) error {
	now, want := p.baud, p.speed.work
	if now != want {
		p.speed.base = now
		if want != 0 && !p.speed.unfit {
			if err := p.changeSpeed(ctx, id, now, want); err != nil {
				return err
			}
		}
	}
	if err := p.speed.knownAt(p.baud); err != nil {
		p.show.log.Warn("the line speed could not be stored; the next start may take seconds longer to find the module", zap.Error(err))
	}
	return nil
}

// changeSpeed orders another speed, and sees to it that the module is understood
// there; if it is not, that it is understood where it was.
func (p *port) changeSpeed(ctx context.Context, id air.Identity, from, to int) error {
	err := p.modem.SetSpeed(ctx, to)
	switch {
	case errors.Is(err, atengine.ErrRefused):
		if !p.speed.refused {
			p.show.warn("work-baud-refused", fmt.Sprintf("the module refuses to run its line at %d bit/s; it stays at %d", to, from))
		}
		p.speed.refused = true
		return nil
	case err != nil && !nobody(err):
		return err
	}
	err = p.soundAt(ctx, id, candidate{to, trainOther * 2})
	switch {
	case err == nil:
		p.show.log.Info("line speed", zap.Int("from", from), zap.Int("to", to))
		return nil
	case !nobody(err):
		return err
	}
	p.giveUpSpeed()
	p.show.log.Debug("going back to the old line speed", zap.Int("from", to), zap.Int("to", from), zap.Error(err))
	return p.comeBack(ctx, id, from, to)
}

// callBack orders a module that answers at the raised speed, which was given up,
// back to where it was. It need not be understood well enough to be identified.
func (p *port) callBack(ctx context.Context) error {
	base := p.speed.base
	if base == 0 {
		base = p.speed.home().baud // an earlier process has raised it
	}
	if err := p.modem.SetSpeed(ctx, base); err != nil && !nobody(err) && !errors.Is(err, atengine.ErrRefused) {
		return err
	}
	return p.answersAt(ctx, candidate{base, trainOther * 2})
}

// comeBack finds the module where it was. It may be at either speed, and
// understand half at the new one.
func (p *port) comeBack(ctx context.Context, id air.Identity, from, to int) (err error) {
	for range 3 {
		if p.answersAt(ctx, candidate{to, trainOther}) == nil {
			_ = p.modem.SetSpeed(ctx, from)
		}
		if err = p.soundAt(ctx, id, candidate{from, trainOther * 2}); err == nil || !nobody(err) {
			return err
		}
	}
	return &recovery.Failure{Cause: recovery.NoAnswer, Err: fmt.Errorf("lost between %d and %d bit/s: %w", from, to, err)}
}

// giveUpSpeed leaves modem.work_baud alone for as long as this process lives.
func (p *port) giveUpSpeed() {
	if p.speed.unfit {
		return
	}
	p.speed.unfit = true
	p.show.warn("work-baud-failed", fmt.Sprintf("the module is not understood reliably at modem.work_baud, %d bit/s: its line goes back to the old one until the daemon is started anew (use shorter or shielded wires, or a lower speed)",
		p.speed.work))
}

// suspect counts what speaks against the raised speed: it is given up when the
// module falls silent or out of step again and again while its line runs at it.
func (p *port) suspect(c recovery.Cause) {
	if !p.isOpen() || !p.raised || !c.Mute() || c == recovery.ModuleOff {
		return
	}
	if p.speed.bad++; p.speed.bad >= unsteady {
		p.giveUpSpeed()
	}
}

// settled forgives what spoke against the raised speed.
func (p *port) settled() { p.speed.bad = 0 }

// errGarbled is a module that answers, but not always what it should.
var errGarbled = fmt.Errorf("answers are garbled: %w", atengine.ErrOutOfSync)

// soundAt says whether the module is at a speed, and understood there byte for
// byte: it has to tell again and again what it told before.
func (p *port) soundAt(ctx context.Context, id air.Identity, c candidate) error {
	if err := p.answersAt(ctx, c); err != nil {
		return err
	}
	p.progress.expect(checkRounds * 4 * p.module.Timeouts.Command)
	for range checkRounds {
		again, err := p.modem.Identify(ctx)
		switch {
		case errors.Is(err, air.ErrMalformed):
			return errGarbled
		case err != nil:
			return err
		case again.Firmware != id.Firmware || again.IMEI != id.IMEI || again.Second != id.Second:
			return errGarbled
		}
	}
	return nil
}
