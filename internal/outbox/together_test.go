package outbox

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// together takes all that travels in one publish, and tells of it as drain does.
func together(t testing.TB, q *Queue) (payloads string, ids []string) {
	t.Helper()
	for m, ok := q.Take(); ok; m, ok = q.TakeAlong() {
		payloads, ids = payloads+string(m.Payload), append(ids, m.ID)
	}
	return payloads, ids
}

func says(payload string) func(*Message) { return func(m *Message) { m.Payload = []byte(payload) } }

// What travels together is of one topic and priority. A message of QoS 0 between two
// of QoS 1 is not overtaken: a program that mixes them keeps its order in the topic.
func TestWhatTravelsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		put(t, q, "/a", says("1"))
		put(t, q, "/b", says("x"))
		put(t, q, "/a", says("2"))
		put(t, q, "/a", says("l"), low)
		put(t, q, "/a", says("0"), func(m *Message) { m.QoS = 0 })
		put(t, q, "/a", says("3"))
		put(t, q, "/b", says("y"))
		for _, want := range []string{"12", "xy", "0", "3", "l"} {
			got, ids := together(t, q)
			if got != want {
				t.Errorf("%q travel together, want %q", got, want)
			}
			state := Acked
			if want == "0" {
				state = Sent
			}
			if err := q.DoneAll(ids, state); err != nil {
				t.Error(err)
			}
		}
	})
}

// Nobody knows what became of a batch: each of its messages is the next again, but for
// those whose time ran out meanwhile.
func TestABatchComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		for i := range 4 {
			put(t, q, "/a", says(fmt.Sprint(i)), func(m *Message) { m.TTL = time.Duration(i%2) * time.Second })
		}
		_, ids := together(t, q)
		time.Sleep(time.Minute)
		put(t, q, "/a", says("4"))
		for _, id := range ids {
			if err := q.Release(id); err != nil {
				t.Error(err)
			}
		}
		wantState(t, q, ids[1], Expired, ReasonExpired)
		if got, _ := together(t, q); got != "024" {
			t.Errorf("%q travel together then", got)
		}
	})
}

// A power cut repeats the messages of the publish in flight, and no more than 16 others,
// however many one PUBACK acknowledged.
func TestRepeatsOfBatchesAreBounded(t *testing.T) {
	disk := simdisk.New()
	slow := make(chan struct{})
	var hold atomic.Bool
	disk.Fail(func(op, _ string) error {
		if op == "sync" && hold.Load() {
			<-slow
		}
		return nil
	})
	q := open(t, "", Limits{}, Options{Files: disk})
	for range 200 {
		put(t, q.Queue, "/a")
	}
	hold.Store(true)
	var sent atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 4 {
			first, _ := q.Take()
			ids := []string{first.ID}
			for len(ids) < 50 {
				m, _ := q.TakeAlong()
				ids = append(ids, m.ID)
			}
			sent.Add(50) // from here on they count as sent
			if err := q.DoneAll(ids, Acked); err != nil {
				t.Error(err)
			}
		}
	}()
	time.Sleep(100 * time.Millisecond)
	if n := sent.Load(); n > 50+maxUnflushed {
		t.Errorf("%d were sent while none was durable", n)
	}
	close(slow)
	<-done
}

// A topic that gathers is passed by the others; its messages go when their time has
// come, or when there are enough, and no attempt was counted meanwhile.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		put(t, q, "/a", says("1"))
		put(t, q, "/a", says("2"))
		put(t, q, "/b", says("x"))
		got, ids := together(t, q)
		if got != "12" || !q.Gather(time.Now().Add(time.Minute), 2) {
			t.Fatalf("%q do not gather", got)
		}
		if m, _ := q.Get(ids[0]); m.Attempts != 0 || m.State != Queued {
			t.Errorf("one that gathers: %+v", m)
		}
		got, ids = together(t, q)
		if got != "x" {
			t.Errorf("%q passed, want x", got)
		}
		_ = q.DoneAll(ids, Acked)
		if got, _ := together(t, q); got != "" {
			t.Errorf("%q went before its time", got)
		}
		put(t, q, "/a", says("h"), high)
		if got, ids = together(t, q); got != "h" {
			t.Errorf("%q of another priority, want h", got)
		}
		_ = q.DoneAll(ids, Acked)
		put(t, q, "/a", says("3"))
		put(t, q, "/a", says("4"))
		if got, ids = together(t, q); got != "1234" {
			t.Errorf("%q went when there were enough", got)
		}
		_ = q.DoneAll(ids, Acked)

		put(t, q, "/a", says("5"))
		together(t, q)
		q.Gather(time.Now().Add(time.Minute), 2)
		select {
		case <-q.Ready():
		default:
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case <-q.Ready():
		default:
			t.Error("nobody is woken when the time has come")
		}
		if got, _ = together(t, q); got != "5" {
			t.Errorf("%q went when the time had come", got)
		}
	})
}

// A program's message of QoS 0 comes after what it published before to the same topic,
// which goes when that one is the next, and gathers no more while one waits.
func TestWhatGathersIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		put(t, q, "/a", says("1"))
		together(t, q)
		if !q.Gather(time.Now().Add(time.Minute), 2) {
			t.Fatal("it does not gather")
		}
		put(t, q, "/a", says("0"), func(m *Message) { m.QoS = 0 })
		got, ids := together(t, q)
		if got != "1" || q.Gather(time.Now().Add(time.Minute), 2) {
			t.Errorf("%q is next, want 1, which gathers no more", got)
		}
		_ = q.DoneAll(ids, Acked)
		if got, _ := together(t, q); got != "0" {
			t.Errorf("%q is next, want 0", got)
		}
		time.Sleep(time.Minute)
	})
}

// Filters with wildcards match any number of topics: what gathers is a short list.
func TestGatheringTopicsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		for i := range gatheringMost + 1 {
			put(t, q, fmt.Sprint("/a/", i))
			_, ids := together(t, q)
			if got := q.Gather(time.Now().Add(time.Minute), 1); got != (i < gatheringMost) {
				t.Errorf("topic %d gathers: %v", i, got)
			} else if !got {
				_ = q.DoneAll(ids, Acked)
			}
		}
		time.Sleep(time.Minute)
		put(t, q, "/b", high)
		together(t, q)
		if !q.Gather(time.Now().Add(time.Minute), 1) {
			t.Error("the places of those whose time is over are not given again")
		}
		time.Sleep(time.Minute)
	})
}
