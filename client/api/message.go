package api

import "time"

// State is where a message stands. More may be added.
type State string

// States of a message with QoS 1, and of one with QoS 0.
const (
	Queued   State = "queued"   // kept, waits for its turn
	InFlight State = "inflight" // sent, not acknowledged yet
	Acked    State = "acked"    // final: the cloud has it
	Expired  State = "expired"  // final: its ttl passed before it was acknowledged
	Dropped  State = "dropped"  // final: given up by a configured bound, a newer "latest" message, or on request
	Rejected State = "rejected" // final: the module cannot carry it

	Foreign State = "foreign" // kept, but accepted for another device: held back, see POST /v1/outbox/retarget

	Held State = "held" // QoS 0: waits in memory
	Sent State = "sent" // final, QoS 0: handed to the module
)

// Final says whether the message will stay in this state.
func (s State) Final() bool {
	switch s {
	case Acked, Expired, Dropped, Rejected, Sent:
		return true
	}
	return false
}

// Priority is which messages go first. The zero value means [PriorityNormal].
type Priority string

// Priorities, the highest first. Within one, the order is that of acceptance.
const (
	PriorityHigh   Priority = "high"
	PriorityNormal Priority = "normal"
	PriorityLow    Priority = "low"
)

// Accepted is the answer to POST /v1/publish.
type Accepted struct {
	ID      string `json:"id"`
	State   State  `json:"state"`
	Warning string `json:"warning,omitempty"` // [TopicForeign], or empty
}

// TopicForeign warns of a topic that does not carry this device's names where the cloud
// has them: the cloud acknowledges what comes on it and drops it, without a word. The
// message is kept and sent all the same.
const TopicForeign = "topic-foreign"

// Message is the answer to GET /v1/messages/{id}: what the daemon knows of one
// message on its way up.
type Message struct {
	ID         string     `json:"id"` // opaque, unique for ever, sorts by acceptance
	Topic      string     `json:"topic"`
	QoS        int        `json:"qos"` // 0 or 1
	Priority   Priority   `json:"priority"`
	Latest     bool       `json:"latest"` // a newer one of its topic may replace it
	State      State      `json:"state"`
	Reason     string     `json:"reason"`            // why it was dropped or rejected; else empty
	Attempts   int        `json:"attempts"`          // how often it was handed to the module
	AcceptedAt *time.Time `json:"accepted_at"`       // null: not known, the gateway's clock was not right then
	ExpiresAt  *time.Time `json:"expires_at"`        // null: never
	Warning    string     `json:"warning,omitempty"` // as of [Accepted]
}

// OutboxMessage is a message without a final state: it waits, or is in flight.
type OutboxMessage struct {
	ID         string     `json:"id"` // opaque, unique for ever, sorts by acceptance
	Topic      string     `json:"topic"`
	QoS        int        `json:"qos"`
	Priority   Priority   `json:"priority"`
	Bytes      int        `json:"bytes"`       // of the payload, which the daemon does not show
	AcceptedAt *time.Time `json:"accepted_at"` // null: not known, the gateway's clock was not right then
	ExpiresAt  *time.Time `json:"expires_at"`  // null: never
	Attempts   int        `json:"attempts"`    // how often it was handed to the module
	State      State      `json:"state"`
	Reading    bool       `json:"reading,omitempty"` // it goes with others of its topic in one publish ([[batch]]); else it is one
}

// OutboxPage is the answer to GET /v1/outbox: a part of the outbox.
type OutboxPage struct {
	Messages []OutboxMessage `json:"messages"` // in the order of acceptance
	Total    int             `json:"total"`    // on all pages
}

// Retargets is the answer to POST /v1/outbox/retarget: how many messages of another
// device are sent as this one's.
type Retargets struct {
	Retargeted int `json:"retargeted"`
}

// Drops is the answer to both ways of dropping: how many messages were given up.
type Drops struct {
	Dropped int `json:"dropped"`
}
