package outbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"airbridged/internal/outbox/simdisk"
)

func of(owner string) func(*Message) { return func(m *Message) { m.Owner = owner } }

func ownLatest(m *Message) { m.Latest, m.OwnOnly = true, true }

// listOf is the topics of an owner's messages, asked for page by page.
func listOf(q *Queue, owner string, limit int) (topics []string, total int) {
	for after, more := "", true; more; {
		var page []Message
		page, total, after, more = q.ListOf(owner, after, limit)
		for _, m := range page {
			topics = append(topics, m.Topic)
		}
	}
	return topics, total
}

// Whose a message is outlives the process: a program sees its own after a restart too,
// and nobody else's.
func TestOwnersOutliveTheProcess(t *testing.T) {
	disk := simdisk.New()
	q := open(t, "", Limits{}, Options{Files: disk})
	owners := []string{"uid 1000", "client nodered", "uid 4294967295", "uid 01", "uid 4294967296", strings.Repeat("x", MaxOwner), ""}
	for i, owner := range owners {
		m := put(t, q.Queue, fmt.Sprint("t", i), of(owner), latest)
		if m.Owner != owner {
			t.Errorf("%q is %q's", owner, m.Owner)
		}
	}
	q.stop()
	q = open(t, "", Limits{}, Options{Files: disk})
	for i, owner := range owners {
		if got, total := listOf(q.Queue, owner, 2); total != 1 || !slices.Equal(got, []string{fmt.Sprint("t", i)}) {
			t.Errorf("%q has %q, %d in all", owner, got, total)
		}
	}
	if got, total := listOf(q.Queue, "uid 1", 2); total != 0 || got != nil {
		t.Errorf("somebody without messages has %q", got)
	}
}

// A page of one owner's messages looks at a bounded number of others, and still comes to
// the end.
func TestPagesOfAnOwner(t *testing.T) {
	q := New(Limits{})
	for i := range 3 * lookAtMost {
		put(t, q, "flood", of("a"))
		if i%1000 == 0 {
			put(t, q, fmt.Sprint("b", i), of("b"))
			put(t, q, fmt.Sprint("q", i), of("b"), qos0)
		}
	}
	got, total := listOf(q, "b", 3)
	if total != 26 || len(got) != 26 || got[0] != "b0" || got[1] != "q0" || got[25] != "q12000" {
		t.Errorf("%d of %d: %q", len(got), total, got)
	}
}

// One program's share leaves room for the others, whatever it does.
func TestShareOfAnOwner(t *testing.T) {
	for _, durable := range []bool{false, true} {
		q := New(Limits{Messages: 100, Bytes: 10_000})
		if durable {
			q = open(t, "", Limits{Messages: 100, Bytes: 10_000}, Options{Files: simdisk.New()}).Queue
		}
		n := 0
		var err error
		for ; n < 100 && err == nil; n++ {
			_, err = q.Append(t.Context(), Message{Topic: "f", QoS: 1, Owner: "a", Share: 25})
		}
		if n-1 != 25 || !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "25 messages") || !strings.Contains(err.Error(), "[[access]]") {
			t.Errorf("%d messages, then %v", n-1, err)
		}
		if _, err := q.Append(t.Context(), Message{Topic: "f", QoS: 1, Owner: "c", Share: 25, Payload: make([]byte, 2500)}); !errors.Is(err, ErrFull) {
			t.Errorf("more bytes than the share: %v", err)
		}
		for range 75 {
			put(t, q, "g", of("b"))
		}
		if _, err := q.Append(t.Context(), Message{Topic: "f", QoS: 1, Owner: "c", Share: 25}); !errors.Is(err, ErrFull) || strings.Contains(err.Error(), "[[access]]") {
			t.Errorf("the outbox is full: %v", err)
		}
		if got := next(t, q); got != "f" {
			t.Errorf("%s went out", got)
		}
		if s := q.Stats(); s.Messages != 99 {
			t.Errorf("%d wait", s.Messages)
		}
	}
}

// A program that may drop nothing of others replaces nothing of theirs with latest, makes
// no room at their cost, and does not do so after a restart either, when what was not
// settled in time is settled again.
func TestOwnOnly(t *testing.T) {
	disk := simdisk.New()
	q := open(t, "", Limits{Messages: 4, DropOldest: true}, Options{Files: disk})
	put(t, q.Queue, "t", of("a"), func(m *Message) { m.Payload = []byte("of a") })
	put(t, q.Queue, "t", of("b"), func(m *Message) { m.Payload = []byte("first of b") })
	put(t, q.Queue, "t", of("b"), ownLatest, func(m *Message) { m.Payload = []byte("second of b") })
	check := func(when string, want ...string) {
		t.Helper()
		var got []string
		page, _ := q.List("", 10)
		for _, m := range page {
			m, err := q.Read(m.ID)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(m.Payload))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	check("replaced", "of a", "second of b")
	q.stop()
	q = open(t, "", Limits{Messages: 4, DropOldest: true}, Options{Files: disk})
	check("after a restart", "of a", "second of b")
	if m, ok := q.Take(); !ok || m.Owner != "a" {
		t.Fatal(m, ok)
	} else if put(t, q.Queue, "t", of("b"), ownLatest, func(m *Message) { m.Payload = []byte("third of b") }); q.Release(m.ID) != nil {
		t.Error("it cannot be released")
	}
	check("released while another's latest came", "of a", "third of b")

	put(t, q.Queue, "x", of("a"), func(m *Message) { m.Payload = []byte("x") })
	put(t, q.Queue, "x", of("a"), func(m *Message) { m.Payload = []byte("x2") })
	if _, err := q.Append(t.Context(), Message{Topic: "y", QoS: 1, Owner: "a", OwnOnly: true, Priority: High}); err != nil {
		t.Error(err)
	}
	check("its own made room", "third of b", "x", "x2", "")
	if n, err := q.DropTopic(func(topic string) bool { return topic == "y" }); n != 1 || err != nil {
		t.Error(n, err)
	}
	put(t, q.Queue, "t", of("a"), func(m *Message) { m.Payload = []byte("of a") })
	put(t, q.Queue, "t", of("c"), latest, func(m *Message) { m.Payload = []byte("of c") })
	check("who may drop others'", "x", "x2", "of c")
	if n, err := q.DropTopicOf("a", func(string) bool { return true }); n != 2 || err != nil {
		t.Errorf("%d dropped, %v", n, err)
	}
	check("a dropped its own", "of c")
}

// A flood does not keep others out, where what is full drops its oldest: whoever has most
// makes room, and never somebody who has less than the newcomer.
func TestFloodMakesRoom(t *testing.T) {
	for qos := range byte(2) {
		q := New(Limits{Messages: 10, HeldMessages: 10, DropOldest: true})
		few := func(m *Message) { m.QoS, m.OwnOnly = qos, true }
		for range 12 {
			put(t, q, "f", of("a"), few)
		}
		for range 8 {
			put(t, q, "b", of("b"), few)
		}
		put(t, q, "c", of("c"), few)
		if got := drain(t, q); strings.Count(got, "f") != 4 || strings.Count(got, "b") != 5 || strings.Count(got, "c") != 1 {
			t.Errorf("QoS %d: %s", qos, got)
		}
	}
}
