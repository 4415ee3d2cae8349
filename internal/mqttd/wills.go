package mqttd

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/intake"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
)

// Bounds of the wills that wait. There is one for each client id at most.
const (
	maxWillBytes = 1 << 20
	willOverhead = 256         // bytes that each counts beyond topic and payload
	willRetry    = time.Second // while there is no room
)

// will is what is published when a connection ends without a DISCONNECT.
type will struct {
	who   Who
	m     outbox.Message
	qos   byte
	delay time.Duration
	local bool // it tells of a bridge, and is not for the cloud
}

// judgeWill refuses a will that can never go, so that a program learns it when it
// connects and not when it has died.
func (c *conn) judgeWill(w *packet.Will) *refusal {
	if _, n := c.judge(w.Topic, w.Payload); n != nil {
		return &refusal{packet.NotAuthorized311, n.code, "its will can never go: " + n.why}
	}
	return nil
}

func newWill(c *conn, w *packet.Will) *will {
	if w.Retain {
		c.srv.retained(c)
	}
	local, _ := c.judge(w.Topic, w.Payload)
	delay, _ := w.Properties.Number(packet.WillDelay)
	return &will{
		who: c.who, qos: w.QoS, local: local, delay: time.Duration(delay) * time.Second,
		m: outbox.Message{Topic: w.Topic, Payload: w.Payload, QoS: min(w.QoS, 1), TTL: expiry(w.Properties), Source: c.source},
	}
}

// bequeath hands on the will of a connection that has ended, but not when it is the
// daemon that ends: its clients are well, and come back.
func (s *Server) bequeath(c *conn) {
	w := c.will
	if w == nil || w.local || c.why == whyStopping {
		return
	}
	delay := min(w.delay, s.sessions.kept(c))
	s.wills.add(c.key(), w, time.Now().Add(delay))
	poke(s.due)
}

// wills wait for their delay, and for room in the outbox.
type wills struct {
	mu    sync.Mutex
	list  map[string]*waitingWill // by owner and client id
	bytes int
}

type waitingWill struct {
	*will
	due time.Time
}

func (w *wills) init() { w.list = map[string]*waitingWill{} }

// size is what a waiting will counts.
func (w *will) size() int { return len(w.m.Topic) + len(w.m.Payload) + willOverhead }

// add takes a will in. Beyond the bound the user with most loses the one that is due
// last.
func (w *wills) add(key string, what *will, due time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(key)
	w.list[key] = &waitingWill{what, due}
	w.bytes += what.size()
	for w.bytes > maxWillBytes {
		w.drop(w.excess())
	}
}

// excess is which will goes when there are too many; under the lock.
func (w *wills) excess() (last string) {
	bytes, most := map[string]int{}, ""
	for _, waiting := range w.list {
		owner := waiting.who.owner()
		if bytes[owner] += waiting.size(); bytes[owner] > bytes[most] {
			most = owner
		}
	}
	for key, waiting := range w.list {
		if waiting.who.owner() == most && (last == "" || waiting.due.After(w.list[last].due)) {
			last = key
		}
	}
	return last
}

// drop forgets one; under the lock.
func (w *wills) drop(key string) {
	if old := w.list[key]; old != nil {
		w.bytes -= old.size()
		delete(w.list, key)
	}
}

// revived: the client is back. With its session its will is void, without it is due
// (5.0, 3.1.2.5).
func (w *wills) revived(key string, present bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch waiting := w.list[key]; {
	case waiting == nil:
	case !time.Now().Before(waiting.due): // it was due already, and waits for room
	case present:
		w.drop(key)
	default:
		waiting.due = time.Now()
	}
}

// take returns those that are due, and when the next one is; zero: there is none.
func (w *wills) take(now time.Time) (due map[string]*will, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, waiting := range w.list {
		switch {
		case !now.Before(waiting.due):
			if due == nil {
				due = map[string]*will{}
			}
			due[key] = waiting.will
			w.drop(key)
		case next.IsZero() || waiting.due.Before(next):
			next = waiting.due
		}
	}
	return due, next
}

// publishWills publishes what is due. For what finds no room it is tried again.
func (s *Server) publishWills(ctx context.Context, due map[string]*will) {
	begun := map[string]*outbox.Appending{}
	for key, w := range due {
		rights := s.o.Access.Of(w.who.asker())
		if n := judgeByRules(rights, w.m.Topic, w.m.Payload); n != nil {
			s.lostWill(w, n.why)
			continue
		}
		if s.o.Access.Spend(rights) != nil {
			s.wills.add(key, w, time.Now().Add(willRetry))
			continue
		}
		inscribe(&w.m, rights)
		a, err := s.o.Outbox.Begin(w.m, nil)
		if err != nil {
			s.againWill(key, w, err)
			continue
		}
		begun[key] = a
	}
	for key, a := range begun {
		select {
		case <-a.Done():
			if _, err := a.Result(); err != nil {
				s.againWill(key, due[key], err)
				continue
			}
			s.o.Recorder.MQTTPublish(Kept)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) againWill(key string, w *will, err error) {
	if r := intake.Of(err); !r.Cause.Passes() {
		s.lostWill(w, r.Detail)
		return
	}
	s.wills.add(key, w, time.Now().Add(willRetry))
}

func (s *Server) lostWill(w *will, why string) {
	s.o.Recorder.MQTTPublish(Dropped)
	s.o.Log.Warn("a will is not published", zap.String("user", w.who.person()), zap.String("topic", short(w.m.Topic)), zap.String("why", why))
}

// tend looks after what is due by a clock, until ctx ends.
func (s *Server) tend(ctx context.Context) {
	for {
		now := time.Now()
		due, next := s.wills.take(now)
		if len(due) > 0 {
			s.publishWills(ctx, due)
			_, next = s.wills.take(time.Time{})
		}
		next = earlier(next, earlier(s.sessions.expired(now), s.poison.expired(now)))
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-timer:
		case <-s.due:
		case <-ctx.Done():
			return
		}
	}
}

// earlier is the earlier one of two times of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
