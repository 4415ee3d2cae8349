package outbox

import (
	"fmt"
	"testing"
)

// What is held back stays, keeps its place, and goes out when it may; what is
// more important passes meanwhile.
func TestHoldBack(t *testing.T) {
	q := New(Limits{})
	for i, of := range []func(*Message){low, func(*Message) {}, high} {
		put(t, q, fmt.Sprint("old", i), of)
	}
	q.HoldBack(Low)
	put(t, q, "later", low)
	put(t, q, "held", low, qos0)
	if got := drain(t, q); got != "old2 old1" {
		t.Errorf("%s went out while low was held back", got)
	}
	q.HoldBack(Normal)
	put(t, q, "normal")
	put(t, q, "alarm", high)
	if got := drain(t, q); got != "alarm" {
		t.Errorf("%s went out while all but high was held back", got)
	}
	if s := q.Stats(); s.Messages != 3 || s.Held != 1 {
		t.Errorf("%+v", s)
	}
	<-q.Ready()
	q.HoldBack(HoldNothing)
	select {
	case <-q.Ready():
	default:
		t.Error("nobody was woken")
	}
	if got := drain(t, q); got != "normal old0 later held" {
		t.Errorf("%s went out", got)
	}
}

// A message in flight when its level is held back is settled as usual, and waits
// if it has to go again.
func TestHoldBackOfTheOneInFlight(t *testing.T) {
	q := New(Limits{})
	put(t, q, "a", low)
	m, _ := q.Take()
	q.HoldBack(Low)
	if err := q.Release(m.ID); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, q); got != "" {
		t.Errorf("%s went out", got)
	}
	q.HoldBack(HoldNothing)
	if got := drain(t, q); got != "a" {
		t.Errorf("%q went out", got)
	}
}

// The source comes back with the message, whatever else its flags say.
func TestSource(t *testing.T) {
	q := New(Limits{})
	for source := range uint8(32) {
		put(t, q, fmt.Sprint(source), func(m *Message) { m.Source, m.Latest = source, source%2 == 1 })
	}
	for source := range uint8(32) {
		m, ok := q.Take()
		if !ok || m.Source != source || m.Latest != (source%2 == 1) {
			t.Errorf("%d: %+v", source, m)
		}
		if err := q.Done(m.ID, Acked, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.Append(t.Context(), Message{Topic: "x", QoS: 1, Source: 32}); err == nil {
		t.Error("a source that does not fit was taken")
	}
}

// On disk too the source comes back while the process lives; the format has no
// place for it, so a restart forgets it and nothing else.
func TestSourceOnDisk(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Limits{}, Options{})
	m := put(t, q.Queue, "a", low, latest, func(m *Message) { m.Source = 21 })
	if got, err := q.Get(m.ID); err != nil || m.Source != 21 || got.Source != 21 {
		t.Errorf("%+v %+v %v", m, got, err)
	}
	q.stop()
	q = open(t, dir, Limits{}, Options{})
	got, ok := q.Take()
	if !ok || got.ID != m.ID || got.Source != 0 || !got.Latest || got.Priority != Low {
		t.Errorf("after a restart %+v", got)
	}
}
