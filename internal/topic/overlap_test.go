package topic

import "testing"

// Two rules that both apply to a topic would leave the receiver to guess which of them
// it was.
func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		yes  bool
	}{
		{"/a/b", "/a/b", true},
		{"/a/b", "/a/c", false},
		{"/a/+", "/a/b", true},
		{"/a/+", "/+/b", true},
		{"/a/+/c", "/+/b/d", false},
		{"/a/#", "/a/b/c", true},
		{"/a/#", "/a", true},
		{"/a/#", "/+", true},
		{"/a/#", "/b", false},
		{"/a/+", "/a", false},
		{"/a/+", "/a/b/c", false},
		{"/a/b/+", "/a/b/c/#", true},
		{"#", "/a", true},
		{"#", "$a", false},
		{"+/a", "$x/a", false},
		{"$x/+", "$x/a", true},
		{"+", "#", true},
	} {
		if got, back := Overlap(c.a, c.b), Overlap(c.b, c.a); got != c.yes || back != c.yes {
			t.Errorf("Overlap(%q, %q) = %v, the other way round %v, want %v", c.a, c.b, got, back, c.yes)
		}
	}
}
