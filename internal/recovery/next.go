package recovery

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// briskMax caps the wait for things that cost neither radio nor cloud, such as
// a serial device that is not there yet.
const briskMax = 5 * time.Second

// comings is how often in a row a lost network is waited for without backing off.
const comings = 3

// History is what Next needs to know of the past.
type History struct {
	Attempt    int  // failures since the session was last online for stable_after, this one included
	Climb      int  // failures of this cause since then or since the last reset, this one included
	Worked     bool // the session has been online since the daemon started
	FreshToken bool // the token in use was fetched for this very attempt, or there is none to fetch
	Attached   bool // the bearer was up when it failed
	ResetsLeft int  // hard resets left in this hour
	SIMWorked  bool // a SIM was ready since the daemon started
	SIMLocked  bool // the SIM, or the module, wants a code that only a person has

	Lasting time.Duration // since the first of the failures that Climb counts
	Dark    time.Duration // since the session was last online, or the daemon started
	Silent  time.Duration // since the module was last heard or reset, or the daemon started
	Boot    time.Duration // how long it may be silent before it is reset; 0: as long as any boot may take
}

// Decision is what to do after a failure.
type Decision struct {
	Rung   Rung
	Resume State
	Pace   Pace
}

// Next decides what to do after a failure. It is a pure function; the table in
// next_test.go is its documentation.
func Next(from State, c Cause, h History) Decision {
	d := Decision{Rung: rung(from, c, h), Pace: rows[c].pace.after(h)}
	d.Resume = resume(from, d.Rung, h)
	switch {
	case c == ConnAckRefused && !h.FreshToken:
		// A cached token may have been withdrawn: fetch one anew and try once.
		return Decision{Rung: SessionRung, Resume: Authenticating, Pace: AtOnce}
	case (c == NotRegistered || c == NetworkDenied) && from != Attaching:
		// The network may take the module back by itself: attaching gives it its time
		// before the radio is touched. One that keeps coming and going has to wait.
		d = Decision{Rung: NoRung, Resume: Attaching, Pace: BackOff}
		if h.Climb <= comings {
			d.Pace = Brisk
		}
		return d
	case c.Watch() != WatchNothing && d.Resume == Probing:
		d.Pace = Brisk // with the port closed nobody can see what is missing come back
	}
	return d
}

// exitAfter is how long a module must have been out of reach before a new
// process is tried for it: long enough that a gateway whose module is dead does
// not lose its local connections more than a few times a day.
const exitAfter = 6 * time.Hour

// cardResetAfter is for how long a card that has worked in this run may be unreadable,
// with the radio switched off and on again and again, before the module is reset for it.
const cardResetAfter = time.Hour

// rung looks the ladder up, and holds back what a wrong configuration would
// look like: until the session has worked once, a bearer or a connection that
// fails is more likely a typing error than a wedge, and a reset would not help.
func rung(from State, c Cause, h History) Rung {
	r := rows[c].ladder.rung(h.Climb)
	switch {
	case c == SIMMissing && h.SIMLocked:
		return NoRung // a code is missing, and a card that starts anew asks for it again
	case c == SIMMissing && h.SIMWorked && h.Lasting >= cardResetAfter:
		r = ResetRung
	case c == SIMMissing && h.SIMWorked && from == Attaching:
		r = RadioRung // it was asked for again and again meanwhile
	case (c == NoAnswer || c == ModuleOff) && h.Silent >= cmp.Or(h.Boot, bootMost):
		r = ResetRung
	}
	if r != ResetRung {
		return r
	}
	switch {
	case !c.Mute() && !h.Worked && !(c == SIMMissing && h.SIMWorked):
		return RadioRung
	case h.ResetsLeft > 0:
		return ResetRung
	case !c.Mute():
		return RadioRung // a module that talks is asked meanwhile whether its network has come, see Watch
	case h.Dark >= exitAfter:
		return ExitRung
	}
	return ReopenRung
}

// resume names the state to go on in: the first one whose work the rung undid,
// and never later than the state that failed.
func resume(from State, r Rung, h History) State {
	switch r {
	case ResetRung, ReopenRung, ExitRung:
		return Probing
	case RadioRung, BearerRung:
		return Attaching
	case SessionRung:
		return Connecting
	}
	switch from {
	case Probing, Attaching, Registering, Authenticating, Connecting:
		return from
	}
	if h.Attached {
		return Connecting
	}
	return Attaching
}

// Wait turns a pace into a time: full jitter between least and a cap that
// doubles with each failure of its pace, so that a thousand gateways that lost the cloud in
// the same second do not come back in the same second.
func Wait(p Pace, attempt int, least, most time.Duration, random *rand.Rand) time.Duration {
	switch p {
	case AtOnce:
		return 0
	case Brisk:
		return Between(min(least, briskMax), min(briskMax, double(least, attempt, most)), random)
	case Slow:
		return Between(most/2, most, random)
	}
	return Between(least, double(least, attempt, most), random)
}

// double returns least x 2^attempt, capped at most.
func double(least time.Duration, attempt int, most time.Duration) time.Duration {
	limit := least
	for range max(attempt, 1) {
		if limit >= most/2 {
			return most
		}
		limit *= 2
	}
	return limit
}

// Between draws a time from a to b, both included; a where b is not longer.
func Between(a, b time.Duration, random *rand.Rand) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(random.Int64N(int64(b-a)+1))
}
