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

func speedNote(state durable.Directory) durable.Note[speedRecord] {
	return durable.NewNote[speedRecord](state, speedFile)
}

// speed is what the session knows of line speeds.
type speed struct {
	last    int  // where the module was last known; 0: not known
	base    int  // where it is without us; 0: not known yet
	bad     int  // failures at the raised speed since the session was stable
	unfit   bool // the raised speed does not work; until the daemon is started anew
	refused bool // the module said no, and that was told
}

// readSpeed returns the speed at which the last process left the module, if it
// is one that a module may be found at; 0 otherwise.
func readSpeed(state durable.Directory) int {
	r, err := speedNote(state).Load()
	if err != nil || !slices.Contains(air.Speeds(), r.Baud) {
		return 0
	}
	return r.Baud
}

// knownAt remembers where the module is, over a restart too.
func (s *Session) knownAt(baud int) {
	if s.speed.last == baud {
		return
	}
	s.speed.last = baud
	if err := speedNote(s.State).Save(speedRecord{baud}); err != nil {
		s.Log.Warn("the line speed could not be stored; the next start may take seconds longer to find the module", zap.Error(err))
	}
}

// candidate is a speed to look for the module at.
type candidate struct{ baud, tries int }

// home is where the module is after a restart, as far as anybody told us.
func (s *Session) home() candidate {
	if s.Modem.Baud != 0 {
		return candidate{s.Modem.Baud, trainFirst * 3}
	}
	return candidate{115200, trainFirst}
}

// candidates lists where the module may be: where it was last, at home, where we
// would have put it, and everywhere else unless modem.baud says where home is.
func (s *Session) candidates() []candidate {
	rest := air.Speeds()
	if s.Modem.Baud != 0 {
		rest = nil
	}
	var list []candidate
	for _, baud := range slices.Concat([]int{s.speed.last, s.home().baud, s.Modem.WorkBaud}, rest) {
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
func (s *Session) train(ctx context.Context) error {
	s.dropLine()
	if err := s.waitOutDataPhase(ctx); err != nil {
		return err
	}
	for _, c := range s.candidates() {
		err := s.answersAt(ctx, c)
		if err == nil && s.line.raised && s.speed.unfit {
			err = s.callBack(ctx)
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
func (s *Session) answersAt(ctx context.Context, c candidate) error {
	if err := s.openLine(ctx, c.baud); err != nil {
		return failed(recovery.PortMissing, err)
	}
	s.progress.expect(time.Duration(c.tries) * trainEach)
	err := s.line.modem.Train(ctx, c.tries, trainEach)
	switch {
	case err == nil:
		s.line.raised = c.baud == s.Modem.WorkBaud && c.baud != s.home().baud
		s.Log.Debug("module answers", zap.Int("baud", c.baud))
		s.since = s.line.modem.Mark()
		return nil
	case ctx.Err() != nil || nobody(err):
		return err
	}
	return failed(recovery.NoAnswer, err)
}

// workSpeed brings the identified module to the speed it is to work at.
func (s *Session) workSpeed(ctx context.Context, id air.Identity) error {
	now, want := s.line.baud, s.Modem.WorkBaud
	if now != want {
		s.speed.base = now
		if want != 0 && !s.speed.unfit {
			if err := s.changeSpeed(ctx, id, now, want); err != nil {
				return err
			}
		}
	}
	s.knownAt(s.line.baud)
	return nil
}

// changeSpeed orders another speed, and sees to it that the module is understood
// there; if it is not, that it is understood where it was.
func (s *Session) changeSpeed(ctx context.Context, id air.Identity, from, to int) error {
	err := s.line.modem.SetSpeed(ctx, to)
	switch {
	case errors.Is(err, atengine.ErrRefused):
		if !s.speed.refused {
			s.show.warn("work-baud-refused", fmt.Sprintf("the module refuses to run its line at %d bit/s; it stays at %d", to, from))
		}
		s.speed.refused = true
		return nil
	case err != nil && !nobody(err):
		return err
	}
	err = s.soundAt(ctx, id, candidate{to, trainOther * 2})
	switch {
	case err == nil:
		s.Log.Info("line speed", zap.Int("from", from), zap.Int("to", to))
		return nil
	case !nobody(err):
		return err
	}
	s.giveUpSpeed()
	s.Log.Debug("going back to the old line speed", zap.Int("from", to), zap.Int("to", from), zap.Error(err))
	return s.comeBack(ctx, id, from, to)
}

// callBack orders a module that answers at the raised speed, which was given up,
// back to where it was. It need not be understood well enough to be identified.
func (s *Session) callBack(ctx context.Context) error {
	base := s.speed.base
	if base == 0 {
		base = s.home().baud // an earlier process has raised it
	}
	if err := s.line.modem.SetSpeed(ctx, base); err != nil && !nobody(err) && !errors.Is(err, atengine.ErrRefused) {
		return err
	}
	return s.answersAt(ctx, candidate{base, trainOther * 2})
}

// comeBack finds the module where it was. It may be at either speed, and
// understand half at the new one.
func (s *Session) comeBack(ctx context.Context, id air.Identity, from, to int) (err error) {
	for range 3 {
		if s.answersAt(ctx, candidate{to, trainOther}) == nil {
			_ = s.line.modem.SetSpeed(ctx, from)
		}
		if err = s.soundAt(ctx, id, candidate{from, trainOther * 2}); err == nil || !nobody(err) {
			return err
		}
	}
	return &recovery.Failure{Cause: recovery.NoAnswer, Err: fmt.Errorf("lost between %d and %d bit/s: %w", from, to, err)}
}

// giveUpSpeed leaves modem.work_baud alone for as long as this process lives.
func (s *Session) giveUpSpeed() {
	if s.speed.unfit {
		return
	}
	s.speed.unfit = true
	s.show.warn("work-baud-failed", fmt.Sprintf("the module is not understood reliably at modem.work_baud, %d bit/s: its line goes back to the old one until the daemon is started anew (use shorter or shielded wires, or a lower speed)",
		s.Modem.WorkBaud))
}

// suspect counts what speaks against the raised speed: it is given up when the
// module falls silent or out of step again and again while its line runs at it.
func (s *Session) suspect(c recovery.Cause) {
	if s.line == nil || !s.line.raised || !c.Mute() {
		return
	}
	if s.speed.bad++; s.speed.bad >= unsteady {
		s.giveUpSpeed()
	}
}

// errGarbled is a module that answers, but not always what it should.
var errGarbled = fmt.Errorf("answers are garbled: %w", atengine.ErrOutOfSync)

// soundAt says whether the module is at a speed, and understood there byte for
// byte: it has to tell again and again what it told before.
func (s *Session) soundAt(ctx context.Context, id air.Identity, c candidate) error {
	if err := s.answersAt(ctx, c); err != nil {
		return err
	}
	s.progress.expect(checkRounds * 4 * s.Cloud.Timeouts.Command)
	for range checkRounds {
		again, err := s.line.modem.Identify(ctx)
		switch {
		case errors.Is(err, air.ErrMalformed):
			return errGarbled
		case err != nil:
			return err
		case again.Firmware != id.Firmware || again.IMEI != id.IMEI:
			return errGarbled
		}
	}
	return nil
}
