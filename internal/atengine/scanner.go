package atengine

import "bytes"

// Kind is what a [Token] is.
type Kind uint8

// The kinds of token.
const (
	Line     Kind = iota + 1 // a line without its end; never empty
	Block                    // header and payload that a framer cut by length
	Prompt                   // the module asks for data
	Overlong                 // a line longer than the scanner holds: its beginning
)

// Token is one piece of what the module sent. Bytes are valid only until the
// function it was handed to returns.
type Token struct {
	Kind   Kind
	Bytes  []byte
	Framer string // of a Block: the name of the framer that cut it
	Size   int    // of an Overlong line: its full length in bytes
}

// Verdict is what a framer makes of the bytes at a line start.
type Verdict uint8

// The verdicts.
const (
	NoMatch  Verdict = iota // not mine: it is a line
	NeedMore                // mine so far, but the header is not complete
	Match                   // mine, and this long
)

// Framer recognises a raw block, whose payload may hold anything, by the header
// at its beginning. buf begins at a line start. With Match, n is the length of
// header and payload, and may be more than len(buf). Frame must be pure, and
// must say NoMatch or Match once the header's own end is in buf. Framers are
// asked in order, and one that needs more is waited for.
type Framer struct {
	Name  string
	Frame func(buf []byte) (n int, v Verdict)
}

// Bounds of what a framer may ask for, in bytes. The largest answer of any Air
// module is the HTTP buffer of the Air724, 319488 bytes (AT manual, HTTPDATA).
const (
	maxHeader = 1 << 10
	maxBlock  = 320 << 10
)

// MaxLine is the usual bound of a line: the echo of the longest MPUB, 4100
// bytes of payload with every byte escaped to three, and a topic.
const MaxLine = 16 << 10

// Scanner cuts bytes into tokens. It is pure: no I/O, no clock, and the same
// tokens however the bytes are chunked. Lines end with CR LF, LF or CR; empty
// and blank lines are dropped, as are NULs before a line (a module that powers
// up sends some). It is not quote-aware: a real modem forgets closing quotes.
type Scanner struct {
	framers []Framer
	maxLine int

	pending []byte // of a line or block that is not complete; begins at a line start
	scanned int    // bytes of pending known to hold no line end
	block   int    // length of the block that pending begins with; 0: none
	blocks  uint64 // how many blocks were begun
	lies    uint64 // how many of them were not as long as they said
	framer  string // which framer cut it
	skipped int    // bytes dropped of an over-long line; 0: the line is not over-long
	prompt  bool   // a prompt is expected
	after   bool   // a prompt was just seen: one blank may follow it
	lines   bool   // framers have been told off for the pending line: it is a line
}

// NewScanner returns a scanner for lines of at most maxLine bytes; 0 is [MaxLine].
func NewScanner(maxLine int, framers []Framer) *Scanner {
	if maxLine <= 0 {
		maxLine = MaxLine
	}
	return &Scanner{framers: framers, maxLine: maxLine}
}

// ExpectPrompt says whether a > at a line start is a prompt. Seeing one ends it.
func (s *Scanner) ExpectPrompt(yes bool) { s.prompt = yes }

// Pending returns how many bytes are held back.
func (s *Scanner) Pending() int { return len(s.pending) }

// Block returns which block is held back, counted from 1, or 0 for none.
func (s *Scanner) Block() uint64 {
	if s.block == 0 {
		return 0
	}
	return s.blocks
}

// Partial returns the unterminated line that is held back, or nil. It is valid
// until the next call.
func (s *Scanner) Partial() []byte {
	if s.block > 0 || s.skipped > 0 {
		return nil
	}
	return s.pending
}

// Lies returns how many blocks were not as long as their header said.
func (s *Scanner) Lies() uint64 { return s.lies }

// Missing returns how many bytes the block that is held back still lacks; 0 as
// well when it is full, and what follows will tell whether its length is true.
func (s *Scanner) Missing() int { return max(s.block-len(s.pending), 0) }

// Feed takes the next bytes and emits the tokens they complete.
func (s *Scanner) Feed(chunk []byte, emit func(Token)) {
	if len(s.pending) == 0 {
		// The usual case: scan in place, copy only what is left over.
		rest := s.scan(chunk, emit)
		s.pending = append(s.pending[:0], rest...)
		return
	}
	s.pending = append(s.pending, chunk...)
	rest := s.scan(s.pending, emit)
	s.pending = s.pending[:copy(s.pending, rest)]
	const roomy = 64 << 10
	if cap(s.pending) > roomy && len(s.pending) < roomy/2 {
		s.pending = append(make([]byte, 0, roomy/2), s.pending...)
	}
}

