package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// put appends a message written as "topic", with what edit changes.
func put(t testing.TB, q *Queue, topic string, edit ...func(*Message)) Message {
	t.Helper()
	m := Message{Topic: topic, Payload: []byte(topic), QoS: 1, Priority: Normal}
	for _, f := range edit {
		f(&m)
	}
	m, err := q.Append(context.Background(), m)
	if err != nil {
		t.Fatalf("append %s: %v", topic, err)
	}
	return m
}

func high(m *Message)   { m.Priority = High }
func low(m *Message)    { m.Priority = Low }
func qos0(m *Message)   { m.QoS = 0 }
func latest(m *Message) { m.Latest = true }

func ttl(d time.Duration) func(*Message) { return func(m *Message) { m.TTL = d } }

// next takes and settles one message as the session does; "" when there is none.
func next(t testing.TB, q *Queue) string {
	t.Helper()
	m, ok := q.Take()
	if !ok {
		return ""
	}
	outcome := Acked
	if m.QoS == 0 {
		outcome = Sent
	}
	if err := q.Done(m.ID, outcome, ""); err != nil {
		t.Fatal(err)
	}
	return m.Topic
}

// drain returns the topics in the order in which they go out.
func drain(t testing.TB, q *Queue) string {
	t.Helper()
	var topics []string
	for topic := next(t, q); topic != ""; topic = next(t, q) {
		topics = append(topics, topic)
	}
	return strings.Join(topics, " ")
}

// wantState checks what Get says.
func wantState(t testing.TB, q *Queue, id string, s State, reason string) {
	t.Helper()
	m, err := q.Get(id)
	if err != nil || m.State != s || m.Reason != reason {
		t.Errorf("%s is %q because %q (%v), want %q because %q", m.Topic, m.State, m.Reason, err, s, reason)
	}
}

func woken(q *Queue) bool {
	select {
	case <-q.Ready():
		return true
	default:
		return false
	}
}

func TestOrder(t *testing.T) {
	q := New(Limits{})
	put(t, q, "n1")
	put(t, q, "l1", low)
	put(t, q, "n2", qos0)
	put(t, q, "h1", high)
	put(t, q, "n3")
	put(t, q, "h2", high, qos0)
	put(t, q, "l2", low, qos0)
	put(t, q, "n4", qos0)
	if got, want := drain(t, q), "h1 h2 n1 n2 n3 n4 l1 l2"; got != want {
		t.Errorf("order is %s, want %s", got, want)
	}
}

func TestHighOvertakesWhatWaitsButNotWhatIsInFlight(t *testing.T) {
	q := New(Limits{})
	put(t, q, "a")
	put(t, q, "b")
	m, _ := q.Take()
	put(t, q, "alarm", high)
	if _, ok := q.Take(); ok {
		t.Fatal("two in flight")
	}
	if err := q.Done(m.ID, Acked, ""); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, q); m.Topic != "a" || got != "alarm b" {
		t.Errorf("order is %s %s", m.Topic, got)
	}
}

// The outcome of a publish is unknown: it goes out again before what came later.
func TestReleaseKeepsItsPlace(t *testing.T) {
	q := New(Limits{})
	for _, topic := range []string{"a", "b", "c"} {
		put(t, q, topic)
	}
	for attempt := 1; attempt <= 3; attempt++ {
		m, ok := q.Take()
		if !ok || m.Topic != "a" || m.Attempts != attempt || m.State != InFlight {
			t.Fatalf("attempt %d: %+v", attempt, m)
		}
		if err := q.Release(m.ID); err != nil {
			t.Fatal(err)
		}
		wantState(t, q, m.ID, Queued, "")
		if !woken(q) {
			t.Error("no wake-up after Release")
		}
	}
	if got := drain(t, q); got != "a b c" {
		t.Errorf("order is %s", got)
	}
}

