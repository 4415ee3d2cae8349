package outbox

import (
	"fmt"
	"time"
)

// Take hands out the next message to send and counts an attempt. It is in
// flight from then on, and Take has nothing until Done or Release was called
// for it. (The state of a QoS 0 message stays Held.)
//
// The payload of a message on disk is read and checked; one that is damaged is
// dropped, counted and noted, and the next one is handed out. One that cannot be
// read at the moment is tried again every second, and kept messages behind it wait;
// after ten minutes they pass it, and it is tried again every hour. Messages of QoS
// 0 do not wait for the disk.
func (q *Queue) Take() (Message, bool) {
	for {
		m, where, ok := q.takeNext()
		if !ok || where.segment == nil {
			return m, ok
		}
		body, err := q.load(where)
		switch {
		case err == nil:
			q.readable(where.segment)
			m.Payload, m.TTL = body.payload, body.ttl
			return m, true
		case q.moved(where):
			_ = q.PutBack(m.ID)
		default:
			q.unreadable(m.ID, where, err)
		}
	}
}

// takeNext puts the next message in flight. place says where its record is.
func (q *Queue) takeNext() (Message, place, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.flight.empty() {
		return Message{}, place{}, false
	}
	q.sweep(time.Now())
	for p := range q.back {
		in, s := q.head(p)
		if s == nil {
			continue
		}
		q.putInFlight(ref{in, s.seq}, s)
		return q.message(in, s), q.place(in, s), true
	}
	return Message{}, place{}, false
}

// HoldBack keeps Take from handing out messages of a level and of all less
// important ones. They stay in the queue, under its bounds and their own times to
// live. [HoldNothing] lets all go again; that is how a queue begins.
func (q *Queue) HoldBack(from Priority) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.back = min(from, levels)
	q.wake()
}

// head returns the message of a level that is sent first.
func (q *Queue) head(p Priority) (*population, *slot) {
	kept, held := q.nextKept(p), q.held.head(p)
	if held != nil {
		q.endGathering(held)
	}
	if now := time.Now(); kept != nil && (q.passes(kept.seq, now) || q.isGathering(kept, now)) {
		kept = q.notPostponed(p, now)
	}
	if held == nil || kept != nil && q.kept.placeOf(kept) <= q.held.placeOf(held) {
		return &q.kept, kept
	}
	return &q.held, held
}

// Done settles a message in flight: Acked (QoS 1), Sent (QoS 0) or Rejected,
// the latter with the reason in words; a rejected QoS 0 message is Dropped.
// It does not wait until a settlement is on disk, but for earlier ones when 16
// are not; see Repeats in the package comment.
// Errors: ErrNotInFlight, ErrUnknown, or ErrInvalid for a state that the
// message can not get.
func (q *Queue) Done(id string, s State, reason string) error {
	if err := q.settle(id, s, reason); err != nil {
		return err
	}
	q.awaitFewUnflushed()
	return nil
}

func (q *Queue) settle(id string, s State, reason string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.inFlight("done", id)
	if err != nil {
		return err
	}
	_, live := r.in.find(r.seq)
	m := q.message(r.in, live)
	ev, ok := outcomes[s]
	if _, possible := moves[m.State][ev]; !ok || !possible {
		return &Error{Op: "done", ID: id, Err: fmt.Errorf("%w: a %s message of QoS %d becoming %q", ErrInvalid, m.State, m.QoS, s)}
	}
	count := ""
	if ev == reject {
		count = ReasonRejected
	}
	q.finish(r, ev, reason, count)
	q.wake()
	return nil
}

// Release takes a message in flight back: it was not sent, or nobody knows.
// It keeps its place, and so is the next of its level. If meanwhile its time
// ran out, or a Latest message came for its topic, it ends here.
// Errors: ErrNotInFlight, ErrUnknown.
func (q *Queue) Release(id string) error { return q.release("release", id, 0) }

// release takes so many attempts back with the message.
func (q *Queue) release(op, id string, attempts int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.inFlight(op, id)
	if err != nil {
		return err
	}
	q.flight.remove(r)
	pos, s := r.in.find(r.seq)
	r.in.tried(s.seq, -attempts)
	switch {
	case s.due <= q.elapsed(time.Now()):
		q.finish(r, expire, ReasonExpired, ReasonExpired)
	case q.outdated(r.in, pos):
		q.finish(r, drop, ReasonReplaced, ReasonReplaced)
	}
	q.wake()
	return nil
}

// inFlight returns the message in flight that has this id.
func (q *Queue) inFlight(op, id string) (ref, error) {
	for _, r := range q.flight.list {
		if _, s := r.in.find(r.seq); q.id(r.in, s) == id {
			return r, nil
		}
	}
	if _, s := q.lookUp(id); s == nil {
		if _, known := q.history.get(id); !known {
			return ref{}, &Error{Op: op, ID: id, Err: ErrUnknown}
		}
	}
	return ref{}, &Error{Op: op, ID: id, Err: ErrNotInFlight}
}

// outdated says whether a younger Latest message of the topic waits.
func (q *Queue) outdated(in *population, pos uint32) bool {
	s := in.slot(pos)
	name, owner := in.topics.list[s.topic].name, in.owners.list[s.owner].name
	for younger := in.nextInTopic(s); younger != none; younger = in.nextInTopic(in.slot(younger)) {
		if y := in.slot(younger); in.supersedes(y, owner) && q.devices.same(s.seq, y.seq, name) {
			return true
		}
	}
	if in == &q.kept {
		return false // QoS 0 replaces nothing that was promised to be kept
	}
	if topic := q.kept.topics.get(name); topic != nil {
		for other := topic.head; other != none; other = q.kept.nextInTopic(q.kept.slot(other)) {
			if o := q.kept.slot(other); o.seq > s.seq && q.kept.supersedes(o, owner) && q.devices.same(s.seq, o.seq, name) {
				return true
			}
		}
	}
	return false
}

// sweep ends what has expired by now. Every look at the queue begins with it.
func (q *Queue) sweep(now time.Time) {
	n := q.elapsed(now)
	for _, in := range []*population{&q.kept, &q.held} {
		for len(in.due) > 0 {
			pos := in.due[0]
			s := in.slot(pos)
			if s.due > n {
				break
			}
			if r := (ref{in, s.seq}); !q.flight.has(r) {
				q.finish(r, expire, ReasonExpired, ReasonExpired)
			} else {
				in.due.remove(&in.index, 0) // Release looks after that one
			}
		}
	}
}

// finish gives a live message its final state, takes it out of everywhere,
// remembers it and tells those who wait for it. count is the reason it is
// counted under, or empty.
func (q *Queue) finish(r ref, ev event, reason, count string) {
	pos, s := r.in.find(r.seq)
	m := q.message(r.in, s)
	m.State, m.Reason, m.Payload = moves[m.State][ev], reason, nil
	q.flight.remove(r)
	if q.log != nil && r.in == &q.kept {
		q.log.settle(s)
	}
	r.in.remove(pos)
	delete(q.bodies, r.seq)
	q.keys.end(r.seq, m.State)
	if count != "" {
		q.dropped[count]++
		q.noteDrop(count)
	}
	q.history.add(m)
	if w := q.waiters[r.seq]; w != nil {
		w.m = m
		close(w.done)
		delete(q.waiters, r.seq)
	}
}
