package bus_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

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

// A filter stays subscribed for 30 s after the last program left it, so that one that
// comes and goes costs nothing, and whoever comes meanwhile has it at once.
func TestFiltersLinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		hub.Keep([]bus.Filter{{Topic: topicGet}})
		a := subscribe(t, hub, topicUpdate, topicGet, "z/later")
		wantMissing(t, hub, topicGet, topicUpdate, "z/later")
		for _, f := range []string{topicGet, topicUpdate, "z/later"} {
			hub.Grant(f)
		}
		wantMissing(t, hub)
		a.Close()
		woken(hub)
		time.Sleep(bus.Linger - time.Second)
		wantGivenBack(t, hub)
		b := subscribe(t, hub, topicUpdate)
		wantGranted(t, b, map[string]bool{topicUpdate: true})
		wantMissing(t, hub)
		woken(hub)
		time.Sleep(time.Second)
		synctest.Wait()
		wantWoken(t, hub, "the end of the time")
		wantGivenBack(t, hub, "z/later") // the kept one stays, and the one that came back
		b.Close()
		time.Sleep(bus.Linger)
		synctest.Wait()
		wantWoken(t, hub, "the end of the second time")
		wantGivenBack(t, hub, topicUpdate)

		subscribe(t, hub, "a", "b").Close()
		wantMissing(t, hub) // one that was never granted is forgotten at once
		c := subscribe(t, hub, "a")
		hub.Grant("a")
		c.Close()
		hub.Revoke() // the session is gone, there is nothing to give back
		time.Sleep(2 * bus.Linger)
		wantGivenBack(t, hub)
		wantWanted(t, hub, bus.Filter{Topic: topicGet})
		if s := hub.Stats(); s.Subscribed != 4 || s.Unsubscribed != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// A program that subscribed while the unsubscription of the one before was under way
// was told that it is subscribed, and its commands were lost, 4 of 4: a grant is
// withdrawn before the cloud is told, so whoever comes then is asked for anew.
func TestAGrantEndsBeforeItIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		a := subscribe(t, hub, topicGet)
		hub.Grant(topicGet)
		a.Close()
		time.Sleep(bus.Linger)
		wantGivenBack(t, hub, topicGet) // and now MUNSUB is on its way
		b := subscribe(t, hub, topicGet)
		wantGranted(t, b, map[string]bool{topicGet: false})
		wantMissing(t, hub, topicGet)
		hub.Grant(topicGet)
		wantGrant(t, b, topicGet)
	})
}

// The cloud takes 100 filters of a device. Those that linger make room for new ones,
// the longest first.
func TestLingeringFiltersMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		for i := range bus.MaxFilters {
			name := fmt.Sprintf("f/%02d", i)
			s := subscribe(t, hub, name)
			hub.Grant(name)
			s.Close()
			time.Sleep(time.Millisecond)
		}
		wantGivenBack(t, hub)
		subscribe(t, hub, "one/more", "and/another")
		wantGivenBack(t, hub, "f/00", "f/01")
		wantMissing(t, hub, "and/another", "one/more")
	})
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

// A filter that the cloud refuses is not asked for until its time is over, or a reload
// forgives it; whoever listens is told, and whoever comes meanwhile, again and again.
func TestSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		wantRefusal := func(s *bus.Subscription) {
			t.Helper()
			if it := mustNext(t, s); it.Refused != topicGet || it.Reason != "because" {
				t.Fatalf("%+v", it)
			}
		}
		a := subscribe(t, hub, topicGet, topicUpdate)
		hub.Grant(topicGet)
		wantGrant(t, a, topicGet)
		hub.SetAside(topicGet, "because", time.Hour)
		wantRefusal(a)
		wantGranted(t, a, map[string]bool{topicGet: false, topicUpdate: false})
		wantMissing(t, hub, topicUpdate)
		a.Close()
		b := subscribe(t, hub, topicGet)
		wantRefusal(b)
		wantMissing(t, hub)
		time.Sleep(time.Hour)
		wantMissing(t, hub, topicGet)
		hub.SetAside(topicGet, "because", time.Hour)
		wantRefusal(b)
		wantMissing(t, hub)
		woken(hub)
		hub.Forgive()
		wantWoken(t, hub, "Forgive")
		wantMissing(t, hub, topicGet)
		noMore(t, "b", b)
	})
}

// However many filters are refused, it stays a short list.
func TestSetAsideIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		for i := range 100 {
			hub.SetAside(fmt.Sprintf("f/%02d", i), "because", time.Hour+time.Duration(i)*time.Second)
		}
		subscribe(t, hub, "f/00", "f/35", "f/36", "f/99")
		wantMissing(t, hub, "f/00", "f/35")
	})
}
