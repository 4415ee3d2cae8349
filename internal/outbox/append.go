package outbox

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"
)

// maxTopic is how long a topic may be: what fits the record's length field.
const maxTopic = 1<<16 - 1

// Append accepts a message, or refuses it whole: any error means it is not
// kept, and nothing else was dropped for it. It copies the payload once, gives
// the message its id, times and state (Queued; Held for QoS 0) and returns it.
// Whatever the caller set there is ignored.
//
// A QoS 1 message of a queue on disk is durable when Append returns, which
// takes until [Queue.Run] has committed it. When ctx ends before, the message is
// not kept.
//
// The id is opaque, unique for ever, and sorts by acceptance.
//
// A Latest message replaces every unsent message of its topic, except that QoS
// 0 does not replace QoS 1, which was promised to be kept. In its level it is sent
// in the place of the oldest of those: however fast its topic is written, its turn
// comes.
//
// A Key that the same User gave before is a repeat: nothing is kept, and what is
// known of the first message is returned. With another topic or payload it is
// ErrKey. The last 10,000 keys are known, over restarts and the end of their
// messages; then the user with most of them loses the oldest.
//
// Errors: ErrFull, ErrDisk, ErrClosed, ErrInvalid, ErrKey, or that of ctx.
func (q *Queue) Append(ctx context.Context, m Message) (Message, error) {
	if err := ctx.Err(); err != nil {
		return Message{}, err
	}
	if err := invalid(&m); err != nil {
		return Message{}, err
	}
	if q.log != nil && m.QoS == 1 {
		return q.appendDurably(ctx, m)
	}
	return q.hold(m)
}

// hold accepts a message that is kept in memory.
func (q *Queue) hold(m Message) (Message, error) {
	m.Payload = bytes.Clone(m.Payload)
	digest := digestOf(&m)
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.sweep(now)
	if first, known, err := q.repeat(&m, digest); known {
		return first, err
	}
	victims, err := q.makeRoom(&m, 0, 0)
	if err != nil {
		return Message{}, err
	}
	place := q.placeOf(victims)
	q.give(victims)
	s := q.slotFor(&m, now)
	s.seq = q.ids.next(now)
	q.bodies[s.seq] = body{m.Payload, m.TTL}
	q.keys.add(&m, digest, s.seq, q.ids.tail)
	return q.accept(&m, s, place), nil
}

// invalid says why a message cannot be accepted by anybody, or nil.
func invalid(m *Message) error {
	switch {
	case m.QoS > 1 || m.Source > maxSource || m.Priority >= levels || m.TTL < 0 || m.Topic == "" || len(m.Topic) > maxTopic:
		return &Error{Op: "append", Err: fmt.Errorf("%w: qos %d, priority %d, ttl %v, topic %q", ErrInvalid, m.QoS, m.Priority, m.TTL, m.Topic)}
	case len(m.Owner) > MaxOwner || m.Share < 0 || m.Share > 100:
		return &Error{Op: "append", Err: fmt.Errorf("%w: an owner of %d bytes, a share of %d percent", ErrInvalid, len(m.Owner), m.Share)}
	case len(m.Key) > MaxKey || m.Key != "" && m.QoS == 0:
		return &Error{Op: "append", Err: fmt.Errorf("%w: a key of %d bytes with QoS %d", ErrInvalid, len(m.Key), m.QoS)}
	case spaceFor(m) > maxRecord:
		return &Error{Op: "append", Err: fmt.Errorf("%w: %d bytes in one message", ErrInvalid, m.size())}
	}
	return nil
}

// slotFor makes the slot of a message that is accepted now.
func (q *Queue) slotFor(m *Message, now time.Time) slot {
	s := slot{at: q.elapsed(now), due: never, size: uint32(m.size()), priority: m.Priority, flags: m.Source << slotSource}
	if m.Latest {
		s.flags |= slotLatest
	}
	if life := q.life(m.TTL); life > 0 {
		s.due = dueAfter(s.at, life)
	}
	return s
}

// life is how long a message lives: its time to live, shortened by the queue's
// maximum; 0: no end.
func (q *Queue) life(ttl time.Duration) time.Duration {
	if q.maxAge > 0 && (ttl == 0 || ttl > q.maxAge) {
		return q.maxAge
	}
	return ttl
}

// accept puts a message into the index. place is as in index.add.
func (q *Queue) accept(m *Message, s slot, place uint64) Message {
	in := q.of(m.QoS)
	if m.Latest && m.OwnOnly {
		in.own[s.seq] = true
	}
	kept := in.addOf(s, m.Topic, m.Owner, place)
	q.wake()
	return q.message(in, kept)
}

// placeOf returns in whose place a message is sent that replaces these: the first
// of those that it replaces; 0: it replaces none.
func (q *Queue) placeOf(victims []victim) (place uint64) {
	for _, v := range victims {
		if v.reason != ReasonReplaced {
			continue
		}
		if _, s := v.in.find(v.seq); s != nil {
			if at := v.in.placeOf(s); place == 0 || at < place {
				place = at
			}
		}
	}
	return place
}

// victim is what has to go for a newcomer, and why.
type victim struct {
	ref
	reason string
}

// give ends what makeRoom found.
func (q *Queue) give(victims []victim) {
	for _, v := range victims {
		q.finish(v.ref, drop, v.reason, v.reason)
	}
}

