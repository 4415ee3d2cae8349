package session

import (
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/provision"
)

// The cloud refuses a sixth CONNECT in a minute, and does not care whether the
// daemon was restarted in between.
func TestConnectGateHoldsOverRestartsAndClockSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, err := provision.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var passed []time.Time
		for range 40 {
			// A new gate each time is a daemon that restarts after every connect.
			g := newGate(Recovery{ConnectsPerMinute: 5}, store)
			time.Sleep(g.wait(time.Now(), 0))
			if d := g.wait(time.Now(), 0); d != 0 {
				t.Fatalf("after the wait another %v is asked for", d)
			}
			now := time.Now()
			if err := g.pass(now); err != nil {
				t.Fatal(err)
			}
			passed = append(passed, now)
		}
		for i := 5; i < len(passed); i++ {
			if gap := passed[i].Sub(passed[i-5]); gap <= time.Minute {
				t.Fatalf("connects %d to %d lie within %v: six in a minute", i-5, i, gap)
			}
		}
		if total := passed[len(passed)-1].Sub(passed[0]); total > 8*time.Minute {
			t.Fatalf("40 connects took %v: the gate is slower than the limit asks for", total)
		}

		// The clock was years ahead when the times were stored, and is right now.
		future := time.Now().AddDate(10, 0, 0)
		if err := store.SaveConnects([]time.Time{future, future, future, future, future}); err != nil {
			t.Fatal(err)
		}
		if d := newGate(Recovery{ConnectsPerMinute: 5}, store).wait(time.Now(), 0); d <= 0 || d > gateWindow {
			t.Fatalf("with connect times in the future the wait is %v, want one window at most", d)
		}
	})
}
