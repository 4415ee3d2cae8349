package simulation

import (
	"io"
	"time"

	"airbridged/internal/metrics"
	"airbridged/internal/outbox"
	"airbridged/internal/outbox/simdisk"
)

// serial is the port as long as the process lives.
type serial struct {
	io.ReadWriteCloser
	l *life
}

func (s *serial) Write(b []byte) (int, error) {
	if s.l.dead.Load() {
		return 0, simdisk.ErrDead
	}
	return s.ReadWriteCloser.Write(b)
}

// witnessed is the outbox as the session has it, with the referee looking on.
type witnessed struct{ l *life }

func (w witnessed) Ready() <-chan struct{} { return w.l.queue.Ready() }

func (w witnessed) Take() (outbox.Message, bool) {
	m, ok := w.l.queue.Take()
	if w.l.dead.Load() {
		return outbox.Message{}, false
	}
	if ok {
		w.l.g.referee.take(m)
	}
	return m, ok
}

func (w witnessed) Done(id string, s outbox.State, reason string) error {
	if w.l.dead.Load() {
		return simdisk.ErrDead
	}
	w.l.g.referee.done(id, s, reason)
	return w.l.queue.Done(id, s, reason)
}

func (w witnessed) TakeAlong() (outbox.Message, bool) {
	if w.l.dead.Load() {
		return outbox.Message{}, false
	}
	m, ok := w.l.queue.TakeAlong()
	if ok {
		w.l.g.referee.takeAlong(m)
	}
	return m, ok
}

func (w witnessed) DoneAll(ids []string, s outbox.State) error {
	if w.l.dead.Load() {
		return simdisk.ErrDead
	}
	for _, id := range ids {
		w.l.g.referee.done(id, s, "")
	}
	return w.l.queue.DoneAll(ids, s)
}

func (w witnessed) PutBack(id string) error {
	if w.l.dead.Load() {
		return simdisk.ErrDead
	}
	w.l.g.referee.putBack(id)
	return w.l.queue.PutBack(id)
}

func (w witnessed) Gather(until time.Time, more int) bool {
	if w.l.dead.Load() {
		return false
	}
	gathers := w.l.queue.Gather(until, more)
	if gathers {
		w.l.g.referee.gathers()
	}
	return gathers
}

func (w witnessed) Release(id string) error {
	if w.l.dead.Load() {
		return simdisk.ErrDead
	}
	w.l.g.referee.release(id)
	return w.l.queue.Release(id)
}

func (w witnessed) Postpone(id string, d time.Duration) error {
	if w.l.dead.Load() {
		return simdisk.ErrDead
	}
	w.l.g.referee.postponed(id)
	return w.l.queue.Postpone(id, d)
}

func (w witnessed) Device(here outbox.Device) { w.l.queue.Device(here) }

// recorder is the production metrics, with the referee looking on.
type recorder struct {
	*metrics.Metrics
	l *life
}

// ProgramBytes is for the month's account, which the simulation has none of.
func (r *recorder) ProgramBytes(uint8, int) {}

func (r *recorder) Transition(from, to, cause string) {
	if r.l.dead.Load() {
		return
	}
	r.l.g.referee.transition(from, to, cause)
	r.Metrics.Transition(from, to, cause)
}

func (r *recorder) Published(qos int, outcome string, since time.Duration) {
	if !r.l.dead.Load() {
		r.l.g.referee.outcome(outcome)
	}
	r.Metrics.Published(qos, outcome, since)
}

func (r *recorder) Recovery(rung, result string) {
	if !r.l.dead.Load() {
		r.l.g.referee.rung(rung)
	}
	r.Metrics.Recovery(rung, result)
}

// printer takes the log.
type printer referee

func (p *printer) Write(b []byte) (int, error) {
	(*referee)(p).printed("the log", b)
	return len(b), nil
}

func (p *printer) Sync() error { return nil }
