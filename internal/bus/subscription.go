package bus

import (
	"context"
	"errors"
	"slices"
	"sync"

	"airbridged/internal/topic"
)

// Bounds of one subscriber's queue. When either is reached, the newest message
// is dropped and counted into the gap that the subscriber is told of. Grants
// come on top, each filter at most once.
const (
	queueItems = 256
	queueBytes = 1 << 20
)

// ErrClosed is returned by Next after Close.
var ErrClosed = errors.New("subscription is closed")

// ErrCrowdedOut is returned by Next when another user needed what the subscription had.
var ErrCrowdedOut = errors.New("another user needs the place of this subscription")

// Item is what a subscriber gets next; exactly one field is set, but for Reason.
type Item struct {
	Message *Message // a downlink message
	Gap     int      // so many messages were missed here, because the subscriber was too slow
	Granted string   // the cloud has acknowledged this filter
	Refused string   // the cloud refuses this filter, and it is not asked for a while
	Reason  string   // with Refused: why
}

// Subscription is one program's bounded view of the downlink. Next is for one
// goroutine at a time.
type Subscription struct {
	hub     *Hub
	filters []string
	queue   *queue
	name    string // of the user; empty: nobody in particular, and never ended for another one
	n       uint64 // in the order in which they were opened
	round   uint64 // of the hub, in which it got a message last
	keep    func(Message)
}

// Next returns the next item in order, waiting for one until ctx ends or the
// subscription is closed ([ErrClosed]).
func (s *Subscription) Next(ctx context.Context) (Item, error) { return s.queue.next(ctx) }

// Granted tells for each filter whether the cloud has acknowledged it. Filters
// of local topics need no acknowledgement.
func (s *Subscription) Granted() map[string]bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	granted := make(map[string]bool, len(s.filters))
	for _, name := range s.filters {
		f := s.hub.filters[name]
		granted[name] = f != nil && f.granted // it is not there when the subscription is closed
	}
	return granted
}

// Close ends the subscription; a waiting Next returns [ErrClosed]. The hub
// forgets its filters.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.end(s, ErrClosed)
}

func (s *Subscription) wants(name string) bool {
	return slices.ContainsFunc(s.filters, func(f string) bool { return topic.Match(f, name) })
}

// queue is bounded by items and bytes; what does not fit is counted and
// reported as a gap at the place where it is missing.
type queue struct {
	wake chan struct{}
	all  *shares
	user *share // its user's part of them

	mu     sync.Mutex
	items  []Item
	bytes  int
	missed int
	closed error // why; nil: it is open
}

func newQueue(all *shares, user *share) *queue {
	return &queue{wake: make(chan struct{}, 1), all: all, user: user}
}

// push appends an item, or counts it as missed and returns false; full says that there
// is no room for a message among all the queues. A grant that
// the subscriber has not read yet stands for a later one of the same filter, so
// that reconnecting for weeks does not fill the queue of one that never reads.
func (q *queue) push(it Item, size int, full bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.signal()
	if it.Message == nil && slices.Contains(q.items, it) {
		return true
	}
	// A gap that was not told yet needs a place of its own before the item.
	if full || len(q.items)+1 >= queueItems || (q.bytes > 0 && q.bytes+size > queueBytes) {
		if it.Message != nil {
			q.missed++
			return false
		}
	}
	if q.missed > 0 {
		q.items = append(q.items, Item{Gap: q.missed})
		q.missed = 0
	}
	q.items = append(q.items, it)
	q.book(size)
	return true
}

func (q *queue) next(ctx context.Context) (Item, error) {
	for {
		it, ok, closed := q.pop()
		switch {
		case ok:
			return it, nil
		case closed != nil:
			return Item{}, closed
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return Item{}, context.Cause(ctx)
		}
	}
}

func (q *queue) pop() (it Item, ok bool, closed error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.items) > 0:
		it = q.items[0]
		q.items[0] = Item{}
		q.items = q.items[1:]
		if it.Message != nil {
			q.book(-len(it.Message.Payload))
		}
		return it, true, nil
	case q.missed > 0:
		it.Gap, q.missed = q.missed, 0
		return it, true, nil
	}
	return it, false, q.closed
}

// book counts bytes that come or go. Those that a closed queue still holds are its
// reader's.
func (q *queue) book(n int) {
	q.bytes += n
	if q.closed == nil {
		q.all.add(q.user, n)
	}
}

func (q *queue) close(why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.all.add(q.user, -q.bytes)
		q.closed = why
	}
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
