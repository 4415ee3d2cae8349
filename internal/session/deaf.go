package session

import (
	"context"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/atengine"
	"airbridged/internal/durable"
)

// A module whose data phase went wrong takes whatever is written next for
// payload: an AT of the next attempt would be published to the cloud. The engine
// waits that out before it resyncs. This file carries the wait over to the next
// engine, when the port is opened anew, and to the next process, by a file in
// the state directory. A process that is killed in a data phase has no moment to
// write it, so it is written before the phase begins.

// deafFile is that file. unheard is added because nobody listens meanwhile: a
// prompt that comes late begins the module's data phase only then. deafMost bounds
// what is believed of the file, whatever the clock did. deafAhead is how far ahead
// a data phase is booked, so that a program that sends one after the other costs
// one small write in 20 s.
const (
	deafFile  = "line.json"
	unheard   = atengine.DefaultDataPhase
	deafMost  = atengine.DefaultDataPhase + unheard
	deafAhead = deafMost + 20*time.Second
)

type deafRecord struct {
	Until time.Time `json:"deaf_until"`
}

func deafNote(state durable.Directory) durable.Note[deafRecord] {
	return durable.NewNote[deafRecord](state, deafFile)
}

// bookDataPhase records, before a data phase begins, that one may be open should
// this process not live to see its end. A request to the cloud is not booked: what
// is written into its data is never sent.
func (s *Session) bookDataPhase() {
	if now := time.Now(); s.deafTold.Before(now.Add(deafMost)) {
		s.tellDeaf(now.Add(deafAhead))
	}
}

// stayDeaf records that nothing may be written for d, and then some, now that the
// port is closed; or, for d = 0, that the module listens.
func (s *Session) stayDeaf(d time.Duration) {
	now := time.Now()
	switch {
	case d > 0:
		s.deafUntil = now.Add(d + unheard)
		s.tellDeaf(s.deafUntil)
	case !s.deafTold.IsZero() && now.After(s.deafUntil):
		s.deafTold = time.Time{}
		if err := deafNote(s.State).Remove(); err != nil {
			s.Log.Debug("the record of a data phase could not be removed", zap.Error(err))
		}
	}
}

func (s *Session) tellDeaf(until time.Time) {
	s.deafTold = until
	if err := deafNote(s.State).Save(deafRecord{until.Round(0)}); err != nil {
		s.Log.Warn("an open data phase could not be recorded; a restart within 40 s may publish a stray AT", zap.Error(err))
	}
}

// waitOutDeaf returns when the module listens to commands again.
func (s *Session) waitOutDeaf(ctx context.Context) error {
	left := time.Until(s.deafUntil)
	if left <= 0 {
		return nil
	}
	s.Log.Debug("waiting for an open data phase to end", zap.Duration("wait", left))
	return s.pause(ctx, left)
}

// DeafUntil tells, by what a daemon left in its state directory, until when
// nothing may be written to the module, because it would be published. It is zero
// for now and before.
func DeafUntil(dir string) time.Time { return readDeaf(durable.OnDisk(dir), time.Now()) }

// readDeaf returns until when the last process knew the module to be deaf. A
// time too far ahead was written by another clock, and counts as the most there
// can be.
func readDeaf(state durable.Directory, now time.Time) time.Time {
	r, err := deafNote(state).Load()
	if err != nil || !r.Until.After(now) {
		return time.Time{}
	}
	return now.Add(min(r.Until.Sub(now), deafMost))
}