// replaces says whether the newcomer m takes the place of a message of its
// topic. Not of one in flight, which may be at the cloud already.
func (q *Queue) replaces(m *Message, r ref) bool {
	return m.Latest && r.in.qos <= m.QoS && !q.flight.has(r) && q.mayEnd(m, r)
}

// supersedes says whether a Latest message replaces older ones of an owner.
func (x *index) supersedes(latest *slot, owner string) bool {
	return latest.flags&slotLatest != 0 && (!x.own[latest.seq] || x.owners.list[latest.owner].name == owner)
}

// mayEnd says whether a message may end for the newcomer m, whosever it is.
func (q *Queue) mayEnd(m *Message, r ref) bool {
	if !m.OwnOnly {
		return true
	}
	_, s := r.in.find(r.seq)
	return s != nil && r.in.owners.list[s.owner].name == m.Owner
}

// makeRoom says what goes, and why, if m is to be accepted. It drops nothing
// itself: whether m gets in must be known first. waiting and waitingBytes are
// what was let in before, but is not in the index yet.
func (q *Queue) makeRoom(m *Message, waiting int, waitingBytes int64) (victims []victim, err error) {
	in := q.of(m.QoS)
	messages, size := in.n+waiting+1, in.bytes+waitingBytes+m.size()
	fits := func() bool { return messages <= in.maxMessages && size <= in.maxBytes }
	own := q.owns(m, waiting > 0)
	if m.Latest {
		victims = q.replacedBy(m)
		for _, v := range victims {
			if v.in == in {
				_, s := in.find(v.seq)
				messages, size = messages-1, size-int64(s.size)
				if in.owners.list[s.owner].name == m.Owner {
					own.n, own.bytes = own.n-1, own.bytes-int64(s.size)
				}
			}
		}
	}
	if err := overShare(m, in, own); err != nil {
		return victims, err
	}
	if !fits() && m.size() <= in.maxBytes {
		for s := range q.expendable(m) {
			victims = append(victims, victim{ref{in, s.seq}, ReasonFull})
			messages, size = messages-1, size-int64(s.size)
			if fits() {
				break
			}
		}
	}
	if !fits() {
		return victims, &Error{Op: "append", Hint: hintFull, Err: fmt.Errorf("%w: %d of %d messages and %d of %d bytes wait, this one has %d bytes",
			ErrFull, in.n, in.maxMessages, in.bytes, in.maxBytes, m.size())}
	}
	return victims, nil
}

// owns is what the owner of a newcomer has with it; waiting: with what was let in
// before, too.
func (q *Queue) owns(m *Message, waiting bool) owned {
	has := owned{1, m.size()}
	if o := q.of(m.QoS).owners.get(m.Owner); o != nil {
		has.n, has.bytes = has.n+o.n, has.bytes+o.bytes
	}
	if waiting {
		w := q.log.waitingOf[m.Owner]
		has.n, has.bytes = has.n+w.n, has.bytes+w.bytes
	}
	return has
}

// owned is messages of an owner.
type owned struct {
	n     int
	bytes int64
}

// overShare says why an owner has too much with a newcomer, or nil.
func overShare(m *Message, in *population, own owned) error {
	if m.Share == 0 || m.Share == 100 {
		return nil
	}
	messages, bytes := max(1, in.maxMessages*m.Share/100), in.maxBytes/100*int64(m.Share)
	if own.n <= messages && own.bytes <= bytes {
		return nil
	}
	return &Error{Op: "append", Hint: hintShare, Err: fmt.Errorf("%w for this program: with this message it has %d of the %d messages and %d of the %d bytes that are its share of %d%%",
		ErrFull, own.n, messages, own.bytes, bytes, m.Share)}
}

// replacedBy returns the messages that a Latest newcomer replaces.
func (q *Queue) replacedBy(m *Message) (victims []victim) {
	for _, in := range []*population{&q.kept, &q.held} {
		topic := in.topics.get(m.Topic)
		if topic == nil {
			continue
		}
		for pos := topic.head; pos != none; {
			s := in.slot(pos)
			if r := (ref{in, s.seq}); q.replaces(m, r) && s.nextLevel != aside {
				victims = append(victims, victim{r, ReasonReplaced})
			}
			pos = in.nextInTopic(s)
		}
	}
	return victims
}

// expendable yields what a full queue may drop for m, in that order; not what m
// replaces anyway, and not what is in flight. Of one who may end his own messages alone
// it is these, and those of whoever has most: else a flood would keep everybody out.
func (q *Queue) expendable(m *Message) iter.Seq[*slot] {
	in := q.of(m.QoS)
	most := in.owners.fuller(m.Owner)
	may := func(s *slot) bool {
		r := ref{in, s.seq}
		return !q.flight.has(r) && (int(s.owner) == most || q.mayEnd(m, r)) && (in.topics.list[s.topic].name != m.Topic || !q.replaces(m, r))
	}
	return func(yield func(*slot) bool) {
		if m.QoS == 0 {
			for pos, s := in.next(in.first); s != nil; pos, s = in.next(pos + 1) {
				if s.nextLevel != aside && may(s) && !yield(s) {
					return
				}
			}
			return
		}
		for p := int(Low); q.dropOldest && p >= int(m.Priority); p-- {
			for s := range in.inLevel(Priority(p), none) {
				if may(s) && !yield(s) {
					return
				}
			}
		}
	}
}
