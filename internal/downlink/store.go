package downlink

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
)

// Limits bounds what is kept, of all subscriptions together. Bytes are topics plus
// payloads. Zero takes the default.
type Limits struct {
	Bytes    int64         // 16 MiB
	Messages int           // 10,000
	MaxAge   time.Duration // 168 h
}

// Bounds that are no options.
const (
	maxNames   = 256     // named subscriptions
	looseItems = 256     // messages in memory that the disk did not take, of one subscription
	looseBytes = 1 << 20 // theirs

	lookEvery = 15 * time.Second // at the disk, and at what has expired
	readAgain = time.Second      // after a failed read
)

// Options is what a Store is made of. Hub is needed.
type Options struct {
	Dir    string // made with mode 0700; the messages are in messages/ of it
	Limits Limits
	Hub    *bus.Hub
	Board  *bus.StatusBoard // nil: nobody is told
	Log    *zap.Logger      // nil: nothing is logged

	// Tests put simulated ones in the place of the directory.
	Cards durable.Directory
	Queue outbox.Options
}

// Store is what is kept for all programs. Its methods may be called by any goroutine.
type Store struct {
	queue  *outbox.Queue
	cards  durable.Directory // nil: it could not be opened
	held   *durable.Held     // nil: it is a test's
	limits Limits
	hub    *bus.Hub
	board  *bus.StatusBoard
	log    *zap.Logger
	wake   chan struct{} // 1-buffered: something was begun
	work   chan struct{} // 1-buffered: something is to be written, or told
	ended  chan struct{} // closed when Run has returned

	mu       sync.Mutex // guards what follows and every Box; nothing under it waits
	boxes    map[uint64]*Box
	byKey    map[uint64]*Box // whose messages a number's are, also one that was taken over
	unread   map[uint64]bool // numbers whose file cannot be read at present
	lastKey  uint64
	pending  []*entry // on their way to the disk, by age
	count    int
	bytes    int64
	dirty    []*Box // whose file is to be written, or removed
	standing standing
	cardErr  error
	cardsOff error // why there are no files of subscriptions
	dropped  func(client string)
}

// Open returns the store that a directory holds. A disk that fails or is full is no
// reason to fail. Error: another process has the directory, or a newer program wrote it.
func Open(o Options) (*Store, error) {
	s := &Store{
		cards: o.Cards, hub: o.Hub, board: o.Board, log: o.Log, limits: o.Limits,
		wake: make(chan struct{}, 1), work: make(chan struct{}, 1), ended: make(chan struct{}),
		boxes: map[uint64]*Box{}, byKey: map[uint64]*Box{}, unread: map[uint64]bool{},
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.limits.Bytes = cmp.Or(s.limits.Bytes, 16<<20)
	s.limits.Messages = cmp.Or(s.limits.Messages, 10_000)
	s.limits.MaxAge = cmp.Or(s.limits.MaxAge, 168*time.Hour)
	if err := s.hold(o.Dir); err != nil {
		return nil, err
	}
	// The bounds are the store's to keep. The queue's only catch what it may have wrong.
	room := outbox.Limits{Bytes: 2*s.limits.Bytes + 1<<20, Messages: 2*s.limits.Messages + 1000, MaxAge: s.limits.MaxAge}
	o.Queue.Forgetful = true
	queue, err := outbox.Open(filepath.Join(o.Dir, "messages"), room, o.Queue)
	if err != nil {
		s.release()
		return nil, fmt.Errorf("downlink.dir: %w", err)
	}
	s.queue = queue
	s.readCards()
	s.mu.Lock()
	s.reconcile()
	s.mu.Unlock()
	for _, b := range s.sorted() {
		s.listen(b)
	}
	s.hub.OnKeep(s.stand)
	return s, nil
}

// hold opens the directory of the subscriptions' files.
func (s *Store) hold(dir string) error {
	if s.cards != nil {
		return nil
	}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		if s.held, err = durable.Hold(dir); err == nil {
			s.cards = s.held
			return nil
		}
	}
	if errors.Is(err, durable.ErrLocked) {
		return fmt.Errorf("downlink.dir: %w; stop the other one, or give each daemon a directory of its own", err)
	}
	s.cardsOff = err
	return nil
}

func (s *Store) release() {
	if s.held != nil {
		_ = s.held.Release()
	}
}

// Close ends the store after Run has returned. Error: what was acknowledged last may be
// handed out again.
func (s *Store) Close() error {
	defer s.release()
	return s.queue.Close()
}

// sorted are all subscriptions, the oldest first.
func (s *Store) sorted() []*Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Box, 0, len(s.boxes))
	for _, b := range s.boxes {
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b *Box) int { return cmp.Compare(a.key, b.key) })
	return list
}

// find returns a subscription by its name, or nil; under the lock.
func (s *Store) find(kind, name string) *Box {
	for _, b := range s.boxes {
		if b.card.Kind == kind && b.card.Name == name {
			return b
		}
	}
	return nil
}

