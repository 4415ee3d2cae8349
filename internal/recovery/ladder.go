package recovery

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

// Rungs lists every rung but NoRung, for closed sets of labels.
func Rungs() []Rung {
	return []Rung{ResyncRung, SessionRung, BearerRung, RadioRung, ResetRung, ReopenRung, ExitRung}
}

// Pace is how long to wait before the next attempt.
type Pace int

// The paces.
const (
	AtOnce  Pace = iota // no wait: a first try that costs the cloud nothing
	Brisk               // full jitter up to a few seconds: local trouble that may end at any moment
	BackOff             // full jitter, doubling up to backoff_max
	Slow                // half to full backoff_max: only a person can end it
)

func (p Pace) String() string { return [...]string{"at once", "brisk", "back-off", "slow"}[p] }

// ladder names the rung for each failure in a row; the last one repeats. Hysteresis is
// written out: a rung stands as often as it is to be tried before the next one. Faults
// of configuration, credentials or the cloud climb none: no reset of a module ever
// mended a wrong secret.
type ladder []Rung

// rung is the one for the n-th failure in a row; a cause that is not of the set climbs
// none.
func (l ladder) rung(n int) Rung {
	if len(l) == 0 {
		return NoRung
	}
	return l[min(max(n, 1), len(l))-1]
}

// pacing is how long to wait, by what was before.
type pacing func(History) Pace

// after is the pace; a cause that is not of the set is backed off from.
func (p pacing) after(h History) Pace {
	if p == nil {
		return BackOff
	}
	return p(h)
}

func always(p Pace) pacing { return func(History) Pace { return p } }

// firstAtOnce is for what may be over at once when it is the first failure.
func firstAtOnce(h History) Pace {
	if h.Attempt <= 1 {
		return AtOnce
	}
	return BackOff
}

// brownOuts is how many restarts of the module in a row are taken for those of a
// supply that is coming up. Many more would each cost the cloud a login.
const brownOuts = 10

// brownOut is for a module that restarts by itself, perhaps again and again while its
// supply is coming up.
func brownOut(h History) Pace {
	switch {
	case h.Attempt <= 1:
		return AtOnce
	case h.Climb <= brownOuts:
		return Brisk
	}
	return BackOff
}

// refusedLogin is for a login that the server refuses: one that has worked may be
// refused by a server that is being moved, too.
func refusedLogin(h History) Pace {
	if h.Worked && h.Climb <= 1 {
		return BackOff
	}
	return Slow
}
