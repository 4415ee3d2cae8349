package main

import (
	"testing"

	"airbridged/internal/config"
)

// A rule that names a sub-device means it; one with a wildcard in place of the names means
// nobody in particular.
func TestNamedTopics(t *testing.T) {
	var n named
	n.in(config.Config{
		Device: config.Device{ProductKey: "k"},
		Access: []config.Access{{Publish: []string{"/${productKey}/meter-1/#", "/k/+/update"}}},
		Batch:  []config.Batch{{Topic: "/${productKey}/meter-3/update"}},
	})
	for name, want := range map[string]bool{"/k/meter-1/update": true, "/k/meter-2/update": false, "/k/meter-3/update": true} {
		if n.has(name) != want {
			t.Errorf("%s", name)
		}
	}
}
