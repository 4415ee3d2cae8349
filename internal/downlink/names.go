package downlink

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"airbridged/internal/bus"
)

// Conditions of named subscriptions, for errors.Is.
var (
	// ErrOther: the name belongs to another user.
	ErrOther = errors.New("another user has this subscription")
	// ErrUnknown: there is no such subscription, or no such message was handed out.
	ErrUnknown = errors.New("there is no such subscription")
	// ErrUnknownID: no message of this id, or of a later one, was handed out.
	ErrUnknownID = errors.New("no message of this id was handed out")
	// ErrTooMany: there are as many names as there may be.
	ErrTooMany = errors.New("there are 256 named subscriptions already")
	// ErrNoFilter: a new name needs a filter.
	ErrNoFilter = errors.New("a name that is new needs a topic filter")
	// ErrTakenOver ends a reader: there is another one of its name.
	ErrTakenOver = errors.New("another reader has taken this subscription over")
	// ErrDropped ends a reader: its subscription was dropped.
	ErrDropped = errors.New("this subscription was dropped")
)

// Who is a user: by what interfaces tell users apart, and for people.
type Who struct{ Owner, User string }

// Reader reads a named subscription, from the first message on that is not acknowledged.
// There is one for each name: the next one ends it. Next is for one goroutine at a time.
type Reader struct {
	box  *Box
	sub  *bus.Subscription
	once sync.Once
	over chan struct{}
	why  error // set before over is closed
}

// Item is what a Reader gets next; exactly one field is set.
type Item struct {
	Message *Message
	Hub     *bus.Item // Granted or Refused, or a Message that is a call: it is not kept
	Gap     int       // so many messages were given up that came before what follows
}

// Subscribe opens a reader of a name, and makes the subscription if there is none. With
// filters, these are its filters from now on; what was kept before stays. When it returns,
// the subscription is on disk, or a warning says that it is not. Errors: ErrOther,
// ErrTooMany, ErrNoFilter, and those of [bus.Subscription.Add].
func (s *Store) Subscribe(who Who, name string, filters []string) (*Reader, error) {
	b, made, err := s.named(who, name, filters)
	if err != nil {
		return nil, err
	}
	if made {
		s.listen(b)
	}
	if len(filters) > 0 {
		if err := s.choose(b, filters, made); err != nil {
			if made {
				s.end(b)
			}
			return nil, err
		}
	}
	s.mu.Lock()
	r := &Reader{box: b, sub: b.sub, over: make(chan struct{})}
	if b.reader != nil {
		b.reader.end(ErrTakenOver)
	}
	b.reader, b.next = r, 0
	gone := b.gone
	s.mu.Unlock()
	if gone {
		return nil, ErrUnknown
	}
	if len(filters) > 0 {
		_ = b.saved(context.Background()) // the warnings tell; Run never waits for long
	}
	return r, nil
}

// named finds or makes the subscription of a name.
func (s *Store) named(who Who, name string, filters []string) (b *Box, made bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := 0
	for _, b := range s.boxes {
		if b.card.Kind == HTTP {
			names++
		}
	}
	switch b = s.find(HTTP, name); {
	case b != nil && b.card.Owner != who.Owner:
		return nil, false, ErrOther
	case b != nil:
		return b, false, nil
	case len(filters) == 0:
		return nil, false, ErrNoFilter
	case names >= maxNames:
		return nil, false, ErrTooMany
	}
	return s.add(card{Kind: HTTP, Name: name, Owner: who.Owner, User: who.User, Since: time.Now().UTC()}), true, nil
}

// choose gives a subscription its filters.
func (s *Store) choose(b *Box, filters []string, made bool) error {
	b.choosing.Lock()
	defer b.choosing.Unlock()
	s.mu.Lock()
	sub, before := b.sub, topicsOf(b.card.Filters)
	s.mu.Unlock()
	if sub == nil {
		return ErrUnknown // it is being made by somebody else at this moment
	}
	for i, f := range filters {
		if slices.Contains(before, f) {
			continue
		}
		if err := sub.AddKept(f); err != nil {
			for _, added := range filters[:i] {
				if !slices.Contains(before, added) {
					sub.Remove(added)
				}
			}
			return err
		}
	}
	for _, f := range before {
		if !slices.Contains(filters, f) {
			sub.Remove(f)
		}
	}
	list := make([]Filter, len(filters))
	for i, f := range filters {
		list[i] = Filter{Topic: f, QoS: 1}
	}
	b.Choose(list)
	return nil
}

