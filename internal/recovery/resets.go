package recovery

import (
	"slices"
	"time"
)

// resetSpacing is the least time between two hard resets once some were made in
// vain: what they did not mend waits for the network, the cloud or a person. A
// module that talks has had its chance with one, and a mute one with the budget
// of an hour, because a reset line may have to be pulled more than once.
const resetSpacing = time.Hour

// resetBudget bounds hard resets in any hour.
type resetBudget struct {
	perHour int
	done    []time.Time // oldest first, with monotonic readings
	vain    int         // resets since the session last was stable
}

// recall takes in the resets of the last process.
func (b *resetBudget) recall(made []time.Time, now time.Time) {
	for _, t := range made {
		// By its age, so that a step of the clock from now on changes nothing.
		if age := max(now.Sub(t), 0); age < time.Hour && len(b.done) < b.perHour {
			b.done = append(b.done, now.Add(-age))
		}
	}
	slices.SortFunc(b.done, time.Time.Compare)
}

// left is how many hard resets may be made now, of a module that talks or is mute.
func (b *resetBudget) left(now time.Time, mute bool) int {
	chances := 1
	if mute {
		chances = b.perHour
	}
	b.done = slices.DeleteFunc(b.done, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	if b.vain >= chances && len(b.done) > 0 && now.Sub(b.done[len(b.done)-1]) < resetSpacing {
		return 0
	}
	return max(b.perHour-len(b.done), 0)
}

// spend books a hard reset before it is made.
func (b *resetBudget) spend(now time.Time) {
	b.done = append(b.done, now)
	b.vain++
}

// settled forgives the resets that helped in the end.
func (b *resetBudget) settled() { b.vain = 0 }