// Every transition that exists, and that no other does.
func TestStates(t *testing.T) {
	kept := func(*Message) {}
	for _, c := range []struct {
		name   string
		qos    func(*Message)
		happen func(q *Queue, id string) error
		want   State
		reason string
		err    error
	}{
		{"accepted", kept, nil, Queued, "", nil},
		{"accepted, qos 0", qos0, nil, Held, "", nil},
		{"in flight", kept, taken(nil), InFlight, "", nil},
		{"in flight, qos 0", qos0, taken(nil), Held, "", nil},
		{"acknowledged", kept, taken(done(Acked, "")), Acked, "", nil},
		{"sent, qos 0", qos0, taken(done(Sent, "")), Sent, "", nil},
		{"rejected", kept, taken(done(Rejected, "byte 0x00 at 3")), Rejected, "byte 0x00 at 3", nil},
		{"rejected, qos 0", qos0, taken(done(Rejected, "byte 0x00 at 3")), Dropped, "byte 0x00 at 3", nil},
		{"released", kept, taken((*Queue).Release), Queued, "", nil},
		{"released, qos 0", qos0, taken((*Queue).Release), Held, "", nil},
		{"dropped", kept, (*Queue).Drop, Dropped, ReasonRemoved, nil},
		{"dropped, qos 0", qos0, (*Queue).Drop, Dropped, ReasonRemoved, nil},
		{"dropped in flight", kept, taken((*Queue).Drop), InFlight, "", ErrInFlight},
		{"dropped in flight, qos 0", qos0, taken((*Queue).Drop), Held, "", ErrInFlight},
		{"dropped twice", kept, twice((*Queue).Drop), Dropped, ReasonRemoved, ErrFinal},
		{"acknowledged twice", kept, taken(twice(done(Acked, ""))), Acked, "", ErrNotInFlight},
		{"acknowledged without being sent", kept, done(Acked, ""), Queued, "", ErrNotInFlight},
		{"sent without being taken, qos 0", qos0, done(Sent, ""), Held, "", ErrNotInFlight},
		{"released without being sent", kept, (*Queue).Release, Queued, "", ErrNotInFlight},
		{"acknowledged, qos 0", qos0, taken(done(Acked, "")), Held, "", ErrInvalid},
		{"sent, qos 1", kept, taken(done(Sent, "")), InFlight, "", ErrInvalid},
		{"done as expired", kept, taken(done(Expired, "")), InFlight, "", ErrInvalid},
		{"done as queued", kept, taken(done(Queued, "")), InFlight, "", ErrInvalid},
		{"done as held, qos 0", qos0, taken(done(Held, "")), Held, "", ErrInvalid},
		{"done as nonsense", kept, taken(done("lost", "")), InFlight, "", ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := New(Limits{})
			id := put(t, q, "t", c.qos).ID
			if c.happen != nil {
				if err := c.happen(q, id); !errors.Is(err, c.err) {
					t.Errorf("error is %v, want %v", err, c.err)
				}
			}
			wantState(t, q, id, c.want, c.reason)
		})
	}
}

func taken(then func(*Queue, string) error) func(*Queue, string) error {
	return func(q *Queue, id string) error {
		if m, ok := q.Take(); !ok || m.ID != id {
			return fmt.Errorf("took %+v", m)
		}
		if then == nil {
			return nil
		}
		return then(q, id)
	}
}

func done(s State, reason string) func(*Queue, string) error {
	return func(q *Queue, id string) error { return q.Done(id, s, reason) }
}

func twice(f func(*Queue, string) error) func(*Queue, string) error {
	return func(q *Queue, id string) error {
		if err := f(q, id); err != nil {
			return err
		}
		return f(q, id)
	}
}

