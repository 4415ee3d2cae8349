package outbox

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Programs publish at once and wait for the acknowledgement while a session
// drains, with failures. Nothing is lost, nothing comes twice without a
// release, each program's order stands, and every waiter is answered once.
func TestManyProgramsOneSession(t *testing.T) {
	const programs, messages = 8, 200
	q := New(Limits{})
	var answers atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var session, all sync.WaitGroup
	sent := map[string][]string{}
	var inFlight, turn atomic.Int64
	for range 2 { // two of them, though there should be one: never two in flight
		session.Go(func() {
			for {
				m, ok := q.Take()
				if !ok {
					select {
					case <-q.Ready():
						continue
					case <-ctx.Done():
						return
					}
				}
				if inFlight.Add(1) != 1 {
					t.Error("two in flight")
				}
				failed := turn.Add(1)%7 == 0
				if !failed {
					sent[m.Topic] = append(sent[m.Topic], string(m.Payload)) // guarded by the flight
				}
				inFlight.Add(-1)
				if err := settle(q, m, failed); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for p := range programs {
		topic := fmt.Sprint("program", p)
		all.Go(func() {
			for i := range messages {
				m, err := q.Append(ctx, Message{Topic: topic, Payload: fmt.Append(nil, i), QoS: byte(i % 2), Priority: Normal})
				if err != nil {
					t.Error(err)
					return
				}
				all.Go(func() {
					if m, err := q.Wait(ctx, m.ID); err != nil || m.State != Acked && m.State != Sent {
						t.Errorf("%q, %v", m.State, err)
					}
					answers.Add(1)
				})
			}
		})
	}
	// Somebody always looks.
	all.Go(func() {
		for answers.Load() < programs*messages {
			q.Stats()
			page, _ := q.List("", 10)
			for _, m := range page {
				_, _ = q.Get(m.ID)
			}
			_, _ = q.DropTopic(func(topic string) bool { return !strings.HasPrefix(topic, "program") })
		}
	})
	all.Wait()
	cancel()
	session.Wait()
	for p := range programs {
		got := sent[fmt.Sprint("program", p)]
		if len(got) != messages {
			t.Fatalf("%d of %d messages of program %d went out", len(got), messages, p)
		}
		for i, payload := range got {
			if payload != fmt.Sprint(i) {
				t.Fatalf("program %d: message %s at place %d", p, payload, i)
			}
		}
	}
	if s := q.Stats(); s.Messages != 0 || s.Held != 0 || s.InFlight != 0 {
		t.Errorf("left over: %+v", s)
	}
}

func settle(q *Queue, m Message, failed bool) error {
	switch {
	case failed:
		return q.Release(m.ID)
	case m.QoS == 0:
		return q.Done(m.ID, Sent, "")
	}
	return q.Done(m.ID, Acked, "")
}

// A drop races the take: exactly one of them wins.
func TestDropRacesTake(t *testing.T) {
	for range 500 {
		q := New(Limits{})
		id := put(t, q, "t").ID
		var both sync.WaitGroup
		var took, dropped bool
		both.Go(func() { _, took = q.Take() })
		both.Go(func() { dropped = q.Drop(id) == nil })
		both.Wait()
		if took == dropped {
			t.Fatalf("taken %v, dropped %v", took, dropped)
		}
	}
}

// BenchmarkAppendTake is one message's whole way through the queue, with a
// backlog of the given length behind it.
func BenchmarkAppendTake(b *testing.B) {
	for _, backlog := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprint("backlog=", backlog), func(b *testing.B) {
			q := New(Limits{Bytes: 1 << 40})
			m := Message{Topic: "/product/device/update", Payload: make([]byte, 128), QoS: 1, Priority: Low}
			for range backlog {
				if _, err := q.Append(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
			m.Priority = Normal
			b.ReportAllocs()
			for b.Loop() {
				if _, err := q.Append(b.Context(), m); err != nil {
					b.Fatal(err)
				}
				taken, _ := q.Take()
				if err := q.Done(taken.ID, Acked, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
