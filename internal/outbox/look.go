package outbox

import (
	"context"
	"time"
)

// Get returns a message as it stands, or its final state if that is among the
// last 10,000. Error: ErrUnknown.
func (q *Queue) Get(id string) (Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	m, ok := q.find(id)
	if !ok {
		return Message{}, &Error{Op: "get", ID: id, Err: ErrUnknown, Hint: hintUnknown}
	}
	return m, nil
}

func (q *Queue) find(id string) (Message, bool) {
	if e := q.live[id]; e != nil {
		return e.m, true
	}
	return q.history.get(id)
}

// Wait returns a message once its state is final. When ctx is done before, it
// returns the message as it stands and ctx's error. Error: ErrUnknown.
func (q *Queue) Wait(ctx context.Context, id string) (Message, error) {
	for {
		m, e, expiry, err := q.watch(id)
		if err != nil || e == nil {
			return m, err
		}
		select {
		case <-e.done:
			return e.m, nil // final: nobody writes it any more
		case <-expiry: // perhaps nobody else looks at the queue: watch sweeps it
		case <-ctx.Done():
			m, e, _, err := q.watch(id)
			if err == nil && e != nil {
				err = ctx.Err()
			}
			return m, err
		}
	}
}

// watch returns a message and, unless it is final, its entry with a channel
// that is closed then, and a timer for its expiry.
func (q *Queue) watch(id string) (Message, *entry, <-chan time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	e := q.live[id]
	if e == nil {
		m, ok := q.history.get(id)
		if !ok {
			return m, nil, nil, &Error{Op: "wait", ID: id, Err: ErrUnknown, Hint: hintUnknown}
		}
		return m, nil, nil, nil
	}
	if e.done == nil {
		e.done = make(chan struct{})
	}
	var expiry <-chan time.Time
	if e.due != notDue {
		expiry = time.After(time.Until(e.m.ExpiresAt))
	}
	return e.m, e, expiry, nil
}

// List returns up to limit live messages in the order of acceptance, those
// behind the id after ("" for the first page; it need not exist any more), and
// how many live messages there are in all. No limit, no page.
func (q *Queue) List(after string, limit int) (page []Message, total int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	kept, held := q.behind(&q.kept.byAge, after), q.behind(&q.held.byAge, after)
	for len(page) < limit && (kept != nil || held != nil) {
		if held == nil || kept != nil && kept.m.ID < held.m.ID {
			page = append(page, kept.m)
			kept = q.kept.byAge.after(kept)
		} else {
			page = append(page, held.m)
			held = q.held.byAge.after(held)
		}
	}
	return page, len(q.live)
}

// behind returns the first entry of a population with a greater id.
func (q *Queue) behind(c *chain, id string) *entry {
	if e := q.live[id]; e != nil && &q.storeOf(&e.m).byAge == c {
		return c.after(e)
	}
	e := c.head
	for e != nil && e.m.ID <= id {
		e = c.after(e)
	}
	return e
}

// Drop removes a message on the operator's order. Errors: ErrInFlight (ask
// again in a moment), ErrFinal, ErrUnknown.
func (q *Queue) Drop(id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	e := q.live[id]
	if e == nil {
		if _, ok := q.history.get(id); ok {
			return &Error{Op: "drop", ID: id, Err: ErrFinal}
		}
		return &Error{Op: "drop", ID: id, Err: ErrUnknown, Hint: hintUnknown}
	}
	if e == q.flight {
		return &Error{Op: "drop", ID: id, Err: ErrInFlight, Hint: "it can not be called back; try again when its outcome is known"}
	}
	q.finish(e, drop, ReasonRemoved, ReasonRemoved)
	return nil
}

// DropTopic removes every message whose topic the filter picks, except the one
// in flight, and returns how many. A message accepted meanwhile may stay.
func (q *Queue) DropTopic(filter func(topic string) bool) int {
	var picked []string
	for _, topic := range q.topicNames() {
		if filter(topic) { // the caller's code: not under the lock
			picked = append(picked, topic)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	n := 0
	for _, name := range picked {
		topic := q.topics[name]
		if topic == nil {
			continue
		}
		for e := topic.head; e != nil; {
			next := topic.after(e)
			if e != q.flight {
				q.finish(e, drop, ReasonRemoved, ReasonRemoved)
				n++
			}
			e = next
		}
	}
	return n
}

func (q *Queue) topicNames() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	names := make([]string, 0, len(q.topics))
	for name := range q.topics {
		names = append(names, name)
	}
	return names
}
