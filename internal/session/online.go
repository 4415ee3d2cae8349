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
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// publishGrace is how long a publish in flight may go on after the daemon was
// asked to stop.
const publishGrace = 5 * time.Second

// refusals is how often one message may be refused by a module whose link is up
// before the module is probed anew, and then once more as often before it is set
// aside: then it is the message, and the rest must flow.
const refusals = 3

// online moves messages until something ends the session. It returns a
// *Failure, or the context's cause when the daemon is asked to stop.
func (s *Session) online(ctx context.Context) (recovery.State, error) {
	s.past.Online()
	s.lastAcked = time.Time{}
	s.throttle.session()
	defer func() { s.past.Offline(time.Now()) }()
	poll := time.NewTicker(s.Recovery.StatusPoll)
	defer poll.Stop()
	stable := time.NewTimer(s.Recovery.StableAfter)
	defer stable.Stop()
	for {
		s.health.expect(s.Recovery.StatusPoll)
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
		case <-s.Hub.Changed():
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
		rest := s.throttle.left(time.Now())
		if rest <= 0 {
			if m, ok := s.Queue.Take(); ok {
				if err := s.publish(ctx, m); err != nil {
					return recovery.Online, err
				}
				continue
			}
		}
		s.lastAcked = time.Time{} // nothing to send: no turnaround to measure
		if err := s.idle(ctx, rest, poll.C, stable.C); err != nil {
			return recovery.Online, err
		}
	}
}

// idle sleeps until there is something to do; rest is how long nothing may be
// sent, 0 when something may.
func (s *Session) idle(ctx context.Context, rest time.Duration, poll, stable <-chan time.Time) error {
	var rested <-chan time.Time
	ready := s.Queue.Ready()
	if rest > 0 {
		rested, ready = time.After(rest), nil
	}
	select {
	case <-ready:
	case <-rested:
	case <-s.line.modem.Events():
	case <-s.line.dead:
	case <-s.Hub.Changed():
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
	s.Board.Update(func(st *bus.Status) { st.Attempt = 0 })
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
		s.showToken(token)
	}
	return nil
}

// publish sends one message and settles what became of it. The message in hand
// is always given back to the queue: done, or released.
func (s *Session) publish(ctx context.Context, m outbox.Message) error {
	s.health.expect(s.Cloud.Timeouts.Command + s.Cloud.Timeouts.PubAck)
	s.tellForeign(m.Topic, "published to")
	s.throttle.begin(time.Now())
	s.Recorder.InFlight(1)
	defer s.Recorder.InFlight(0)
	sendCtx, cancel := withGrace(ctx, publishGrace)
	defer cancel()
	receipt, err := s.line.modem.Publish(sendCtx, m.Topic, m.QoS, m.Payload)
	rides := false
	if !s.lastAcked.IsZero() && !receipt.WrittenAt.IsZero() {
		turnaround := receipt.WrittenAt.Sub(s.lastAcked)
		s.Recorder.Turnaround(turnaround)
		rides = turnaround < ackRides
	}
	s.lastAcked = time.Time{}
	var cannot *air.PayloadError
	switch {
	case err == nil:
		s.costs.published(m, rides)
		return s.delivered(m, receipt)
	case errors.As(err, &cannot):
		s.reject(m, cannot.Error())
		return nil
	case errors.Is(err, air.ErrNotSent):
		return s.notSent(ctx, m, err)
	}
	s.costs.attempted(m)
	return s.unknown(ctx, m, err)
}

// delivered books a message that is acknowledged, or, for QoS 0, handed over.
func (s *Session) delivered(m outbox.Message, r air.Receipt) error {
	state := outbox.Acked
	if m.QoS == 0 {
		state = outbox.Sent
	} else {
		s.lastAcked, s.throttle.acked = r.AckedAt, true
	}
	if err := s.Queue.Done(m.ID, state, ""); err != nil {
		return storeFailure(err)
	}
	s.Recorder.Published(int(m.QoS), string(state), time.Since(m.AcceptedAt))
	s.Board.Update(func(st *bus.Status) {
		if m.QoS == 0 {
			st.Counters.Sent++
			return
		}
		st.Counters.Acked++
		st.Counters.LastAckedAt = &r.AckedAt
	})
	return nil
}

// notSent is a definite refusal by the module: nothing went out. Either the link
// is gone, or this module does not take this message now. Setting a message aside
// loses it, so what is known of the module is found out anew before that.
func (s *Session) notSent(ctx context.Context, m outbox.Message, err error) error {
	if gone := s.linkGone(ctx, err); gone != nil {
		s.release(m)
		return gone
	}
	if s.refusedID != m.ID {
		s.refusedID, s.refused = m.ID, 0
	}
	s.refused++
	if s.refused >= 2*refusals {
		s.reject(m, fmt.Sprintf("the module refused it %d times while its link was up (%v)", s.refused, err))
		return nil
	}
	s.release(m)
	if s.refused == refusals {
		s.dropLine() // so that it is probed again
		return &recovery.Failure{Cause: recovery.OutOfSync, Hint: "the module refuses a message; finding out anew what it can carry", Err: err}
	}
	return nil
}

// unknown is the dangerous case: the message may or may not have reached the
// cloud. It goes back to the head of the queue, and the session is torn down
// before anything is published again.
func (s *Session) unknown(ctx context.Context, m outbox.Message, err error) error {
	why := s.lost()
	if why != nil && s.endsSessions(m, why) {
		s.reject(m, "the cloud closes the connection each time it is sent: its topic is not this device's")
		return why
	}
	s.release(m)
	s.Recorder.Published(int(m.QoS), "unknown", time.Since(m.AcceptedAt))
	s.Board.Update(func(st *bus.Status) { st.Counters.Unknown++ })
	if why != nil {
		return why // the event that ended the wait says more exactly what happened
	}
	if brokenBarrier {
		return s.inStep(ctx)
	}
	return s.unacknowledged(ctx, err)
}

func (s *Session) release(m outbox.Message) {
	if err := s.Queue.Release(m.ID); err != nil {
		s.Log.Error("a message could not be put back", zap.String("id", m.ID), zap.Error(err))
	}
}

// reject sets a message aside that this module can never carry.
func (s *Session) reject(m outbox.Message, reason string) {
	if err := s.Queue.Done(m.ID, outbox.Rejected, reason); err != nil {
		s.Log.Error("a message could not be set aside", zap.String("id", m.ID), zap.Error(err))
	}
	s.Recorder.Published(int(m.QoS), string(outbox.Rejected), time.Since(m.AcceptedAt))
	s.warn("message-rejected", fmt.Sprintf("message %s was set aside: %s", m.ID, reason))
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
	s.Board.Update(func(st *bus.Status) { st.Counters.Downlink++ })
	s.Hub.Publish(bus.Message{Topic: topic, Payload: payload, ReceivedAt: time.Now()})
}

// withGrace returns a context that outlives ctx by d.
func withGrace(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(d, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { stop(); cancel(context.Canceled) }
}
