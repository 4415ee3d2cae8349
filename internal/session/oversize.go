package session

import (
	"errors"
	"fmt"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
)

// How long a payload a module takes is not known of every firmware. Where the limit is
// only assumed, a longer message is tried, and what becomes of it is learned from: from
// the number of a command that the module could not read, at once; from ERROR, which
// proves nothing, when a message of that length was refused in two sessions, and in the
// second of them a shorter one had passed. A message within the assumed limit teaches
// nothing, nor does an answer that is in doubt.

// oversize books what the module did with messages over the assumed limit.
type oversize struct {
	passed  bool // a message was acknowledged in this session
	counted bool // one over the limit was refused in this session
	size    int  // of the one that was refused last, in bytes on the wire
	times   int  // in how many sessions in a row
}

// oversizeSessions is in how many sessions ERROR has to be the answer.
const oversizeSessions = 2

// newSession says that a new session begins.
func (o *oversize) newSession() { o.passed, o.counted = false, false }

// refusedAgain counts a refusal that proves nothing, and says whether there were
// enough.
func (o *oversize) refusedAgain(size int) bool {
	if o.size != size {
		o.size, o.times = size, 0
	}
	if !o.counted {
		o.times++
		o.counted = true
	}
	return o.times >= oversizeSessions && o.passed
}

// carries settles what may be given to the module.
func (s *Session) carries(caps air.Capabilities) {
	s.caps = caps
	s.port.modem.SetCapabilities(caps)
}

// tooLong says whether a refusal was about the length of a message, which is set aside
// then. Other numbers than that of a command which could not be read say something else.
func (s *Session) tooLong(p publication, err error) bool {
	var refused *atengine.Error
	size, over := s.caps.Wire(p.payload)
	switch {
	case !over, !p.single(), errors.Is(err, air.ErrDoubtful), !errors.As(err, &refused):
		return false
	case errors.Is(err, air.ErrNotSent):
	case refused.Code != atengine.PlainError, !s.up.oversize.refusedAgain(size):
		return false
	}
	s.up.oversize.size, s.up.oversize.times = 0, 0
	s.carries(s.o.Limits.Learn(size))
	s.show.warn("payload-limit-learned", fmt.Sprintf("%s refuses a payload of %d bytes on the wire: from now on such messages are refused; modem.max_payload sets another limit", s.caps.Firmware, size))
	reason := "the module refuses its length"
	if err := s.caps.Check(p.payload); err != nil {
		reason = err.Error()
	}
	s.reject(p.first(), reason)
	return true
}

// afterOthers says whether a payload that was refused for what may be its length waits
// until a shorter one had the time to pass in this session.
func (s *Session) afterOthers(payload []byte) bool {
	o := &s.up.oversize
	size, over := s.caps.Wire(payload)
	return over && o.times > 0 && size == o.size && !o.passed && time.Since(s.link.since) < rightBehind
}

// carried takes in that a publication passed.
func (s *Session) carried(p publication) {
	o := &s.up.oversize
	o.passed = true
	if size, over := s.caps.Wire(p.payload); over && size >= o.size {
		o.size, o.times = 0, 0
	}
}
