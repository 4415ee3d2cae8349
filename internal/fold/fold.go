// Package fold is the one rule by which what repeats is told: the first time, the
// second, the fourth, the 16th, the 64th and so on, and once an hour. Whoever is
// told again is told how many were not.
package fold

import (
	"math/bits"
	"time"
)

// Quiet is how long nothing may be told of what goes on; after as long without it,
// it is told from its beginning again.
const Quiet = time.Hour

// Milestone says whether the nth time is told, whatever the clock says: the first,
// the second, and every power of four.
func Milestone(n int) bool {
	u := uint(n)
	return n == 2 || bits.OnesCount(u) == 1 && bits.TrailingZeros(u)%2 == 0
}

// Repeats counts one thing that repeats. The zero value has not been yet.
type Repeats struct {
	times  int       // since it was last quiet
	folded int       // since it was told
	last   time.Time // when it was, told or not
	told   time.Time
}

// Again books one more, and says whether to tell it and how many were not told
// before it.
func (r *Repeats) Again(now time.Time) (folded int, tell bool) {
	if now.Sub(r.last) >= Quiet {
		r.times = 0
	}
	r.times++
	r.last = now
	if !Milestone(r.times) && now.Sub(r.told) < Quiet {
		r.folded++
		return 0, false
	}
	folded, r.folded, r.told = r.folded, 0, now
	return folded, true
}
