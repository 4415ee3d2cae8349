package api

import "time"

// Status is the answer to GET /v1/status: what the daemon knows of itself. It
// holds facts, not the procedure, and no secret.
type Status struct {
	State         string     `json:"state"`           // probing attaching registering authenticating connecting online recovering stopping
	Cause         string     `json:"cause"`           // a word of a closed set; empty while online
	Hint          string     `json:"hint"`            // what to do, in words
	Since         time.Time  `json:"since"`           // of State
	Attempt       int        `json:"attempt"`         // failures in a row
	NextAttemptAt *time.Time `json:"next_attempt_at"` // null: it does not wait
	Identity      Identity   `json:"identity"`
	Modem         Modem      `json:"modem"`
	Cloud         Cloud      `json:"cloud"`
	Outbox        Outbox     `json:"outbox"`
	Counters      Counters   `json:"counters"`
	MQTT          *MQTT      `json:"mqtt"` // null: the listener is off
	Data          Data       `json:"data"`
	Warnings      []Warning  `json:"warnings"` // what lasts, in any state; never null
	Version       string     `json:"version"`
	UptimeSeconds int64      `json:"uptime_seconds"`
}

// Warning is something that lasts and that a person should know of.
type Warning struct {
	Code   string `json:"code"`   // a word of a closed set
	Detail string `json:"detail"` // what it is about, in words
	Hint   string `json:"hint"`   // what to do
}

// MQTT is the listener for local MQTT programs.
type MQTT struct {
	Clients   int   `json:"clients"`    // connected
	Away      int   `json:"away"`       // sessions of programs that are not
	Held      int   `json:"held"`       // messages without an answer, because the outbox is full or its disk fails
	HeldBytes int64 `json:"held_bytes"` // theirs
}

// Identity names the device at the cloud.
type Identity struct {
	ProductKey string  `json:"product_key"`
	DeviceName *string `json:"device_name"`
}

// Modem describes the module and its radio.
type Modem struct {
	Model      *string `json:"model"`
	Firmware   *string `json:"firmware"`
	IMEI       *string `json:"imei"`
	ICCID      *string `json:"iccid"`
	Operator   *string `json:"operator"`
	SignalDBm  *int    `json:"signal_dbm"` // -113 (none) to -51 (best)
	Registered *bool   `json:"registered"`

	NetworkTime *NetworkTime `json:"network_time"`
}

// NetworkTime is the time that the network tells, to the second.
type NetworkTime struct {
	Time          time.Time `json:"time"`           // now
	AgeSeconds    int64     `json:"age_seconds"`    // since the module was asked
	OffsetSeconds float64   `json:"offset_seconds"` // how far it is ahead of the gateway's clock
}

// Cloud describes the way to the cloud.
type Cloud struct {
	Host            string `json:"host"`
	Auth            string `json:"auth"`              // "https" or "direct"
	TokenAgeSeconds *int64 `json:"token_age_seconds"` // null: there is no token
	// PaceSeconds is the least time between two messages while the cloud is known
	// to drop faster ones; null: they go as fast as they are acknowledged.
	PaceSeconds *float64 `json:"pace_seconds"`
}

// Outbox describes the queue of messages on their way up.
type Outbox struct {
	Messages int        `json:"messages"`  // that wait or are in flight
	Bytes    int64      `json:"bytes"`     // of them
	OldestAt *time.Time `json:"oldest_at"` // when the oldest was accepted; null: there is none
	InFlight int        `json:"inflight"`

	DiskBytes int64  `json:"disk_bytes"` // of the files, with what is preallocated
	DiskLimit *int64 `json:"disk_limit"` // as many they may be: half of the file system; null: not known
}

// Data is what the connection has used this month, in bytes on the air,
// estimated.
type Data struct {
	Since         *time.Time        `json:"since"` // counted since
	Until         *time.Time        `json:"until"` // the end of the month; null: the gateway's clock was never right
	Bytes         uint64            `json:"bytes"`
	ByCause       map[string]uint64 `json:"by_cause"`       // dns downlink handshake http keepalive payload retry
	ByProgram     []ProgramData     `json:"by_program"`     // messages up only, the most first
	BudgetBytes   *int64            `json:"budget_bytes"`   // null: there is no budget
	ForecastBytes *uint64           `json:"forecast_bytes"` // by Until, at the present rate; null: too early to say
	Holding       bool              `json:"holding"`        // messages are held back because the budget is used up
}

// ProgramData is what the messages of one local program have used.
type ProgramData struct {
	Program string `json:"program"` // USER/COMMAND, as the kernel knows them
	Bytes   uint64 `json:"bytes"`
}

// Counters count since the daemon started.
type Counters struct {
	Acked       uint64     `json:"acked"`         // QoS 1 messages that the cloud acknowledged
	Sent        uint64     `json:"sent"`          // QoS 0 messages handed to the module
	Unknown     uint64     `json:"unknown"`       // publishes whose outcome stayed unknown and that are sent again
	Connects    uint64     `json:"connects"`      // MQTT sessions opened
	Downlink    uint64     `json:"downlink"`      // messages received
	LastAckedAt *time.Time `json:"last_acked_at"` // null: none was
}

// Health is the answer to GET /healthz.
type Health struct {
	Healthy bool   `json:"healthy"`
	Detail  string `json:"detail"` // why not; empty when healthy
}
