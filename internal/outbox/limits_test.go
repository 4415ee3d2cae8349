package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFullRejects(t *testing.T) {
	for _, c := range []struct {
		name string
		l    Limits
	}{
		{"messages", Limits{Messages: 2}},
		{"bytes", Limits{Bytes: 8}}, // two messages of one byte topic and three bytes payload
	} {
		t.Run(c.name, func(t *testing.T) {
			q := New(c.l)
			put(t, q, "a", func(m *Message) { m.Payload = []byte("333") })
			put(t, q, "b", func(m *Message) { m.Payload = []byte("333") })
			_, err := q.Append(t.Context(), Message{Topic: "c", QoS: 1, Priority: High})
			var e *Error
			if !errors.Is(err, ErrFull) || !errors.As(err, &e) || e.Hint == "" {
				t.Fatalf("error is %v", err)
			}
			put(t, q, "d", qos0) // has its own bounds
			if got := drain(t, q); got != "a b d" {
				t.Errorf("%s went out", got)
			}
			put(t, q, "c") // room again
			if s := q.Stats(); s.Dropped[ReasonFull] != 0 {
				t.Errorf("%d dropped", s.Dropped[ReasonFull])
			}
		})
	}
}

func TestFullDropsOldest(t *testing.T) {
	q := New(Limits{Messages: 3, DropOldest: true})
	a := put(t, q, "a")
	for _, topic := range []string{"b", "c", "d", "e"} {
		put(t, q, topic)
	}
	wantState(t, q, a.ID, Dropped, ReasonFull)
	if got := drain(t, q); got != "c d e" || q.Stats().Dropped[ReasonFull] != 2 {
		t.Errorf("%s went out, %d dropped", got, q.Stats().Dropped[ReasonFull])
	}
}

// Old telemetry makes room before an alarm does, and never the other way round.
func TestFullDropsTheLeastImportantFirst(t *testing.T) {
	q := New(Limits{Messages: 3, DropOldest: true})
	put(t, q, "alarm1", high)
	put(t, q, "normal")
	put(t, q, "low", low)
	put(t, q, "alarm2", high)
	put(t, q, "alarm3", high)
	if _, err := q.Append(t.Context(), Message{Topic: "n", QoS: 1, Priority: Normal}); !errors.Is(err, ErrFull) {
		t.Errorf("an alarm was dropped for telemetry: %v", err)
	}
	put(t, q, "alarm4", high)
	if got := drain(t, q); got != "alarm2 alarm3 alarm4" {
		t.Errorf("%s went out", got)
	}
}

func TestFullNeverDropsTheOneInFlight(t *testing.T) {
	for _, qos := range []func(*Message){qos0, func(*Message) {}} {
		q := New(Limits{Messages: 2, HeldMessages: 2, DropOldest: true})
		a := put(t, q, "a", qos)
		put(t, q, "b", qos)
		q.Take()
		put(t, q, "c", qos)
		if err := q.Release(a.ID); err != nil {
			t.Fatal(err)
		}
		if got := drain(t, q); got != "a c" {
			t.Errorf("%s went out", got)
		}
	}
	q := New(Limits{Messages: 1, DropOldest: true})
	put(t, q, "a")
	q.Take()
	if _, err := q.Append(t.Context(), Message{Topic: "b", QoS: 1}); !errors.Is(err, ErrFull) {
		t.Errorf("the bound was broken: %v", err)
	}
}

// A message that can never fit must not empty the queue first.
func TestTooLargeDropsNothing(t *testing.T) {
	q := New(Limits{Bytes: 10, HeldBytes: 10, DropOldest: true})
	put(t, q, "a")
	put(t, q, "b", qos0)
	for qos := range byte(2) {
		_, err := q.Append(t.Context(), Message{Topic: "t", Payload: make([]byte, 10), QoS: qos, Priority: Normal, Latest: true})
		if !errors.Is(err, ErrFull) {
			t.Errorf("QoS %d: %v", qos, err)
		}
	}
	if got := drain(t, q); got != "a b" {
		t.Errorf("%s went out", got)
	}
}

