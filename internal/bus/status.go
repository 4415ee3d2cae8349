package bus

import (
	"time"

	"airbridged/client/api"
)

// Status is what the daemon knows of itself, and what its ages are counted from.
type Status struct {
	api.Status
	TokenAt     *time.Time   // when the login token was handed out; nil: there is none
	NetworkTime *NetworkTime // nil: the network has told none
}

// Told is the status in the form of GET /v1/status, as it is told at a moment. The
// queue, the data account, version and uptime are for the caller to add.
func (s Status) Told(now time.Time) api.Status {
	told := s.Status
	told.Since = byClock(s.Since, now)
	told.NextAttemptAt = byClockOf(s.NextAttemptAt, now)
	told.Counters.LastAckedAt = byClockOf(s.Counters.LastAckedAt, now)
	if s.TokenAt != nil {
		age := max(int64(now.Sub(*s.TokenAt)/time.Second), 0) // the clock may have been set back since
		told.Cloud.TokenAgeSeconds = &age
	}
	if s.NetworkTime != nil {
		there := s.NetworkTime.Now(now)
		told.Modem.NetworkTime = &there
	}
	return told
}

// byClock is a moment of this process by the wall clock as it is set now: what
// happened before the first time signal did not happen in 1970.
func byClock(t, now time.Time) time.Time { return now.Add(t.Sub(now)).Round(0) }

func byClockOf(t *time.Time, now time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := byClock(*t, now)
	return &at
}

// NetworkTime is the time that the network told last.
type NetworkTime struct {
	Told time.Time // what the module said
	At   time.Time // when, with the reading of the monotonic clock
}

// Now is the network's time at a moment of the gateway.
func (n NetworkTime) Now(now time.Time) api.NetworkTime {
	age := now.Sub(n.At)
	return api.NetworkTime{
		Time:          n.Told.Add(age).Truncate(time.Second),
		AgeSeconds:    int64(age / time.Second),
		OffsetSeconds: n.Offset(now).Round(100 * time.Millisecond).Seconds(),
	}
}

// Offset is how far the network was ahead of the gateway's clock at a moment of it.
func (n NetworkTime) Offset(now time.Time) time.Duration {
	return n.Told.Add(now.Sub(n.At)).Sub(now.Round(0))
}

// Known returns a pointer to s, or nil for the empty string, which is how the
// module says that it does not know.
func Known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Changed is the event of a change of state; [StatusBoard.Emit] sets its time.
func Changed(c api.Change) api.Event {
	return api.Event{EventHead: api.EventHead{Type: api.StateEvent}, Change: c}
}

// Warned is the event of a warning; [StatusBoard.Emit] sets its time. The code is a word
// of a closed set, the detail is in words.
func Warned(code, detail string) api.Event {
	return api.Event{EventHead: api.EventHead{Type: api.WarningEvent}, Notice: api.Notice{Code: code, Detail: detail}}
}

// Line is an event as it is told: only what belongs to its type.
func Line(e api.Event) any {
	if e.Type == api.StateEvent {
		return struct {
			api.EventHead
			api.Change
		}{e.EventHead, e.Change}
	}
	return struct {
		api.EventHead
		api.Notice
	}{e.EventHead, e.Notice}
}

// At is an event with the time at which it happened, where that is not now.
func At(t time.Time, e api.Event) api.Event {
	e.At = t
	return e
}

// CarryError says why the module at hand cannot carry a message. It is given
// to the program at publish time, so that nothing is mangled on the way.
type CarryError struct {
	Reason   string // in words, with what to do
	Unfit    bool   // it cannot stand among the readings of its topic, whatever the module carries
	Form     bool   // the form in which its topic travels is in the way, and no byte of its own
	TooLarge bool   // the payload is over Limit; otherwise Byte at Offset is in the way
	Size     int    // bytes, as the module counts them (after escaping)
	Limit    int    // bytes
	Offset   int    // of Byte in the payload
	Byte     byte
}

func (e *CarryError) Error() string { return e.Reason }
