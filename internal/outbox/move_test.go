package outbox

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"airbridged/internal/outbox/simdisk"
)

// pinned fills segments with messages that are sent, and one in each that waits.
func pinned(t testing.TB, q *Queue, segments int) (waiting []string) {
	t.Helper()
	newest := func() uint64 {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.log.newest.number
	}
	for i := range segments {
		m := put(t, q, fmt.Sprint("low", i), low)
		waiting = append(waiting, m.ID)
		for n := newest(); newest() == n; {
			put(t, q, "high", high, func(m *Message) { m.Payload = make([]byte, 30_000) })
		}
		q.HoldBack(Low)
		drain(t, q)
		q.HoldBack(HoldNothing)
	}
	return waiting
}

// Seen: 24 messages that wait, 974 bytes in all, each in a segment of its own
// between delivered ones, hold 12 MiB of a partition of 24 MiB; then everybody is
// refused. What survives moves on.
func TestSurvivorsDoNotPinTheDisk(t *testing.T) {
	disk := simdisk.New()
	disk.Capacity = 48 * segmentSize
	q := open(t, "", Limits{}, Options{Files: disk})
	waiting := pinned(t, q.Queue, 40)
	check(t, q.awaitFlush())
	s := q.Disk()
	if s.Bytes > (slack+2)*segmentSize || s.Moved == 0 {
		t.Errorf("%d KiB on disk for %d bytes that wait; %+v", s.Bytes>>10, q.Stats().Bytes, s)
	}
	for _, id := range waiting {
		wantState(t, q.Queue, id, Queued, "")
	}
	q.stop()
	q = open(t, "", Limits{}, Options{Files: disk})
	page, _ := q.List("", 100)
	for i, m := range page {
		if m.ID != waiting[i] {
			t.Errorf("%s came back as %s", waiting[i], m.ID)
		}
	}
	if got := len(strings.Fields(drain(t, q.Queue))); got != len(waiting) || len(page) != len(waiting) {
		t.Errorf("%d of %d went out after a restart", got, len(waiting))
	}
}

// What is moved is moved in the order of acceptance and with all that it has, over
// and over.
func TestMovingChangesNothing(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	want := map[string]Message{}
	for round := range 30 {
		m := put(t, q.Queue, fmt.Sprint("keep", round%4), low, func(m *Message) {
			m.Latest, m.Key, m.User = round%3 == 0, fmt.Sprint("key", round), uint32(round)
			m.Payload = fmt.Append(nil, "payload", round)
		})
		m.Key, m.User = fmt.Sprint("key", round), uint32(round)
		want[m.ID] = m
		for range 6 {
			put(t, q.Queue, "high", high, func(m *Message) { m.Payload = make([]byte, 600) })
		}
		q.HoldBack(Low)
		drain(t, q.Queue)
		q.HoldBack(HoldNothing)
	}
	check(t, q.awaitFlush())
	if q.Disk().Moved == 0 {
		t.Fatal("nothing was moved")
	}
	for range 2 {
		last := ""
		for _, m := range read(q.Queue, 100) {
			w := want[m.ID]
			if m.ID <= last || m.Topic != w.Topic || string(m.Payload) != string(w.Payload) || m.Latest != w.Latest || m.Priority != w.Priority {
				t.Errorf("%+v is\n %+v", w, m)
			}
			last = m.ID
			if again, known, err := q.Repeat(w); !known || err != nil || again.ID != m.ID {
				t.Errorf("its key: %+v, %v, %v", again, known, err)
			}
		}
		q.stop()
		q = openOn(t, disk, Limits{})
	}
}

// With drop-oldest the disk's share is a bound like the others. Seen: 680 of the
// newest messages are refused with 507, and none is dropped.
func TestDropOldestAtTheDisksShare(t *testing.T) {
	for _, name := range []string{"one level", "two levels"} {
		t.Run(name, func(t *testing.T) {
			disk := simdisk.New()
			disk.Capacity = 24 * testSegment
			q := openOn(t, disk, Limits{DropOldest: true})
			for i := range 300 {
				put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) {
					m.Payload = make([]byte, 300)
					if name == "two levels" && i%2 == 0 {
						m.Priority = High
					}
				})
			}
			s := q.Stats()
			if s.Dropped[ReasonFull] == 0 || s.Messages+int(s.Dropped[ReasonFull]) != 300 {
				t.Errorf("%+v", s)
			}
			got := strings.Fields(drain(t, q.Queue))
			if got[len(got)-1] != "t299" || len(got) < 30 {
				t.Errorf("%d are left, the last %s", len(got), got[len(got)-1])
			}
		})
	}
	// What is more important than the newcomer is never dropped for it.
	disk := simdisk.New()
	disk.Capacity = 24 * testSegment
	q := openOn(t, disk, Limits{DropOldest: true})
	for {
		_, err := q.Append(t.Context(), Message{Topic: "high", Payload: make([]byte, 300), QoS: 1, Priority: High})
		if err != nil {
			t.Fatal(err)
		}
		if q.Stats().Dropped[ReasonFull] > 0 {
			break
		}
	}
	n := q.Stats().Dropped[ReasonFull]
	for range 20 {
		if _, err := q.Append(t.Context(), Message{Topic: "low", Payload: make([]byte, 1500), QoS: 1, Priority: Low}); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	left := q.Stats()
	for m, ok := q.Take(); ok; m, ok = q.Take() {
		check(t, q.Done(m.ID, Acked, ""))
	}
	if got := left.Dropped[ReasonFull] - n; int(got) > 20 {
		t.Errorf("%d more were dropped for less important ones", got)
	}
}

// The disk's share is known, so that it can be told.
func TestTheDisksShareIsKnown(t *testing.T) {
	disk := simdisk.New()
	disk.Capacity = 24 << 20
	q := open(t, "", Limits{}, Options{Files: disk})
	if s := q.Disk(); s.Share != 12<<20 {
		t.Errorf("%+v", s)
	}
}
