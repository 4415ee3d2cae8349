package outbox

import (
	"context"
	"fmt"
)

// Appending is a message on its way into the queue, see [Queue.Begin].
type Appending struct {
	request
}

// Begin is Append for a caller that has more to hand over meanwhile: it returns at
// once, and Done tells when the message is kept or not. Messages are kept in the
// order of their Begins.
//
// after, if not nil, is a message that this one must not overtake: should that
// one fail, this one fails too, with the same error. It makes one program's order
// survive a disk that fails for a moment.
//
// The payload is copied when it is written: it must not change before Done, and
// of a message in memory it is copied at once.
//
// Errors are those of Append that can be told at once; all others come with
// Result. A Key is not possible.
func (q *Queue) Begin(m Message, after *Appending) (*Appending, error) {
	if q.log == nil || m.QoS != 1 {
		m, err := q.Append(context.Background(), m)
		if err != nil {
			return nil, err
		}
		a := &Appending{request{m: m, done: make(chan struct{})}}
		close(a.done)
		return a, nil
	}
	if m.Key != "" {
		return nil, &Error{Op: "append", Err: fmt.Errorf("%w: a key without Append", ErrInvalid)}
	}
	if err := invalid(&m); err != nil {
		return nil, err
	}
	a := &Appending{request{m: m, done: make(chan struct{})}}
	if after != nil {
		a.after = &after.request
	}
	return a, q.begin(&a.request)
}

// Done is closed when Result is known.
func (a *Appending) Done() <-chan struct{} { return a.done }

// Result waits for Done, and returns what Append would have.
func (a *Appending) Result() (Message, error) {
	<-a.done
	return a.m, a.err
}

// overtaking fails the messages at the front that would overtake one that failed
// before them; under the lock.
func (q *Queue) overtaking() {
	l := q.log
	for len(l.pending) > 0 {
		r := l.pending[0]
		if r.after == nil || r.after.err == nil {
			return
		}
		l.drop(0)
		r.m, r.err, r.after = Message{}, r.after.err, nil
		close(r.done)
	}
}
