package bus_test

import (
	"errors"
	"fmt"
	"testing"

	"airbridged/internal/bus"
)

// One user took all the 100 filters that the cloud allows, and nobody else could
// listen. He may have them all, and gives some back when another one comes.
func TestFiltersAreShared(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	hub.Keep([]bus.Filter{{Topic: "kept"}})
	open := func(user string, filters ...string) *bus.Subscription {
		t.Helper()
		s, err := hub.SubscribeFor(user, filters)
		if err != nil {
			t.Fatalf("%s %v: %v", user, filters, err)
		}
		return s
	}
	var greedy []*bus.Subscription
	for i := range bus.MaxFilters - 1 {
		greedy = append(greedy, open("a", fmt.Sprintf("a/%d", i)))
	}
	shared := open("a", "kept")
	if _, err := hub.SubscribeFor("a", []string{"one/more"}); !errors.Is(err, bus.ErrTooManyFilters) {
		t.Errorf("one more of the same user: %v", err)
	}
	open("b", "b/1", "b/2")
	for i, want := range map[int]bool{len(greedy) - 1: true, len(greedy) - 2: true, len(greedy) - 3: false, 0: false} {
		greedy[i].Close() // it only tells, where it was ended before
		_, err := greedy[i].Next(t.Context())
		if got := errors.Is(err, bus.ErrCrowdedOut); got != want {
			t.Errorf("the filter number %d of a: %v", i, err)
		}
	}
	if it, ok := shared.TryNext(); ok {
		t.Errorf("%+v", it)
	}
	shared.Close()
	if n := len(hub.Wanted()); n > bus.MaxFilters {
		t.Errorf("%d filters are wanted", n)
	}
}

// 1,200 streams that are read slowly held 1 MiB each. All queues together have a bound,
// and beyond it those miss messages whose user has most.
func TestQueuesAreShared(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	var slow []*bus.Subscription
	for range 100 {
		s, err := hub.SubscribeFor("a", []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, s)
	}
	good, err := hub.SubscribeFor("b", []string{"b"})
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, 100<<10)
	for range 10 {
		hub.Publish(bus.Message{Topic: "a", Payload: payload})
	}
	held := 0
	for _, s := range slow {
		kept, _ := drainBytes(s)
		held += kept
	}
	if held > 17<<20 {
		t.Errorf("%d MiB are held by 100 streams", held>>20)
	}
	for range 10 {
		hub.Publish(bus.Message{Topic: "a", Payload: payload})
	}
	for range 5 {
		hub.Publish(bus.Message{Topic: "b", Payload: payload})
	}
	if kept, missed := drainBytes(good); kept != 5*len(payload) || missed != 0 {
		t.Errorf("another user got %d bytes and missed %d messages", kept, missed)
	}
	for _, s := range slow {
		s.Close()
		drainBytes(s)
	}
	again, err := hub.SubscribeFor("a", []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	for range 9 {
		hub.Publish(bus.Message{Topic: "a", Payload: payload})
	}
	if kept, missed := drainBytes(again); kept != 9*len(payload) || missed != 0 {
		t.Errorf("what was closed still counts: %d bytes, %d missed", kept, missed)
	}
}

func drainBytes(s *bus.Subscription) (kept, missed int) {
	for it, ok := s.TryNext(); ok; it, ok = s.TryNext() {
		missed += it.Gap
		if it.Message != nil {
			kept += len(it.Message.Payload)
		}
	}
	return kept, missed
}
