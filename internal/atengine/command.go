package atengine

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Defaults of a Command.
const (
	// DefaultTimeout is the module's maximum for any command that is not listed
	// with another (AT manual 1.6.3, section 1.4).
	DefaultTimeout = 9 * time.Second
	// DefaultDataPhase is how long a module may swallow everything after a data
	// phase went wrong: HTTPDATA is announced with 20 s (vendor guide).
	DefaultDataPhase = 21 * time.Second
)

// Command is one AT command and how to recognise its answer.
type Command struct {
	Line   string                 // without CR, for instance AT+CSQ
	Info   func(line []byte) bool // which lines and blocks are its information; nil: none
	Final  func(line []byte) bool // which lines end it well besides OK; nil: none
	Prompt string                 // "": none; ">" or a word: Data is sent only after it was seen
	Data   []byte                 // raw, exactly as it is; no CR is added

	// Completes tells the lines that complete it, or end the wait for that, where its
	// OK only accepts it; nil: its OK is its end. Until one comes, a refusal behind the
	// OK is kept as a URC that [Refusal] reads.
	Completes func(line []byte) bool

	// DataPhase is how long the module may stay deaf if the data phase goes wrong;
	// 0: DefaultDataPhase behind a Prompt, and none without. Set without one, it
	// stands for a data phase that the command may have opened unasked.
	DataPhase time.Duration
	Timeout   time.Duration // to the final result; 0: DefaultTimeout
}

// Reply is the answer of a command that ended well.
type Reply struct {
	Info      [][]byte  // information lines and blocks, in order; the caller's own
	Final     string    // OK, or what Command.Final took
	Mark      Mark      // the moment the command was written: completions of it come after
	Ended     Mark      // the moment of Final: what the module prints after its OK comes after
	WrittenAt time.Time // when the last byte of the command was handed to the port
}

// verb is what may be shown of a command: all before its arguments.
func (c *Command) verb() string {
	if i := strings.IndexAny(c.Line, "=?"); i >= 0 {
		return c.Line[:i]
	}
	return c.Line
}

// label is the verb as a metric label: without AT and its punctuation.
func label(verb string) string {
	name := strings.TrimLeft(strings.TrimPrefix(verb, "AT"), "+*&^$")
	if name == "" {
		return "AT"
	}
	return name
}

// checkSafe refuses bytes that could end a command, escape a data phase or be
// taken for one: CR, LF, NUL, Ctrl-Z, ESC; and a quote left open.
func (c *Command) checkSafe() error {
	if c.Line == "" {
		return &Error{Verb: "AT", Err: fmt.Errorf("%w: empty command", ErrUnsafe)}
	}
	if i := strings.IndexAny(c.Line, "\r\n\x00\x1a\x1b"); i >= 0 {
		return &Error{Verb: strings.ToValidUTF8(c.verb()[:min(i, len(c.verb()))], "?"), Err: fmt.Errorf("%w: 0x%02X at offset %d", ErrUnsafe, c.Line[i], i)}
	}
	if strings.Count(c.Line, `"`)%2 != 0 {
		return &Error{Verb: c.verb(), Err: fmt.Errorf("%w: a quote is left open", ErrUnsafe)}
	}
	return nil
}

// final tells whether a line ends a command, and how. Only whole lines count:
// CONNECT OK and SEND OK are not finals.
func final(line []byte) (code int, ok, is bool) {
	switch {
	case bytes.Equal(line, wordOK):
		return 0, true, true
	case bytes.Equal(line, wordError):
		return PlainError, false, true
	}
	for _, prefix := range errorPrefixes {
		if rest, found := bytes.CutPrefix(line, prefix); found {
			number, err := strconv.Atoi(string(bytes.TrimSpace(rest)))
			if err != nil || number < 0 {
				number = errorNumber(rest) // AT+CMEE=2 answers in words
			}
			return number, false, true
		}
	}
	return 0, false, false
}

var (
	wordOK        = []byte("OK")
	wordError     = []byte("ERROR")
	errorPrefixes = [][]byte{[]byte("+CME ERROR:"), []byte("+CMS ERROR:")}
)