func TestHeldRingDropsItsOldest(t *testing.T) {
	t.Run("messages", func(t *testing.T) {
		q := New(Limits{})
		put(t, q, "kept")
		first := put(t, q, "t0", qos0)
		for i := 1; i <= 1000; i++ {
			put(t, q, fmt.Sprint("t", i), qos0)
		}
		wantState(t, q, first.ID, Dropped, ReasonFull)
		if s := q.Stats(); s.Held != 1000 || s.Messages != 1 || s.Dropped[ReasonFull] != 1 {
			t.Errorf("stats %+v", s)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		q := New(Limits{})
		for range 5 {
			put(t, q, "t", qos0, func(m *Message) { m.Payload = make([]byte, 300<<10) })
		}
		if s := q.Stats(); s.Held != 3 || s.Dropped[ReasonFull] != 2 {
			t.Errorf("stats %+v", s)
		}
	})
	t.Run("oldest, not least important", func(t *testing.T) {
		q := New(Limits{HeldMessages: 2})
		put(t, q, "a", qos0, high)
		put(t, q, "b", qos0, low)
		put(t, q, "c", qos0, low)
		if got := drain(t, q); got != "b c" {
			t.Errorf("%s went out", got)
		}
	})
}

func TestExpiry(t *testing.T) {
	for _, c := range []struct {
		name        string
		maxAge, ttl time.Duration
		qos         byte
		state       State
	}{
		{"by ttl", 0, time.Minute, 1, Expired},
		{"by max age", time.Minute, 0, 1, Expired},
		{"max age shortens ttl", time.Minute, time.Hour, 1, Expired},
		{"ttl shortens max age", time.Hour, time.Minute, 1, Expired},
		{"qos 0", time.Hour, time.Minute, 0, Dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := New(Limits{MaxAge: c.maxAge})
				m := put(t, q, "t", ttl(c.ttl), func(m *Message) { m.QoS = c.qos })
				time.Sleep(time.Minute - time.Nanosecond)
				if _, total := q.List("", 1); total != 1 {
					t.Fatal("expired too early")
				}
				time.Sleep(time.Nanosecond)
				if page, total := q.List("", 1); len(page) != 0 || total != 0 {
					t.Errorf("listed %v of %d", page, total)
				}
				wantState(t, q, m.ID, c.state, ReasonExpired)
				if err := q.Drop(m.ID); !errors.Is(err, ErrFinal) {
					t.Errorf("drop: %v", err)
				}
				if _, ok := q.Take(); ok {
					t.Error("taken")
				}
			})
		})
	}
}

// Each look-up alone must notice the expiry, whichever comes first.
func TestEveryLookSweeps(t *testing.T) {
	for name, look := range map[string]func(q *Queue, id string) bool{
		"Take":      func(q *Queue, _ string) bool { _, ok := q.Take(); return ok },
		"Get":       func(q *Queue, id string) bool { m, _ := q.Get(id); return m.State != Expired },
		"Stats":     func(q *Queue, _ string) bool { return q.Stats().Messages != 0 },
		"List":      func(q *Queue, _ string) bool { _, total := q.List("", 0); return total != 0 },
		"Drop":      func(q *Queue, id string) bool { return !errors.Is(q.Drop(id), ErrFinal) },
		"DropTopic": func(q *Queue, _ string) bool { n, _ := q.DropTopic(func(string) bool { return true }); return n != 0 },
		"Append": func(q *Queue, _ string) bool { // the expired one is no reason to be full
			_, err := q.Append(context.Background(), Message{Topic: "u", QoS: 1})
			return err != nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := New(Limits{Messages: 1})
				m := put(t, q, "t", ttl(time.Second))
				time.Sleep(time.Second)
				if look(q, m.ID) {
					t.Error("saw an expired message")
				}
			})
		})
	}
}

func TestInFlightDoesNotExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		acked, released := put(t, q, "a", ttl(time.Second)), put(t, q, "b", ttl(3*time.Second))
		q.Take()
		time.Sleep(2 * time.Second)
		wantState(t, q, acked.ID, InFlight, "")
		if err := q.Done(acked.ID, Acked, ""); err != nil { // the PUBACK came, late but it did
			t.Fatal(err)
		}
		wantState(t, q, acked.ID, Acked, "")
		q.Take()
		time.Sleep(2 * time.Second)
		if err := q.Release(released.ID); err != nil {
			t.Fatal(err)
		}
		wantState(t, q, released.ID, Expired, ReasonExpired)
		if s := q.Stats(); s.Dropped[ReasonExpired] != 1 || s.Messages != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestReleasedBeforeItsExpiryStillExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		m := put(t, q, "a", ttl(3*time.Second))
		q.Take()
		time.Sleep(time.Second)
		if err := q.Release(m.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		wantState(t, q, m.ID, Expired, ReasonExpired)
	})
}

func TestLatestReplacesTheUnsent(t *testing.T) {
	q := New(Limits{})
	other := put(t, q, "other", latest)
	old := put(t, q, "t", latest)
	put(t, q, "between")
	put(t, q, "t", latest)
	wantState(t, q, old.ID, Dropped, ReasonReplaced)
	wantState(t, q, other.ID, Queued, "")
	if got := drain(t, q); got != "other t between" {
		t.Errorf("%s went out", got)
	}
	if n := q.Stats().Dropped[ReasonReplaced]; n != 1 {
		t.Errorf("%d counted as replaced", n)
	}
}

// Best effort does not push out what was promised to be kept.
func TestLatestAndQoS(t *testing.T) {
	q := New(Limits{})
	put(t, q, "t")
	held := put(t, q, "t", qos0)
	put(t, q, "t", qos0, latest)
	wantState(t, q, held.ID, Dropped, ReasonReplaced)
	if s := q.Stats(); s.Messages != 1 || s.Held != 1 {
		t.Errorf("stats %+v", s)
	}
	put(t, q, "t", latest)
	if s := q.Stats(); s.Messages != 1 || s.Held != 0 {
		t.Errorf("after a QoS 1 message: %+v", s)
	}
}

func TestLatestWhileTheOldIsInFlight(t *testing.T) {
	for _, outcome := range []string{"acked", "released"} {
		t.Run(outcome, func(t *testing.T) {
			q := New(Limits{})
			old := put(t, q, "t", latest)
			q.Take()
			put(t, q, "t", latest, func(m *Message) { m.Payload = []byte("new") })
			wantState(t, q, old.ID, InFlight, "")
			if outcome == "acked" {
				if err := q.Done(old.ID, Acked, ""); err != nil {
					t.Fatal(err)
				}
				wantState(t, q, old.ID, Acked, "")
			} else {
				if err := q.Release(old.ID); err != nil {
					t.Fatal(err)
				}
				wantState(t, q, old.ID, Dropped, ReasonReplaced)
			}
			if m, _ := q.Take(); string(m.Payload) != "new" {
				t.Errorf("took %q", m.Payload)
			}
		})
	}
}

// The replaced message makes the room the new one needs, but only if it is
// enough: a refused newcomer must not have replaced anything.
func TestLatestInAFullQueue(t *testing.T) {
	q := New(Limits{Bytes: 6, Messages: 2})
	put(t, q, "a", latest)
	put(t, q, "b", latest)
	put(t, q, "a", latest, func(m *Message) { m.Payload = []byte("333") })
	_, err := q.Append(t.Context(), Message{Topic: "b", Payload: []byte(strings.Repeat("x", 5)), QoS: 1, Latest: true})
	if !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if got := drain(t, q); got != "a b" {
		t.Errorf("%s went out", got)
	}
}
