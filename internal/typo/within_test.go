package typo

import (
	"math/rand/v2"
	"testing"
)

// Within is Distance, wherever the distance is less than what it is asked for.
func TestWithinIsTheDistance(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func() string {
		b := make([]byte, random.IntN(9))
		for i := range b {
			b[i] = "abc_-A"[random.IntN(6)]
		}
		return string(b)
	}
	for range 20000 {
		a, b, most := word(), word(), 1+random.IntN(8)
		d, w := Distance(a, b), Within(a, b, most)
		if (d < most || w < most) && d != w {
			t.Fatalf("%q and %q are %d slips apart, within %d it says %d", a, b, d, most, w)
		}
	}
}
