package main

import (
	"fmt"
	"os"
)

// style is what a piece of text means to a tired person. Its value is what a
// terminal is told: the eight colours that every one of them has (ECMA-48).
type style string

const (
	plain style = ""
	good  style = "\x1b[32m"   // green
	minor style = "\x1b[33m"   // yellow
	bad   style = "\x1b[1;31m" // bold red
)

const endOfStyle = "\x1b[0m"

// colorWhen is the value of --color.
type colorWhen string

func (c *colorWhen) String() string { return string(*c) }

func (c *colorWhen) Set(s string) error {
	switch s {
	case "auto", "always", "never":
		*c = colorWhen(s)
		return nil
	}
	return fmt.Errorf("it is auto, always or never")
}

// on says whether to colour what goes to a file: on terminals, unless $NO_COLOR
// is set (no-color.org) or the terminal is a dumb one.
func (c colorWhen) on(w *output) bool {
	switch c {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && terminalSize(w.w) != nil
}

// styled is text in a style, or as it is where there are no colours.
func (e *env) styled(s style, text string) string {
	if s == plain || !e.colored || text == "" {
		return text
	}
	return string(s) + text + endOfStyle
}

// stateStyle is how a state looks.
func stateStyle(state string) style {
	switch state {
	case "online":
		return good
	case "recovering", "":
		return bad
	}
	return minor
}
