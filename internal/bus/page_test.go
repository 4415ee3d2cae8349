package bus_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// Who begins to watch is handed what is remembered, each piece once, and what was
// overwritten meanwhile is left out.
func TestTheLastMessagesAreRemembered(t *testing.T) {
	t.Parallel()
	var p bus.Passing
	if list, last := p.After(0); len(list) != 0 || last != 0 {
		t.Fatal(list, last)
	}
	note := func(from, to int) {
		for i := from; i <= to; i++ {
			p.Note(bus.Passed{Topic: fmt.Sprint(i)})
		}
	}
	for _, c := range []struct {
		from, to, after  int
		first, n, newest int
	}{{1, 3, 0, 1, 3, 3}, {4, 3, 3, 0, 0, 3}, {4, 10, 3, 4, 7, 10}, {11, 64, 0, 1, 64, 64}, {65, 200, 64, 137, 64, 200}, {201, 201, 199, 200, 2, 201}, {202, 201, 201, 0, 0, 201}} {
		note(c.from, c.to)
		list, last := p.After(uint64(c.after))
		if int(last) != c.newest || len(list) != c.n {
			t.Fatalf("after %d of %d: %d, and the newest is %d", c.after, c.to, len(list), last)
		}
		for i, m := range list {
			if m.Topic != fmt.Sprint(c.first+i) || m.At.IsZero() {
				t.Errorf("after %d of %d: %+v at %d", c.after, c.to, m, i)
			}
		}
	}
}

// A day is told as people think of it: the attempts in between are none of their own,
// an outage has its cause as soon as it is known, and what is over for a day is gone.
func TestTheTimelineOfADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board := bus.NewStatusBoard()
		begun := time.Now()
		change := func(after time.Duration, to, cause string) {
			time.Sleep(after)
			board.Emit(bus.Changed(api.Change{To: to, Cause: cause}))
		}
		change(time.Second, "attaching", "")
		change(time.Second, "recovering", "sim-missing")
		change(time.Minute, "probing", "")
		change(time.Second, "recovering", "sim-missing")
		change(time.Minute, "online", "")
		change(time.Hour, "recovering", "closed")
		change(time.Minute, "recovering", "not-registered")
		change(time.Minute, "connecting", "")
		change(time.Minute, "online", "")
		list, changes := board.Timeline()
		said := ""
		for _, s := range list {
			said += fmt.Sprintf("%v %v %s\n", s.From.Sub(begun), s.Online, s.Cause)
		}
		want := "0s false sim-missing\n2m3s true \n1h2m3s false closed\n1h3m3s false not-registered\n1h5m3s true \n"
		if said != want {
			t.Errorf("the day:\n%swant:\n%s", said, want)
		}
		time.Sleep(24 * time.Hour)
		if list, again := board.Timeline(); len(list) != 2 || again != changes {
			t.Errorf("a day later: %+v, changed %d times", list, again-changes)
		}
		for range 3000 {
			change(time.Second, "recovering", "closed")
			change(time.Second, "online", "")
		}
		if list, _ := board.Timeline(); len(list) != 1024 {
			t.Errorf("one that comes and goes makes %d spans", len(list))
		}
	})
}

// Somebody who looks is known of until he leaves, also when he says so twice.
func TestOnlookers(t *testing.T) {
	t.Parallel()
	board := bus.NewStatusBoard()
	first, second := board.Onlookers.Look(), board.Onlookers.Look()
	<-board.Onlookers.Come()
	first()
	first()
	if !board.Onlookers.Any() {
		t.Error("the second one is forgotten")
	}
	second()
	if board.Onlookers.Any() {
		t.Error("somebody is left")
	}
}
