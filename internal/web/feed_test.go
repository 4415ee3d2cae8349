package web

import (
	"strings"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// Who may see a part of it is told of no other, and on each frame only what is new.
func TestAPageIsToldOnlyWhatItMaySee(t *testing.T) {
	board, flight := bus.NewStatusBoard(), bus.NewFlight()
	feed := &Feed{Board: board, Flight: flight, Status: func() api.Status { return board.Status().Told(time.Now()) }}
	board.Passing.Note(bus.Passed{Up: true, Topic: "/a/b/update", Bytes: 1, QoS: 1, Result: "acked"})
	flight.Note("port open")
	told := func(v *viewer) string {
		text, err := event(v.next())
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, part := range []string{"status", "events", "timeline", "messages", "traffic"} {
			if strings.Contains(string(text), `"`+part+`":{"`) || strings.Contains(string(text), `"`+part+`":[`) {
				list = append(list, part)
			}
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		sees         Sees
		first, later string
	}{
		{Everything, "status events timeline messages traffic", "status"},
		{Sees{Status: true}, "status", "status"},
		{Sees{Events: true}, "events timeline", ""},
		{Sees{Messages: true}, "messages", ""},
		{Sees{Trace: true}, "traffic", ""},
		{Sees{}, "", ""},
	} {
		v := &viewer{feed: feed, sees: c.sees}
		if first, later := told(v), told(v); first != c.first || later != c.later {
			t.Errorf("%+v: %q, then %q", c.sees, first, later)
		}
	}
}

// A page that is opened on a busy line begins with the last of it, and misses nothing
// after that.
func TestAPageBeginsWithTheLastOfALongTrace(t *testing.T) {
	flight := bus.NewFlight()
	v := &viewer{feed: &Feed{Board: bus.NewStatusBoard(), Flight: flight}, sees: Sees{Trace: true}}
	for range 1000 {
		flight.Note("x")
	}
	list := v.next().Traffic
	if len(list) != trafficAtOnce || list[len(list)-1].Seq != 1000 {
		t.Fatalf("%d lines, the last is %d", len(list), list[len(list)-1].Seq)
	}
	flight.Note("y")
	if list := v.next().Traffic; len(list) != 1 || list[0].Text != "y" {
		t.Errorf("then %+v", list)
	}
}
