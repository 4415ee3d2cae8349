package main

import (
	"strings"
	"testing"

	"airbridged/internal/recovery"
)

// The page tells every cause in words, and none in the marks of a document.
func TestEveryCauseHasWordsForThePage(t *testing.T) {
	for _, c := range recovery.Causes() {
		if words := meaning(string(c)); words == "" || strings.ContainsAny(words, "`[]") {
			t.Errorf("%s: %q", c, words)
		}
	}
	if words := meaning("no-such-cause"); words != "" {
		t.Error(words)
	}
}
