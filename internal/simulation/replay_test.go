package simulation

import (
	"testing"
	"time"
)

// A failing seed is only worth something if it fails the same way again: two runs
// of a seed have the same timeline, to the nanosecond.
func TestASeedReplays(t *testing.T) {
	for seed := range uint64(4) {
		p := newPlan(seed+1, 6*time.Hour)
		first, second := live(t, p), live(t, p)
		if a, b := first.timeline.hash, second.timeline.hash; a != b {
			t.Errorf("seed %d: timelines of %d and %d lines, %x and %x", seed+1, first.timeline.next, second.timeline.next, a, b)
		}
	}
}
