package downlink

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/durable"
)

// Kinds of subscriptions. Names of one are not those of another.
const (
	HTTP = "http" // a name of the socket API
	MQTT = "mqtt" // a session, by its client id
	Kept = "kept" // a [[subscribe]] topic that nobody has asked for yet, by its filter
)

// card is what a subscription's file says.
type card struct {
	Kind    string        `json:"kind"`
	Name    string        `json:"name"`
	Owner   string        `json:"owner"` // whose it is, as interfaces tell users apart
	User    string        `json:"user"`  // the same for people
	Since   time.Time     `json:"since"`
	Filters []Filter      `json:"filters"`
	Also    []uint64      `json:"also,omitempty"`   // numbers of what it took over
	Expiry  time.Duration `json:"expiry,omitempty"` // a session's: how long it is kept without a connection, nanoseconds; negative: without end
	Left    time.Time     `json:"left,omitzero"`    // since when it has none
}

// Filter is a filter of a subscription, with what a session wants of it.
type Filter struct {
	Topic   string `json:"topic"`
	QoS     byte   `json:"qos"`
	NoLocal bool   `json:"no_local,omitempty"`
	ID      uint32 `json:"id,omitempty"` // subscription identifier; 0: none
}

func topicsOf(filters []Filter) []string {
	list := make([]string, len(filters))
	for i, f := range filters {
		list[i] = f.Topic
	}
	return list
}

const cardSuffix = ".json"

func cardName(key uint64) string { return fmt.Sprintf("%016x%s", key, cardSuffix) }

// cardKey is the number in a file's name.
func cardKey(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, cardSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	key, err := strconv.ParseUint(digits, 16, 64)
	return key, err == nil
}

func (s *Store) noteOf(key uint64) durable.Note[card] {
	return durable.NewNote[card](s.cards, cardName(key))
}

// readCards takes in the subscriptions of an earlier process.
func (s *Store) readCards() {
	if s.cards == nil {
		return
	}
	names, err := s.cards.List(".")
	if err != nil {
		s.cardsOff = err // nothing is given up that may belong to one of them
		return
	}
	for _, name := range names {
		if key, ok := cardKey(name); ok {
			s.readCard(key)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleHeirs()
}

// readCard reads one. One that is damaged is left where it is, under another name.
func (s *Store) readCard(key uint64) {
	c, err := s.noteOf(key).Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unread, key)
	s.lastKey = max(s.lastKey, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil && !durable.Verdict(err):
		s.unread[key] = true
	case err != nil:
		s.log.Error("a subscription is damaged, and given up with what was kept for it", zap.Error(err))
		_ = s.cards.Rename(cardName(key), cardName(key)+".damaged")
	default:
		if old := s.find(c.Kind, c.Name); old != nil { // it was made anew, and the old one's file outlived it
			s.forget(old)
		}
		s.enter(key, c)
	}
}

// rereadCards reads those that could not be read.
func (s *Store) rereadCards() {
	s.mu.Lock()
	var keys []uint64
	for key := range s.unread {
		keys = append(keys, key)
	}
	s.mu.Unlock()
	for _, key := range keys {
		s.readCard(key)
		s.mu.Lock()
		b := s.boxes[key]
		s.reconcile()
		s.mu.Unlock()
		if b != nil {
			s.listen(b)
		}
	}
}

// forget ends a subscription; its file goes when it is written next. Under the lock.
func (s *Store) forget(b *Box) {
	if b.gone {
		return
	}
	b.gone = true
	delete(s.boxes, b.key)
	for _, key := range append(slices.Clone(b.card.Also), b.key) {
		delete(s.byKey, key)
	}
	poke(s.work) // what it took may have to be kept for nobody now
	var ids []string
	for _, e := range b.list {
		if e.id != "" {
			ids = append(ids, e.id)
		}
		e.gone = true
		s.counts(e, -1)
	}
	b.list, b.next = nil, 0
	s.queue.Settle(ids...)
	if b.reader != nil {
		b.reader.end(ErrDropped)
	}
	poke(b.ready)
	s.soil(b)
}

// soil has a subscription's file written, or removed; under the lock.
func (s *Store) soil(b *Box) {
	if !b.unsure {
		b.unsure = true
		s.dirty = append(s.dirty, b)
	}
	poke(s.work)
}

// saved waits until the file of a subscription is what its card says. Error: it could not
// be written, and is tried again; or nobody writes any more.
func (b *Box) saved(ctx context.Context) error {
	s := b.store
	done := make(chan error, 1)
	s.mu.Lock()
	b.waits = append(b.waits, done)
	s.soil(b)
	s.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-s.ended:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errClosed = errors.New("the daemon is stopping")

// write brings the files up to date.
func (s *Store) write() {
	s.mu.Lock()
	list := s.dirty
	s.dirty = nil
	s.mu.Unlock()
	var failed error
	for _, b := range list {
		s.mu.Lock()
		if b.heir != nil && b.heir.unsure {
			s.dirty = append(s.dirty, b) // it comes again with the heir
			s.mu.Unlock()
			continue
		}
		c, gone, waits := b.card, b.gone, b.waits
		c.Filters, c.Also = slices.Clone(c.Filters), slices.Clone(c.Also)
		b.unsure, b.writing, b.waits = false, true, nil
		s.mu.Unlock()
		err := s.writeCard(b.key, c, gone)
		for _, done := range waits {
			done <- err
		}
		s.mu.Lock()
		b.writing = false
		s.mu.Unlock()
		if err == nil {
			continue
		}
		failed = err
		s.mu.Lock()
		if !b.unsure {
			b.unsure = true
			s.dirty = append(s.dirty, b) // at the next look
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(list) > 0 {
		s.cardErr = failed
	}
}

func (s *Store) writeCard(key uint64, c card, gone bool) error {
	switch {
	case s.cards == nil:
		return s.cardsOff
	case gone:
		return s.noteOf(key).Remove()
	}
	return s.noteOf(key).Save(c)
}

func stampOf(payload []byte) time.Time {
	return time.Unix(0, int64(binary.LittleEndian.Uint64(payload)))
}

// listen has the hub hand in what matches the filters of a subscription that an earlier
// process made. A session listens by itself.
func (s *Store) listen(b *Box) {
	s.mu.Lock()
	kind, filters := b.card.Kind, topicsOf(b.card.Filters)
	s.mu.Unlock()
	if kind == MQTT {
		return
	}
	sub := s.hub.OpenKept(b.keep)
	for _, f := range filters {
		if err := sub.AddKept(f); err != nil {
			s.log.Warn("a subscription that is kept lost a filter", zap.String("name", b.card.Name), zap.String("filter", f), zap.Error(err))
		}
	}
	s.mu.Lock()
	b.sub = sub
	s.mu.Unlock()
}
