package bus

import (
	"time"

	"airbridged/client/api"
)

// Bounds of the timeline: what was over longer ago is forgotten, and where a
// connection comes and goes all the time the oldest is.
const (
	timelineTime = 24 * time.Hour
	timelineKept = 1024
)

// Span is a time in which the connection was there, or was not for one and the same
// cause. It lasts until the next one begins.
type Span struct {
	From   time.Time
	Online bool
	Cause  string // why it was not online; empty: nothing failed, or not yet
}

// timeline is the last day as people think of it: online or not, and why not. The
// attempts in between make no spans of their own.
type timeline struct {
	ring    ring[Span]
	changes uint64
}

// change takes in a change of state.
func (t *timeline) change(e api.Event) {
	now := t.ring.newest()
	next := Span{From: e.At, Online: e.To == onlineState, Cause: e.Cause}
	switch {
	case now == nil, now.Online != next.Online:
	case next.Online, next.Cause == "", next.Cause == now.Cause:
		return // still the same
	case now.Cause == "": // now it is known why
		now.Cause = next.Cause
		t.changes++
		return
	}
	t.ring.add(next, timelineKept)
	t.changes++
}

// onlineState is the word of the state in which messages move.
const onlineState = "online"

// spans are those of the last day, oldest first.
func (t *timeline) spans(now time.Time) []Span {
	list, _ := t.ring.after(0)
	for len(list) > 1 && now.Sub(list[1].From) > timelineTime {
		list = list[1:]
	}
	for i := range list {
		list[i].From = byClock(list[i].From, now)
	}
	return list
}
