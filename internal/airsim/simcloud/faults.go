package simcloud

import (
	"math/rand/v2"
	"time"

	"airbridged/internal/airsim/orders"
)

// faults are what was ordered of the cloud.
type faults struct {
	register        *refusal
	auth            *refusal
	throttle        int // messages a second of one device; 0: no limit
	outage          bool
	registrationOff bool
	forbiddenCloses bool
	timeless        bool          // the platform tells no time
	timeOff         time.Duration // or one that is so far off
}

// refusal is a code to answer with.
type refusal struct {
	code int
	when orders.Trigger
}

func (r *refusal) next(rng *rand.Rand) (code int, ordered bool) {
	if r == nil || !r.when.Fires(rng) {
		return 0, false
	}
	return r.code, true
}
