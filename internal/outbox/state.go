package outbox

import "errors"

// State is where a message stands. The values are those of the socket API.
type State string

// A QoS 1 message is Queued, InFlight and then one of Acked, Rejected, Expired,
// Dropped. A QoS 0 message is Held until it is Sent or Dropped. Either may be Foreign
// for a while instead of Queued or Held.
const (
	Queued   State = "queued"
	InFlight State = "inflight"
	Acked    State = "acked"
	Rejected State = "rejected" // set aside: the module can not carry it
	Expired  State = "expired"
	Dropped  State = "dropped"
	Held     State = "held"
	Foreign  State = "foreign" // another device's: held back, see [Queue.Device]
	Sent     State = "sent"
)

// Final says whether nothing can happen to a message any more.
func (s State) Final() bool {
	switch s {
	case Acked, Rejected, Expired, Dropped, Sent:
		return true
	}
	return false
}

// event is what can happen to a message.
type event uint8

const (
	take event = iota
	release
	ack    // the cloud has it
	send   // the module took it; more is never known of QoS 0
	reject // the module can not carry it
	expire
	drop
)

// moves is every transition there is. take, release, ack, send and reject
// presume in addition that the message is the one in flight (take: becomes it).
var moves = map[State]map[event]State{
	Queued:   {take: InFlight, expire: Expired, drop: Dropped},
	InFlight: {release: Queued, ack: Acked, reject: Rejected},
	Foreign:  {expire: Expired, drop: Dropped},
	Held:     {take: Held, release: Held, send: Sent, reject: Dropped, expire: Dropped, drop: Dropped},
}

// outcomes translates what Done may be told.
var outcomes = map[State]event{Acked: ack, Sent: send, Rejected: reject}

// Why a message was dropped, as Message.Reason and as key of Stats.Dropped. The
// set is closed. A rejected message carries the caller's words as its reason
// and is counted under ReasonRejected.
const (
	ReasonExpired  = "expired"  // its TTL or the queue's MaxAge was over
	ReasonFull     = "full"     // the bounds of its population, oldest first
	ReasonReplaced = "replaced" // by a Latest message of the same topic
	ReasonRemoved  = "removed"  // by Drop or DropTopic
	ReasonRejected = "rejected" // the module can not carry it
	ReasonDamaged  = "damaged"  // its record on disk can not be read any more
)

// Reasons returns every key of Stats.Dropped.
func Reasons() []string {
	return []string{ReasonExpired, ReasonFull, ReasonReplaced, ReasonRemoved, ReasonRejected, ReasonDamaged}
}

// The conditions a caller can act upon.
var (
	// ErrFull: the bounds are reached and nothing may be dropped for the message.
	ErrFull = errors.New("outbox is full")
	// ErrUnknown: no such message, or its final state is no longer remembered.
	ErrUnknown = errors.New("no such message")
	// ErrInFlight: the message is being sent right now; ask again in a moment.
	ErrInFlight = errors.New("message is in flight")
	// ErrNotInFlight: Done or Release of a message that Take did not hand out last.
	ErrNotInFlight = errors.New("message is not in flight")
	// ErrFinal: nothing can happen to the message any more.
	ErrFinal = errors.New("message is in a final state")
	// ErrDisk: the disk is full or fails; wraps what it said. Nothing was kept.
	ErrDisk = errors.New("the disk of the outbox is full or failing")
	// ErrClosed: the queue takes no messages any more; the program is stopping.
	ErrClosed = errors.New("outbox is closed")
	// ErrBusy: another process has the directory open.
	ErrBusy = errors.New("outbox is in use")
	// ErrVersion: a newer program wrote the directory.
	ErrVersion = errors.New("outbox has a newer format")
	// ErrKey: the idempotency key belongs to another message.
	ErrKey = errors.New("the idempotency key was used for another message")
	// ErrInvalid: the caller passed something impossible.
	ErrInvalid = errors.New("not possible")
)

// Error is what every method of Queue returns, but for a context's own error.
type Error struct {
	Op   string // "append", "done", "release", "get", "wait", "drop", "open"
	ID   string // of the message; empty for append
	Err  error  // one of the sentinels, or wraps one
	Hint string // what the operator can do; empty where there is nothing to do
}

// Error gives operation, id, condition and hint.
func (e *Error) Error() string {
	s := e.Op
	if e.ID != "" {
		s += " " + e.ID
	}
	s += ": " + e.Err.Error()
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap makes errors.Is find the sentinel.
func (e *Error) Unwrap() error { return e.Err }

const (
	hintFull = "the link drains slower than the programs publish: publish less, let messages expire (ttl) or replace each other (latest), " +
		"raise max_bytes or max_messages in [outbox], or set when_full = \"drop-oldest\""
	hintShare = "wait until more of its messages were sent, publish less, let messages expire (ttl) or replace each other (latest); its share is set by [[access]]"
	hintDisk  = "free space on the file system of outbox.dir, or look at the kernel log for errors of the disk; " +
		"the queue goes on sending meanwhile, and takes messages again by itself"
	hintReadOnly = "the file system of outbox.dir is mounted read-only, or became so after an error: look at the kernel log, check it (fsck) and mount it " +
		"writable again; what is queued is sent meanwhile"
	hintGone = "outbox.dir was removed, renamed or mounted over while the daemon runs: bring it back; what was queued is sent as far as it can still " +
		"be read, and messages are taken again by themselves"
	hintStrayed    = "bring the directory back to outbox.dir before the daemon is restarted, or let it drain: what is not sent by then is not found again"
	hintRetarget   = "they are sent as this device's, but are the other one's again after a restart unless the disk recovers before"
	hintDropped    = "it is not sent any more, but will be back after a restart unless the disk recovers before"
	hintUnreadable = "look at the kernel log for errors of the disk; what cannot be read is tried again every hour, and airbridgectl outbox drop ID gives a message up"

	hintBusy    = "another airbridged runs with the same outbox.dir: stop it, or give each its own directory"
	hintVersion = "install the version that wrote it, or a newer one; or let that one drain the queue and move the directory away"
	hintKey     = "a key stands for one message: give each message a key of its own, and the same one only when the very same message is sent again"
	hintUnknown = "only the last 10,000 final states since the daemon started are remembered"
)
