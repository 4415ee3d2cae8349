package outbox

import (
	"slices"
	"time"
)

// inFlight is the messages that are being sent, all in one publish: of one topic and
// level, in the order in which they were handed out.
type inFlight struct{ list []ref }

func (f *inFlight) empty() bool { return len(f.list) == 0 }

func (f *inFlight) has(r ref) bool { return slices.Contains(f.list, r) }

func (f *inFlight) add(r ref) { f.list = append(f.list, r) }

func (f *inFlight) remove(r ref) {
	if i := slices.Index(f.list, r); i >= 0 {
		f.list = slices.Delete(f.list, i, i+1)
	}
}

// TakeAlong hands out the next message that may travel in the same publish as those
// in flight: of QoS 1, of their topic and priority, and behind them. It is in flight
// with them from then on, and each of them is given back by itself: with Done,
// [Queue.DoneAll], Release or [Queue.PutBack].
//
// A message that waits behind one that may not come along waits with it: one of QoS 0
// of the same topic, or one that cannot be read.
func (q *Queue) TakeAlong() (Message, bool) {
	m, where, ok := q.along()
	if !ok || where.segment == nil {
		return m, ok
	}
	body, err := q.load(where)
	if err != nil {
		_ = q.PutBack(m.ID) // Take deals with it when it is the first
		return Message{}, false
	}
	q.readable(where.segment)
	m.Payload, m.TTL = body.payload, body.ttl
	return m, true
}

// alongMost is how many messages of other priorities are looked past.
const alongMost = 1000

// along puts the next message of the topic in flight.
func (q *Queue) along() (Message, place, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.sweep(now)
	if q.flight.empty() {
		return Message{}, place{}, false
	}
	last := q.flight.list[len(q.flight.list)-1]
	_, s := last.in.find(last.seq)
	if s == nil || last.in != &q.kept || s.priority >= q.back {
		return Message{}, place{}, false
	}
	level := s.priority
	for pos, n := q.kept.nextInTopic(s), 0; pos != none && n < alongMost; pos, n = q.kept.nextInTopic(q.kept.slot(pos)), n+1 {
		next := q.kept.slot(pos)
		if next.priority != level || next.nextLevel == aside || q.flight.has(ref{&q.kept, next.seq}) || q.passes(next.seq, now) || q.passedOver(next) {
			continue
		}
		if q.unreadableFor(next) || q.heldBefore(next) {
			break
		}
		q.putInFlight(ref{&q.kept, next.seq}, next)
		return q.message(&q.kept, next), q.place(&q.kept, next), true
	}
	return Message{}, place{}, false
}

// heldBefore says whether a message of QoS 0 of the same topic and level is sent before
// a kept one. Under the lock.
func (q *Queue) heldBefore(s *slot) bool {
	t := q.held.topics.get(q.kept.topics.list[s.topic].name)
	if t == nil {
		return false
	}
	for pos := t.head; pos != none; pos = q.held.nextInTopic(q.held.slot(pos)) {
		if h := q.held.slot(pos); h.priority == s.priority && h.nextLevel != aside && q.held.placeOf(h) < q.kept.placeOf(s) {
			return true
		}
	}
	return false
}

// putInFlight counts an attempt. Under the lock.
func (q *Queue) putInFlight(r ref, s *slot) {
	q.flight.add(r)
	r.in.tried(s.seq, 1)
}

// PutBack takes a message in flight back that was not tried after all: as Release, but
// it does not count as an attempt. Errors: ErrNotInFlight, ErrUnknown.
func (q *Queue) PutBack(id string) error {
	return q.release("put back", id, 1)
}

// DoneAll is Done of messages that ended together, with one wait for the disk. It
// settles all it can, and returns the first error.
func (q *Queue) DoneAll(ids []string, s State) error {
	var first error
	for _, id := range ids {
		if err := q.settle(id, s, ""); err != nil && first == nil {
			first = err
		}
	}
	q.awaitFewUnflushed()
	return first
}

// gathering is a topic whose messages wait for others: see [Queue.Gather].
type gathering struct {
	until time.Time
	count int // of messages of the topic, at which they wait no longer
}

// gatheringMost bounds how many topics gather at once.
const gatheringMost = 64

// Gather puts back the messages in flight, as PutBack does, and has all of their topic
// and priority wait, and others pass them, until a time, or until so many more have
// come, or a message of QoS 0 of the topic is the next. It says whether they do: where
// one waits already, or too many topics gather, nothing is put back. After a restart
// nothing gathers.
func (q *Queue) Gather(until time.Time, more int) bool {
	ids, ok := q.beginGathering(until, more)
	if !ok {
		return false
	}
	for _, id := range ids {
		_ = q.PutBack(id)
	}
	time.AfterFunc(time.Until(until), q.wakeUp)
	return true
}

func (q *Queue) beginGathering(until time.Time, more int) (ids []string, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flight.empty() {
		return nil, false
	}
	if len(q.gathers) >= gatheringMost {
		for key, g := range q.gathers {
			if !time.Now().Before(g.until) {
				delete(q.gathers, key)
			}
		}
	}
	r := q.flight.list[0]
	_, s := r.in.find(r.seq)
	if s == nil || r.in != &q.kept || len(q.gathers) >= gatheringMost {
		return nil, false
	}
	t := &q.kept.topics.list[s.topic]
	if held := q.held.topics.get(t.name); held != nil && q.held.anyOf(held, s.priority) {
		return nil, false
	}
	if q.gathers == nil {
		q.gathers = make(map[gatherKey]gathering)
	}
	q.gathers[gatherKey{t.name, s.priority}] = gathering{until, t.n + max(more, 1)}
	for _, r := range q.flight.list {
		if _, s := r.in.find(r.seq); s != nil {
			ids = append(ids, q.id(r.in, s))
		}
	}
	return ids, true
}

// gatherKey names what gathers.
type gatherKey struct {
	topic string
	level Priority
}

// endGathering has what gathers go before a message of QoS 0 of its topic and level,
// which is the next one: it is not overtaken by it, and does not hold it up. Under the
// lock.
func (q *Queue) endGathering(held *slot) {
	if len(q.gathers) > 0 {
		delete(q.gathers, gatherKey{q.held.topics.list[held.topic].name, held.priority})
	}
}

// anyOf says whether a topic has a live message of a level.
func (x *index) anyOf(t *topicEntry, level Priority) bool {
	for pos := t.head; pos != none; pos = x.nextInTopic(x.slot(pos)) {
		if s := x.slot(pos); s.priority == level && s.nextLevel != aside {
			return true
		}
	}
	return false
}

// isGathering says whether a kept message waits for others of its topic. Under the lock.
func (q *Queue) isGathering(s *slot, now time.Time) bool {
	if len(q.gathers) == 0 {
		return false
	}
	t := &q.kept.topics.list[s.topic]
	key := gatherKey{t.name, s.priority}
	g, ok := q.gathers[key]
	if ok && (t.n >= g.count || !now.Before(g.until)) {
		delete(q.gathers, key)
		return false
	}
	return ok
}
