package session

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// A cloud may end the connection over one filter, or over one message (one user report
// has it do so for a topic that is not the device's). Asked again in each session, that
// one would keep the whole gateway offline. So what the cloud was asked for right
// before it closed is under suspicion; what is, waits in the next session until that
// has shown that it lives without it, and is then tried alone; and over what three
// sessions in a row ended so, the gateway goes on without it.

const (
	// rightBehind is how soon after a request the end of the session counts as its
	// doing, and how long a session has to live to show that it was not.
	rightBehind = 3 * time.Second
	// trials is how many sessions in a row may end right behind one filter, or one
	// message to a topic that is not the device's.
	trials = 3
	// suspectsMost bounds how many are remembered.
	suspectsMost = 64
	// A filter is asked for again after so long; a message to the device's own topic,
	// which is never set aside, waits a minute after the third time, and each time
	// twice as long, up to that.
	asideFor = time.Hour
)

// suspects books what the cloud was asked for, and which sessions ended over it.
type suspects struct {
	recent []trial
	ended  map[string]verdict
}

// trial is one request in this session that is not known to be harmless.
type trial struct {
	what string
	done time.Time // when the cloud answered it; zero: not yet
}

// verdict is how many sessions in a row ended right behind a request, and when the
// last of them did.
type verdict struct {
	n  int
	at time.Time
}

func newSuspects() suspects { return suspects{ended: make(map[string]verdict)} }

func theFilter(topic string) string      { return "filter " + topic }
func theMessage(m outbox.Message) string { return "message " + m.ID }

// newSession says that nothing was asked for yet.
func (s *suspects) newSession() { s.recent = nil }

// asked says that the cloud is about to be asked for something.
func (s *suspects) asked(what string) {
	s.harmless(what, false)
	s.recent = append(s.recent, trial{what: what})
}

// answered says that the cloud has answered, which is no sign yet that it is content.
func (s *suspects) answered(what string, now time.Time) {
	for i := range s.recent {
		if s.recent[i].what == what {
			s.recent[i].done = now
		}
	}
}

// harmless ends a trial; cleared says that it ended well.
func (s *suspects) harmless(what string, cleared bool) {
	kept := s.recent[:0]
	for _, t := range s.recent {
		if t.what != what {
			kept = append(kept, t)
		}
	}
	s.recent = kept
	if cleared {
		delete(s.ended, what)
	}
}

// alive says that the session has just shown a sign of life: what was answered a while
// ago was harmless.
func (s *suspects) alive(now time.Time) {
	for _, t := range append([]trial(nil), s.recent...) {
		if !t.done.IsZero() && now.Sub(t.done) >= rightBehind {
			s.harmless(t.what, true)
		}
	}
}

// near says whether the end of the session came right behind a request; told says that
// the module told of it at once, and did not have to be asked.
func (s *suspects) near(now time.Time, told bool) bool { return len(s.behind(now, told)) > 0 }

func (s *suspects) behind(now time.Time, told bool) (list []string) {
	for _, t := range s.recent {
		if !told || t.done.IsZero() || now.Sub(t.done) < rightBehind {
			list = append(list, t.what)
		}
	}
	return list
}

// sessionEnded books the end of a session against what it came right behind. One
// request alone is counted each time, several together are no more than suspects.
func (s *suspects) sessionEnded(now time.Time, told bool) {
	behind := s.behind(now, told)
	for _, what := range behind {
		v, known := s.ended[what]
		if !known && len(s.ended) >= suspectsMost {
			continue
		}
		if v.n == 0 || len(behind) == 1 {
			v.n++
		}
		v.at = now
		s.ended[what] = v
	}
	s.recent = nil
}

// against is how many sessions in a row ended right behind a request.
func (s *suspects) against(what string) int { return s.ended[what].n }

// guilty are the filters over which enough sessions ended. They stay suspects: one
// more time is enough after that.
func (s *suspects) guilty() (filters []string) {
	for what, v := range s.ended {
		if filter, ok := strings.CutPrefix(what, theFilter("")); ok && v.n >= trials {
			filters = append(filters, filter)
			v.n = trials - 1
			s.ended[what] = v
		}
	}
	return filters
}

// waits is how long a message has to wait before it is tried: one to the device's own
// topic that has ended many sessions, longer and longer.
func (v verdict) waits(now time.Time) time.Duration {
	if v.n < trials {
		return 0
	}
	rest := time.Minute << min(v.n-trials, 6)
	return min(rest, asideFor) - now.Sub(v.at)
}

// proven says whether the session has shown that it lives without those under
// suspicion.
func (s *Session) proven(now time.Time) bool {
	return now.Sub(s.link.since) >= rightBehind && !s.suspects.near(now, true)
}

// passedOver takes a message back over which sessions ended, while it is not its time;
// the others go first. That breaks the order of a program's messages, so one session
// is not enough for it, and for what goes to the device's own topic not even two.
func (s *Session) passedOver(m outbox.Message) bool {
	patience := trials - 1
	if s.device.owns(m.Topic) {
		patience = trials
	}
	if s.suspects.against(theMessage(m)) < patience {
		return false
	}
	now := time.Now()
	wait := s.suspects.ended[theMessage(m)].waits(now)
	if !s.proven(now) {
		wait = max(wait, rightBehind)
	}
	if wait <= 0 {
		return false
	}
	s.postpone(m, wait)
	return true
}

func (s *Session) postpone(m outbox.Message, wait time.Duration) {
	if err := s.up.queue.Postpone(m.ID, wait); err != nil {
		s.putBack(m)
	}
}

// setAsideOver books that the session was closed, and sets the message aside over which
// that happened too often. What goes to the device's own topics never is.
func (s *Session) setAsideOver(p publication, why error) bool {
	if !s.closedByCloud(why) || !p.single() || s.suspects.against(p.suspect()) < trials || s.device.owns(p.topic) {
		return false
	}
	s.reject(p.first(), "the cloud closes the connection each time it is sent: its topic is not this device's")
	return true
}

// closedByCloud books a session that the cloud closed, once, and says whether it did.
func (s *Session) closedByCloud(why error) bool {
	var f *recovery.Failure
	if !errors.As(why, &f) || f.Cause != recovery.Closed {
		return false
	}
	s.suspects.sessionEnded(time.Now(), !errors.Is(why, errSilentlyGone))
	for _, filter := range s.suspects.guilty() {
		reason := fmt.Sprintf("the cloud closed the connection right behind this subscription, %d sessions in a row", trials)
		s.filters.hub.SetAside(filter, reason, asideFor)
		s.show.filterRefused(filter, reason)
	}
	return true
}
