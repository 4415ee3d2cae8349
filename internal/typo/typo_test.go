package typo

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"status", "pub", "sub", "events", "outbox", "baud"}
	for word, want := range map[string]string{
		"stats": "status", "STATUS": "status", "statsu": "status", "pubs": "pub", "pbu": "pub", "event": "events", "outbxo": "outbox",
		"baudrate": "baud", "x": "", "": "", "frobnicate": "", strings.Repeat("sutats", 50): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%.20q: got %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abcd", "acbd", 1},
		{"Max-Age", "max_age", 0},
		{"kitten", "sitting", 3},
		{strings.Repeat("x", 1000), "x", longest},
	} {
		if got := Distance(c.a, c.b); got != c.want || Distance(c.b, c.a) != c.want {
			t.Errorf("%.20q %.20q: %d", c.a, c.b, got)
		}
	}
}
