package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/recovery"
)

// pause waits, keeping the health check satisfied, until the time is over or
// the daemon is asked to stop. Meanwhile it does what people ask for, and ends
// with errAside when there is no going on after that.
func (s *Session) pause(ctx context.Context, d time.Duration) error { return s.pauseFor(ctx, d, nil) }

// pauseFor is pause that ends with errAgain as soon as what the module says of its own
// accord has brought something; nil: nothing can.
func (s *Session) pauseFor(ctx context.Context, d time.Duration, come func() bool) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	s.progress.expect(d)
	end := time.Now().Add(d)
	t := time.NewTimer(d)
	defer t.Stop()
	var said <-chan struct{}
	if come != nil {
		said = s.port.modem.Events()
	}
	for {
		if come != nil && come() {
			return errAgain
		}
		select {
		case <-t.C:
			return nil
		case <-said:
		case <-s.glances.next(time.Now()):
			s.glance(ctx)
			s.progress.expect(time.Until(end))
		case <-s.glances.onlookers.Come():
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-s.errands.handed:
			if err := e(ctx); err != nil {
				return err
			}
			s.progress.expect(time.Until(end))
		}
	}
}

// While a SIM or a network is missing, the module is asked over and over whether it
// has come: lookEvery is how often. scatter is how far those are spread to whom it
// comes at the same moment.
const (
	lookEvery = 5 * time.Second
	scatter   = 20 * time.Second
)

// rest waits between two attempts, unless a person asks for the next one. Where a SIM
// or a network is missing it looks whether that has come meanwhile, and then waits no
// longer. It does so later each time until the session is stable again: at the edge of a
// cell the network comes and goes all day, and an attempt at each coming would cost more
// than the data. A SIM of which the module itself says that it is there was put in by
// somebody, and is used at once.
func (s *Session) rest(ctx context.Context, d time.Duration, c recovery.Cause) error {
	s.errands.resting = true
	defer func() { s.errands.resting = false }()
	err := s.restUntil(ctx, d, c)
	if errors.Is(err, errAgain) {
		return nil
	}
	return err
}

func (s *Session) restUntil(ctx context.Context, d time.Duration, c recovery.Cause) error {
	arrived := s.arrival(c)
	if arrived == nil {
		return s.pause(ctx, d)
	}
	earliest := time.Now().Add(s.past.Earliest())
	begun := s.port.modem.Mark()
	for ; d > lookEvery; d -= lookEvery {
		if err := s.pauseFor(ctx, lookEvery, s.simPutIn(c, begun)); err != nil {
			return err
		}
		s.progress.expect(s.o.Cloud.Timeouts.Bearer)
		there, err := arrived(ctx)
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

// simPutIn says whether the module has told since then that a SIM is there, where it is
// a SIM that was missing.
func (s *Session) simPutIn(c recovery.Cause, since atengine.Mark) func() bool {
	if c.Watch() != recovery.WatchSIM {
		return nil
	}
	modem := s.port.modem
	return func() bool {
		events, _ := modem.Since(since)
		return slices.ContainsFunc(events, func(e air.Event) bool { return e.Kind == air.SIMReady })
	}
}

// arrival is how to see that what is missing has come; nil when the module cannot
// tell.
func (s *Session) arrival(c recovery.Cause) func(context.Context) (bool, error) {
	if !s.port.inStep() {
		return nil
	}
	modem := s.port.modem
	switch c.Watch() {
	case recovery.WatchSIM:
		return func(ctx context.Context) (bool, error) {
			err := modem.SIM(ctx)
			if simFailure(err) != nil {
				return false, nil
			}
			return err == nil, err
		}
	case recovery.WatchNetwork:
		return modem.Attached
	}
	return nil
}

// awaitTurn waits for what the gate has drawn after the machine's start, before
// whatever goes to the cloud first.
func (s *Session) awaitTurn(ctx context.Context) error {
	left := s.gate.firstWait()
	if left <= 0 {
		return nil
	}
	s.show.log.Info("waiting for its turn after the machine's start", zap.Duration("wait", left.Round(time.Second)))
	s.show.waitsUntil(time.Now().Add(left))
	return s.pause(ctx, left)
}
