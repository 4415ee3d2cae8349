package downlink

import (
	"errors"
	"slices"
	"sync"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// Box is what is kept for one subscription. Next and Rewind are for one goroutine at a
// time; the others may be called by any.
type Box struct {
	store *Store
	key   uint64
	ready chan struct{}

	choosing sync.Mutex // the filters of a name are being changed

	// Guarded by Store.mu.
	card    card
	sub     *bus.Subscription // of a name, or of a kept topic; a session has its own
	list    []*entry          // in the order in which they came
	next    int               // of list, the first that was not handed out
	newest  string            // the greatest id that was handed out
	bytes   int64
	loose   int  // of list, how many are in memory only
	lost    int  // so many messages that nobody was told of
	over    bool // it has lost messages to the bound, and who looks after the gateway is to know
	warned  bool
	gone    bool // it was dropped
	unsure  bool // its file is not what its card says
	writing bool // it is being written
	waits   []chan error
	heir    *Box // of one that was taken over: its file goes when the heir has been written
	reader  *Reader
}

// entry is one message of one subscription. All but box, topic and size is guarded by
// Store.mu.
type entry struct {
	box     *Box
	topic   string
	size    int               // of topic and payload
	id      string            // on the disk; "": it is on its way, or in memory only
	begun   *outbox.Appending // nil: it is not on its way
	message *bus.Message      // until it is on the disk
	told    bool              // it was handed out before, as far as anybody knows
	gone    bool              // of no concern any more
}

// Message is a message that is handed out.
type Message struct {
	bus.Message
	ID    string // to acknowledge it with; "": it could not be kept, and is handed out once
	Again bool   // it may have been handed out before
}

// keep is what the hub calls; it holds its lock meanwhile.
func (b *Box) keep(m bus.Message) {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.gone {
		return
	}
	e := &entry{box: b, topic: m.Topic, size: len(m.Topic) + len(m.Payload), message: &m}
	s.makeRoom(b, int64(e.size))
	b.list = append(b.list, e)
	s.counts(e, 1)
	begun, err := s.queue.Begin(outbox.Message{Topic: recordTopic(b.key, m.Topic), Payload: stamped(&m), QoS: 1, Priority: outbox.Normal}, nil)
	if err != nil {
		b.loosen(e)
		poke(b.ready)
		return
	}
	e.begun = begun
	s.pending = append(s.pending, e)
	poke(s.wake)
}

// makeRoom has the fullest subscriptions lose their oldest until a message of b fits;
// under the lock.
func (s *Store) makeRoom(b *Box, size int64) {
	for s.count > 0 && (s.count >= s.limits.Messages || s.bytes+size > s.limits.Bytes) {
		full, most := func(b *Box) int64 { return int64(len(b.list)) }, b
		if s.count < s.limits.Messages {
			full = func(b *Box) int64 { return b.bytes }
		}
		for _, other := range s.boxes {
			if full(other) > full(most) {
				most = other
			}
		}
		if len(most.list) == 0 {
			return
		}
		most.giveUp(most.list[0])
		if !most.over {
			most.over = true
			poke(s.work)
		}
	}
}

// giveUp ends a message that nobody acknowledged; under the lock.
func (b *Box) giveUp(e *entry) {
	b.take(e)
	b.lost++
	if e.id != "" {
		b.store.queue.Settle(e.id)
	}
	poke(b.ready)
}

// take takes a message out of the list; under the lock.
func (b *Box) take(e *entry) {
	i := slices.Index(b.list, e)
	if i < 0 {
		return
	}
	if i == 0 {
		b.list[0] = nil
		b.list = b.list[1:]
	} else {
		b.list = slices.Delete(b.list, i, i+1)
	}
	if i < b.next {
		b.next--
	}
	if e.message != nil && e.begun == nil {
		b.loose--
	}
	e.gone = true
	b.store.counts(e, -1)
}

// loosen leaves a message in memory that the disk did not take, or gives it up where
// there are too many; under the lock.
func (b *Box) loosen(e *entry) {
	bytes := 0
	for _, other := range b.list {
		if other.message != nil && other.begun == nil && other != e {
			bytes += other.size
		}
	}
	b.loose++
	if b.loose > looseItems || b.loose > 1 && bytes+e.size > looseBytes {
		b.giveUp(e)
	}
}

// outdate gives up what e replaces: what waits of its topic; under the lock.
func (b *Box) outdate(e *entry) {
	for _, other := range slices.Clone(b.list) {
		if other == e {
			return
		}
		if other.topic == e.topic {
			if other.id != "" {
				b.store.queue.Settle(other.id)
			}
			b.take(other)
		}
	}
}

// Ready delivers when Next may have something. One wake-up may stand for several.
func (b *Box) Ready() <-chan struct{} { return b.ready }

// Next hands out the next message, if there is one.
func (b *Box) Next() (Message, bool) { return b.nextFor(nil) }

// nextFor is Next of a reader, who has nothing more when another one took over.
func (b *Box) nextFor(r *Reader) (Message, bool) {
	for {
		e, k, ok := b.peek(r)
		if !ok || k.ID == "" {
			return k, ok
		}
		m, err := b.store.queue.Read(e.id)
		if k, ok, again := b.handOut(r, e, m, err); !again {
			return k, ok
		}
	}
}

// peek is what comes next: a message that is in memory as a whole, or the entry of one
// that is to be read, in which case Message has only its id.
func (b *Box) peek(r *Reader) (*entry, Message, bool) {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.gone || b.reader != r || b.next >= len(b.list) {
		return nil, Message{}, false
	}
	e := b.list[b.next]
	switch {
	case e.begun != nil:
		return nil, Message{}, false
	case e.id == "":
		b.take(e)
		return e, Message{Message: *e.message}, true
	}
	return e, Message{ID: e.id}, true
}

// handOut books what reading a message came to.
func (b *Box) handOut(r *Reader, e *entry, m outbox.Message, err error) (k Message, ok, again bool) {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.gone || b.gone:
		return k, false, true
	case b.reader != r:
		return k, false, false
	case errors.Is(err, outbox.ErrUnknown), errors.Is(err, outbox.ErrDamaged), err == nil && len(m.Payload) < stampSize:
		b.giveUp(e) // its time is over, or it cannot be read any more. That is told before what follows
		return k, false, false
	case err != nil:
		time.AfterFunc(readAgain, func() { poke(b.ready) })
		return k, false, false
	}
	if b.next < len(b.list) && b.list[b.next] == e {
		b.next++
	}
	k = Message{ID: e.id, Again: e.told, Message: bus.Message{Topic: e.topic, Payload: m.Payload[stampSize:], ReceivedAt: stampOf(m.Payload)}}
	e.told, b.newest = true, max(b.newest, e.id)
	return k, true, false
}

// Ack ends the message with this id. One that is not there is passed over.
func (b *Box) Ack(id string) {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(b.list, func(e *entry) bool { return e.id == id }); i >= 0 && id != "" {
		b.take(b.list[i])
		s.queue.Settle(id)
		b.relieved()
	}
}

// ackThrough ends the message with this id, and all before it that were handed out, and
// says how many. false: no message of this id, or of a later one, was handed out.
func (b *Box) ackThrough(id string) (n int, ok bool) {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" || id > b.newest {
		return 0, false
	}
	var ids []string
	for _, e := range slices.Clone(b.list) {
		if e.told && e.id != "" && e.id <= id {
			ids = append(ids, e.id)
			b.take(e)
		}
	}
	s.queue.Settle(ids...)
	b.relieved()
	return len(ids), true
}

// relieved has a warning end when there is room again; under the lock.
func (b *Box) relieved() {
	s := b.store
	if b.over && s.count < s.limits.Messages/4*3 && s.bytes < s.limits.Bytes/4*3 {
		b.over = false
		poke(s.work)
	}
}
