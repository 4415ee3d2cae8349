package outbox

import (
	"context"
	"sort"
	"time"
)

// Get returns a message as it stands, or its final state if that is among the
// last 10,000 since the start. Nothing is read from the disk for it: of a message
// that is there the payload is nil. Error: ErrUnknown.
func (q *Queue) Get(id string) (Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	if r, s := q.lookUp(id); s != nil {
		return q.message(r.in, s), nil
	}
	if m, ok := q.history.get(id); ok {
		return m, nil
	}
	return Message{}, &Error{Op: "get", ID: id, Err: ErrUnknown, Hint: hintUnknown}
}

// Read is Get of a message that is there, with its payload from the disk.
// Errors: ErrUnknown, or what the file system says.
func (q *Queue) Read(id string) (Message, error) {
	m, where, err := q.find(id)
	if err != nil || where.segment == nil {
		return m, err
	}
	body, err := q.load(where)
	if err != nil {
		return m, &Error{Op: "read", ID: id, Err: err}
	}
	m.Payload, m.TTL = body.payload, body.ttl
	return m, nil
}

func (q *Queue) find(id string) (Message, place, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, s := q.lookUp(id)
	if s == nil {
		return Message{}, place{}, &Error{Op: "read", ID: id, Err: ErrUnknown, Hint: hintUnknown}
	}
	return q.message(r.in, s), q.place(r.in, s), nil
}

// Wait returns a message once its state is final. When ctx is done before, it
// returns the message as it stands, without its payload if that is on disk, and
// ctx's error. Error: ErrUnknown.
func (q *Queue) Wait(ctx context.Context, id string) (Message, error) {
	for {
		m, w, expiry, err := q.watch(id)
		if err != nil || w == nil {
			return m, err
		}
		select {
		case <-w.done:
			return w.m, nil
		case <-expiry: // perhaps nobody else looks at the queue: watch sweeps it
		case <-ctx.Done():
			m, w, _, err := q.watch(id)
			if err == nil && w != nil {
				err = ctx.Err()
			}
			return m, err
		}
	}
}

// watch returns a message and, unless it is final, what tells of that, and a
// timer for its expiry.
func (q *Queue) watch(id string) (Message, *waiter, <-chan time.Time, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	r, s := q.lookUp(id)
	if s == nil {
		m, ok := q.history.get(id)
		if !ok {
			return m, nil, nil, &Error{Op: "wait", ID: id, Err: ErrUnknown, Hint: hintUnknown}
		}
		return m, nil, nil, nil
	}
	w := q.waiters[r.seq]
	if w == nil {
		w = &waiter{done: make(chan struct{})}
		q.waiters[r.seq] = w
	}
	var expiry <-chan time.Time
	if s.heap != none {
		expiry = time.After(time.Until(q.clock.at(s.due)))
	}
	return q.message(r.in, s), w, expiry, nil
}

// List returns up to limit live messages in the order of acceptance, those
// behind the id after ("" for the first page; it need not exist any more), and
// how many live messages there are in all. No limit, no page. As with Get, nothing
// is read from the disk.
func (q *Queue) List(after string, limit int) (page []Message, total int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	return q.list(after, limit, nil), q.kept.n + q.held.n
}

// ListOf is List of the messages of one owner. It looks at no more than lookAtMost
// messages for a page; more says that there may be some behind the page, which then is
// to be asked for from last on.
func (q *Queue) ListOf(owner, after string, limit int) (page []Message, total int, last string, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	for _, in := range []*population{&q.kept, &q.held} {
		if o := in.owners.get(owner); o != nil {
			total += o.n
		}
	}
	if total == 0 {
		return nil, 0, after, false
	}
	looked := 0
	page = q.list(after, limit, func(in *population, s *slot) (is, goOn bool) {
		looked++
		last, more = q.id(in, s), looked == lookAtMost
		return in.owners.list[s.owner].name == owner, !more
	})
	return page, total, last, more || len(page) == limit
}

// lookAtMost bounds how many messages are looked at under the lock.
const lookAtMost = 4096

