package recovery

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestResetBudgetCountsAnyHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := resetBudget{perHour: 2}
		b.spend(time.Now())
		time.Sleep(30 * time.Minute)
		b.settled()
		b.spend(time.Now())
		if n := b.left(time.Now(), true); n != 0 {
			t.Fatalf("%d resets left after two, want none", n)
		}
		time.Sleep(30 * time.Minute)
		if n := b.left(time.Now(), true); n != 1 {
			t.Fatalf("%d resets left an hour after the first, want one", n)
		}
	})
}

// A gateway out of coverage for weeks must not spend its whole budget every
// hour: once resets were made in vain, one an hour is enough.
func TestResetsInVainAreSpaced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		mute  bool
		first int
	}{{"a module that talks", false, 1}, {"a mute one", true, 4}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := resetBudget{perHour: 4}
				made := 0
				for n := range 24 * 12 {
					if b.left(time.Now(), c.mute) > 0 {
						b.spend(time.Now())
						made++
					}
					if n == 10 && made != c.first {
						t.Errorf("%d resets in the first hour, want %d", made, c.first)
					}
					time.Sleep(5 * time.Minute)
				}
				if made < 20 || made > 23+c.first {
					t.Errorf("%d resets on a day without a session, want %d at first and then one an hour", made, c.first)
				}
				b.settled()
				if n := b.left(time.Now(), c.mute); n < 3 {
					t.Errorf("%d resets left after a stable session", n)
				}
			})
		})
	}
}

// The last rung is a new process: were the budget its own, a daemon that exits
// would reset the module as often as it likes.
func TestResetBudgetOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := resetBudget{perHour: 4}
		b.spend(time.Now())
		time.Sleep(10 * time.Minute)
		for range 3 {
			b.spend(time.Now())
		}
		again := resetBudget{perHour: 4}
		again.recall(b.done, time.Now())
		if n := again.left(time.Now(), true); n != 0 {
			t.Fatalf("a new process has %d resets left, want none", n)
		}
		time.Sleep(50 * time.Minute)
		if n := again.left(time.Now(), true); n != 1 {
			t.Fatalf("%d resets left an hour after the first, want one", n)
		}

		// The clock was ten years ahead then, or is ten years behind now: the resets
		// count as made just now, for an hour and no longer.
		before := time.Now().AddDate(-10, 0, 0)
		behind := resetBudget{perHour: 4}
		behind.recall(b.done, before)
		if n := behind.left(before, true); n != 0 {
			t.Fatalf("%d resets left after the clock was set back", n)
		}
		if n := behind.left(before.Add(time.Hour), true); n != 4 {
			t.Fatalf("%d resets left an hour after the clock was set back, want all", n)
		}
	})
}
