package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"airbridged/internal/airsim"
	"airbridged/internal/mantest"
)

// optionLine is an option as --help lists it.
var optionLine = regexp.MustCompile(`(?m)^  --([a-z0-9-]+)`)

// Whoever adds an option finds it missing in airsim(1), which is
// docs/man/airsim.1.scd, or in packaging/completion.
func TestManualAndCompletionHaveEveryOption(t *testing.T) {
	var help bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &help, &help); code != exitOK {
		t.Fatal(code)
	}
	_, list, _ := strings.Cut(help.String(), "\noptions:\n")
	options := []string{"--help"}
	for _, m := range optionLine.FindAllStringSubmatch(list, -1) {
		options = append(options, "--"+m[1])
	}
	slices.Sort(options)
	page := mantest.Page(t, "airsim.1")["OPTIONS"]
	if got := mantest.Flags(page); !slices.Equal(got, options) {
		t.Errorf("the page explains %q, the program %q", got, options)
	}
	for _, p := range airsim.Personalities() {
		if !strings.Contains(page, "_"+p+"_") {
			t.Errorf("the page does not name the personality %s", p)
		}
	}
	mantest.Check(t, []mantest.Proposal{
		{Line: "airsim -", Want: options},
		{Line: "airsim ", Want: []string{"do"}, Other: true},
		{Line: "airsim --personality ", Want: airsim.Personalities()},
		{Line: "airsim do -", Want: []string{"--control", "--help"}},
	})
}
