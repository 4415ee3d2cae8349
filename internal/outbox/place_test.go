package outbox

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// Thirty sensors each write their own topic with latest, faster than the link takes
// them. Seen: each new reading went to the end of the queue, and only two of the
// thirty ever arrived. In the place of what it replaces each one's turn comes.
func TestLatestComesToItsTurn(t *testing.T) {
	q := openOn(t, simdisk.New(), Limits{})
	arrived := map[string]int{}
	for round := range 60 {
		for i := range 30 {
			put(t, q.Queue, fmt.Sprint("sensor", i), latest, func(m *Message) { m.Payload = fmt.Append(nil, round) })
		}
		m, _ := q.Take() // one of thirty
		arrived[m.Topic]++
		if got := string(m.Payload); got != fmt.Sprint(round) {
			t.Errorf("round %d: %s of round %s went out", round, m.Topic, got)
		}
		check(t, q.Done(m.ID, Acked, ""))
	}
	for i := range 30 {
		if n := arrived[fmt.Sprint("sensor", i)]; n != 2 {
			t.Errorf("sensor %d arrived %d times in 60 rounds", i, n)
		}
	}
}

// The place outlives a restart, several replacements, and being moved.
func TestThePlaceIsKeptOverARestart(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	for _, topic := range []string{"a", "b", "c"} {
		put(t, q.Queue, topic)
	}
	for range 3 {
		put(t, q.Queue, "b", latest)
		put(t, q.Queue, "d")
		q.stop()
		q = openOn(t, disk, Limits{})
	}
	put(t, q.Queue, "c", latest, qos0) // replaces nothing that was promised
	if got := drain(t, q.Queue); got != "a b c d d d c" {
		t.Errorf("%q went out", got)
	}
}

// With another priority it is sent in its own level as old as what it replaces.
func TestThePlaceInAnotherLevel(t *testing.T) {
	q := New(Limits{})
	put(t, q, "t", low)
	put(t, q, "between", high)
	put(t, q, "t", high, latest)
	put(t, q, "after", high)
	if got := drain(t, q); got != "t between after" {
		t.Errorf("%q went out", got)
	}
}

// A listing is in the order of acceptance all the same, page by page.
func TestPlacesDoNotDisturbListings(t *testing.T) {
	q := New(Limits{})
	var want []string
	for i := range 9 {
		m := put(t, q, fmt.Sprint("t", i%4), latest)
		if want = append(want, m.ID); len(want) > 4 {
			want = want[1:]
		}
	}
	var got []string
	for after := ""; ; {
		page, _ := q.List(after, 1)
		if len(page) == 0 {
			break
		}
		after = page[0].ID
		got = append(got, after)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Seen: a time to live near the largest duration is accepted and expires at once.
func TestLongestTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, l := range []Limits{{}, {MaxAge: math.MaxInt64}} {
			disk := simdisk.New()
			q := openOn(t, disk, l)
			time.Sleep(time.Hour)
			for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 - time.Hour, 290 * 365 * 24 * time.Hour} {
				m := put(t, q.Queue, d.String(), ttl(d))
				if m.ExpiresAt.Before(time.Now().Add(200 * 365 * 24 * time.Hour)) {
					t.Errorf("%v expires at %v", d, m.ExpiresAt)
				}
			}
			time.Sleep(24 * time.Hour)
			for range 2 {
				if n := q.Stats().Messages; n != 4 {
					t.Errorf("%d of 4 are there", n)
				}
				q.stop()
				q = openOn(t, disk, l)
			}
			if got := len(strings.Fields(drain(t, q.Queue))); got != 4 {
				t.Errorf("%d of 4 went out", got)
			}
			q.stop()
		}
	})
}

// A listing reads nothing from the disk, nor does asking for one message. (It opened
// a segment for each message to learn a length that is known.)
func TestListingsReadNothing(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	var id string
	for i := range 50 {
		id = put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, i*10) }).ID
	}
	check(t, q.awaitFlush())
	disk.Fail(func(op, name string) error {
		t.Errorf("%s of %s", op, name)
		return nil
	})
	page, _ := q.List("", 1000)
	for i, m := range page {
		if m.Size != i*10 {
			t.Errorf("message %d has %d bytes", i, m.Size)
		}
	}
	if m, err := q.Get(id); err != nil || m.Size != 490 || len(page) != 50 {
		t.Errorf("%+v, %v; %d listed", m, err, len(page))
	}
	disk.Fail(nil)
}

// A topic that cannot be dropped durably is not said to be: asked again, too.
func TestDroppingOnAFailingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		for range 3 {
			put(t, q.Queue, "t")
		}
		check(t, q.awaitFlush())
		fails := func(op, _ string) error {
			if op == "read" || op == "open" || op == "stat" {
				return nil
			}
			return fmt.Errorf("%s fails", op)
		}
		disk.Fail(fails)
		every := func(string) bool { return true }
		for i, want := range []int{3, 0, 0} {
			if n, err := q.DropTopic(every); n != want || err == nil {
				t.Errorf("time %d: %d, %v", i, n, err)
			}
		}
		disk.Fail(nil)
		if n, err := q.DropTopic(every); n != 0 || err != nil { // at once, not when it is tried the next time
			t.Errorf("%d, %v", n, err)
		}
		q.stop()
		if got := drain(t, openOn(t, disk, Limits{}).Queue); got != "" {
			t.Errorf("%q came back", got)
		}
	})
}