// end ends a subscription, with what is kept for it.
func (s *Store) end(b *Box) {
	s.mu.Lock()
	s.forget(b)
	sub := b.sub
	s.mu.Unlock()
	if sub != nil {
		sub.Close()
	}
	if s.board != nil {
		s.board.ClearWarning(bus.DownlinkFull, b.about())
	}
}

// Filters are the reader's filters, and whether the cloud has acknowledged each.
func (r *Reader) Filters() (filters []string, granted map[string]bool) {
	s := r.box.store
	s.mu.Lock()
	filters = topicsOf(r.box.card.Filters)
	s.mu.Unlock()
	return filters, r.sub.Granted()
}

// end ends the reader; under the store's lock, or before anybody has it.
func (r *Reader) end(why error) {
	r.once.Do(func() {
		r.why = why
		close(r.over)
	})
}

// Close gives the name back.
func (r *Reader) Close() {
	s := r.box.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.box.reader == r {
		r.box.reader = nil
	}
	r.end(bus.ErrClosed)
}

// Next waits for what comes next. Error: ErrTakenOver, ErrDropped, or that of ctx.
func (r *Reader) Next(ctx context.Context) (Item, error) {
	for {
		if it, ok, err := r.next(); ok || err != nil {
			return it, err
		}
		select {
		case <-r.over:
		case <-r.box.ready:
		case <-r.sub.Ready():
		case <-ctx.Done():
			return Item{}, context.Cause(ctx)
		}
	}
}

func (r *Reader) next() (it Item, ok bool, err error) {
	select {
	case <-r.over:
		return it, false, r.why
	default:
	}
	for {
		h, ok := r.sub.TryNext()
		if !ok {
			break
		}
		if h.Granted != "" || h.Refused != "" || h.Message != nil {
			return Item{Hub: &h}, true, nil
		}
	}
	if n := r.missed(); n > 0 {
		return Item{Gap: n}, true, nil
	}
	if k, ok := r.box.nextFor(r); ok {
		return Item{Message: &k}, true, nil
	}
	return it, false, nil
}

// missed is how many messages were given up, and not told of.
func (r *Reader) missed() int {
	s := r.box.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.box.reader != r {
		return 0
	}
	n := r.box.lost
	r.box.lost = 0
	return n
}

// Ack ends the message with this id and all before it of a named subscription, and says
// how many. When it returns nil, that is on disk. Errors: ErrUnknown, ErrOther,
// ErrUnknownID, or outbox.ErrDisk: they may be handed out again after a restart.
func (s *Store) Ack(who Who, name, id string) (int, error) {
	s.mu.Lock()
	b := s.find(HTTP, name)
	s.mu.Unlock()
	switch {
	case b == nil:
		return 0, ErrUnknown
	case b.card.Owner != who.Owner:
		return 0, ErrOther
	}
	n, ok := b.ackThrough(id)
	if !ok {
		return 0, ErrUnknownID
	}
	return n, s.queue.Flush()
}

// Info is a subscription in numbers.
type Info struct {
	Kind, Name  string
	Owner, User string
	Filters     []string
	Waiting     int
	Bytes       int64 // topics and payloads
	Since       time.Time
}

// List tells of every subscription, the oldest first.
func (s *Store) List() []Info {
	list := []Info{}
	for _, b := range s.sorted() {
		s.mu.Lock()
		if c := b.card; !b.gone {
			list = append(list, Info{c.Kind, c.Name, c.Owner, c.User, topicsOf(c.Filters), len(b.list), b.bytes, c.Since})
		}
		s.mu.Unlock()
	}
	return list
}

// Drop ends a subscription, with all that is kept for it. A program that has its session
// is disconnected. Errors: ErrUnknown, or outbox.ErrDisk: it may be back after a restart.
func (s *Store) Drop(kind, name string) error {
	s.mu.Lock()
	b, tell := s.find(kind, name), s.dropped
	s.mu.Unlock()
	if b == nil {
		return ErrUnknown
	}
	s.end(b)
	if kind == MQTT && tell != nil {
		tell(name)
	}
	if err := b.saved(context.Background()); err != nil {
		return err
	}
	return s.queue.Flush()
}
