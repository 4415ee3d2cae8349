package session

import (
	"math/rand/v2"
	"time"
)

// Rung is how deep recovery cuts. Each rung tears down what the ones above it
// left behind.
type Rung int

// The rungs of recovery.
const (
	NoRung      Rung = iota // nothing to tear down: wait and try again
	ResyncRung              // bring the engine back in step
	SessionRung             // MQTT session: connecting begins with MDISCONNECT and MIPCLOSE
	BearerRung              // SAPBR=0,1 and CIPSHUT
	RadioRung               // CFUN 0 and 1
	ResetRung               // AT+RESET, then the configured reset command
	ReopenRung              // close the port and open it again
	ExitRung                // end the process; systemd starts it anew
)

var rungNames = [...]string{"none", "resync", "session", "bearer", "radio", "reset", "reopen", "exit"}

func (r Rung) String() string { return rungNames[r] }

// Pace is how long to wait before the next attempt.
type Pace int

// The paces.
const (
	AtOnce  Pace = iota // no wait: a first try that costs the cloud nothing
	Brisk               // full jitter up to a few seconds: local trouble that may end at any moment
	BackOff             // full jitter, doubling up to backoff_max
	Slow                // half to full backoff_max: only a person can end it
)

// briskMax caps the wait for things that cost neither radio nor cloud, such as
// a serial device that is not there yet.
const briskMax = 5 * time.Second

// brownOuts is how many restarts of the module in a row are taken for those of a
// supply that is coming up. Many more would each cost the cloud a login.
const brownOuts = 10

// comings is how often in a row a lost network is waited for without backing off.
const comings = 3

// History is what next needs to know of the past.
type History struct {
	Attempt    int  // failures since the session was last online for stable_after, this one included
	Climb      int  // failures of this cause since then or since the last reset, this one included
	Worked     bool // the session has been online since the daemon started
	FreshToken bool // the token in use was fetched for this very attempt, or there is none to fetch
	Attached   bool // the bearer was up when it failed
	ResetsLeft int  // hard resets left in this hour

	Dark   time.Duration // since the session was last online, or the daemon started
	Silent time.Duration // since the module was last heard or reset, or the daemon started
}

// Decision is what to do after a failure.
type Decision struct {
	Rung   Rung
	Resume State
	Pace   Pace
}

// ladders name the rung for each failure in a row; the last one repeats.
// Hysteresis is written out: a rung stands as often as it is to be tried before
// the next one.
var ladders = map[Cause][]Rung{
	NoAnswer:      {ReopenRung, ReopenRung, ReopenRung, ReopenRung, ResetRung},
	OutOfSync:     {ResyncRung, ResyncRung, ResetRung, ReopenRung},
	NotRegistered: {RadioRung, RadioRung, RadioRung, ResetRung},
	BearerFailed:  {BearerRung, BearerRung, RadioRung, RadioRung, ResetRung},
	HTTPFailed:    {NoRung, BearerRung, BearerRung, RadioRung, ResetRung},
	ConnectFailed: {SessionRung, SessionRung, BearerRung, BearerRung, RadioRung, ResetRung},
	SubAckTimeout: {SessionRung, SessionRung, BearerRung, RadioRung, ResetRung},
	PubAckTimeout: {SessionRung, SessionRung, BearerRung, RadioRung, ResetRung},
	Closed:        {SessionRung, SessionRung, SessionRung, BearerRung, BearerRung, RadioRung, ResetRung},
	Throttled:     {SessionRung},
	Rebooted:      {ReopenRung},
	PortMissing:   {ReopenRung},
	PortBusy:      {ReopenRung},
	WriteBlocked:  {ReopenRung, ReopenRung, ExitRung},
	// All others are faults of configuration, credentials or the cloud. They
	// climb no rung: no reset of a module ever mended a wrong secret.
}

// next decides what to do after a failure. It is a pure function; the table in
// next_test.go is its documentation.
func next(from State, c Cause, h History) Decision {
	d := Decision{Rung: rung(c, h), Pace: pace(c, h)}
	d.Resume = resume(from, d.Rung, h)
	switch {
	case c == ConnAckRefused && !h.FreshToken:
		// A cached token may have been withdrawn: fetch one anew and try once.
		return Decision{Rung: SessionRung, Resume: Authenticating, Pace: AtOnce}
	case c == NotRegistered && from != Attaching:
		// The network may take the module back by itself: attaching gives it its time
		// before the radio is touched. One that keeps coming and going has to wait.
		d = Decision{Rung: NoRung, Resume: Attaching, Pace: BackOff}
		if h.Climb <= comings {
			d.Pace = Brisk
		}
		return d
	case c == NotRegistered && d.Resume == Probing:
		d.Pace = Brisk // with the port closed nobody can see the network come back
	}
	return d
}

// bootMost is how long a module may take to answer AT after power-on before it is
// to be reset (hardware guide of the family). One that fell silent while the daemon
// had other things to do has had a part of that already.
const bootMost = 90 * time.Second

// exitAfter is how long a module must have been out of reach before a new
// process is tried for it: long enough that a gateway whose module is dead does
// not lose its local connections more than a few times a day.
const exitAfter = 6 * time.Hour

// rung looks the ladder up, and holds back what a wrong configuration would
// look like: until the session has worked once, a bearer or a connection that
// fails is more likely a typing error than a wedge, and a reset would not help.
func rung(c Cause, h History) Rung {
	ladder := ladders[c]
	if len(ladder) == 0 {
		return NoRung
	}
	r := ladder[min(max(h.Climb, 1), len(ladder))-1]
	if c == NoAnswer && h.Silent >= bootMost {
		r = ResetRung
	}
	if r != ResetRung {
		return r
	}
	switch {
	case !c.mute() && !h.Worked:
		return RadioRung
	case h.ResetsLeft > 0:
		return ResetRung
	case !c.mute():
		return RadioRung // a module that talks is asked meanwhile whether its network has come, see radio.go
	case h.Dark >= exitAfter:
		return ExitRung
	}
	return ReopenRung
}

// mute says whether a cause means that the module does not talk, which is never a
// matter of configuration.
func (c Cause) mute() bool { return c == NoAnswer || c == OutOfSync }

func pace(c Cause, h History) Pace {
	switch c {
	case ConnAckRefused:
		if h.Worked && h.Climb <= 1 {
			return BackOff // a server that is being moved refuses a good login, too
		}
		return Slow
	case FirmwareUnsupported, RegistrationDisabled, AlreadyActivated, SignatureRefused, ProductUnknown, RequestRefused, Kicked:
		return Slow
	case PortMissing, PortBusy, NoAnswer:
		return Brisk
	case OutOfSync:
		if h.Attempt <= 1 {
			return AtOnce
		}
	case Rebooted:
		switch {
		case h.Attempt <= 1:
			return AtOnce
		case h.Climb <= brownOuts:
			return Brisk
		}
	}
	return BackOff
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

// wait turns a pace into a time: full jitter between least and a cap that
// doubles with each failure of its pace, so that a thousand gateways that lost the cloud in
// the same second do not come back in the same second.
func wait(p Pace, attempt int, least, most time.Duration, random *rand.Rand) time.Duration {
	switch p {
	case AtOnce:
		return 0
	case Brisk:
		return between(min(least, briskMax), min(briskMax, double(least, attempt, most)), random)
	case Slow:
		return between(most/2, most, random)
	}
	return between(least, double(least, attempt, most), random)
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

func between(a, b time.Duration, random *rand.Rand) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(random.Int64N(int64(b-a)+1))
}
