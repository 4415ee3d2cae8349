package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// A person may ask the session for something: an AT command, a registration. It
// is done by the session's own goroutine between two of its commands, where it
// waits: online, between two attempts, for the limit on connects. So nobody else
// ever talks to the module, and no answer is ever mixed up.

// errand is what is to be done. It returns errAside when the session cannot go on
// where it stood, and no other error.
type errand func(ctx context.Context) error

// errands are what people ask the session for.
type errands struct {
	handed   chan errand // handed over, never queued
	wish     *wish       // a registration; nil: none
	progress *progress
	show     *display

	resting    bool // the session waits for its next attempt, and for nothing else
	reconnects reconnects
}

func newErrands(p *progress, show *display) *errands {
	return &errands{handed: make(chan errand), progress: p, show: show}
}

// errAside ends what the session was about: somebody asked for something after
// which it has to begin elsewhere.
var errAside = errors.New("something else was asked for")

// askPatience is how long a person waits for the session to have a moment. A
// request over HTTPS, or a bearer that does not open, may take longer.
const askPatience = 30 * time.Second

// hand gives an errand to the session, or says why that is not possible.
func (r *errands) hand(ctx context.Context, e errand) error {
	t := time.NewTimer(askPatience)
	defer t.Stop()
	select {
	case r.handed <- e:
		return nil
	case <-ctx.Done():
		return &bus.AskError{Err: bus.ErrBusy, Detail: "nobody waited for the session any more", Hint: "try again"}
	case <-t.C:
		state, _ := r.progress.at()
		return &bus.AskError{
			Err: bus.ErrBusy, Detail: fmt.Sprintf("the session is %s, and had no moment for anything else in %v", state, askPatience),
			Hint: "try again; GET /v1/status tells what it is doing",
		}
	}
}

// aside leaves a state because of what was asked for, and returns the one to go
// on in. The MQTT session is torn down on the way back to online, as always.
func (s *Session) aside() recovery.State {
	to := recovery.Probing
	if s.errands.wish != nil && s.network.attached && s.unready() == nil {
		to = recovery.Registering
	}
	s.sessionLost()
	return to
}

// unready says why the module cannot be asked just now.
func (s *Session) unready() error {
	_, hint := s.progress.at()
	if hint == "" {
		hint = "try again in some seconds; GET /v1/status tells how it is"
	}
	if !s.port.isOpen() {
		return &bus.AskError{Err: bus.ErrNoModule, Detail: "the serial port is not open", Hint: hint}
	}
	select {
	case <-s.port.dead:
		return &bus.AskError{Err: bus.ErrNoModule, Detail: "the serial port is gone", Hint: hint}
	default:
	}
	if !s.port.modem.InSync() {
		return &bus.AskError{Err: bus.ErrNoModule, Detail: "the module does not answer", Hint: hint}
	}
	return nil
}
