package main

import (
	"slices"
	"testing"

	"airbridged/internal/mantest"
)

// Whoever adds an option finds it missing in airbridged(8), which is
// docs/man/airbridged.8.scd, or in packaging/completion.
func TestManualAndCompletionHaveEveryOption(t *testing.T) {
	options := mantest.Mentioned(usage)
	if !slices.Contains(options, "--help") {
		options = append(options, "--help") // understood by package flag, with or without being told of
		slices.Sort(options)
	}
	if got := mantest.Flags(mantest.Page(t, "airbridged.8")["OPTIONS"]); !slices.Equal(got, options) {
		t.Errorf("the page explains %q, the program %q", got, options)
	}
	mantest.Check(t, []mantest.Proposal{{Line: "airbridged -", Want: options}})
	if got := mantest.Bash(t, "airbridged --config /et")[0]; !slices.Contains(got, "/etc") {
		t.Errorf("behind --config it proposes %q", got)
	}
}
