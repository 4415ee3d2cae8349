package bus

import (
	"encoding/json"
	"fmt"
	"time"
)

// Status is what the daemon knows of itself, in the form of GET /v1/status.
// It holds facts, not the procedure, and no secret. A nil pointer is a value
// that is not known, shown as null.
type Status struct {
	State         string         `json:"state"`
	Cause         string         `json:"cause"`
	Hint          string         `json:"hint"`
	Since         time.Time      `json:"since"`
	Attempt       int            `json:"attempt"`
	NextAttemptAt *time.Time     `json:"next_attempt_at"`
	Identity      StatusIdentity `json:"identity"`
	Modem         StatusModem    `json:"modem"`
	Cloud         StatusCloud    `json:"cloud"`
	Outbox        StatusOutbox   `json:"outbox"`
	Counters      StatusCounters `json:"counters"`
	Data          StatusData     `json:"data"`
	Warnings      []Warning      `json:"warnings"` // what lasts, by code; never nil, and never written to again
	Version       string         `json:"version"`
	UptimeSeconds int64          `json:"uptime_seconds"`
}

// StatusIdentity names the device at the cloud.
type StatusIdentity struct {
	ProductKey string  `json:"product_key"`
	DeviceName *string `json:"device_name"`
}

// StatusModem describes the module and its radio.
type StatusModem struct {
	Model      *string `json:"model"`
	Firmware   *string `json:"firmware"`
	IMEI       *string `json:"imei"`
	ICCID      *string `json:"iccid"`
	Operator   *string `json:"operator"`
	SignalDBm  *int    `json:"signal_dbm"`
	Registered *bool   `json:"registered"`

	NetworkTime *NetworkTime `json:"network_time"`
}

// NetworkTime is the time that the network tells, as the module last told it. Its
// first three fields are set by who answers, by Now.
type NetworkTime struct {
	Time          time.Time `json:"time"`           // now, by the network
	AgeSeconds    int64     `json:"age_seconds"`    // since the module was asked
	OffsetSeconds float64   `json:"offset_seconds"` // how far the network is ahead of the gateway's clock

	Told time.Time `json:"-"` // what the module said
	At   time.Time `json:"-"` // when, with the reading of the monotonic clock
}

// Now is the network's time at a moment of the gateway.
func (n NetworkTime) Now(now time.Time) NetworkTime {
	age := now.Sub(n.At)
	n.Time = n.Told.Add(age).Truncate(time.Second)
	n.AgeSeconds = int64(age / time.Second)
	n.OffsetSeconds = n.Offset(now).Round(100 * time.Millisecond).Seconds()
	return n
}

// Offset is how far the network was ahead of the gateway's clock at a moment of it.
func (n NetworkTime) Offset(now time.Time) time.Duration {
	return n.Told.Add(now.Sub(n.At)).Sub(now.Round(0))
}

// StatusCloud describes the way to the cloud.
type StatusCloud struct {
	Host            string `json:"host"`
	Auth            string `json:"auth"`
	TokenAgeSeconds *int64 `json:"token_age_seconds"` // of TokenAt, set by who answers

	TokenAt *time.Time `json:"-"` // when the login token was handed out
	// PaceSeconds is the least time between two publishes while the cloud is known
	// to drop faster ones; null: they follow each other as they are acknowledged.
	PaceSeconds *float64 `json:"pace_seconds"`
}

// StatusOutbox describes the queue up.
type StatusOutbox struct {
	Messages int        `json:"messages"`
	Bytes    int64      `json:"bytes"`
	OldestAt *time.Time `json:"oldest_at"`
	Inflight int        `json:"inflight"`
}

// StatusData is what the connection has used this month, in bytes on the air,
// estimated.
type StatusData struct {
	Since         *time.Time        `json:"since"` // counted since
	Until         *time.Time        `json:"until"` // the end of the month; null: the clock was never right
	Bytes         uint64            `json:"bytes"`
	ByCause       map[string]uint64 `json:"by_cause"`
	ByProgram     []ProgramData     `json:"by_program"` // messages up only, the most first
	BudgetBytes   *int64            `json:"budget_bytes"`
	ForecastBytes *uint64           `json:"forecast_bytes"` // by Until, at the present rate; null: too early to say
	Holding       bool              `json:"holding"`        // messages are held back because the budget is used up
}

// ProgramData is what the messages of one local program have used.
type ProgramData struct {
	Program string `json:"program"` // USER/COMMAND, as the kernel knows them
	Bytes   uint64 `json:"bytes"`
}

// StatusCounters count since the daemon started.
type StatusCounters struct {
	Acked       uint64     `json:"acked"`         // QoS 1 messages with their PUBACK
	Sent        uint64     `json:"sent"`          // QoS 0 messages handed to the module
	Unknown     uint64     `json:"unknown"`       // publishes whose outcome stayed unknown and that are sent again
	Connects    uint64     `json:"connects"`      // MQTT sessions opened
	Downlink    uint64     `json:"downlink"`      // messages received
	LastAckedAt *time.Time `json:"last_acked_at"` // the newest PUBACK
}

// Known returns a pointer to s, or nil for the empty string, which is how the
// module says that it does not know.
func Known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Types of [Event].
const (
	StateEvent   = "state"
	WarningEvent = "warning"
)

// Event is one line of GET /v1/events: a change of state, or a warning.
type Event struct {
	Type string
	At   time.Time

	// Of a change of state.
	From, To, Cause string
	Attempt         int
	WaitSeconds     float64

	// Of a warning.
	Code, Detail string
}

// MarshalJSON writes the fields that belong to the event's type, and only them.
func (e Event) MarshalJSON() ([]byte, error) {
	switch e.Type {
	case StateEvent:
		return json.Marshal(struct {
			Type        string    `json:"type"`
			At          time.Time `json:"at"`
			From        string    `json:"from"`
			To          string    `json:"to"`
			Cause       string    `json:"cause"`
			Attempt     int       `json:"attempt"`
			WaitSeconds float64   `json:"wait_seconds"`
		}{e.Type, e.At, e.From, e.To, e.Cause, e.Attempt, e.WaitSeconds})
	case WarningEvent:
		return json.Marshal(struct {
			Type   string    `json:"type"`
			At     time.Time `json:"at"`
			Code   string    `json:"code"`
			Detail string    `json:"detail"`
		}{e.Type, e.At, e.Code, e.Detail})
	}
	return nil, fmt.Errorf("event of unknown type %q", e.Type)
}

// CarryError says why the module at hand cannot carry a message. It is given
// to the program at publish time, so that nothing is mangled on the way.
type CarryError struct {
	Reason   string // in words, with what to do
	TooLarge bool   // the payload is over Limit; otherwise Byte at Offset is in the way
	Size     int    // bytes, as the module counts them (after escaping)
	Limit    int    // bytes
	Offset   int    // of Byte in the payload
	Byte     byte
}

func (e *CarryError) Error() string { return e.Reason }
