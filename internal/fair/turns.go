package fair

import (
	"context"
	"sync"
)

// Turns lets a few work at the same time. Who has to wait is served by user: the
// users take turns, and each one's own wait in the order in which they came. So
// a user with a thousand requests keeps another one waiting for one of them at
// most.
type Turns[K comparable] struct {
	mu    sync.Mutex
	free  int
	queue map[K][]chan struct{} // who waits, by user
	order []K                   // users with somebody waiting, the next one first
}

// NewTurns returns one that lets most (at least 1) work at once.
func NewTurns[K comparable](most int) *Turns[K] {
	return &Turns[K]{free: max(1, most), queue: make(map[K][]chan struct{})}
}

// Take waits for a turn, and returns ctx's error where that ends before. Each
// turn must be given back with Give.
func (t *Turns[K]) Take(ctx context.Context, user K) error {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{}, 1)
	if len(t.queue[user]) == 0 {
		t.order = append(t.order, user)
	}
	t.queue[user] = append(t.queue[user], mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		if !t.forget(user, mine) {
			t.Give() // it came in the same moment
		}
		return context.Cause(ctx)
	}
}

// Give ends a turn; the next one begins.
func (t *Turns[K]) Give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	user := t.order[0]
	t.order = t.order[1:]
	waiting := t.queue[user]
	waiting[0] <- struct{}{} // it has room for one, and gets no other
	if len(waiting) == 1 {
		delete(t.queue, user)
		return
	}
	t.queue[user] = waiting[1:]
	t.order = append(t.order, user)
}

// Waiting returns how many wait for a turn.
func (t *Turns[K]) Waiting() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.queue {
		n += len(w)
	}
	return n
}

// forget takes somebody out of the queue; false where the turn has come already.
func (t *Turns[K]) forget(user K, mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.queue[user]
	for i, w := range waiting {
		if w != mine {
			continue
		}
		t.queue[user] = append(waiting[:i:i], waiting[i+1:]...)
		if len(t.queue[user]) == 0 {
			delete(t.queue, user)
			for j, u := range t.order {
				if u == user {
					t.order = append(t.order[:j:j], t.order[j+1:]...)
					break
				}
			}
		}
		return true
	}
	return false
}
