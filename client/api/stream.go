package api

import "time"

// Types of the lines that are in every stream, or may be.
const (
	HeartbeatLine = "heartbeat"
	GapLine       = "gap"
	EndLine       = "end"
)

// Heartbeat is a line that only says that the daemon is alive.
type Heartbeat struct {
	Type string    `json:"type"`
	At   time.Time `json:"at"`
}

// Gap says that so much is missing here, because this reader was too slow.
type Gap struct {
	Type    string `json:"type"`
	Dropped int    `json:"dropped"`
}

// Reasons of an End.
const (
	EndStopping = "stopping"   // the daemon stops
	EndCrowded  = TooBusy      // another user needs the place of this connection; try again
	EndDenied   = AccessDenied // the access rules have changed, and do not allow it any more

	// Of a subscription with a name.
	EndTakenOver = "taken-over" // another reader of the name has come
	EndDropped   = "dropped"    // the subscription was dropped
)

// End is the last line of a stream that ends in good order.
type End struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"` // with EndDenied: names the rule
}

// Types of the lines of GET /v1/subscribe.
const (
	SubscribedLine = "subscribed"
	GrantedLine    = "granted"
	RefusedLine    = "refused"
	MessageLine    = "message"
	CallLine       = "rrpc"
)

// Subscribed is the first line of a subscription: which of its filters the cloud
// has acknowledged by now.
type Subscribed struct {
	Type   string  `json:"type"`
	Topics []Grant `json:"topics"`
}

// Grant tells whether the cloud has acknowledged a filter. Until then messages
// may pass by unseen.
type Grant struct {
	Topic   string `json:"topic"`
	Granted bool   `json:"granted"`
}

// Granted says that the cloud has acknowledged a filter later. It repeats after
// a reconnect.
type Granted struct {
	Type  string `json:"type"`
	Topic string `json:"topic"`
}

// Refused says that the cloud refuses a filter. It is asked for again after an hour,
// or after a reload.
type Refused struct {
	Type   string `json:"type"`
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
}

// Received is a message from the cloud.
type Received struct {
	Type       string    `json:"type"`
	Topic      string    `json:"topic"`
	Payload    string    `json:"payload"`
	Encoding   string    `json:"encoding"`    // of Payload
	ReceivedAt time.Time `json:"received_at"` // when the module handed it over

	// ID is there where the subscription has a name, and the message is kept: what
	// POST /v1/subscriptions/{name}/ack is told.
	ID string `json:"id,omitempty"`
}

// Encodings of a payload: itself, or standard base64 with padding (RFC 4648)
// where it is no valid UTF-8.
const (
	UTF8   = "utf-8"
	Base64 = "base64"
)

// Types of the lines of GET /v1/events.
const (
	StateEvent   = "state"
	WarningEvent = "warning"
)

// Event is a line of GET /v1/events: a change of the daemon's state, or a
// warning. What belongs to the other type is not in the line.
type Event struct {
	EventHead
	Change
	Notice
}

// EventHead is what every [Event] has.
type EventHead struct {
	Type string    `json:"type"` // StateEvent or WarningEvent
	At   time.Time `json:"at"`
}

// Change is what an [Event] says of a change of state.
type Change struct {
	From        string  `json:"from"`
	To          string  `json:"to"`
	Cause       string  `json:"cause"`
	Attempt     int     `json:"attempt"`
	WaitSeconds float64 `json:"wait_seconds"` // until the next try
}

// Notice is what an [Event] says of something that a person may have to look at.
type Notice struct {
	Code   string `json:"code"`   // a word of a closed set
	Detail string `json:"detail"` // in words
}

// TrafficLine is the type of a [Traffic] line.
const TrafficLine = "traffic"

// Traffic is a line of GET /v1/trace and of the daemon's dumps: what went between
// it and the module, with every secret, topic and payload taken out.
type Traffic struct {
	Type    string    `json:"type"`
	Seq     uint64    `json:"seq"` // counts from 1 without holes
	At      time.Time `json:"at"`
	Elapsed float64   `json:"elapsed_seconds"` // since the daemon started, whatever the clock was set to
	Dir     string    `json:"dir"`             // "tx" to the module, "rx" from it, "note": a change of state and the like
	Text    string    `json:"text"`            // [n bytes] stands for what is not shown
	Bytes   int       `json:"bytes"`           // on the line, without line ends
}

// Acknowledge is the body of POST /v1/subscriptions/{name}/ack: the message of this id,
// and all before it, are done with.
type Acknowledge struct {
	ID string `json:"id"`
}

// Acknowledged says how many messages that were.
type Acknowledged struct {
	Acknowledged int `json:"acknowledged"`
}

// Subscriptions is all that messages are kept for, the oldest first.
type Subscriptions struct {
	Subscriptions []Subscription `json:"subscriptions"`
}

// Subscription is one of them.
type Subscription struct {
	Name    string    `json:"name"` // of HTTP; the client id of MQTT; the filter of a kept topic
	User    string    `json:"user"` // who it belongs to; "" for a kept topic
	Kind    string    `json:"kind"` // "http", "mqtt", or "kept": a [[subscribe]] topic that nobody has asked for yet
	Filters []string  `json:"filters"`
	Waiting int       `json:"waiting"` // messages
	Bytes   int64     `json:"bytes"`   // their topics and payloads
	Since   time.Time `json:"since"`   // when it was made
}

// Call is a request of the cloud that waits for an answer: POST /v1/rrpc/{id}. Nothing of
// it is ever stored.
type Call struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Topic      string `json:"topic"`
	Payload    string `json:"payload"`
	Encoding   string `json:"encoding"`    // of Payload
	DeadlineMS int64  `json:"deadline_ms"` // for so long from now on somebody waits for the answer, in milliseconds
}

// Answered is the answer to POST /v1/rrpc/{id}: the answer goes out before everything else.
type Answered struct {
	ID    string `json:"id"`
	State State  `json:"state"` // Held
}
