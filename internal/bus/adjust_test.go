package bus_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"airbridged/internal/bus"
)

// A program adds and removes filters as it goes: what is wanted of the cloud
// follows, each message comes once however many filters match, and what waited
// when a filter went still comes.
func TestFiltersComeAndGo(t *testing.T) {
	hub := bus.NewHub()
	sub := hub.Open()
	defer sub.Close()
	if n := len(hub.Wanted()); n != 0 {
		t.Fatalf("%d filters are wanted of an empty subscription", n)
	}
	for _, f := range []string{"/a/b/+", "/a/b/get", "/a/b/get", "$airbridge/state"} {
		if err := sub.Add(f); err != nil {
			t.Fatal(f, err)
		}
	}
	if err := sub.Add("/a/+x"); err == nil {
		t.Error("a filter that is none was added")
	}
	if w := hub.Wanted(); len(w) != 2 {
		t.Errorf("wanted %+v", w)
	}
	hub.Publish(bus.Message{Topic: "/a/b/get", Payload: []byte("1")})
	hub.Tell(bus.Message{Topic: "$airbridge/state", Payload: []byte("2")})
	if !sub.Remove("/a/b/+") || sub.Remove("/a/b/+") || !sub.Remove("/a/b/get") {
		t.Error("Remove tells wrong what was there")
	}
	hub.Publish(bus.Message{Topic: "/a/b/get", Payload: []byte("3")})
	sub.Offer(bus.Message{Topic: "/a/b/get", Payload: []byte("4")})
	sub.Offer(bus.Message{Topic: "$airbridge/state", Payload: []byte("5")})
	select {
	case <-sub.Ready():
	case <-time.After(time.Second):
		t.Fatal("nothing is ready")
	}
	got := ""
	for it, ok := sub.TryNext(); ok; it, ok = sub.TryNext() {
		got += string(it.Message.Payload)
	}
	if got != "125" {
		t.Errorf("%q came, want 125", got)
	}
	if s := hub.Stats(); s.Messages != 2 {
		t.Errorf("%d messages of the cloud are counted, want 2", s.Messages)
	}
}

// The cloud takes 100 filters: the 101st is refused, one that somebody else has
// is not.
func TestAddCountsLikeSubscribe(t *testing.T) {
	hub := bus.NewHub()
	sub, other := hub.Open(), hub.Open()
	defer sub.Close()
	defer other.Close()
	for i := range bus.MaxFilters {
		if err := sub.Add(fmt.Sprint("/a/b/", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Add("/a/b/more"); !errors.Is(err, bus.ErrTooManyFilters) {
		t.Error(err)
	}
	if err := other.Add("/a/b/7"); err != nil {
		t.Error(err)
	}
	if err := other.Add("$airbridge/events"); err != nil {
		t.Error(err)
	}
}
