package bus_test

import (
	"errors"
	"fmt"
	"testing"

	"airbridged/internal/bus"
)

func TestWantedIsTheUnionOfKeptAndLocal(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	wantWanted(t, hub)
	if woken(hub) {
		t.Error("woken before anything changed")
	}

	hub.Keep([]bus.Filter{{Topic: topicGet, QoS: 0}, {Topic: "$airbridge/state"}})
	wantWoken(t, hub, "Keep")
	wantWanted(t, hub, bus.Filter{Topic: topicGet})

	// A program's filter is asked for with QoS 1, a kept one keeps its own.
	a := subscribe(t, hub, topicUpdate, topicGet, "$airbridge/state")
	b := subscribe(t, hub, topicUpdate)
	wantWoken(t, hub, "Subscribe")
	if woken(hub) {
		t.Error("two changes did not become one wake-up")
	}
	both := []bus.Filter{{Topic: topicGet}, {Topic: topicUpdate, QoS: 1}}
	wantWanted(t, hub, both...)

	a.Close()
	wantWoken(t, hub, "Close")
	wantWanted(t, hub, both...)
	b.Close()
	wantWoken(t, hub, "the last Close")
	wantWanted(t, hub, bus.Filter{Topic: topicGet})
	b.Close()
	if woken(hub) {
		t.Error("woken by closing what is closed")
	}

	hub.Keep([]bus.Filter{{Topic: topicUpdate, QoS: 1}})
	wantWoken(t, hub, "Keep")
	wantWanted(t, hub, bus.Filter{Topic: topicUpdate, QoS: 1})
}

// What the session asks after a change: which filters to subscribe, and which of
// the granted ones nobody wants any more.
func TestUnwantedIsWhatWasGrantedAndLetGo(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	hub.Keep([]bus.Filter{{Topic: topicGet}})
	a := subscribe(t, hub, topicUpdate, topicGet, "z/later")
	for _, f := range []string{topicGet, topicUpdate, "z/later"} {
		hub.Grant(f)
	}
	wantUnwanted(t, hub)
	if !hub.IsGranted(topicUpdate) || hub.IsGranted("never/asked") {
		t.Error("IsGranted is wrong")
	}

	a.Close()
	wantUnwanted(t, hub, topicUpdate, "z/later") // sorted; the kept one stays
	if !hub.IsGranted(topicUpdate) {
		t.Error("closing a subscription does not unsubscribe at the cloud; the session does")
	}
	hub.Withdraw(topicUpdate)
	wantUnwanted(t, hub, "z/later")

	subscribe(t, hub, "z/later") // wanted again before the session got to it
	wantUnwanted(t, hub)

	hub.Keep(nil)
	hub.Revoke() // the session is gone, there is nothing to give back
	wantUnwanted(t, hub)
}

func TestKeepTakesACopy(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	filters := []bus.Filter{{Topic: topicGet}}
	hub.Keep(filters)
	filters[0].Topic = "scribbled over"
	wantWanted(t, hub, bus.Filter{Topic: topicGet})
}

// 100 subscriptions per device is the cloud's limit. It counts different
// filters, and those that leave the gateway.
func TestSubscribeHoldsTheCloudsLimit(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	hub.Keep([]bus.Filter{{Topic: "kept"}})
	filters := []string{"kept"}
	for i := range bus.MaxFilters - 1 {
		filters = append(filters, fmt.Sprintf("f/%d", i))
	}
	all := subscribe(t, hub, filters...)
	if n := len(hub.Wanted()); n != bus.MaxFilters {
		t.Fatalf("%d filters wanted, want %d", n, bus.MaxFilters)
	}

	if _, err := hub.Subscribe([]string{"one/more"}); !errors.Is(err, bus.ErrTooManyFilters) {
		t.Errorf("one more: %v, want ErrTooManyFilters", err)
	}
	if _, err := hub.Subscribe([]string{"f/1", "one/more"}); !errors.Is(err, bus.ErrTooManyFilters) {
		t.Errorf("a known and one more: %v, want ErrTooManyFilters", err)
	}
	if s := hub.Stats().Subscribers; s != 1 {
		t.Errorf("%d subscribers after refusals, want 1", s)
	}
	subscribe(t, hub, "f/1", "f/2", "$airbridge/state")
	if n := len(hub.Wanted()); n != bus.MaxFilters {
		t.Errorf("%d filters wanted, want %d", n, bus.MaxFilters)
	}

	all.Close() // makes room
	subscribe(t, hub, "one/more")
}

func TestSubscribeRefusesABadFilter(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	for _, filters := range [][]string{nil, {}, {""}, {"a", "b#"}, {"a\r"}} {
		if _, err := hub.Subscribe(filters); err == nil || errors.Is(err, bus.ErrTooManyFilters) {
			t.Errorf("Subscribe(%q) = %v", filters, err)
		}
	}
	if hub.Stats().Subscribers != 0 || woken(hub) {
		t.Error("a refusal left something behind")
	}
}
