package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
)

// recover decides what to do about a failure, does it, waits, and returns the
// state to go on in. It returns an error only when the session has to end.
func (s *Session) recover(ctx context.Context, from State, err error) (State, error) {
	f := s.asFailure(from, err)
	if f.Cause != NoAnswer && s.line != nil && s.line.modem.LastByte().After(s.heard) {
		s.heard = s.line.modem.LastByte() // while training it may be noise at a wrong speed
	}
	s.count(f.Cause)
	s.costs.failed(f.Cause)
	d := next(from, f.Cause, s.history(f.Cause))
	pause := wait(d.Pace, s.inARow(d.Pace), s.Recovery.BackoffMin, s.Recovery.BackoffMax, s.random)
	s.enter(from, Recovering, f, pause)
	if s.line != nil {
		s.line.loggedIn = false
	}
	s.Hub.Revoke()
	resume, err := s.climbRung(ctx, d, f)
	if err != nil {
		return Recovering, err
	}
	if err := s.rest(ctx, pause, f.Cause); err != nil {
		return Recovering, err
	}
	s.enter(Recovering, resume, nil, 0)
	return resume, nil
}

// asFailure gives every error a cause.
func (s *Session) asFailure(from State, err error) *Failure {
	var f *Failure
	if errors.As(s.unanswered(byState[from], err), &f) {
		return f
	}
	return &Failure{Cause: OutOfSync, Err: err}
}

// byState is the cause of a failure that says nothing more exact.
var byState = map[State]Cause{
	Probing:        NoAnswer,
	Attaching:      BearerFailed,
	Registering:    HTTPFailed,
	Authenticating: HTTPFailed,
	Connecting:     ConnectFailed,
	Online:         Closed,
}

// count keeps the history: attempts in a row, and how often each ladder was
// climbed. Causes that take turns, such as a session that is closed now and not
// answered then, each go on where they were: a ladder begins anew only when the
// session was stable, or the module was reset.
func (s *Session) count(c Cause) {
	s.attempt++
	s.climbs[c]++
	s.suspect(c)
	if c != Closed && c != Kicked {
		s.shorts = 0
	}
}

// inARow counts a failure and returns what its wait doubles with. The back-off
// counts only failures that were backed off from: looking for a port that is not
// there costs nobody anything, and must not make the cloud wait afterwards.
func (s *Session) inARow(p Pace) int {
	if p != BackOff {
		return s.attempt
	}
	s.backedOff++
	return s.backedOff
}

func (s *Session) history(c Cause) History {
	now := time.Now()
	return History{
		Attempt:    s.attempt,
		Climb:      s.climbs[c],
		Worked:     s.worked,
		FreshToken: s.fresh || !s.Cloud.HTTPSAuth,
		Attached:   s.attached,
		ResetsLeft: s.resets.left(now, c.mute()),
		Dark:       now.Sub(s.darkSince),
		Silent:     now.Sub(s.heard),
	}
}

// climbRung tears down what the rung stands for. A module that does not answer
// the tear-down is resynced, and failing that it is probed from the start.
func (s *Session) climbRung(ctx context.Context, d Decision, f *Failure) (State, error) {
	s.dump(d.Rung, f.Cause)
	s.health.expect(s.Cloud.Timeouts.Bearer)
	err := s.do(ctx, d.Rung)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	if d.Rung != NoRung {
		s.Recorder.Recovery(d.Rung.String(), result)
		s.Log.Debug("recovery", zap.Stringer("rung", d.Rung), zap.String("result", result), zap.Error(err))
	}
	switch {
	case d.Rung == ExitRung:
		return Recovering, fmt.Errorf("%w: %w", ErrExit, f)
	case ctx.Err() != nil:
		return Recovering, context.Cause(ctx)
	case err != nil || s.line == nil || s.restarted():
		return Probing, nil
	}
	return d.Resume, nil
}

// restarted says whether the module restarted and nobody has acted on it yet: one
// in the middle of a command shows first as silence, and perhaps only by the echo
// being back. All settings are gone then, and only probing restores them.
func (s *Session) restarted() bool {
	if s.line.forgot() {
		return true
	}
	events, _ := s.line.modem.Since(s.since)
	return slices.ContainsFunc(events, func(e air.Event) bool { return e.Kind == air.Rebooted || e.Kind == air.PowerDown })
}

// do performs one rung.
func (s *Session) do(ctx context.Context, r Rung) error {
	switch r {
	case ExitRung, NoRung:
		return s.inStep(ctx)
	case ReopenRung:
		s.dropLine()
		return nil
	case ResetRung:
		return s.reset(ctx)
	}
	if s.line == nil {
		return nil
	}
	if err := s.inStep(ctx); err != nil {
		return err
	}
	modem := s.line.modem
	switch r {
	case BearerRung:
		modem.Hangup(ctx)
		s.costs.hungUp()
		s.attached = false
		return modem.CloseBearer(ctx)
	case RadioRung:
		modem.Hangup(ctx)
		s.costs.hungUp()
		s.attached = false
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

// inStep resyncs the engine if a command was left without an answer.
func (s *Session) inStep(ctx context.Context) error {
	if s.line == nil || s.line.modem.InSync() {
		return nil
	}
	select {
	case <-s.line.dead:
		return s.line.err
	default:
	}
	if err := s.line.modem.Resync(ctx); err != nil {
		return err
	}
	// One command more, so that a restart shows by its echo: the first one after it
	// trains the speed, and is not echoed yet.
	if _, err := s.line.modem.Signal(ctx); silence(err) {
		return err
	}
	return nil
}

// reset restarts the module: by AT+RESET if it still listens, and by the hard
// way if it does not.
func (s *Session) reset(ctx context.Context) error {
	if err := s.resets.spend(time.Now()); err != nil {
		s.Log.Warn("a reset could not be recorded; a restart may exceed hard_resets_per_hour", zap.Error(err))
	}
	clear(s.climbs) // what comes is as good as another module
	s.attached = false
	s.warn("module-reset", "resetting the module")
	var err error
	if s.line == nil {
		err = errors.New("the port is not open")
	} else if err = s.inStep(ctx); err == nil {
		err = s.line.modem.Reset(ctx)
	}
	if err != nil && s.HardReset != nil {
		if err = s.HardReset(ctx); err != nil {
			s.warn("hard-reset-failed", err.Error())
		}
	}
	s.dropLine()
	s.heard = time.Now() // from here on it may take its time to start
	return err
}
