package recovery

// State is where the session's procedure stands.
type State string

// The states, in the order in which a start goes through them.
const (
	Probing        State = "probing"        // open the port, train the baud rate, identify
	Attaching      State = "attaching"      // SIM, signal, attach, bearer
	Registering    State = "registering"    // dynamic registration; only without a stored DeviceSecret
	Authenticating State = "authenticating" // HTTPS authentication; only in that mode, only without a usable token
	Connecting     State = "connecting"     // MCONFIG, SSLMIPSTART, MCONNECT, MSUB
	Online         State = "online"         // messages move
	Recovering     State = "recovering"     // a rung of the ladder, then a wait
	Stopping       State = "stopping"       // asked to stop: leave in good order
)

// States lists every state, for closed sets of labels.
func States() []State {
	return []State{Probing, Attaching, Registering, Authenticating, Connecting, Online, Recovering, Stopping}
}
