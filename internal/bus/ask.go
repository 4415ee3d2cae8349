package bus

import (
	"errors"
	"time"

	"airbridged/client/api"
)

// What a person may ask of the session can fail in these ways; all come inside an
// *[AskError].
var (
	ErrNotACommand = errors.New("not an AT command")
	ErrHarmful     = errors.New("would harm the session")
	ErrNoModule    = errors.New("there is no module to ask")
	ErrBusy        = errors.New("the module is busy")
	ErrNoAnswer    = errors.New("the module did not answer")
	ErrNotNow      = errors.New("not possible now")
	ErrCloud       = errors.New("the cloud did not do it")
	ErrUnderWay    = errors.New("under way")
	ErrTooOften    = errors.New("asked for too often")
)

// AskError is why something that a person asked for was not done.
type AskError struct {
	Err    error         // one of the conditions above
	Detail string        // what is in the way
	Hint   string        // what to do about it
	After  time.Duration // when to try again; 0: not said
}

func (e *AskError) Error() string { return e.Detail }

func (e *AskError) Unwrap() error { return e.Err }

// ATReply is what the module answered to a command that a person gave.
type ATReply struct {
	api.ATReply
	Command string // as it may be logged
}
