package session_test

import (
	"fmt"
	"testing"
)

// The catalogue: every wedge, over several seeds, each within its bounds; and
// docs/recovery.md says what was measured.
func TestWedges(t *testing.T) {
	t.Parallel()
	chapters := []chapter{
		{title: "The module and the cable to it", rows: catalogue(moduleWedges())},
		{title: "SIM, radio and network", rows: catalogue(networkWedges())},
		{title: "MQTT, HTTPS and the cloud", rows: catalogue(cloudWedges())},
	}
	checkCatalogue(t, chapters)
	whole := t.Run("each", func(t *testing.T) {
		for _, c := range chapters {
			for i := range c.rows {
				t.Run(c.rows[i].name, func(t *testing.T) {
					t.Parallel()
					c.rows[i].measure(t)
				})
			}
		}
	})
	for _, c := range chapters {
		for _, m := range c.rows {
			whole = whole && len(m.outcomes) == seeds
		}
	}
	if whole { // not when -run picked some, or one failed
		checkPage(t, chapters)
	}
}

// measured is a row of the catalogue with what its runs measured.
type measured struct {
	wedge
	outcomes []outcome
}

func catalogue(rows []wedge) []measured {
	list := make([]measured, len(rows))
	for i, k := range rows {
		list[i].wedge = k
	}
	return list
}

func (m *measured) measure(t *testing.T) {
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := m.run(t, seed)
			t.Logf("%q: called %q, rung %s, noticed after %v, back after %v", m.name, o.cause, o.rung, o.detect, o.back)
			m.outcomes = append(m.outcomes, o)
		})
	}
}
