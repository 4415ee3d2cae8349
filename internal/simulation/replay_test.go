//go:build !race

package simulation

import (
	"runtime"
	"testing"
	"time"
)

// A failing seed is only worth something if it fails the same way again: runs of a
// seed have the same timeline, to the nanosecond, on one processor, as the workers have
// it. Two goroutines that are awake in the same instant run in the order in which they
// woke then; with more processors both orders are right, and the race detector shuffles
// them on purpose. A busy machine may take the processor away in the middle of an
// instant, which is the same thing, and rare: so two equal runs of up to four are asked
// for. What is random for another reason is never the same twice.
func TestASeedReplays(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := range uint64(4) {
		p := newPlan(seed+1, 6*time.Hour)
		seen := map[uint64]bool{}
		for range 4 {
			r := live(t, p)
			if seen[r.timeline.hash] {
				break
			}
			t.Logf("seed %d: %d lines of timeline, hash %016x", seed+1, r.timeline.next, r.timeline.hash)
			if seen[r.timeline.hash] = true; len(seen) == 4 {
				t.Errorf("seed %d: four runs, four timelines", seed+1)
			}
		}
	}
}
