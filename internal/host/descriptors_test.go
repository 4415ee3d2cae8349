package host

import (
	"math"
	"slices"
	"testing"
)

// With a low limit of open files, any local user could bring the daemon to EMFILE
// by connecting, and the outbox then dropped what it could not read.
func TestConnectionsFitTheOpenFiles(t *testing.T) {
	for _, c := range []struct {
		limit  uint64
		wanted []int
		want   []int
		fewer  bool
	}{
		{4096, []int{1200, 1200}, []int{1200, 1200}, false},
		{math.MaxUint64, []int{10000}, []int{10000}, false},
		{1024, []int{1200}, []int{768}, true},
		{1024, []int{1200, 600}, []int{512, 256}, true},
		{256, []int{1200}, []int{32}, true},
		{256, []int{1200, 3}, []int{32, 3}, true},
		{64, []int{1200, 1200}, []int{32, 32}, true},
	} {
		got, fewer := connections(c.limit, c.wanted)
		if !slices.Equal(got, c.want) || fewer != c.fewer {
			t.Errorf("limit %d, wanted %v: %v, fewer %v; want %v", c.limit, c.wanted, got, fewer, c.want)
		}
	}
}