func TestUnknownIDs(t *testing.T) {
	q := New(Limits{})
	const id = "0123"
	_, getErr := q.Get(id)
	_, waitErr := q.Wait(t.Context(), id)
	for op, err := range map[string]error{
		"get": getErr, "wait": waitErr, "drop": q.Drop(id), "done": q.Done(id, Acked, ""), "release": q.Release(id),
	} {
		var e *Error
		if !errors.Is(err, ErrUnknown) || !errors.As(err, &e) || e.Op != op || e.ID != id {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestImpossibleMessagesAreRefused(t *testing.T) {
	q := New(Limits{})
	for name, m := range map[string]Message{
		"qos 2":        {Topic: "t", QoS: 2},
		"a fourth":     {Topic: "t", Priority: Low + 1},
		"negative ttl": {Topic: "t", TTL: -1},
		"no topic":     {},
	} {
		if _, err := q.Append(t.Context(), m); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Append(ctx, Message{Topic: "t"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a program that has gone: %v", err)
	}
	if _, total := q.List("", 1); total != 0 || woken(q) {
		t.Errorf("%d of them were kept", total)
	}
}

func TestAppendStampsAndCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		payload := []byte("21.5")
		m, err := q.Append(t.Context(), Message{
			Topic: "t", Payload: payload, QoS: 1, Priority: Normal, TTL: time.Hour,
			ID: "mine", State: Acked, Attempts: 7, Reason: "x", AcceptedAt: time.Unix(1, 0), ExpiresAt: time.Unix(2, 0),
		})
		if err != nil {
			t.Fatal(err)
		}
		payload[0] = 'X' // the program uses its buffer again
		now := time.Now()
		if m.ID == "mine" || m.State != Queued || m.Attempts != 0 || m.Reason != "" || !m.AcceptedAt.Equal(now) || !m.ExpiresAt.Equal(now.Add(time.Hour)) {
			t.Errorf("accepted as %+v", m)
		}
		if got, _ := q.Take(); string(got.Payload) != "21.5" || got.ID != m.ID {
			t.Errorf("took %+v", got)
		}
		if err := q.Done(m.ID, Acked, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := q.Get(m.ID); err != nil || got.Payload != nil {
			t.Errorf("a final state keeps the payload %q (%v)", got.Payload, err)
		}
	})
}

func TestReadyWakesOnceForMany(t *testing.T) {
	q := New(Limits{})
	if woken(q) {
		t.Error("awake with nothing to do")
	}
	put(t, q, "a")
	put(t, q, "b")
	if !woken(q) || woken(q) {
		t.Error("want exactly one wake-up for two messages")
	}
	m, _ := q.Take()
	put(t, q, "c")
	if woken(q) {
		t.Error("woken although one is in flight and Take has nothing")
	}
	if err := q.Done(m.ID, Acked, ""); err != nil {
		t.Fatal(err)
	}
	if !woken(q) {
		t.Error("no wake-up when the next can be taken")
	}
	drain(t, q)
	woken(q)
	put(t, q, "d")
	if !woken(q) {
		t.Error("no wake-up for a new message")
	}
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		if s := q.Stats(); s.Messages != 0 || s.Bytes != 0 || s.Held != 0 || s.InFlight != 0 || !s.OldestAt.IsZero() {
			t.Errorf("an empty queue has %+v", s)
		}
		put(t, q, "held", qos0)
		time.Sleep(time.Minute)
		first := put(t, q, "ab")
		time.Sleep(time.Minute)
		put(t, q, "abc", ttl(time.Minute))
		q.Take() // the QoS 0 message, the older
		s := q.Stats()
		if s.Messages != 2 || s.Bytes != 10 || s.Held != 1 || s.InFlight != 1 || !s.OldestAt.Equal(first.AcceptedAt) {
			t.Errorf("stats %+v", s)
		}
		time.Sleep(time.Minute)
		if s := q.Stats(); s.Messages != 1 || s.Bytes != 4 || s.Dropped[ReasonExpired] != 1 {
			t.Errorf("after the expiry of one: %+v", s)
		}
		for reason := range s.Dropped {
			if !slices.Contains(Reasons(), reason) {
				t.Errorf("%q is not among the reasons", reason)
			}
		}
		if len(s.Dropped) != len(Reasons()) {
			t.Errorf("%d of %d reasons are there", len(s.Dropped), len(Reasons()))
		}
	})
}

func TestIDsSortByAcceptance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{HeldMessages: 5000})
		var last string
		for i := range 5000 { // at one instant of virtual time
			m := put(t, q, "t", func(m *Message) { m.QoS = byte(i % 2) })
			if m.ID <= last || len(m.ID) != 24 {
				t.Fatalf("%q follows %q", m.ID, last)
			}
			last = m.ID
		}
		time.Sleep(time.Second)
		if m := put(t, New(Limits{}), "t"); m.ID <= last {
			t.Errorf("after a restart %q follows %q", m.ID, last)
		}
	})
}

// A clock that was set back by a restart must not bring an id twice.
func TestIDsAreUniqueAcrossProcesses(t *testing.T) {
	now := time.Unix(0, 0)
	a, b := newIDSource(), newIDSource()
	if x, y := encodeID(a.next(now), a.tail), encodeID(b.next(now), b.tail); x == y {
		t.Errorf("two processes gave %s", x)
	}
}
