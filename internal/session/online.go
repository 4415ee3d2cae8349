package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// online moves messages until something ends the session. It returns a
// *Failure, or the context's cause when the daemon is asked to stop.
func (s *Session) online(ctx context.Context) (recovery.State, error) {
	s.past.Online()
	s.up.newSession()
	defer func() { s.past.Offline(time.Now()) }()
	poll := time.NewTicker(s.Recovery.StatusPoll)
	defer poll.Stop()
	stable := time.NewTimer(s.Recovery.StableAfter)
	defer stable.Stop()
	for {
		s.progress.expect(s.Recovery.StatusPoll)
		if err := s.lost(); err != nil {
			return recovery.Online, err
		}
		if s.line.noService {
			if err := s.checkRegistration(ctx); err != nil {
				return recovery.Online, err
			}
		}
		select {
		case <-ctx.Done():
			return recovery.Online, context.Cause(ctx)
		case <-poll.C:
			if err := s.poll(ctx, stable.C); err != nil {
				return recovery.Online, err
			}
			continue
		case <-stable.C:
			s.settled()
			continue
		case <-s.filters.hub.Changed():
			if err := s.subscribe(ctx); err != nil {
				return recovery.Online, err
			}
			continue
		case a := <-s.asks:
			if err := a(ctx); err != nil {
				return recovery.Online, err
			}
			continue
		default:
		}
		rest := s.up.pace.left(time.Now())
		if rest <= 0 {
			if m, ok := s.up.queue.Take(); ok {
				if err := s.publish(ctx, m); err != nil {
					return recovery.Online, err
				}
				continue
			}
		}
		s.up.acked = time.Time{} // nothing to send: no turnaround to measure
		if err := s.idle(ctx, rest, poll.C, stable.C); err != nil {
			return recovery.Online, err
		}
	}
}

// idle sleeps until there is something to do; rest is how long nothing may be
// sent, 0 when something may.
func (s *Session) idle(ctx context.Context, rest time.Duration, poll, stable <-chan time.Time) error {
	var rested <-chan time.Time
	ready := s.up.queue.Ready()
	if rest > 0 {
		rested, ready = time.After(rest), nil
	}
	select {
	case <-ready:
	case <-rested:
	case <-s.line.modem.Events():
	case <-s.line.dead:
	case <-s.filters.hub.Changed():
		return s.subscribe(ctx)
	case a := <-s.asks:
		return a(ctx)
	case <-stable:
		s.settled()
	case <-poll:
		return s.poll(ctx, stable)
	case <-ctx.Done():
	}
	return nil
}

// settled forgets the failures of the past once the session has been online
// for stable_after.
func (s *Session) settled() {
	if failures, folded := s.past.Settled(time.Now()); failures > 0 {
		s.Log.Info("stable again", zap.Int("attempts", failures), zap.Int("folded", folded))
	}
	s.shorts, s.speed.bad = 0, 0
	s.show.settled()
}

// shortSession is how soon after CONNACK a CLOSED counts as being thrown out.
const shortSession = 10 * time.Second

// lost looks at what the module said of its own accord since the session was
// opened, and at the port itself.
func (s *Session) lost() error {
	select {
	case <-s.line.dead:
		return failed(recovery.PortMissing, s.line.err)
	default:
	}
	events, since := s.line.modem.Since(s.since)
	s.since = since
	for _, e := range events {
		switch e.Kind {
		case air.Closed:
			return s.closed(e.Text)
		case air.BearerLost:
			s.attached = false
			return &recovery.Failure{Cause: recovery.BearerFailed, Hint: "the network took the data bearer away; opening it anew", Err: fmt.Errorf("module reports %s", e.Text)}
		case air.Rebooted, air.PowerDown:
			return &recovery.Failure{Cause: recovery.Rebooted, Err: fmt.Errorf("module reports %s", e.Text)}
		case air.SIMRemoved:
			s.attached = false
			return &recovery.Failure{Cause: recovery.SIMMissing, Err: fmt.Errorf("module reports %s", e.Text)}
		case air.ServiceLost:
			s.line.noService = true
		case air.ServiceBack:
			s.line.noService = false
		}
	}
	if s.line.forgot() {
		return &recovery.Failure{Cause: recovery.Rebooted, Err: errors.New("the module echoes commands again, so it has lost its settings")}
	}
	return nil
}

// closed tells an ordinary CLOSED from being kicked: the cloud says so on
// /ext/notify, or closes session after session right after it accepted them.
func (s *Session) closed(text string) error {
	err := fmt.Errorf("module reports %s", text)
	if s.kicked.Swap(false) {
		return &recovery.Failure{Cause: recovery.Kicked, Err: err}
	}
	if s.shorts++; time.Since(s.onlineAt) >= shortSession {
		s.shorts = 0
	}
	if s.shorts >= 3 {
		return &recovery.Failure{Cause: recovery.Kicked, Err: fmt.Errorf("%w right after the login, %d times in a row", err, s.shorts)}
	}
	return &recovery.Failure{Cause: recovery.Closed, Err: err}
}

// poll asks the module for the state of the link, because CLOSED can get lost
// (Air724 before V838 never sent it), and of its registration, and refreshes the
// signal.
func (s *Session) poll(ctx context.Context, stable <-chan time.Time) error {
	select {
	case <-stable: // due at the same moment by default: what the poll finds is no failure of the past
		s.settled()
	default:
	}
	if gone := s.linkGone(ctx, errors.New("AT+MQTTSTATU says the session is gone, and no CLOSED was seen")); gone != nil {
		return gone
	}
	if err := s.checkRegistration(ctx); err != nil {
		return err
	}
	s.readSignal(ctx)
	s.readClock(ctx)
	s.easePace()
	s.costs.silent()
	if token, ok := s.Store.Token(s.identity); ok && s.Cloud.HTTPSAuth {
		s.show.token(&token)
	}
	return nil
}

// kickNotice is where the cloud says that another client took the device's
// place (seen in field logs; it comes without a subscription).
const kickNotice = "/ext/notify"

// downlink is called by the modem's reader for every message that arrives. It
// never waits.
func (s *Session) downlink(topic string, payload []byte) {
	if topic == kickNotice && strings.Contains(string(payload), "kick") {
		s.kicked.Store(true)
	}
	s.costs.received(topic, payload)
	s.show.received()
	s.Hub.Publish(bus.Message{Topic: topic, Payload: payload, ReceivedAt: time.Now()})
}
