package bus_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"airbridged/internal/bus"
)

func numbered(i int) bus.Message {
	return bus.Message{Topic: "n", Payload: fmt.Append(nil, i)}
}

func subscribe(t *testing.T, hub *bus.Hub, filters ...string) *bus.Subscription {
	t.Helper()
	s, err := hub.Subscribe(filters)
	if err != nil {
		t.Fatalf("Subscribe(%q): %v", filters, err)
	}
	return s
}

// tryNext returns the next item if there is one; it does not wait.
func tryNext(s *bus.Subscription) (bus.Item, bool) {
	ended, end := context.WithCancel(context.Background())
	end()
	it, err := s.Next(ended)
	return it, err == nil
}

func mustNext(t *testing.T, s *bus.Subscription) bus.Item {
	t.Helper()
	it, ok := tryNext(s)
	if !ok {
		t.Fatal("nothing in the queue")
	}
	set := 0
	for _, is := range []bool{it.Message != nil, it.Gap > 0, it.Granted != "", it.Refused != ""} {
		if is {
			set++
		}
	}
	if set != 1 {
		t.Fatalf("%d fields are set in %+v", set, it)
	}
	return it
}

func nextMessage(t *testing.T, s *bus.Subscription) bus.Message {
	t.Helper()
	it := mustNext(t, s)
	if it.Message == nil {
		t.Fatalf("%+v, want a message", it)
	}
	return *it.Message
}

func wantNumber(t *testing.T, s *bus.Subscription, i int) {
	t.Helper()
	if m := nextMessage(t, s); string(m.Payload) != fmt.Sprint(i) {
		t.Fatalf("message %q, want %d", m.Payload, i)
	}
}

func wantGap(t *testing.T, s *bus.Subscription, n int) {
	t.Helper()
	if it := mustNext(t, s); it.Gap != n {
		t.Fatalf("%+v, want a gap of %d", it, n)
	}
}

func wantGrant(t *testing.T, s *bus.Subscription, filter string) {
	t.Helper()
	if it := mustNext(t, s); it.Granted != filter {
		t.Fatalf("%+v, want the grant of %s", it, filter)
	}
}

func noMore(t *testing.T, name string, s *bus.Subscription) {
	t.Helper()
	if it, ok := tryNext(s); ok {
		t.Fatalf("%s: %+v, want nothing more", name, it)
	}
}

// drain reads all there is: messages, and messages told to be missing.
func drain(t *testing.T, s *bus.Subscription) (kept, missed int) {
	t.Helper()
	for it, ok := tryNext(s); ok; it, ok = tryNext(s) {
		missed += it.Gap
		if it.Message != nil {
			kept++
		}
	}
	return kept, missed
}

func wantGranted(t *testing.T, s *bus.Subscription, want map[string]bool) {
	t.Helper()
	if got := s.Granted(); !maps.Equal(got, want) {
		t.Fatalf("granted %v, want %v", got, want)
	}
}

func wantWanted(t *testing.T, hub *bus.Hub, want ...bus.Filter) {
	t.Helper()
	if got := hub.Wanted(); !slices.Equal(got, want) {
		t.Fatalf("wanted %v, want %v", got, want)
	}
}

func wantMissing(t *testing.T, hub *bus.Hub, want ...string) {
	t.Helper()
	var got []string
	for _, f := range hub.Missing() {
		got = append(got, f.Topic)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("missing %q, want %q", got, want)
	}
}

// wantGivenBack takes all that is to be given back.
func wantGivenBack(t *testing.T, hub *bus.Hub, want ...string) {
	t.Helper()
	var got []string
	for name, ok := hub.GiveBack(); ok; name, ok = hub.GiveBack() {
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("given back %q, want %q", got, want)
	}
}

func woken(hub *bus.Hub) bool {
	select {
	case <-hub.Changed():
		return true
	default:
		return false
	}
}

func wantWoken(t *testing.T, hub *bus.Hub, by string) {
	t.Helper()
	if !woken(hub) {
		t.Fatalf("not woken by %s", by)
	}
}
