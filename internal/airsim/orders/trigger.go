package orders

import "math/rand/v2"

// Trigger decides which of the occasions that fit an order it takes: after the
// first few, with some probability, a number of times.
type Trigger struct {
	Left int // occasions to take; -1: all
	Skip int // occasions to let pass first
	Prob float64
}

// Fires takes one occasion.
func (t *Trigger) Fires(rng *rand.Rand) bool {
	if t.Left == 0 {
		return false
	}
	if t.Skip > 0 {
		t.Skip--
		return false
	}
	if t.Prob < 1 && rng.Float64() >= t.Prob {
		return false
	}
	if t.Left > 0 {
		t.Left--
	}
	return true
}