// add makes a subscription; under the lock.
func (s *Store) add(c card) *Box {
	s.lastKey++
	return s.enter(s.lastKey, c)
}

// enter takes a subscription in; under the lock.
func (s *Store) enter(key uint64, c card) *Box {
	b := &Box{store: s, key: key, card: c, ready: make(chan struct{}, 1)}
	s.boxes[key], s.byKey[key] = b, b
	for _, also := range c.Also {
		s.byKey[also] = b
	}
	s.lastKey = max(s.lastKey, key)
	return b
}

// recordTopic is the topic of a record.
func recordTopic(key uint64, topic string) string { return strconv.FormatUint(key, 10) + " " + topic }

// ofRecord takes it apart.
func ofRecord(text string) (key uint64, topic string, ok bool) {
	number, topic, ok := strings.Cut(text, " ")
	key, err := strconv.ParseUint(number, 10, 64)
	return key, topic, ok && err == nil
}

// stampSize is what stands before the payload of a record.
const stampSize = 8

func stamped(m *bus.Message) []byte {
	b := make([]byte, 0, stampSize+len(m.Payload))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.ReceivedAt.UnixNano()))
	return append(b, m.Payload...)
}

// reconcile makes the lists what the queue has: at the start, after messages have
// expired, and when a disk that could not be read can be. Not while something is on its
// way; under the lock.
func (s *Store) reconcile() {
	if len(s.pending) > 0 {
		return
	}
	there := map[string]bool{}
	var orphans []string
	fresh := map[*Box]bool{}
	known := map[string]bool{}
	for _, b := range s.boxes {
		for _, e := range b.list {
			known[e.id] = true
		}
	}
	for after := ""; ; {
		page, _ := s.queue.List(after, 1000)
		for _, m := range page {
			after = m.ID
			there[m.ID] = true
			key, topic, ok := ofRecord(m.Topic)
			b := s.byKey[key]
			switch {
			case known[m.ID]:
			case b != nil:
				e := &entry{box: b, id: m.ID, topic: topic, size: m.Size + len(topic) - stampSize, told: true}
				b.list, b.newest = append(b.list, e), max(b.newest, e.id)
				s.counts(e, 1)
				fresh[b] = true
			case !ok || !s.unread[key] && s.cardsOff == nil:
				orphans = append(orphans, m.ID)
			}
			s.lastKey = max(s.lastKey, key)
		}
		if len(page) == 0 {
			break
		}
	}
	s.queue.Settle(orphans...)
	for b := range fresh {
		slices.SortStableFunc(b.list, func(x, y *entry) int { return cmp.Compare(x.id, y.id) })
		b.next = 0
		poke(b.ready)
	}
	for _, b := range s.boxes {
		for _, e := range slices.Clone(b.list) {
			if e.id != "" && !there[e.id] {
				b.take(e)
				b.lost++
			}
		}
	}
}

// counts books an entry, or takes it off; under the lock.
func (s *Store) counts(e *entry, sign int) {
	s.count += sign
	s.bytes += int64(sign * e.size)
	e.box.bytes += int64(sign * e.size)
}

// Run keeps what is handed in, until ctx ends and all of that is on the disk. It fails
// never: what the disk says stands in the warnings.
func (s *Store) Run(ctx context.Context) error {
	committed := make(chan struct{})
	go func() {
		defer close(committed)
		_ = s.queue.Run(ctx) // never fails
	}()
	defer close(s.ended)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		e, done := s.first()
		select {
		case <-done:
			s.arrived(e)
		case <-s.wake:
		case <-s.work:
			s.write()
			s.balance()
			s.tell()
		case <-s.queue.Noted():
			s.note()
		case <-tick.C:
			s.look()
		case <-committed:
			for e, _ := s.first(); e != nil; e, _ = s.first() {
				s.arrived(e)
			}
			s.write()
			return nil
		}
	}
}

// first is what was begun first and has not arrived, and what tells of that.
func (s *Store) first() (*entry, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil, nil
	}
	e := s.pending[0]
	return e, e.begun.Done()
}

// arrived books what has become of it.
func (s *Store) arrived(e *entry) {
	m, err := e.begun.Result()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[0] = nil
	s.pending = s.pending[1:]
	e.begun = nil
	switch {
	case e.gone && err == nil:
		s.queue.Settle(m.ID)
	case e.gone:
	case err != nil:
		e.box.loosen(e)
	default:
		e.id, e.message = m.ID, nil
		if s.isLatest(e.topic) {
			e.box.outdate(e)
		}
	}
	poke(e.box.ready)
}

// look is the regular look at the disk.
func (s *Store) look() {
	s.rereadCards()
	s.mu.Lock()
	kept := 0
	for _, b := range s.boxes {
		for _, e := range b.list {
			if e.id != "" {
				kept++
			}
		}
	}
	if s.queue.Stats().Messages != kept {
		s.reconcile()
	}
	s.mu.Unlock()
	s.write()
	s.tell()
}

// poke wakes whoever waits on a 1-buffered channel.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
