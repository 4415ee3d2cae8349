package session

// Step is what next decides after the n-th failure of one cause in a row.
type Step struct{ Rung, Pace string }

var paceNames = [...]string{AtOnce: "at once", Brisk: "brisk", BackOff: "back-off", Slow: "slow"}

// usualState is where a cause shows as a rule; Attaching and Connecting do for all
// that can show anywhere.
var usualState = map[Cause]State{
	PortMissing: Probing, PortBusy: Probing, NoAnswer: Probing, FirmwareUnsupported: Probing, WriteBlocked: Online,
	OutOfSync: Online, Rebooted: Online, Closed: Online, Kicked: Online, Throttled: Online, PubAckTimeout: Online,
	SIMMissing: Attaching, NotRegistered: Attaching, BearerFailed: Attaching,
	RegistrationDisabled: Registering, AlreadyActivated: Registering, SignatureRefused: Registering, ProductUnknown: Registering,
	RequestRefused: Registering, StateUnwritable: Registering,
	HTTPFailed: Authenticating, CloudError: Authenticating,
}

// Decisions are the first n decisions on a cause, for a session that has worked
// before and has hard resets left, with a token that was just fetched.
func Decisions(c Cause, n int) []Step {
	from, known := usualState[c]
	if !known {
		from = Connecting
	}
	var steps []Step
	for i := range n {
		d := next(from, c, History{Attempt: i + 1, Climb: i + 1, Worked: true, FreshToken: true, Attached: true, ResetsLeft: 4})
		steps = append(steps, Step{d.Rung.String(), paceNames[d.Pace]})
	}
	return steps
}
