package outbox

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"iter"
	"time"
)

// Append accepts a message, or refuses it whole: any error means it is not
// kept, and nothing else was dropped for it. It copies the payload once, gives
// the message its id, times and state (Queued; Held for QoS 0) and returns it.
// Whatever the caller set there is ignored.
//
// The id is opaque, unique for ever, and sorts by acceptance.
//
// A Latest message replaces every unsent message of its topic, except that QoS
// 0 does not replace QoS 1, which was promised to be kept. It takes the last
// place of its level, not that of the replaced one: a program's order stands.
//
// Errors: ErrFull, ErrInvalid, or that of ctx.
func (q *Queue) Append(ctx context.Context, m Message) (Message, error) {
	if err := ctx.Err(); err != nil {
		return Message{}, err
	}
	if m.QoS > 1 || m.Priority >= levels || m.TTL < 0 || m.Topic == "" {
		return Message{}, &Error{Op: "append", Err: fmt.Errorf("%w: qos %d, priority %d, ttl %v, topic %q", ErrInvalid, m.QoS, m.Priority, m.TTL, m.Topic)}
	}
	m.Payload = bytes.Clone(m.Payload)
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.sweep(now)
	victims, err := q.makeRoom(&m)
	if err != nil {
		return Message{}, err
	}
	for _, v := range victims {
		q.finish(v.entry, drop, v.reason, v.reason)
	}
	e := q.accept(m, now)
	q.wake()
	return e.m, nil
}

// accept stamps a message and puts it in all its places.
func (q *Queue) accept(m Message, now time.Time) *entry {
	m.ID, m.AcceptedAt, m.ExpiresAt = q.ids.next(now), now, time.Time{}
	m.Attempts, m.State, m.Reason = 0, Queued, ""
	if m.QoS == 0 {
		m.State = Held
	}
	e := &entry{m: m, due: notDue}
	life := m.TTL
	if q.maxAge > 0 && (life == 0 || life > q.maxAge) {
		life = q.maxAge
	}
	if life > 0 {
		e.m.ExpiresAt = now.Add(life)
		heap.Push(&q.due, e)
	}
	s := q.storeOf(&m)
	s.byAge.append(e)
	s.bytes += m.size()
	q.level[m.Priority].append(e)
	topic := q.topics[m.Topic]
	if topic == nil {
		topic = &chain{kind: byTopic}
		q.topics[m.Topic] = topic
	}
	topic.append(e)
	q.live[m.ID] = e
	return e
}

// victim is what has to go for a newcomer, and why.
type victim struct {
	entry  *entry
	reason string
}

// replaces says whether the newcomer m takes the place of e. Not of the one in
// flight, which may be at the cloud already.
func (q *Queue) replaces(m *Message, e *entry) bool {
	return m.Latest && e.m.Topic == m.Topic && e.m.QoS <= m.QoS && e != q.flight
}

// makeRoom says what goes, and why, if m is to be accepted. It drops nothing
// itself: whether m gets in must be known first.
func (q *Queue) makeRoom(m *Message) (victims []victim, err error) {
	s := q.storeOf(m)
	messages, size := s.byAge.n+1, s.bytes+m.size()
	give := func(e *entry, reason string) {
		victims = append(victims, victim{e, reason})
		if q.storeOf(&e.m) == s {
			messages, size = messages-1, size-e.m.size()
		}
	}
	fits := func() bool { return messages <= s.maxMessages && size <= s.maxBytes }
	if topic := q.topics[m.Topic]; m.Latest && topic != nil {
		for e := topic.head; e != nil; e = topic.after(e) {
			if q.replaces(m, e) {
				give(e, ReasonReplaced)
			}
		}
	}
	if !fits() && m.size() <= s.maxBytes {
		for e := range q.expendable(m) {
			if give(e, ReasonFull); fits() {
				break
			}
		}
	}
	if !fits() {
		return nil, &Error{Op: "append", Hint: hintFull, Err: fmt.Errorf("%w: %d of %d messages and %d of %d bytes wait, this one has %d bytes",
			ErrFull, s.byAge.n, s.maxMessages, s.bytes, s.maxBytes, m.size())}
	}
	return victims, nil
}

// expendable yields what a full queue may drop for m, in that order; not what m
// replaces anyway, and not the one in flight.
func (q *Queue) expendable(m *Message) iter.Seq[*entry] {
	may := func(e *entry) bool { return e.m.QoS == m.QoS && e != q.flight && !q.replaces(m, e) }
	return func(yield func(*entry) bool) {
		if m.QoS == 0 {
			for e := q.held.byAge.head; e != nil; e = q.held.byAge.after(e) {
				if may(e) && !yield(e) {
					return
				}
			}
			return
		}
		for p := int(Low); q.dropOldest && p >= int(m.Priority); p-- {
			level := &q.level[p]
			for e := level.head; e != nil; e = level.after(e) {
				if may(e) && !yield(e) {
					return
				}
			}
		}
	}
}
