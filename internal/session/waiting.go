package session

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/recovery"
)

// pause waits, keeping the health check satisfied, until the time is over or
// the daemon is asked to stop. Meanwhile it does what people ask for, and ends
// with errAside when there is no going on after that.
func (s *Session) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	s.progress.expect(d)
	end := time.Now().Add(d)
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
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

// rest waits between two attempts. Where a SIM or a network is missing it looks
// whether that has come meanwhile, and then waits no longer. It does so later each
// time until the session is stable again: at the edge of a cell the network comes
// and goes all day, and an attempt at each coming would cost more than the data.
func (s *Session) rest(ctx context.Context, d time.Duration, c recovery.Cause) error {
	arrived := s.arrival(c)
	if arrived == nil {
		return s.pause(ctx, d)
	}
	earliest := time.Now().Add(s.past.Earliest())
	for ; d > lookEvery; d -= lookEvery {
		if err := s.pause(ctx, lookEvery); err != nil {
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
