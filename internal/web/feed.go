package web

import (
	"context"
	"net/http"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// frameEvery is how often the page is told what is new.
const frameEvery = time.Second

// trafficAtOnce bounds how much of the flight recorder goes into one frame.
const trafficAtOnce = 256

// Sees is what somebody may look at.
type Sees struct {
	Status   bool `json:"status"`
	Events   bool `json:"events"`
	Trace    bool `json:"trace"`
	Messages bool `json:"messages"`
}

// Everything is for who may look at all of it.
var Everything = Sees{Status: true, Events: true, Trace: true, Messages: true}

// Feed is where the page gets what it shows.
type Feed struct {
	Board   *bus.StatusBoard
	Flight  *bus.Flight               // nil: there is none
	Status  func() api.Status         // what GET /v1/status tells
	Meaning func(cause string) string // a cause in words; nil: the word itself has to do
}

// frame is what the page is told at once: what is new. It is an inside of the page
// and changes with it.
type frame struct {
	At       time.Time     `json:"at"`
	Sees     Sees          `json:"sees"`
	Status   *status       `json:"status,omitempty"`
	Events   []any         `json:"events,omitempty"`
	Messages []passed      `json:"messages,omitempty"`
	Timeline []span        `json:"timeline,omitempty"`
	Traffic  []api.Traffic `json:"traffic,omitempty"`
}

type status struct {
	api.Status
	Meaning string `json:"meaning"` // of the cause
}

type passed struct {
	At     time.Time `json:"at"`
	Up     bool      `json:"up"`
	Topic  string    `json:"topic"`
	Bytes  int       `json:"bytes"`
	Result string    `json:"result"`
}

type span struct {
	From   time.Time `json:"from"`
	Online bool      `json:"online"`
	Cause  string    `json:"cause"`
}

// viewer is one page that is open: what it was told of so far.
type viewer struct {
	feed                               *Feed
	sees                               Sees
	events, messages, changes, traffic uint64
}

// Live tells a page what is new, once a second, until ctx ends or the page takes
// nothing for 10 s; that is the error, see [Stream].
func (f *Feed) Live(ctx context.Context, w http.ResponseWriter, sees Sees) error {
	if sees.Status {
		defer f.Board.Onlookers.Look()()
	}
	v := &viewer{feed: f, sees: sees}
	return Stream(ctx, w, frameEvery, func() any { return v.next() })
}

// next collects what came since the last frame.
func (v *viewer) next() frame {
	f := frame{At: time.Now().UTC(), Sees: v.sees}
	board := v.feed.Board
	if v.sees.Status {
		s := status{Status: v.feed.Status()}
		if v.feed.Meaning != nil && s.Cause != "" {
			s.Meaning = v.feed.Meaning(s.Cause)
		}
		f.Status = &s
	}
	if v.sees.Events {
		var events []api.Event
		events, v.events = board.Past(v.events)
		for _, e := range events {
			f.Events = append(f.Events, bus.Line(e))
		}
		f.Timeline = v.timeline()
	}
	if v.sees.Messages {
		var list []bus.Passed
		list, v.messages = board.Passing.After(v.messages)
		for _, m := range list {
			f.Messages = append(f.Messages, passed{At: m.At, Up: m.Up, Topic: m.Topic, Bytes: m.Bytes, Result: m.Result})
		}
	}
	if v.sees.Trace && v.feed.Flight != nil {
		f.Traffic = v.trace()
	}
	return f
}

// timeline is the last day, where it has changed.
func (v *viewer) timeline() (list []span) {
	spans, changes := v.feed.Board.Timeline()
	if changes == v.changes {
		return nil
	}
	v.changes = changes
	for _, s := range spans {
		list = append(list, span(s))
	}
	return list
}

// trace is the AT traffic behind what was shown; a page that is new begins with the
// last of it.
func (v *viewer) trace() (list []api.Traffic) {
	flight := v.feed.Flight
	if last := flight.Last(); last > v.traffic+trafficAtOnce {
		v.traffic = last - trafficAtOnce
	}
	traffic, _, _ := flight.After(v.traffic, trafficAtOnce)
	for _, t := range traffic {
		v.traffic = t.Seq
		list = append(list, t.Line())
	}
	return list
}
