package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/topic"
)

// OnConnect is a message that is published at the begin of each MQTT session, with QoS 1.
type OnConnect struct {
	Topic   string // with the variables of Expand
	Payload []byte
	WaitFor string        // the reply's topic, or a filter; "": none is waited for
	Wait    time.Duration // for the reply
}

// onConnectTries is in how many sessions in a row one of them may have an unknown end
// before it is passed over: the cloud may close the session for it, and everything else
// must flow. After onConnectAgain it is tried once more.
const (
	onConnectTries = 2
	onConnectAgain = time.Hour
)

// openings are what is published at the begin of each session, and what is known of them.
type openings struct {
	list   []OnConnect
	failed []int       // by place: sessions in a row in which the end was unknown
	over   []time.Time // by place: not tried before then
	reply  atomic.Pointer[reply]
}

// reply is one that is waited for.
type reply struct {
	filter string
	came   chan struct{} // 1-buffered
}

func newOpenings(list []OnConnect) openings {
	return openings{list: list, failed: make([]int, len(list)), over: make([]time.Time, len(list))}
}

// arrived is told of every message that comes down. It never waits.
func (o *openings) arrived(name string) {
	if r := o.reply.Load(); r != nil && topic.Match(r.filter, name) {
		select {
		case r.came <- struct{}{}:
		default:
		}
	}
}

// replies are the filters of the replies, to be subscribed in every session.
func (o *openings) replies() (list []bus.Filter) {
	for _, one := range o.list {
		if one.WaitFor != "" {
			list = append(list, bus.Filter{Topic: one.WaitFor, QoS: 1})
		}
	}
	return list
}

// opening publishes what a session begins with, one after the other. What fails is told,
// and the next one goes on; an error ends the session.
func (s *Session) opening(ctx context.Context) error {
	for i, one := range s.openings.list {
		if time.Now().Before(s.openings.over[i]) {
			continue
		}
		name := s.o.Expand(one.Topic, s.device.names.ProductKey, s.device.names.DeviceName)
		why, err := s.openWith(ctx, i, one, name)
		if why != "" {
			s.show.openingFailed(name, why)
		}
		if err != nil {
			return err
		}
		if why == "" {
			s.show.openingDone(name)
		}
	}
	return nil
}

// openWith publishes one of them. why says in words that it failed.
func (s *Session) openWith(ctx context.Context, i int, one OnConnect, name string) (why string, err error) {
	if rest := s.up.quota.left(time.Now()); rest > 0 {
		if err := s.pause(ctx, rest); err != nil {
			return "", err
		}
	}
	o := &s.openings
	s.progress.expect(s.o.Cloud.Timeouts.Command + s.o.Cloud.Timeouts.PubAck + one.Wait + silences)
	r := &reply{s.o.Expand(one.WaitFor, s.device.names.ProductKey, s.device.names.DeviceName), make(chan struct{}, 1)}
	if one.WaitFor != "" {
		o.reply.Store(r)
		defer o.reply.Store(nil)
	}
	p := publication{topic: name, qos: 1, payload: one.Payload, messages: []outbox.Message{{Topic: name, Payload: one.Payload, QoS: 1}}}
	s.up.quota.begin(1, time.Now())
	sendCtx, cancel := withGrace(ctx, publishGrace)
	defer cancel()
	receipt, err := s.port.modem.Publish(sendCtx, name, 1, one.Payload)
	var cannot *air.PayloadError
	switch {
	case err == nil:
		s.up.quota.acknowledged(receipt.WrittenAt, receipt.AckedAt)
		s.books.published(p, false)
	case errors.As(err, &cannot):
		return cannot.Error(), nil
	case errors.Is(err, air.ErrNotSent):
		return err.Error(), s.linkGone(ctx, err)
	default:
		s.books.charge(p, s.books.attempt(p.topic, p.payload, p.qos))
		return s.openingUnknown(ctx, i, err)
	}
	o.failed[i] = 0
	if one.WaitFor == "" {
		return "", nil
	}
	return s.awaitReply(ctx, i, r, one.Wait)
}

// openingUnknown is that nobody knows whether one has arrived: the session ends, as after
// any such publish, but not for ever because of the same message.
func (s *Session) openingUnknown(ctx context.Context, i int, err error) (string, error) {
	why := err.Error()
	s.doubtOpening(i)
	if lost := s.lost(); lost != nil {
		return why, lost
	}
	if errors.Is(err, atengine.ErrRefused) {
		if gone := s.linkGone(ctx, err); gone != nil {
			return why, gone
		}
	}
	return why, s.unacknowledged(ctx, err)
}

// doubtOpening counts that a session ended over one of them.
func (s *Session) doubtOpening(i int) {
	o := &s.openings
	if o.failed[i]++; o.failed[i] >= onConnectTries {
		o.failed[i], o.over[i] = 0, time.Now().Add(onConnectAgain)
	}
}

// awaitReply waits for the reply to one of them.
func (s *Session) awaitReply(ctx context.Context, i int, r *reply, d time.Duration) (string, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		if err := s.lost(); err != nil {
			s.doubtOpening(i)
			return "the session ended before its reply came", err
		}
		select {
		case <-r.came:
			return "", nil
		case <-t.C:
			return fmt.Sprintf("no reply came on %s in %v", r.filter, d), nil
		case <-s.port.modem.Events():
		case <-s.port.dead:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// openingFailed shows, until it works, that one of them failed.
func (d *display) openingFailed(name, why string) {
	d.log.Warn("a message of [[on_connect]] failed", zap.String("topic", name), zap.String("why", why))
	d.board.SetWarning(bus.Warning{
		Code: bus.OnConnectFailed, About: name, Detail: name + ": " + why,
		Hint: "check in the console that the device may publish there, and what the cloud answers; it is repeated with the next session",
	})
}

func (d *display) openingDone(name string) { d.board.ClearWarning(bus.OnConnectFailed, name) }
