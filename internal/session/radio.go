package session

import (
	"context"
	"errors"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/recovery"
)

// What only the SIM and the network decide is asked of the module, over and over:
// that costs neither radio nor cloud. Nothing is ever tried harder than that here;
// what to do about it is for recovery.Next to say.

const (
	// cellChange is how long a module may be without a network while it moves from
	// one cell to the next, before its registration counts as lost.
	cellChange = 3 * time.Second
	// attachByItself is how long a registered module is left to attach by itself
	// before it is told to.
	attachByItself = 20 * time.Second
	// lookEvery is how often a module that waits for a SIM or a network is asked
	// whether it has come; scatter is how far those are spread to whom it comes at
	// the same moment.
	lookEvery = 5 * time.Second
	scatter   = 20 * time.Second
)

// checkRegistration asks the module whether the network still serves it, because
// only some say so themselves (+NO Service) and the MQTT link looks well until its
// keep-alive runs out. A module that never said yes in this session is not
// believed when it says no: it may mean another network than the one in use.
func (s *Session) checkRegistration(ctx context.Context) error {
	told := s.line.noService
	s.line.noService = false
	for try := range 2 {
		registered, err := s.line.modem.Registered(ctx)
		switch {
		case errors.Is(err, atengine.ErrRefused), errors.Is(err, air.ErrMalformed):
			return nil
		case err != nil:
			return s.unanswered(recovery.Closed, err)
		case registered:
			s.line.registers = true
			s.show.registered(true)
			return nil
		case !s.line.registers && !told:
			return nil
		case try == 0:
			if err := s.pause(ctx, cellChange); err != nil {
				return err
			}
		}
	}
	s.attached = false
	s.show.registered(false)
	return &recovery.Failure{Cause: recovery.NotRegistered, Err: errors.New("the network no longer serves the module")}
}

// nudge tells a module to attach that is registered and still has not, once for
// each attempt. It returns notYet, or what is wrong with the module.
func (s *Session) nudge(ctx context.Context, since time.Time, notYet *recovery.Failure) error {
	if s.nudged || time.Since(since) < attachByItself {
		return s.wakeRadio(ctx, notYet)
	}
	s.nudged = true
	registered, err := s.line.modem.Registered(ctx)
	if registered {
		err = s.line.modem.Attach(ctx)
	}
	if err != nil && !errors.Is(err, atengine.ErrRefused) && !errors.Is(err, air.ErrMalformed) {
		return err
	}
	return notYet
}

// rest waits between two attempts. Where a SIM or a network is missing it looks
// whether that has come meanwhile, and then waits no longer. It does so later each
// time until the session is stable again: at the edge of a cell the network comes
// and goes all day, and an attempt at each coming would cost more than the data.
func (s *Session) rest(ctx context.Context, d time.Duration, c recovery.Cause) error {
	look := s.look(c)
	if look == nil {
		return s.pause(ctx, d)
	}
	earliest := time.Now().Add(s.past.Earliest())
	for ; d > lookEvery; d -= lookEvery {
		if err := s.pause(ctx, lookEvery); err != nil {
			return err
		}
		s.progress.expect(s.Cloud.Timeouts.Bearer)
		there, err := look(ctx)
		if err != nil {
			return context.Cause(ctx) // the next attempt finds out what is wrong
		}
		if there {
			s.past.CutShort()
			return s.pause(ctx, min(max(time.Until(earliest), 0)+recovery.Between(0, scatter, s.random), d-lookEvery))
		}
	}
	return s.pause(ctx, d)
}

// look is how to see that what is missing has come; nil when the module cannot
// tell.
func (s *Session) look(c recovery.Cause) func(context.Context) (bool, error) {
	if s.line == nil || !s.line.modem.InSync() {
		return nil
	}
	modem := s.line.modem
	switch c.Watch() {
	case recovery.WatchSIM:
		return func(ctx context.Context) (bool, error) {
			err := modem.SIM(ctx)
			if errors.Is(err, air.ErrNoSIM) || errors.Is(err, air.ErrSIMBusy) || errors.Is(err, air.ErrSIMLocked) {
				return false, nil
			}
			return err == nil, err
		}
	case recovery.WatchNetwork:
		return modem.Attached
	}
	return nil
}
