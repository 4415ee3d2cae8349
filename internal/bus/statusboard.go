package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"airbridged/client/api"
)

// watchEvents bounds one watcher's queue; the oldest event is dropped when it
// is full, because the newest state is the one that matters.
const watchEvents = 64

// StatusBoard carries the daemon's status and its events from the session to whoever
// watches. It is safe for concurrent use, and nobody who writes to it waits.
type StatusBoard struct {
	Passing   Passing   // the last messages
	Onlookers Onlookers // who watches it live

	mu       sync.Mutex
	status   Status
	warnings []Warning // by code and what they are about; the status has them too
	last     api.Event
	watchers map[*Watch]struct{}
	past     ring[api.Event]
	timeline timeline
}

// pastKept is how many events are remembered for who begins to watch.
const pastKept = 64

// NewStatusBoard returns a board in the state that every daemon begins with.
func NewStatusBoard() *StatusBoard {
	now := time.Now()
	b := &StatusBoard{last: Changed(api.Change{To: "probing"}), watchers: make(map[*Watch]struct{})}
	b.Onlookers.come = make(chan struct{}, 1)
	b.status.State, b.status.Since, b.last.At = b.last.To, now, now
	b.status.Warnings = []api.Warning{}
	b.remember(b.last)
	return b
}

// Update changes the status in place. f must not keep its argument.
func (b *StatusBoard) Update(f func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.status)
}

// DeviceName is the device's name; "" while it is not known.
func (b *StatusBoard) DeviceName() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name := b.status.Identity.DeviceName; name != nil {
		return *name
	}
	return ""
}

// Status returns a copy. Values behind its pointers are never written to again.
func (b *StatusBoard) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// Emit tells every watcher of an event; At is set here when it is zero.
func (b *StatusBoard) Emit(e api.Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(e)
}

// tell is Emit with the lock held.
func (b *StatusBoard) tell(e api.Event) {
	if e.Type == api.StateEvent {
		b.last = e
	}
	b.remember(e)
	for w := range b.watchers {
		w.push(e)
	}
}

// remember keeps an event for who begins to watch.
func (b *StatusBoard) remember(e api.Event) {
	b.past.add(e, pastKept)
	if e.Type == api.StateEvent {
		b.timeline.change(e)
	}
}

// Past returns the events behind a number, oldest first, as far as they are
// remembered, and the number of the newest. Numbers count from 1; 0 asks for all.
func (b *StatusBoard) Past(seq uint64) (list []api.Event, last uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, last = b.past.after(seq)
	now := time.Now()
	for i := range list {
		list[i].At = byClock(list[i].At, now)
	}
	return list, last
}

// Timeline is what the last day looked like, oldest first, and how often that has
// changed.
func (b *StatusBoard) Timeline() (list []Span, changes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.timeline.spans(time.Now()), b.timeline.changes
}

// Watch opens a stream of events that begins with the present state. The caller
// owns it and must Close it.
func (b *StatusBoard) Watch() *Watch {
	w := &Watch{board: b, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers[w] = struct{}{}
	present := b.last
	present.At = byClock(present.At, time.Now())
	w.push(present)
	return w
}

// Watch is one watcher's bounded queue of events.
type Watch struct {
	board *StatusBoard
	wake  chan struct{}

	mu     sync.Mutex
	events []api.Event
	missed int
}

// Next returns the next event, waiting for one until ctx ends. Events that were
// dropped because the watcher was too slow are reported as a warning "gap".
func (w *Watch) Next(ctx context.Context) (api.Event, error) {
	for {
		if e, ok := w.pop(); ok {
			return e, nil
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return api.Event{}, context.Cause(ctx)
		}
	}
}

// Close ends the stream.
func (w *Watch) Close() {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	delete(w.board.watchers, w)
}

func (w *Watch) push(e api.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == watchEvents {
		w.events = w.events[1:]
		w.missed++
	}
	w.events = append(w.events, e)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Watch) pop() (api.Event, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missed > 0 {
		e := At(time.Now(), Warned("gap", fmt.Sprintf("%d events were missed: this reader was too slow", w.missed)))
		w.missed = 0
		return e, true
	}
	if len(w.events) == 0 {
		return api.Event{}, false
	}
	e := w.events[0]
	w.events = w.events[1:]
	return e, true
}
