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
	Cut    bool   // it may be a piece of a payload: nothing that it says is evidence
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
	// Ends is how many line ends the module prints between the block and its next
	// line, at least: where there are fewer, the count was wrong. 0: not known.
	Ends int
}

// Bounds of what a framer may ask for, in bytes. The largest answer of any Air
// module is the HTTP buffer of the Air724, 319488 bytes (AT manual, HTTPDATA).
const (
	maxHeader = 1 << 10
	maxBlock  = 320 << 10
)

// MaxLine is the usual bound of a line: the echo of the longest MPUB, 5120
// bytes of payload with every byte escaped to three, and a topic.
const MaxLine = 16 << 10

// Scanner cuts bytes into tokens. It is pure: no I/O, no clock, and the same
// tokens however the bytes are chunked. Lines end with CR LF, LF or CR; empty
// and blank lines are dropped, as are NULs before a line (a module that powers
// up sends some). It is not quote-aware: a real modem forgets closing quotes.
//
// Once a block has proved not to be as long as it said, payload can stand where
// lines do. Until [Scanner.Trust] all is cut into lines that are marked as Cut,
// and neither block nor prompt is found in it.
type Scanner struct {
	framers []Framer
	maxLine int

	pending []byte // of a line or block that is not complete; begins at a line start
	scanned int    // bytes of pending known to hold no line end
	block   int    // length of the block that pending begins with; 0: none
	blocks  uint64 // how many blocks were begun
	lies    uint64 // how many of them were not as long as they said
	framer  Framer // which framer cut it
	skipped int    // bytes dropped of an over-long line; 0: the line is not over-long
	prompt  bool   // a prompt is expected
	after   bool   // a prompt was just seen: one blank may follow it
	lines   bool   // framers have been told off for the pending line: it is a line

	cut     bool    // payload may stand where lines do
	lineCut bool    // the pending line began so
	tight   bool    // the pending line is not set off from the block before it
	owed    int     // bytes that the block which was given up last may still bring
	echo    string  // the command that the module may echo
	behind  setting // of what comes next, behind a block
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

// ExpectEcho names the command whose echo may come, which stands between no line
// ends of its own. "": none.
func (s *Scanner) ExpectEcho(command string) { s.echo = command }

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

// Owed returns how many bytes the block that was given up last may still bring.
func (s *Scanner) Owed() int { return s.owed }

// Distrust says that payload may stand where lines do, from the next line on.
func (s *Scanner) Distrust() { s.cut = true }

// Trust says that lines are lines again, from the next one on.
func (s *Scanner) Trust() { s.cut, s.owed = false, 0 }

// Missing returns how many bytes the block that is held back still lacks; 0 as
// well when it is full, and what follows will tell whether its length is true.
func (s *Scanner) Missing() int { return max(s.block-len(s.pending), 0) }

// Feed takes the next bytes and emits the tokens they complete.
func (s *Scanner) Feed(chunk []byte, emit func(Token)) {
	s.owed = max(s.owed-len(chunk), 0)
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
// as lines that are no evidence, so that a length that lies costs one message and
// not the session. A block that is full, and was held to see what follows, is
// handed out.
func (s *Scanner) Abandon(emit func(Token)) {
	if s.block == 0 {
		return
	}
	whole := 0
	if len(s.pending) >= s.block {
		whole = s.block
		s.handOut(s.pending[:whole], emit)
	} else {
		s.owed = s.Missing()
		s.lied()
	}
	s.scanned = 0
	rest := s.scan(s.pending[whole:], emit)
	s.pending = s.pending[:copy(s.pending, rest)]
}

// handOut emits a block.
func (s *Scanner) handOut(block []byte, emit func(Token)) {
	emit(Token{Kind: Block, Bytes: block, Framer: s.framer.Name})
	s.behind.block(s.framer.Ends)
	s.block, s.framer = 0, Framer{}
}

// lied turns the block that is held back into lines that are no evidence.
func (s *Scanner) lied() {
	s.lies++
	s.block, s.framer = 0, Framer{}
	s.cut, s.lines, s.lineCut = true, true, true
}

// Flush hands out an unterminated line, for firmware that forgets line ends; and a
// prompt that stands behind a block without a line end of its own.
func (s *Scanner) Flush(emit func(Token)) {
	if s.block > 0 {
		return
	}
	if s.tight && s.prompt && !s.cut && isBarePrompt(s.pending) {
		s.prompt, s.after = false, true
		emit(Token{Kind: Prompt, Bytes: s.pending[:1]})
		s.tight, s.lines, s.scanned = false, false, 0
	} else {
		// A header may end with a CR whose LF the framer still waited for.
		s.line(bytes.TrimRight(s.pending, "\r\n"), emit)
	}
	s.pending = s.pending[:0]
}

// isBarePrompt says whether > stands alone, with or without its blank.
func isBarePrompt(line []byte) bool { return string(bytes.TrimRight(line, " ")) == ">" }

// scan emits every token that is complete in buf, and returns what is left.
func (s *Scanner) scan(buf []byte, emit func(Token)) (rest []byte) {
	for {
		if s.scanned == 0 && s.skipped == 0 && !s.lines && s.block == 0 {
			buf = s.trim(buf)
			if len(buf) > 0 {
				s.begin()
			}
			if len(buf) > 0 && buf[0] == '>' && s.prompt && !s.lines {
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
			switch s.lying(buf) {
			case NeedMore:
				return buf
			case Match:
				s.lied()
				continue
			}
			whole := s.block
			s.handOut(buf[:whole], emit)
			buf = buf[whole:]
			continue
		}
		end := lineEnd(buf[s.scanned:])
		if end < 0 {
			return s.hold(buf)
		}
		end += s.scanned
		s.line(buf[:end], emit)
		buf = buf[end+1:]
	}
}

// begin settles, at the first byte of a line, whether it may be a block or a prompt.
// Where lines are not to be trusted it is a line. So is one that is not set off from
// the block before it, and what it is worth shows at its end.
func (s *Scanner) begin() {
	s.lineCut = s.cut
	s.tight = !s.behind.apart()
	s.lines = s.lines || s.lineCut || s.tight
}

// lying says whether the block at the start of buf is not as long as it said: it
// ends in the middle of a final result, or there is no line end behind it.
func (s *Scanner) lying(buf []byte) Verdict {
	if len(buf) < s.block {
		return NeedMore
	}
	if v := cutsFinal(buf, s.block); v != NoMatch || s.framer.Ends == 0 {
		return v
	}
	if len(buf) == s.block {
		return NeedMore
	}
	c := buf[s.block]
	return verdict(true, c != '\r' && c != '\n' && c != 0)
}

// trim drops what may stand before a line and belongs to none: line ends, NULs,
// and the blank behind a prompt.
func (s *Scanner) trim(buf []byte) []byte {
	for len(buf) > 0 {
		switch c := buf[0]; {
		case c == '\r' || c == '\n' || c == 0:
			s.behind.saw(c)
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
			s.block, s.framer = n, f
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

// line emits the pending line, unless it is blank.
func (s *Scanner) line(text []byte, emit func(Token)) {
	if s.tight && (s.echo == "" || string(text) != s.echo) {
		s.lies++
		s.cut, s.lineCut = true, true
	}
	s.tight = false
	size, cut := len(text)+s.skipped, s.lineCut
	overlong := size > s.maxLine
	s.skipped, s.scanned, s.lines, s.lineCut = 0, 0, false, false
	if overlong {
		emit(Token{Kind: Overlong, Bytes: text[:s.maxLine], Size: size, Cut: cut})
		return
	}
	if len(bytes.TrimRight(text, " ")) > 0 {
		emit(Token{Kind: Line, Bytes: text, Cut: cut})
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
