package session_test

import (
	"fmt"
	"testing"
)

// The catalogue: every wedge, over several seeds, each within its bounds.
func TestWedges(t *testing.T) {
	t.Parallel()
	rows := append(append(moduleWedges(), networkWedges()...), cloudWedges()...)
	checkCatalogue(t, rows)
	for _, k := range rows {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					o := k.run(t, seed)
					t.Logf("%s %s: noticed after %v, recovered after %v", o.cause, o.rung, o.detect, o.recover)
				})
			}
		})
	}
}
