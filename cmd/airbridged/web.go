package main

import (
	"os"
	"strings"

	"airbridged/internal/recovery"
)

// meaning is what a cause means, as the handbook has it.
func meaning(cause string) string {
	for _, c := range recovery.Causes() {
		if string(c) == cause {
			return strings.ReplaceAll(c.Doc().Meaning, "`", "")
		}
	}
	return ""
}

// names are those under which a browser on the network may ask for this machine,
// besides its addresses.
func names() []string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return nil
	}
	return []string{name, name + ".local"}
}
