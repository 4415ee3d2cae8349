package outbox

import (
	"testing"
	"time"
)

// A message that an earlier process accepted in 1970, or in years to come, has no age,
// and keeps its whole time to live from the start.
func TestAgesAreNotBelieved(t *testing.T) {
	day := 24 * time.Hour
	at := func(year int) int64 { return time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC).UnixNano() }
	for _, c := range []struct {
		origin, now int64
		aged        bool
	}{
		{at(1970), at(2027), false},
		{at(1970), at(1970), false}, // two lives in 1970: what was between them is not known
		{at(2027), at(1970), false},
		{at(2030), at(2027), false},
		{at(2027), at(2090), false},
		{at(2027), at(2028), true},
	} {
		if got := aged(c.origin, c.now); got != c.aged {
			t.Errorf("from %v to %v: %v", time.Unix(0, c.origin).Year(), time.Unix(0, c.now).Year(), got)
		}
		if got := left(c.origin, c.now, 10*day); (got == 10*day) == c.aged {
			t.Errorf("from %v to %v: %v are left", time.Unix(0, c.origin).Year(), time.Unix(0, c.now).Year(), got)
		}
	}
}
