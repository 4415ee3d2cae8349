package outbox

import (
	"container/heap"
	"fmt"
	"time"
)

// Take hands out the next message to send and counts an attempt. It is in
// flight from then on, and Take has nothing until Done or Release was called
// for it. (The state of a QoS 0 message stays Held.)
func (q *Queue) Take() (Message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flight != nil {
		return Message{}, false
	}
	q.sweep(time.Now())
	for i := range q.level {
		if e := q.level[i].head; e != nil {
			q.flight = e
			e.m.State = moves[e.m.State][take]
			e.m.Attempts++
			return e.m, true
		}
	}
	return Message{}, false
}

// Done settles the message in flight: Acked (QoS 1), Sent (QoS 0) or Rejected,
// the latter with the reason in words; a rejected QoS 0 message is Dropped.
// Errors: ErrNotInFlight, ErrUnknown, or ErrInvalid for a state that the
// message can not get.
func (q *Queue) Done(id string, s State, reason string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.inFlight("done", id)
	if err != nil {
		return err
	}
	ev, ok := outcomes[s]
	if _, possible := moves[e.m.State][ev]; !ok || !possible {
		return &Error{Op: "done", ID: id, Err: fmt.Errorf("%w: a %s message of QoS %d becoming %q", ErrInvalid, e.m.State, e.m.QoS, s)}
	}
	q.flight = nil
	count := ""
	if ev == reject {
		count = ReasonRejected
	}
	q.finish(e, ev, reason, count)
	q.wake()
	return nil
}

// Release takes the message in flight back: it was not sent, or nobody knows.
// It keeps its place, and so is the next of its level. If meanwhile its time
// ran out, or a Latest message came for its topic, it ends here.
// Errors: ErrNotInFlight, ErrUnknown.
func (q *Queue) Release(id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := q.inFlight("release", id)
	if err != nil {
		return err
	}
	q.flight = nil
	e.m.State = moves[e.m.State][release]
	switch {
	case !e.m.ExpiresAt.IsZero() && !e.m.ExpiresAt.After(time.Now()):
		q.finish(e, expire, ReasonExpired, ReasonExpired)
	case q.outdated(e):
		q.finish(e, drop, ReasonReplaced, ReasonReplaced)
	}
	q.wake()
	return nil
}

// inFlight finds the message in flight by its id.
func (q *Queue) inFlight(op, id string) (*entry, error) {
	if q.flight != nil && q.flight.m.ID == id {
		return q.flight, nil
	}
	if _, known := q.find(id); !known {
		return nil, &Error{Op: op, ID: id, Err: ErrUnknown}
	}
	return nil, &Error{Op: op, ID: id, Err: ErrNotInFlight}
}

// outdated says whether a younger Latest message of the topic waits.
func (q *Queue) outdated(e *entry) bool {
	topic := q.topics[e.m.Topic]
	for younger := topic.after(e); younger != nil; younger = topic.after(younger) {
		if younger.m.Latest && younger.m.QoS >= e.m.QoS {
			return true
		}
	}
	return false
}

// sweep ends what has expired by now. Every look at the queue begins with it.
func (q *Queue) sweep(now time.Time) {
	for len(q.due) > 0 && !q.due[0].m.ExpiresAt.After(now) {
		e := heap.Pop(&q.due).(*entry)
		if e != q.flight { // Release looks after that one
			q.finish(e, expire, ReasonExpired, ReasonExpired)
		}
	}
}

// finish gives a live message its final state, takes it out of everywhere,
// remembers it and tells those who wait for it. count is the reason it is
// counted under, or empty.
func (q *Queue) finish(e *entry, ev event, reason, count string) {
	s := q.storeOf(&e.m)
	s.byAge.remove(e)
	s.bytes -= e.m.size()
	q.level[e.m.Priority].remove(e)
	topic := q.topics[e.m.Topic]
	if topic.remove(e); topic.n == 0 {
		delete(q.topics, e.m.Topic)
	}
	if e.due != notDue {
		heap.Remove(&q.due, e.due)
	}
	delete(q.live, e.m.ID)
	e.m.State, e.m.Reason, e.m.Payload = moves[e.m.State][ev], reason, nil
	if count != "" {
		q.dropped[count]++
	}
	q.history.add(e.m)
	if e.done != nil {
		close(e.done)
	}
}
