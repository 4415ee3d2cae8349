package session

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// online moves messages until something ends the session. It returns a
// *Failure, or the context's cause when the daemon is asked to stop.
func (s *Session) online(ctx context.Context) (recovery.State, error) {
	s.past.Online()
	s.up.newSession()
	defer func() { s.past.Offline(time.Now()) }()
	s.filters.due = true // what is under suspicion is left to this state
	if err := s.opening(ctx); err != nil {
		return "", err
	}
	watch := newWatch(s.o.Recovery.StatusPoll)
	defer watch.Stop()
	stable := time.NewTimer(s.o.Recovery.StableAfter)
	defer stable.Stop()
	for {
		s.progress.expect(s.o.Recovery.StatusPoll)
		if err := s.lost(); err != nil {
			return "", err
		}
		s.glance(ctx)
		if s.network.noService {
			if err := s.checkRegistration(ctx); err != nil {
				return "", err
			}
		}
		if err := s.sound(ctx); err != nil {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-watch.C:
			if err := s.watched(ctx, watch, stable.C); err != nil {
				return "", err
			}
			continue
		case <-stable.C:
			s.settled()
			continue
		case <-s.filters.hub.Changed():
			s.filters.due = true
			continue
		case e := <-s.errands.handed:
			if err := e(ctx); err != nil {
				return "", err
			}
			continue
		default:
		}
		if err := s.answerCalls(ctx); err != nil {
			return "", err
		}
		if _, _, err := s.tendInTurn(ctx, true); err != nil {
			return "", err
		}
		rest := s.up.quota.left(time.Now())
		if rest <= 0 {
			if p, ok := s.next(); ok {
				if len(p.messages) == 0 {
					continue
				}
				s.filters.after = false
				if err := s.publish(ctx, p); err != nil {
					return "", err
				}
				continue
			}
		}
		s.up.acked = time.Time{} // nothing to send: no turnaround to measure
		did, wait, err := s.tendInTurn(ctx, rest > 0 && rest < sparePace)
		switch {
		case err != nil:
			return "", err
		case did:
			continue
		}
		if err := s.idle(ctx, rest, wait, watch, stable.C); err != nil {
			return "", err
		}
	}
}

// sparePace is how far apart messages have to be for a filter to be dealt with between
// any two of them: it costs about a round trip.
const sparePace = 2 * time.Second

// idle sleeps until there is something to do; rest is how long nothing may be
// sent, 0 when something may, and wait how long nothing may be done with a filter.
func (s *Session) idle(ctx context.Context, rest, wait time.Duration, watch *watch, stable <-chan time.Time) error {
	var rested, waited <-chan time.Time
	if wait > 0 {
		waited = time.After(wait)
	}
	ready := s.up.queue.Ready()
	if rest > 0 {
		rested, ready = time.After(rest), nil
	}
	select {
	case <-ready:
	case <-rested:
	case <-waited:
	case <-s.port.modem.Events():
	case <-s.port.dead:
	case <-s.filters.hub.Calls().Ready():
	case <-s.filters.hub.Changed():
		s.filters.due = true
	case <-s.glances.next(time.Now()):
	case <-s.glances.onlookers.Come():
	case e := <-s.errands.handed:
		return e(ctx)
	case <-stable:
		s.settled()
	case <-watch.C:
		return s.watched(ctx, watch, stable)
	case <-ctx.Done():
	}
	return nil
}

// settled forgets the failures of the past once the session has been online
// for stable_after.
func (s *Session) settled() {
	if failures, folded := s.past.Settled(time.Now()); failures > 0 {
		s.show.log.Info("stable again", zap.Int("attempts", failures), zap.Int("folded", folded))
	}
	s.link.settled()
	s.port.settled()
	s.show.settled()
}

// kickNotice is where the cloud says that another client took the device's
// place (seen in field logs; it comes without a subscription).
const kickNotice = "/ext/notify"

// downlink is called by the modem's reader for every message that arrives. It
// never waits.
func (s *Session) downlink(topic string, payload []byte) {
	if topic == kickNotice && strings.Contains(string(payload), "kick") {
		s.link.kicked.Store(true)
	}
	s.books.received(topic, payload)
	s.openings.arrived(topic)
	s.show.received(topic, payload)
	s.filters.hub.Publish(bus.Message{Topic: topic, Payload: payload, ReceivedAt: time.Now()})
}
