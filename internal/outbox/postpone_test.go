package outbox

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A message that is postponed lets the others pass, of its own level and of lesser
// ones, keeps its place, and is woken for when its time is over.
func TestPostpone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		for i, of := range []func(*Message){high, high, func(*Message) {}, low} {
			put(t, q, fmt.Sprint(i), of)
		}
		m, _ := q.Take()
		if err := q.Postpone(m.ID, time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := drain(t, q); got != "1 2 3" {
			t.Errorf("%q passed", got)
		}
		if m, _ := q.Get(m.ID); m.Attempts != 0 || m.State != Queued {
			t.Errorf("%+v", m)
		}
		put(t, q, "4", low)
		select {
		case <-q.Ready():
		default:
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case <-q.Ready():
		default:
			t.Error("nobody is woken when its time is over")
		}
		if got := drain(t, q); got != "0 4" {
			t.Errorf("%q went out then", got)
		}
		if err := q.Postpone(m.ID, time.Minute); !errors.Is(err, ErrNotInFlight) && !errors.Is(err, ErrUnknown) {
			t.Errorf("one that is done: %v", err)
		}
	})
}

// However many are postponed, it stays a short list.
func TestPostponedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Limits{})
		for i := range maxPostponed + 4 {
			put(t, q, fmt.Sprint(i))
		}
		for i := range maxPostponed + 4 {
			m, ok := q.Take()
			if !ok {
				t.Fatal("nothing to take")
			}
			if err := q.Postpone(m.ID, time.Hour+time.Duration(i)*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if len(q.postponed) != maxPostponed {
			t.Errorf("%d are postponed", len(q.postponed))
		}
		time.Sleep(2 * time.Hour)
	})
}
