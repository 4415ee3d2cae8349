package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitEndsWithEachFinalState(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, q *Queue, id string)
		want State
	}{
		{"acked", func(t *testing.T, q *Queue, _ string) { next(t, q) }, Acked},
		{"rejected", func(t *testing.T, q *Queue, id string) {
			if err := taken(done(Rejected, "no"))(q, id); err != nil {
				t.Error(err)
			}
		}, Rejected},
		{"dropped", func(t *testing.T, q *Queue, id string) {
			if err := q.Drop(id); err != nil {
				t.Error(err)
			}
		}, Dropped},
		{"replaced", func(t *testing.T, q *Queue, _ string) { put(t, q, "t", latest) }, Dropped},
		{"expired, though nobody else looks", func(*testing.T, *Queue, string) {}, Expired},
		{"released after its time", func(t *testing.T, q *Queue, id string) {
			q.Take()
			time.Sleep(2 * time.Minute)
			if err := q.Release(id); err != nil {
				t.Error(err)
			}
		}, Expired},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := New(Limits{})
				id := put(t, q, "t", ttl(time.Minute)).ID
				var waiters sync.WaitGroup
				for range 3 {
					waiters.Go(func() {
						if m, err := q.Wait(t.Context(), id); err != nil || m.State != c.want {
							t.Errorf("waiter got %q, %v", m.State, err)
						}
					})
				}
				synctest.Wait()
				c.end(t, q, id)
				waiters.Wait()
				if m, err := q.Wait(t.Context(), id); err != nil || m.State != c.want {
					t.Errorf("a late waiter got %q, %v", m.State, err)
				}
			})
		})
	}
}

// Queued, taken, released, taken again: none of that ends the wait.
func TestWaitOutlastsARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		id := put(t, q, "t").ID
		answer := make(chan Message, 1)
		go func() { m, _ := q.Wait(t.Context(), id); answer <- m }()
		for range 3 {
			q.Take()
			if err := q.Release(id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(answer) != 0 {
				t.Fatal("answered before the end")
			}
		}
		next(t, q)
		if m := <-answer; m.State != Acked || m.Attempts != 4 {
			t.Errorf("answer %+v", m)
		}
	})
}

func TestWaitReturnsThePresentStateWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		id := put(t, q, "t").ID
		q.Take()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if m, err := q.Wait(ctx, id); !errors.Is(err, context.DeadlineExceeded) || m.State != InFlight {
			t.Errorf("got %q, %v", m.State, err)
		}
		if err := q.Done(id, Acked, ""); err != nil {
			t.Fatal(err)
		}
		if m, err := q.Wait(ctx, id); err != nil || m.State != Acked { // known by now
			t.Errorf("got %q, %v", m.State, err)
		}
	})
}

func TestFinalStatesAreForgottenInOrder(t *testing.T) {
	q := New(Limits{})
	first, second := put(t, q, "t").ID, put(t, q, "t").ID
	next(t, q)
	next(t, q)
	for range remembered - 2 {
		put(t, q, "t")
		next(t, q)
	}
	wantState(t, q, first, Acked, "") // the 10,000th
	waiting := put(t, q, "waits", low).ID
	put(t, q, "t")
	next(t, q)
	if _, err := q.Get(first); !errors.Is(err, ErrUnknown) {
		t.Errorf("the 10,001st: %v", err)
	}
	wantState(t, q, second, Acked, "")
	wantState(t, q, waiting, Queued, "")
	if n := len(q.history.index); n != remembered || len(q.history.ring) != remembered {
		t.Errorf("%d indexed, %d kept", n, len(q.history.ring))
	}
}

func TestListPages(t *testing.T) {
	q := New(Limits{})
	var ids []string
	for i := range 10 {
		ids = append(ids, put(t, q, fmt.Sprint(i), func(m *Message) {
			m.QoS = byte(i/2) % 2
			m.Priority = Priority(i % 3)
		}).ID)
	}
	all := func(limit int) (topics string) {
		after := ""
		for {
			page, total := q.List(after, limit)
			if total != 10 {
				t.Errorf("total is %d", total)
			}
			if len(page) == 0 {
				return topics
			}
			for _, m := range page {
				topics += m.Topic
			}
			after = page[len(page)-1].ID
		}
	}
	for limit := 1; limit <= 11; limit++ {
		if got := all(limit); got != "0123456789" {
			t.Errorf("by %d: %s", limit, got)
		}
	}
	m, _ := q.Take()
	if page, _ := q.List("", 10); len(page) != 10 || page[0].State != Held || m.Topic != "0" {
		t.Errorf("with %s in flight: %d listed", m.Topic, len(page))
	}
	// The message that ended the last page may have gone meanwhile.
	for _, gone := range []int{3, 5} {
		if err := q.Drop(ids[gone]); err != nil {
			t.Fatal(err)
		}
		if page, total := q.List(ids[gone], 1); len(page) != 1 || page[0].ID != ids[gone+1] {
			t.Errorf("behind the dropped %d: %v of %d", gone, page, total)
		}
	}
	if page, total := q.List("", 0); len(page) != 0 || total != 8 {
		t.Errorf("without a limit: %d of %d", len(page), total)
	}
}

func TestDropTopic(t *testing.T) {
	q := New(Limits{})
	put(t, q, "a/1")
	put(t, q, "a/1", qos0)
	put(t, q, "b")
	put(t, q, "a/2", high)
	m, _ := q.Take()
	put(t, q, "a/2")
	if n, err := q.DropTopic(func(topic string) bool { return strings.HasPrefix(topic, "a/") }); n != 3 || err != nil {
		t.Errorf("%d dropped", n)
	}
	if n, _ := q.DropTopic(func(string) bool { return false }); n != 0 {
		t.Errorf("%d dropped by a filter that picks nothing", n)
	}
	if err := q.Release(m.ID); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, q); got != "a/2 b" || q.Stats().Dropped[ReasonRemoved] != 3 {
		t.Errorf("%s went out, stats %+v", got, q.Stats())
	}
}

// The filter is the caller's code and may ask the queue something.
func TestDropTopicCallsTheFilterWithoutTheLock(t *testing.T) {
	q := New(Limits{})
	put(t, q, "t")
	if n, _ := q.DropTopic(func(string) bool { return q.Stats().Messages == 1 }); n != 1 {
		t.Errorf("%d dropped", n)
	}
}
