// Package outbox owns the messages between "accepted" and "the cloud has it".
//
// It promises:
//
//   - An accepted QoS 1 message (state queued) leaves only in a final state:
//     acked, rejected, expired, or dropped for a reason that is counted.
//   - Order: the most important level first; inside a level the message accepted
//     first. QoS 0 and QoS 1 of one level share that order, so a program that
//     mixes them keeps its sequence.
//   - One message is in flight at a time: [Queue.Take] hands out nothing until
//     [Queue.Done] or [Queue.Release] settled the one before. A PUBACK line of
//     the module has no id (Air AT manual 1.6.3, AT+MPUB), so with two in flight
//     an acknowledgement could be credited to the wrong one.
//   - A released message keeps its place, and is the next of its level.
//   - The one in flight can not be dropped, replaced or expired: its fate is
//     being decided at the cloud. What would have befallen it does so on Release.
//   - Bounds, each with its rule. QoS 1: Limits.Messages and Limits.Bytes, then
//     reject, or drop the oldest of the least important level (never one more
//     important than the newcomer, which is rejected then). QoS 0: a ring of its
//     own that drops its oldest. Final states: the last 10,000 are remembered.
//   - An expired message is seen by nobody any more, though no goroutine looks
//     for it: every call sweeps first. Expiry counts monotonic time, so setting
//     the clock, usual on a gateway after power-on, expires nothing.
//
// It holds everything in memory for now: a restart loses it. The interface is
// that of a durable log, hence the context of [Queue.Append], which may wait
// for a disk one day. It never reads a payload, checks a topic or calls back.
package outbox

import (
	"sync"
	"time"
)

// Priority is a level of the queue. The zero value is High.
type Priority uint8

// The levels; a lower number goes out first.
const (
	High Priority = iota
	Normal
	Low
	levels
)

// Message is one message on its way up. Payload is shared with the queue and
// read-only; it is nil once the state is final.
type Message struct {
	ID       string // given by Append, see [Queue.Append]
	Topic    string
	Payload  []byte
	QoS      byte // 0 or 1
	Priority Priority
	TTL      time.Duration // time to live from acceptance; 0: as long as Limits.MaxAge lets it
	Latest   bool          // replaces what is still unsent on its topic

	AcceptedAt time.Time // with monotonic reading
	ExpiresAt  time.Time // zero: never
	Attempts   int       // how often Take handed it out
	State      State
	Reason     string // why it is Dropped, Expired or Rejected
}

// size is what a message counts against the byte limits.
func (m *Message) size() int64 { return int64(len(m.Topic) + len(m.Payload)) }

// What a zero in Limits stands for.
const (
	defaultMessages     = 1_000_000
	defaultBytes        = 64 << 20
	defaultHeldMessages = 1000
	defaultHeldBytes    = 1 << 20

	// remembered is how many final states Get and Wait still know.
	remembered = 10_000
)

// Limits bounds a queue. Bytes are topic plus payload. Zero takes the default.
type Limits struct {
	Bytes        int64         // of QoS 1 messages; 64 MiB
	Messages     int           // of QoS 1; 1,000,000
	MaxAge       time.Duration // shortens every TTL; 0: no limit
	DropOldest   bool          // when full: drop the oldest of the least important level; false: reject
	HeldMessages int           // of QoS 0; 1000
	HeldBytes    int64         // of QoS 0; 1 MiB
}

// Queue is the outbox. Its methods may be called by any goroutine.
type Queue struct {
	maxAge     time.Duration
	dropOldest bool
	ready      chan struct{} // 1-buffered wake-up

	mu      sync.Mutex // guards what follows; nothing under it waits
	ids     idSource
	live    map[string]*entry // every message without a final state
	kept    store             // QoS 1, by age
	held    store             // QoS 0, by age
	level   [levels]chain     // what Take chooses from, the one in flight included
	topics  map[string]*chain // by age
	due     dueHeap           // those that can expire
	flight  *entry            // nil: nothing in flight
	history history
	dropped map[string]uint64 // by reason
}

// store is one of the two populations with its bounds.
type store struct {
	byAge       chain
	bytes       int64
	maxMessages int
	maxBytes    int64
}

// New returns an empty queue.
func New(l Limits) *Queue {
	q := &Queue{
		maxAge: l.MaxAge, dropOldest: l.DropOldest, ready: make(chan struct{}, 1),
		ids: newIDSource(), live: map[string]*entry{}, topics: map[string]*chain{},
		kept: store{
			byAge:       chain{kind: byAge},
			maxMessages: orDefault(l.Messages, defaultMessages), maxBytes: orDefault(l.Bytes, defaultBytes),
		},
		held: store{
			byAge:       chain{kind: byAge},
			maxMessages: orDefault(l.HeldMessages, defaultHeldMessages), maxBytes: orDefault(l.HeldBytes, defaultHeldBytes),
		},
		history: newHistory(), dropped: map[string]uint64{},
	}
	for i := range q.level {
		q.level[i].kind = byLevel
	}
	for _, reason := range Reasons() {
		q.dropped[reason] = 0
	}
	return q
}

func orDefault[N int | int64](n, fallback N) N {
	if n == 0 {
		return fallback
	}
	return n
}

// storeOf returns the population a message belongs to.
func (q *Queue) storeOf(m *Message) *store {
	if m.QoS == 0 {
		return &q.held
	}
	return &q.kept
}

// Ready wakes whoever calls Take: it delivers when Take may have something. One
// wake-up may stand for several messages, so call Take until it has none.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

func (q *Queue) wake() {
	if q.flight != nil || len(q.live) == 0 {
		return
	}
	select {
	case q.ready <- struct{}{}:
	default: // a wake-up is already waiting
	}
}

// Stats is the queue in numbers.
type Stats struct {
	Messages int               // QoS 1 without a final state, the one in flight included
	Bytes    int64             // theirs: topics and payloads
	Held     int               // the same of QoS 0
	InFlight int               // 0 or 1
	OldestAt time.Time         // when the oldest QoS 1 message was accepted; zero: there is none
	Dropped  map[string]uint64 // accepted, but neither acked nor sent, by reason: every one of Reasons
}

// Stats returns the present numbers.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	s := Stats{Messages: q.kept.byAge.n, Bytes: q.kept.bytes, Held: q.held.byAge.n, Dropped: make(map[string]uint64, len(q.dropped))}
	for reason, n := range q.dropped {
		s.Dropped[reason] = n
	}
	if q.flight != nil {
		s.InFlight = 1
	}
	if oldest := q.kept.byAge.head; oldest != nil {
		s.OldestAt = oldest.m.AcceptedAt
	}
	return s
}
