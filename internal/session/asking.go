package session

import (
	"context"
	"errors"
	"time"

	"airbridged/client/api"
	"airbridged/internal/air"
	"airbridged/internal/bus"
)

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
	if err := s.errands.hand(ctx, func(ctx context.Context) error {
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
	if raw.Alters() && s.device.requested() {
		return reply, false, &bus.AskError{
			Err: bus.ErrHarmful, Detail: "the module may hold the answer to a registration, which the cloud gives only once",
			Hint: "wait until the device is registered; questions are answered meanwhile",
		}
	}
	s.progress.expect(s.o.Cloud.Timeouts.Bearer)
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
