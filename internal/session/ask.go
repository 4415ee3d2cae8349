package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airbridged/client/api"
	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// A person may ask the session for something: an AT command, a registration. It
// is done by the session's own goroutine between two of its commands, where it
// waits: online, between two attempts, for the limit on connects. So nobody else
// ever talks to the module, and no answer is ever mixed up.

// ask is what is to be done. It returns errAside when the session cannot go on
// where it stood, and no other error.
type ask func(ctx context.Context) error

// errAside ends what the session was about: somebody asked for something after
// which it has to begin elsewhere.
var errAside = errors.New("something else was asked for")

// askPatience is how long a person waits for the session to have a moment. A
// request over HTTPS, or a bearer that does not open, may take longer.
const askPatience = 30 * time.Second

// put hands something to the session, or says why that is not possible.
func (s *Session) put(ctx context.Context, a ask) error {
	t := time.NewTimer(askPatience)
	defer t.Stop()
	select {
	case s.asks <- a:
		return nil
	case <-ctx.Done():
		return &bus.AskError{Err: bus.ErrBusy, Detail: "nobody waited for the session any more", Hint: "try again"}
	case <-t.C:
		state, _ := s.progress.at()
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
	if s.wish != nil && s.network.attached && s.unready() == nil {
		to = recovery.Registering
	}
	s.link.over()
	s.filters.lost()
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

// AT gives the module a command for a person and returns its answer, an ERROR
// too. Commands that do more than ask are refused unless force is set, and some
// always (air.ParseRaw). After one that may have changed the module the session
// begins anew, with probing: nothing it believed is trusted any more. Errors are
// *bus.AskError.
func (s *Session) AT(ctx context.Context, command string, force bool) (bus.ATReply, error) {
	raw, err := air.ParseRaw(command, force)
	if err != nil {
		return bus.ATReply{}, rawRefusal(err)
	}
	var reply bus.ATReply
	done := make(chan error, 1)
	if err := s.put(ctx, func(ctx context.Context) error {
		var aside bool
		var err error
		reply, aside, err = s.raw(ctx, raw)
		done <- err
		if aside {
			return errAside
		}
		return nil
	}); err != nil {
		return bus.ATReply{}, err
	}
	if err := <-done; err != nil {
		return bus.ATReply{}, err
	}
	reply.Command = air.Redacted(command)
	return reply, nil
}

// raw runs a command for a person. aside: the session cannot go on as if nothing
// had been.
func (s *Session) raw(ctx context.Context, raw air.Raw) (reply bus.ATReply, aside bool, err error) {
	if err := s.unready(); err != nil {
		return reply, false, err
	}
	if raw.Alters() && s.asked() {
		return reply, false, &bus.AskError{
			Err: bus.ErrHarmful, Detail: "the module may hold the answer to a registration, which the cloud gives only once",
			Hint: "wait until the device is registered; questions are answered meanwhile",
		}
	}
	s.progress.expect(s.Cloud.Timeouts.Bearer)
	begun := time.Now()
	got, err := s.port.modem.Raw(ctx, raw)
	if err != nil {
		return reply, true, &bus.AskError{Err: bus.ErrNoAnswer, Detail: err.Error(), Hint: "the session begins anew, and brings the module back in step; GET /v1/status tells how far it is"}
	}
	reply.ATReply = api.ATReply{Lines: got.Lines, Final: got.Final, OK: got.OK, Seconds: time.Since(begun).Seconds(), Anew: raw.Alters()}
	return reply, raw.Alters(), nil
}

// rawRefusal says what speaks against a command, and what to do.
func rawRefusal(err error) error {
	var no *air.RawError
	switch {
	case !errors.As(err, &no):
		return err
	case no.Name == "":
		return &bus.AskError{Err: bus.ErrNotACommand, Detail: no.Error(), Hint: "write one command as in AT+CSQ, without line end"}
	case no.Forceable:
		return &bus.AskError{Err: bus.ErrHarmful, Detail: no.Error(), Hint: "with \"force\":true it is given all the same, and the session begins anew after it"}
	}
	return &bus.AskError{Err: bus.ErrHarmful, Detail: no.Error(), Hint: "it cannot be forced: stop the daemon and use a terminal program"}
}
