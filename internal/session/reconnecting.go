package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// A person who has just mended what was broken does not want to wait for the back-off:
// the next attempt is made at once. The limits of the cloud hold all the same.

// reconnects bounds how often somebody may ask for that.
type reconnects struct {
	mu     sync.Mutex
	recent []time.Time
}

const (
	reconnectsMost = 5
	reconnectSpan  = time.Minute
	// reconnectPatience is how long the session may take to have a moment. One that has
	// none is in the middle of an attempt.
	reconnectPatience = time.Second
)

// take books one, or says how long it is until there may be another.
func (r *reconnects) take(now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent = slices.DeleteFunc(r.recent, func(t time.Time) bool { return now.Sub(t) >= reconnectSpan })
	if len(r.recent) >= reconnectsMost {
		return reconnectSpan - now.Sub(r.recent[0])
	}
	r.recent = append(r.recent, now)
	return 0
}

// requests bounds the registrations and authentications of any minute as the logins
// are: each of them is a request of this device to the cloud, and somebody who asks for
// the next attempt again and again skips the waits between them.
type requests struct{ recent []time.Time }

// wait is how long the next one has to wait; it is booked by made.
func (r *requests) wait(now time.Time, limit int) time.Duration {
	r.recent = slices.DeleteFunc(r.recent, func(t time.Time) bool { return now.Sub(t) >= gateWindow })
	if len(r.recent) < limit {
		return 0
	}
	return gateWindow - now.Sub(r.recent[len(r.recent)-limit])
}

func (r *requests) made(now time.Time) { r.recent = append(r.recent, now) }

// awaitRequest waits for its turn after the machine's start, and for the limit.
func (s *Session) awaitRequest(ctx context.Context) error {
	if err := s.awaitTurn(ctx); err != nil {
		return err
	}
	if d := s.requests.wait(time.Now(), s.o.Recovery.ConnectsPerMinute); d > 0 {
		s.show.waitsUntil(time.Now().Add(d))
		if err := s.pause(ctx, d); err != nil {
			return err
		}
	}
	s.requests.made(time.Now())
	return nil
}

// errAgain ends a wait between two attempts.
var errAgain = errors.New("the next attempt was asked for")

// Reconnect makes the next attempt now, where the session waits for it, at most 5 times
// a minute. It returns when that will be, which is later where the cloud's limits want
// it; nil while the session is online. Error: *bus.AskError, bus.ErrTooOften.
func (s *Session) Reconnect(ctx context.Context) (next *time.Time, err error) {
	if wait := s.errands.reconnects.take(time.Now()); wait > 0 {
		return nil, &bus.AskError{
			Err: bus.ErrTooOften, Detail: fmt.Sprintf("it was asked for %d times in the last minute", reconnectsMost),
			Hint: fmt.Sprintf("try again in %v; the daemon tries by itself, too", wait.Round(time.Second)), After: wait,
		}
	}
	answer := make(chan *time.Time, 1)
	t := time.NewTimer(reconnectPatience)
	defer t.Stop()
	select {
	case s.errands.handed <- func(context.Context) error { return s.again(answer) }:
		return <-answer, nil
	case <-ctx.Done():
		return nil, &bus.AskError{Err: bus.ErrBusy, Detail: "nobody waited for the session any more", Hint: "try again"}
	case <-t.C:
	}
	if state, _ := s.progress.at(); state == recovery.Online {
		return nil, nil
	}
	now := time.Now() // an attempt is under way
	return &now, nil
}

// again is the errand of Reconnect.
func (s *Session) again(answer chan<- *time.Time) error {
	if state, _ := s.progress.at(); state == recovery.Online {
		answer <- nil
		return nil
	}
	now := time.Now()
	next := now.Add(max(s.gate.wait(now, 0), 0))
	answer <- &next
	if !s.errands.resting {
		return nil // it waits for one of the cloud's limits
	}
	s.show.log.Info("the next attempt is made now, on request")
	return errAgain
}
