package atengine

import (
	"bytes"
	"testing"
)

// account checks that every byte of in is either in a token, or dropped for a
// reason (line end, NUL before a line, blank line, blank behind a prompt), or
// held back, and that what is held back comes out in the end.
func account(t *testing.T, maxLine int, framers []Framer, prompt bool, in []byte) {
	t.Helper()
	if maxLine == 0 {
		maxLine = MaxLine
	}
	a := &accounts{t: t, left: in, maxLine: maxLine, prompt: prompt}
	s := NewScanner(maxLine, framers)
	s.ExpectPrompt(prompt)
	s.Feed(in, a.book)
	a.heldBack(s)
	for round := 0; s.Pending() > 0; round++ {
		if round > len(in)+1 {
			t.Fatalf("of %q: %d bytes never come out", in, s.Pending())
		}
		s.Abandon(a.book)
		if s.Block() == 0 {
			a.flush = true
			s.Flush(a.book)
			a.flush = false
		}
	}
	if rest := dropped(a.left); rest < len(a.left) {
		t.Fatalf("of %q: %q is lost", in, a.left[rest:])
	}
}

// accounts walks through the input along with the tokens.
type accounts struct {
	t       *testing.T
	left    []byte // not yet accounted for
	maxLine int
	prompt  bool // a prompt may come
	flush   bool // lines may come without their end
}

func (a *accounts) book(tok Token) {
	a.t.Helper()
	// The beginning of an over-long line may be blank, and look like a blank line
	// that was dropped before it: the line is where no end is inside.
	inside := func() bool {
		return tok.Kind == Overlong && bytes.ContainsAny(a.left[:min(tok.Size, len(a.left))], "\r\n")
	}
	for !bytes.HasPrefix(a.left, tok.Bytes) || inside() {
		if len(a.left) == 0 || !droppable(a.left[0]) {
			a.t.Fatalf("%s is not what comes next in %q", show(tok), a.left)
		}
		a.left = a.left[1:]
	}
	size := len(tok.Bytes)
	switch tok.Kind {
	case Line:
		if size == 0 || size > a.maxLine || bytes.ContainsAny(tok.Bytes, "\r\n") {
			a.t.Fatalf("%s is no line", show(tok))
		}
	case Overlong:
		size = tok.Size
		if len(tok.Bytes) != a.maxLine || size <= a.maxLine || bytes.ContainsAny(a.left[:size], "\r\n") {
			a.t.Fatalf("%s is no over-long line", show(tok))
		}
	case Prompt:
		if !a.prompt || string(tok.Bytes) != ">" {
			a.t.Fatalf("%s was not expected", show(tok))
		}
		a.prompt = false
	case Block:
		if tok.Framer == "" {
			a.t.Fatalf("%s has no framer", show(tok))
		}
	default:
		a.t.Fatalf("%s", show(tok))
	}
	a.left = a.left[size:]
	ended := len(a.left) > 0 && (a.left[0] == '\r' || a.left[0] == '\n')
	if (tok.Kind == Line || tok.Kind == Overlong) && !ended && !a.flush {
		a.t.Fatalf("%s has no line end behind it", show(tok))
	}
}

// heldBack checks that what no token has taken is what the scanner says it
// holds, or, of an over-long line, its beginning.
func (a *accounts) heldBack(s *Scanner) {
	a.t.Helper()
	rest := a.left[dropped(a.left):]
	switch {
	case s.Pending() >= len(rest) && s.Pending() <= len(a.left):
		// Blanks at the beginning of what is held are droppable too.
	case s.Partial() == nil && s.Block() == 0 && s.Pending() == a.maxLine && !bytes.ContainsAny(rest, "\r\n"):
	default:
		a.t.Fatalf("%d bytes are held back of %q", s.Pending(), a.left)
	}
	if s.Block() > 0 && s.Missing() == 0 && s.lying(s.pending) != NeedMore {
		a.t.Fatalf("a full block is held back for nothing: %q", s.pending)
	}
}

func droppable(c byte) bool { return c == '\r' || c == '\n' || c == 0 || c == ' ' }

// dropped returns how many bytes at the start may be dropped.
func dropped(b []byte) int {
	for i, c := range b {
		if !droppable(c) {
			return i
		}
	}
	return len(b)
}
