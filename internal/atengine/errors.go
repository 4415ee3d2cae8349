package atengine

import (
	"errors"
	"fmt"
)

// Conditions that callers tell apart with errors.Is.
var (
	// ErrTimeout means that the module did not answer in time. It never wraps
	// context.DeadlineExceeded: a command that timed out and a daemon that is
	// asked to stop must stay apart.
	ErrTimeout = errors.New("no answer in time")
	// ErrOutOfSync means that an earlier command was left without its answer, so
	// that the next answer could be anybody's. Resync is the way back.
	ErrOutOfSync = errors.New("out of step with the module")
	// ErrRebooted means that the module restarted under a command.
	ErrRebooted = errors.New("the module restarted")
	// ErrClosed means that the port can no longer be read or written. It wraps
	// the port's own error where there is one.
	ErrClosed = errors.New("the port is closed")
	// ErrUnsafe means that a command holds a byte that could end or escape it.
	// Nothing was written.
	ErrUnsafe = errors.New("unsafe byte in a command")
	// ErrRefused is wrapped by an Error with which the module answered.
	ErrRefused = errors.New("refused by the module")
)

// PlainError is the Code of an answer ERROR that carries no number.
const PlainError = -1

// Error is what became of a command that did not end with success. It names
// the verb and never the arguments, which may be secret.
type Error struct {
	Verb  string // for instance AT+MCONNECT
	Code  int    // the number of +CME ERROR or +CMS ERROR; PlainError for ERROR; 0 when Err says it all
	Final string // the line that refused, for who asked; not in the error's text
	Err   error  // ErrRefused, or what kept the answer away
}

func (e *Error) Error() string {
	switch {
	case !errors.Is(e.Err, ErrRefused):
		return fmt.Sprintf("%s: %v", e.Verb, e.Err)
	case e.Code == PlainError:
		return e.Verb + ": the module answered ERROR"
	}
	return fmt.Sprintf("%s: the module answered error %d", e.Verb, e.Code)
}

func (e *Error) Unwrap() error { return e.Err }