// list returns live messages in the order of acceptance. pick, if not nil, says of each
// whether it is wanted, and whether to go on.
func (q *Queue) list(after string, limit int, pick func(in *population, s *slot) (is, goOn bool)) (page []Message) {
	keptAt, kept := q.kept.next(q.behind(&q.kept, after))
	heldAt, held := q.held.next(q.behind(&q.held, after))
	for goOn := true; goOn && len(page) < limit && (kept != nil || held != nil); {
		in, s := &q.held, held
		if held == nil || kept != nil && kept.seq < held.seq {
			in, s = &q.kept, kept
			keptAt, kept = q.kept.next(keptAt + 1)
		} else {
			heldAt, held = q.held.next(heldAt + 1)
		}
		is := true
		if pick != nil {
			is, goOn = pick(in, s)
		}
		if is {
			page = append(page, q.message(in, s))
		}
	}
	return page
}

// behind returns the position of the first slot of a population with a greater
// id, dead or alive. Any text will do: ids are compared as texts.
func (q *Queue) behind(in *population, id string) uint32 {
	if id == "" {
		return in.first
	}
	if seq, ok := decodeID(id); ok { // no two live messages share a number
		return in.from(seq + 1)
	}
	n := sort.Search(int(in.end-in.first), func(i int) bool {
		return encodeID(in.slot(in.first+uint32(i)).seq, 0) > id
	})
	return in.first + uint32(n)
}

// Drop removes a message on the operator's order. Of a queue on disk it returns
// when that is durable. Errors: ErrInFlight (ask again in a moment), ErrFinal,
// ErrUnknown, or ErrDisk: it is removed, but may be back after a restart.
func (q *Queue) Drop(id string) error {
	if err := q.drop(id); err != nil {
		return err
	}
	if err := q.awaitFlush(); err != nil {
		return &Error{Op: "drop", ID: id, Err: err, Hint: hintDropped}
	}
	return nil
}

func (q *Queue) drop(id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	r, s := q.lookUp(id)
	if s == nil {
		if _, ok := q.history.get(id); ok {
			return &Error{Op: "drop", ID: id, Err: ErrFinal}
		}
		return &Error{Op: "drop", ID: id, Err: ErrUnknown, Hint: hintUnknown}
	}
	if q.flight.has(r) {
		return &Error{Op: "drop", ID: id, Err: ErrInFlight, Hint: "it can not be called back; try again when its outcome is known"}
	}
	q.finish(r, drop, ReasonRemoved, ReasonRemoved)
	return nil
}

// DropTopic removes every message whose topic the filter picks, except what is
// in flight, and returns how many. A message accepted meanwhile may stay. Of a
// queue on disk it returns when that is durable. Error: ErrDisk, as with Drop.
func (q *Queue) DropTopic(filter func(topic string) bool) (int, error) {
	return q.dropMatching(filter, func(string) bool { return true })
}

// DropTopicOf is DropTopic of the messages of one owner.
func (q *Queue) DropTopicOf(owner string, filter func(topic string) bool) (int, error) {
	return q.dropMatching(filter, func(name string) bool { return name == owner })
}

func (q *Queue) dropMatching(filter, whose func(string) bool) (int, error) {
	var picked []string
	for _, topic := range q.topicNames() {
		if filter(topic) { // the caller's code: not under the lock
			picked = append(picked, topic)
		}
	}
	n := q.dropTopics(picked, whose)
	if err := q.awaitFlush(); err != nil {
		return n, &Error{Op: "drop", Err: err, Hint: hintDropped}
	}
	return n, nil
}

func (q *Queue) dropTopics(names []string, whose func(string) bool) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sweep(time.Now())
	for _, name := range names {
		for _, in := range []*population{&q.kept, &q.held} {
			topic := in.topics.get(name)
			if topic == nil {
				continue
			}
			for pos := topic.head; pos != none; {
				s := in.slot(pos)
				pos = in.nextInTopic(s)
				if r := (ref{in, s.seq}); !q.flight.has(r) && whose(in.owners.list[s.owner].name) {
					q.finish(r, drop, ReasonRemoved, ReasonRemoved)
					n++
				}
			}
		}
	}
	return n
}

func (q *Queue) topicNames() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var names []string
	for _, in := range []*population{&q.kept, &q.held} {
		for name := range in.topics.byName {
			names = append(names, name)
		}
	}
	return names
}
