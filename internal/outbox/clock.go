package outbox

import (
	"math"
	"time"
)

// clock counts in nanoseconds since the queue was made, by monotonic time.
type clock struct{ start time.Time }

// never is the due time of a message that does not expire.
const never int64 = math.MaxInt64

// stepped is how far the wall clock may drift from the monotonic one before it
// counts as set.
const stepped = time.Second

func newClock() clock { return clock{start: time.Now()} }

// elapsed returns the clock's count at a moment. If the wall clock was set, it
// takes over: a message accepted before the first time signal then shows the
// time at which it was really accepted.
func (c *clock) elapsed(now time.Time) int64 {
	d := now.Sub(c.start)
	if drift := now.Round(0).Sub(c.start.Round(0)) - d; drift > stepped || drift < -stepped {
		c.start = now.Add(-d)
	}
	return int64(d)
}

// at is the moment of a count.
func (c *clock) at(n int64) time.Time { return c.start.Add(time.Duration(n)) }

// clockSet is the earliest time at which this program can have run with a clock
// that was set.
var clockSet = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// left returns for how long a message read back at now lives on; see the
// package comment. Both times are wall clock nanoseconds.
func left(origin, now int64, life time.Duration) time.Duration {
	if origin < clockSet || now < origin {
		return life
	}
	return life - time.Duration(now-origin)
}
