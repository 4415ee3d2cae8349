package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/recovery"
)

// recover decides what to do about a failure, does it, waits, and returns the
// state to go on in. It returns an error only when the session has to end.
func (s *Session) recover(ctx context.Context, err error) (recovery.State, error) {
	from, _ := s.progress.at()
	f := s.port.explain(s.asFailure(from, err))
	if f.Cause != recovery.NoAnswer && f.Cause != recovery.ModuleOff && s.port.isOpen() {
		s.past.Heard(s.port.modem.LastByte()) // while training it may be noise at a wrong speed
	}
	s.port.suspect(f.Cause)
	s.closedByCloud(f)
	s.link.failed(f.Cause)
	s.books.failed(f.Cause)
	s.past.recallResets()
	d, pause := s.past.Fail(from, f.Cause, s.facts(f), time.Now())
	s.forget(f.Cause.Lost())
	if from == recovery.Attaching {
		s.network.iccid = "" // who waits for a network may put another SIM in
	}
	s.enter(recovery.Recovering, f, pause)
	s.sessionLost()
	resume, err := s.climbRung(ctx, d, f)
	if err != nil {
		return "", err
	}
	if err := s.rest(ctx, pause, f.Cause); err != nil {
		return "", err
	}
	return resume, nil
}

// asFailure gives every error a cause.
func (s *Session) asFailure(from recovery.State, err error) *recovery.Failure {
	var f *recovery.Failure
	if errors.As(s.port.unanswered(byState[from], err), &f) {
		return f
	}
	return &recovery.Failure{Cause: recovery.OutOfSync, Err: err}
}

// byState is the cause of a failure that says nothing more exact.
var byState = map[recovery.State]recovery.Cause{
	recovery.Probing:        recovery.NoAnswer,
	recovery.Attaching:      recovery.BearerFailed,
	recovery.Registering:    recovery.HTTPFailed,
	recovery.Authenticating: recovery.HTTPFailed,
	recovery.Connecting:     recovery.ConnectFailed,
	recovery.Online:         recovery.Closed,
}

// facts are what the session knows of a failure besides its cause.
func (s *Session) facts(f *recovery.Failure) recovery.Facts {
	return recovery.Facts{
		FreshToken: s.device.freshLogin(), Attached: s.network.attached, Deaf: s.port.wasDeaf,
		SIMLocked: errors.Is(f.Err, air.ErrSIMLocked),
	}
}

// climbRung tears down what the rung stands for. A module that does not answer
// the tear-down is resynced, and failing that it is probed from the start.
func (s *Session) climbRung(ctx context.Context, d recovery.Decision, f *recovery.Failure) (recovery.State, error) {
	s.flight.dump(d.Rung, f.Cause, s.past.Attempts())
	s.progress.expect(s.o.Cloud.Timeouts.Bearer)
	err := s.do(ctx, d.Rung, f.Cause)
	s.show.climbed(d.Rung, err)
	switch {
	case d.Rung == recovery.ExitRung:
		return "", fmt.Errorf("%w: %w", ErrExit, f)
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil || !s.port.isOpen() || s.port.restarted():
		return recovery.Probing, nil
	}
	return d.Resume, nil
}

// do performs one rung.
func (s *Session) do(ctx context.Context, r recovery.Rung, c recovery.Cause) error {
	switch r {
	case recovery.ExitRung, recovery.NoRung:
		return s.port.resync(ctx)
	case recovery.ReopenRung:
		s.port.close()
		return nil
	case recovery.ResetRung:
		return s.reset(ctx, c)
	}
	if !s.port.isOpen() {
		return nil
	}
	if err := s.port.resync(ctx); err != nil {
		return err
	}
	modem := s.port.modem
	switch r {
	case recovery.BearerRung:
		s.tearDown(ctx)
		s.network.attached = false
		return modem.CloseBearer(ctx)
	case recovery.RadioRung:
		s.tearDown(ctx)
		s.forget(recovery.LostNetwork)
		s.network.attached = false
		if err := modem.Radio(ctx, false); err != nil {
			return err
		}
		if err := s.pause(ctx, radioRest); err != nil {
			return err
		}
		return modem.Radio(ctx, true)
	}
	return nil
}

// radioRest is how long the radio stays off (vendor FAQ: 5 s between CFUN=0 and
// CFUN=1).
const radioRest = 5 * time.Second

// reset restarts the module: by AT+RESET if it still listens, and by the hard
// way if it does not. One that answered at no speed is not asked whether it listens
// where there is a hard way.
func (s *Session) reset(ctx context.Context, c recovery.Cause) error {
	s.past.bookReset()
	s.forget(recovery.LostNetwork)
	s.network.attached = false
	s.show.warn("module-reset", "resetting the module")
	var err error
	if !s.port.isOpen() {
		err = errors.New("the port is not open")
	} else if (c == recovery.NoAnswer || c == recovery.ModuleOff) && s.o.HardReset != nil {
		err = errors.New("the module does not answer")
	} else if err = s.port.resync(ctx); err == nil {
		err = s.port.modem.Reset(ctx)
	}
	if err != nil && s.o.HardReset != nil {
		if err = s.o.HardReset(ctx); err != nil {
			s.show.warn("hard-reset-failed", err.Error())
		}
	}
	s.port.close()
	s.past.Heard(time.Now()) // from here on it may take its time to start
	s.past.Booting(time.Now())
	return err
}