// Abandon gives up waiting for the rest of a block: its bytes are scanned again
// as lines, so that a length that lies costs one message and not the session. A
// block that is full, and was held to see what follows, is handed out.
func (s *Scanner) Abandon(emit func(Token)) {
	if s.block == 0 {
		return
	}
	whole := 0
	if len(s.pending) >= s.block {
		whole = s.block
		emit(Token{Kind: Block, Bytes: s.pending[:whole], Framer: s.framer})
	} else {
		s.lies++
	}
	s.block, s.framer, s.lines, s.scanned = 0, "", whole == 0, 0
	rest := s.scan(s.pending[whole:], emit)
	s.pending = s.pending[:copy(s.pending, rest)]
}

// Flush hands out an unterminated line, for firmware that forgets line ends.
func (s *Scanner) Flush(emit func(Token)) {
	if s.block > 0 {
		return
	}
	// A header may end with a CR whose LF the framer still waited for.
	s.line(bytes.TrimRight(s.pending, "\r\n"), emit)
	s.pending, s.scanned, s.lines = s.pending[:0], 0, false
}

// scan emits every token that is complete in buf, and returns what is left.
func (s *Scanner) scan(buf []byte, emit func(Token)) (rest []byte) {
	for {
		if s.scanned == 0 && s.skipped == 0 && !s.lines && s.block == 0 {
			buf = s.trim(buf)
			if len(buf) > 0 && buf[0] == '>' && s.prompt {
				s.prompt, s.after = false, true
				emit(Token{Kind: Prompt, Bytes: buf[:1]})
				buf = buf[1:]
				continue
			}
		}
		if len(buf) == 0 {
			return nil
		}
		if s.block == 0 && !s.lines && s.skipped == 0 && s.frame(buf) == NeedMore {
			return buf
		}
		if s.block > 0 {
			if len(buf) < s.block {
				return buf
			}
			switch cutsFinal(buf, s.block) {
			case NeedMore:
				return buf
			case Match:
				s.block, s.framer, s.lines = 0, "", true
				s.lies++
				continue
			}
			emit(Token{Kind: Block, Bytes: buf[:s.block], Framer: s.framer})
			buf = buf[s.block:]
			s.block, s.framer = 0, ""
			continue
		}
		end := lineEnd(buf[s.scanned:])
		if end < 0 {
			return s.hold(buf)
		}
		end += s.scanned
		s.line(buf[:end], emit)
		s.scanned, s.lines = 0, false
		buf = buf[end+1:]
	}
}

// trim drops what may stand before a line and belongs to none: line ends, NULs,
// and the blank behind a prompt.
func (s *Scanner) trim(buf []byte) []byte {
	for len(buf) > 0 {
		switch c := buf[0]; {
		case c == '\r' || c == '\n' || c == 0:
			s.after = false
		case c == ' ' && s.after:
			s.after = false
		default:
			s.after = false
			return buf
		}
		buf = buf[1:]
	}
	return buf
}

// frame asks the framers about a line start and sets block if one matches.
// They see no more than maxHeader bytes, so that what they say does not depend
// on how much has arrived beyond that.
func (s *Scanner) frame(buf []byte) Verdict {
	header := buf[:min(len(buf), maxHeader)]
	for _, f := range s.framers {
		n, v := f.Frame(header)
		switch {
		case v == Match && n > 0 && n <= maxBlock:
			s.block, s.framer = n, f.Name
			s.blocks++
			return Match
		case v == NeedMore && len(header) < maxHeader:
			return NeedMore // before the next is asked: it may yet be this one's
		}
	}
	s.lines = true
	return NoMatch
}

// hold keeps an unterminated line, or, beyond the bound, only counts it.
func (s *Scanner) hold(buf []byte) []byte {
	if s.skipped > 0 {
		s.skipped += len(buf) - s.scanned
		return buf[:s.scanned]
	}
	if len(buf) <= s.maxLine {
		s.scanned = len(buf)
		return buf
	}
	s.skipped = len(buf) - s.maxLine
	s.scanned = s.maxLine
	return buf[:s.maxLine]
}

// line emits a line whose end was found, unless it is blank.
func (s *Scanner) line(text []byte, emit func(Token)) {
	size := len(text) + s.skipped
	overlong := size > s.maxLine
	s.skipped = 0
	if overlong {
		emit(Token{Kind: Overlong, Bytes: text[:s.maxLine], Size: size})
		return
	}
	if len(bytes.TrimRight(text, " ")) > 0 {
		emit(Token{Kind: Line, Bytes: text})
	}
}

// lineEnd returns the index of the first CR or LF, or -1. Lines are short, so
// a plain loop beats two vectorised searches.
func lineEnd(b []byte) int {
	for i, c := range b {
		if c == '\n' || c == '\r' {
			return i
		}
	}
	return -1
}
