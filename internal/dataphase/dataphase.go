// Package dataphase remembers, over the end of a port and of a process, that the
// module may be in a data phase.
//
// A module whose data phase went wrong takes whatever is written next for payload: an
// AT of the next attempt would be published to the cloud. The engine waits that out
// before it resyncs. A [Record] carries the wait over to the next engine, when the
// port is opened anew, and to the next process, by a file in the state directory. A
// process that is killed in a data phase has no moment to write it, so it is written
// before the phase begins.
//
// It never talks to the module, and never waits.
package dataphase

import (
	"time"

	"airbridged/internal/atengine"
	"airbridged/internal/durable"
)

// file is what carries the wait over to the next process.
const file = "line.json"

const (
	// unheard is added because nobody listens meanwhile: a prompt that comes late
	// begins the module's data phase only then.
	unheard = atengine.DefaultDataPhase
	// most bounds what is believed of the file, whatever the clock did.
	most = atengine.DefaultDataPhase + unheard
	// ahead is how far ahead a data phase is booked, so that a program that sends one
	// after the other costs one small write in 20 s.
	ahead = most + 20*time.Second
)

type record struct {
	Until time.Time `json:"deaf_until"`
}

// Record knows until when nothing may be written to the module. It belongs to one
// goroutine.
type Record struct {
	note  durable.Note[record]
	until time.Time // nothing may be written before
	kept  time.Time // up to when the file says so; zero: there is none
}

// Open reads what the last process left in its state directory. A time too far ahead
// was written by another clock, and counts as the most there can be; a file that
// cannot be read is as good as none.
func Open(state durable.Directory, now time.Time) *Record {
	r := &Record{note: durable.NewNote[record](state, file)}
	if kept, err := r.note.Load(); err == nil && kept.Until.After(now) {
		r.until = now.Add(min(kept.Until.Sub(now), most))
	}
	return r
}

// Left is for how long nothing may be written to the module yet, because it would be
// published; 0 or less: it listens.
func (r *Record) Left(now time.Time) time.Duration { return r.until.Sub(now) }

// Begins records, before a data phase begins, that one may be open should this process
// not live to see its end. A request to the cloud need not be recorded: what is
// written into its data is never sent. An error means that a process that is started
// within 40 s may publish a stray AT.
func (r *Record) Begins(now time.Time) error {
	if !r.kept.Before(now.Add(most)) {
		return nil
	}
	return r.keep(now.Add(ahead))
}

// Closed records that the port was closed while the module may be deaf for d, and then
// some, or, for d = 0, while it listened. Errors are as for Begins.
func (r *Record) Closed(d time.Duration, now time.Time) error {
	switch {
	case d > 0:
		r.until = now.Add(d + unheard)
		return r.keep(r.until)
	case !r.kept.IsZero() && now.After(r.until):
		r.kept = time.Time{}
		_ = r.note.Remove() // one that stays only makes the next process wait
	}
	return nil
}

func (r *Record) keep(until time.Time) error {
	r.kept = until
	return r.note.Save(record{until.Round(0)})
}
