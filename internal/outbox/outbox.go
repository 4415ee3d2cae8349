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

	HoldNothing = levels // for HoldBack
)

// Message is one message on its way up. Payload is shared with the queue and
// read-only; it is nil once the state is final, and where only the disk has it.
type Message struct {
	ID       string // given by Append, see [Queue.Append]
	Topic    string
	Payload  []byte
	Size     int  // of the payload, bytes
	QoS      byte // 0 or 1
	Priority Priority
	TTL      time.Duration // time to live from acceptance; 0: as long as Limits.MaxAge lets it
	Latest   bool          // replaces what is still unsent on its topic
	Owner    string        // whose it is: up to MaxOwner bytes, kept over restarts; "": nobody's
	Share    int           // of the limits that its owner may have, in percent; 0: all of it
	OwnOnly  bool          // with Latest: messages of other owners are not replaced; of a full queue none of these is dropped for it
	Source   uint8         // who published it, 0 to 31, as the caller numbers them; 0 again after a restart
	Key      string        // idempotency key, of QoS 1 only: up to MaxKey bytes; see [Queue.Append]
	User     uint32        // whose key it is

	AcceptedAt time.Time // with monotonic reading, unless an earlier process accepted it; zero: not known, the clock was not right
	ExpiresAt  time.Time // zero: never
	Attempts   int       // how often Take handed it out, since the start
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
	log        *segmentLog   // nil: in memory only

	mu        sync.Mutex // guards what follows, and what segmentLog says; nothing under it waits
	clock     clock
	ids       idSource
	kept      population              // QoS 1
	held      population              // QoS 0
	flight    inFlight                // what is being sent, in one publish
	postponed map[uint64]time.Time    // messages that others pass until then
	gathers   map[gatherKey]gathering // topics that others pass
	back      Priority                // levels from this one on are held back; levels: none is
	bodies    map[uint64]body
	keys      keyTable
	waiters   map[uint64]*waiter
	history   history
	dropped   map[string]uint64 // by reason
	devices   devices
}

// population is the messages of one QoS with their bounds.
type population struct {
	index
	qos         byte
	maxMessages int
	maxBytes    int64
}

// ref names a live message.
type ref struct {
	in  *population
	seq uint64
}

// body is what a message without a record on disk keeps in memory, or what is read
// of one that has.
type body struct {
	payload []byte
	ttl     time.Duration
}

// waiter is what Wait waits on; m is set when done is closed.
type waiter struct {
	done chan struct{}
	m    Message
}

// New returns an empty queue in memory.
func New(l Limits) *Queue {
	q := &Queue{
		maxAge: l.MaxAge, dropOldest: l.DropOldest, ready: make(chan struct{}, 1),
		clock: newClock(), ids: newIDSource(), back: levels,
		kept:   population{qos: 1, maxMessages: orDefault(l.Messages, defaultMessages), maxBytes: orDefault(l.Bytes, defaultBytes)},
		held:   population{qos: 0, maxMessages: orDefault(l.HeldMessages, defaultHeldMessages), maxBytes: orDefault(l.HeldBytes, defaultHeldBytes)},
		bodies: map[uint64]body{}, keys: newKeyTable(), waiters: map[uint64]*waiter{}, history: newHistory(), dropped: map[string]uint64{},
	}
	q.kept.index = newIndex()
	q.held.index = newIndex()
	q.kept.foreign, q.held.foreign = q.isForeign, q.isForeign
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

// of returns the population a message belongs to.
func (q *Queue) of(qos byte) *population {
	if qos == 0 {
		return &q.held
	}
	return &q.kept
}

// Ready wakes whoever calls Take: it delivers when Take may have something. One
// wake-up may stand for several messages, so call Take until it has none.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

func (q *Queue) wake() {
	if !q.flight.empty() || q.kept.n+q.held.n == 0 {
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
	Foreign  int               // of both: another device's, see [Queue.Device]
	InFlight int               // in one publish
	OldestAt time.Time         // when the oldest QoS 1 message was accepted, or where that is not known, when this process began; zero: there is none
	Dropped  map[string]uint64 // accepted, but neither acked nor sent, by reason: every one of Reasons
}

// Stats returns the present numbers.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	s := Stats{Messages: q.kept.n, Bytes: q.kept.bytes, Held: q.held.n, Foreign: q.kept.asides + q.held.asides, Dropped: make(map[string]uint64, len(q.dropped))}
	for reason, n := range q.dropped {
		s.Dropped[reason] = n
	}
	s.InFlight = len(q.flight.list)
	if oldest := q.kept.oldest(); oldest != nil {
		if s.OldestAt = q.acceptedAt(oldest); s.OldestAt.IsZero() {
			s.OldestAt = q.clock.start
		}
	}
	return s
}

// Topics returns how many QoS 1 messages without a final state each topic has.
func (q *Queue) Topics() map[string]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	counts := make(map[string]int, len(q.kept.topics.byName))
	for name, i := range q.kept.topics.byName {
		counts[name] = q.kept.topics.list[i].n
	}
	return counts
}

// message puts together what is known of a live message, without its payload
// when that is on disk.
func (q *Queue) message(in *population, s *slot) Message {
	m := Message{
		ID: q.id(in, s), Topic: in.topics.list[s.topic].name, Size: int(s.size), QoS: in.qos, Priority: s.priority, Latest: s.flags&slotLatest != 0, Source: s.flags >> slotSource,
		Owner: in.owners.list[s.owner].name, AcceptedAt: q.acceptedAt(s), Attempts: int(in.tries[s.seq]), State: Queued,
	}
	m.Size -= len(m.Topic) - in.longer[s.seq]
	switch {
	case s.nextLevel == aside && !q.flight.has(ref{in, s.seq}):
		m.State = Foreign
	case in.qos == 0:
		m.State = Held
	case q.flight.has(ref{in, s.seq}):
		m.State = InFlight
	}
	if s.due != never {
		m.ExpiresAt = q.clock.at(s.due)
		if m.TTL = m.ExpiresAt.Sub(m.AcceptedAt); m.AcceptedAt.IsZero() {
			m.TTL = time.Duration(s.due)
		}
	}
	if b, ok := q.bodies[s.seq]; ok {
		m.Payload, m.TTL = b.payload, b.ttl
	}
	return m
}

// acceptedAt is when a message was accepted; zero: that is not known, because the
// clock was not right then or is not now.
func (q *Queue) acceptedAt(s *slot) time.Time {
	switch {
	case s.flags&slotOld == 0:
		return q.clock.at(s.at)
	case !aged(s.at, time.Now().UnixNano()):
		return time.Time{}
	}
	return time.Unix(0, s.at)
}
