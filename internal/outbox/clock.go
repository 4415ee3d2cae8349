package outbox

import (
	"math"
	"time"
)

// clock counts in nanoseconds since the queue was made, by monotonic time.
type clock struct {
	start time.Time
	wall  time.Time // what the wall clock would have said at start, had it been set as it is now
}

// never is the due time of a message that does not expire.
const never int64 = math.MaxInt64

// dueAfter is when something is due that has so long from at on.
func dueAfter(at int64, life time.Duration) int64 {
	if int64(life) >= never-at {
		return never - 1 // in some 292 years
	}
	return at + int64(life)
}

// stepped is how far the wall clock may drift from the monotonic one before it
// counts as set.
const stepped = time.Second

func newClock() clock {
	now := time.Now()
	return clock{start: now, wall: now.Round(0)}
}

// elapsed returns the clock's count at a moment. If the wall clock was set since
// the last call, it takes over, and by says how far it was set: a message accepted
// before the first time signal then shows the time at which it was really accepted.
func (c *clock) elapsed(now time.Time) (n int64, by time.Duration) {
	d := now.Sub(c.start)
	if drift := now.Round(0).Sub(c.wall) - d; drift > stepped || drift < -stepped {
		c.start, c.wall, by = now.Add(-d), now.Add(-d).Round(0), drift
	}
	return int64(d), by
}

// at is the moment of a count.
func (c *clock) at(n int64) time.Time { return c.start.Add(time.Duration(n)) }

// clockSet is the earliest time at which this program can have run with a clock
// that was set.
var clockSet = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// believed is the longest that a gateway is taken to have been off: a clock that
// says more is wrong.
const believed = 5 * 365 * 24 * time.Hour

// left returns for how long a message read back at now lives on; see the
// package comment. Both times are wall clock nanoseconds.
func left(origin, now int64, life time.Duration) time.Duration {
	if !aged(origin, now) {
		return life
	}
	return life - time.Duration(now-origin)
}

// aged says whether what two wall clocks of a gateway said tells an age. What began
// before the clock was right has none.
func aged(origin, now int64) bool {
	return origin >= clockSet && now >= origin && now-origin <= int64(believed)
}
