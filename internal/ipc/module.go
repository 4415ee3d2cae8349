package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// Module is what the socket lets privileged users do with the module itself. The
// errors of both are *bus.AskError.
type Module interface {
	// AT gives the module one command and returns its answer.
	AT(ctx context.Context, command string, force bool) (bus.ATReply, error)
	// Reprovision registers the device once more and returns when that is done, or
	// bus.ErrUnderWay when ctx ends before.
	Reprovision(ctx context.Context) error
	// Reconnect makes the next attempt now, and says when that is; nil: it is online.
	Reconnect(ctx context.Context) (next *time.Time, err error)
}

// reprovisionWait is how long a registration is waited for before it is answered
// 202, and maxCommand what the body of an AT command may have, in bytes.
const (
	reprovisionWait = 150 * time.Second
	maxCommand      = 8 << 10
)

// at gives the module a command for a person.
func (s *serving) at(w http.ResponseWriter, r *http.Request, _ query) error {
	body, err := s.readPayload(w, r)
	if err != nil {
		return err
	}
	var ask api.ATCommand
	if err := decodeStrictly(body, &ask); err != nil {
		return badRequest.problem(err.Error(), `write {"command":"AT+CSQ"}, or {"command":"AT+CFUN=1,1","force":true}`)
	}
	if s.o.Module == nil {
		return noModule.problem("this daemon has no module", existing())
	}
	ctx, cancel := s.whileServing(r.Context())
	defer cancel()
	reply, err := s.o.Module.AT(ctx, ask.Command, ask.Force)
	if err != nil {
		return askProblem(err)
	}
	if reply.Anew {
		c := clientOf(r.Context())
		s.o.Log.Info("AT command forced", zap.String("command", reply.Command), zap.Uint32("uid", c.peer.UID), zap.Int32("pid", c.peer.PID))
	}
	writeJSON(w, http.StatusOK, "application/json", reply.ATReply)
	return nil
}

// reprovision registers the device once more on purpose. It asks for a yes, because a line
// that is pasted with others must not give the device another secret.
func (s *serving) reprovision(w http.ResponseWriter, r *http.Request, q query) error {
	switch yes, err := q.flag("yes"); {
	case err != nil:
		return err
	case !yes:
		return badOption.problem("yes=1 is missing", "this gives the device another secret, and only for one that was reset in the cloud's console; if that is what you want: POST /v1/reprovision?yes=1")
	}
	if _, err := s.readPayload(w, r); err != nil {
		return err
	}
	if s.o.Module == nil {
		return noModule.problem("this daemon has no module", existing())
	}
	c := clientOf(r.Context())
	s.o.Log.Info("registration on request", zap.Uint32("uid", c.peer.UID), zap.Int32("pid", c.peer.PID))
	serving, stop := s.whileServing(r.Context())
	defer stop()
	ctx, cancel := context.WithTimeout(serving, reprovisionWait)
	defer cancel()
	err := s.o.Module.Reprovision(ctx)
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, "application/json", api.Registration{State: api.Registered})
	case errors.Is(err, bus.ErrUnderWay):
		writeJSON(w, http.StatusAccepted, "application/json", api.Registration{State: api.Registering, See: "GET /v1/events: a warning reprovisioned or reprovision-failed tells what became of it"})
	default:
		return askProblem(err)
	}
	return nil
}

// reconnect ends the wait for the next attempt.
func (s *serving) reconnect(w http.ResponseWriter, r *http.Request, _ query) error {
	if _, err := s.readPayload(w, r); err != nil {
		return err
	}
	if s.o.Module == nil {
		return noModule.problem("this daemon has no module", existing())
	}
	ctx, cancel := s.whileServing(r.Context())
	defer cancel()
	next, err := s.o.Module.Reconnect(ctx)
	if err != nil {
		return askProblem(err)
	}
	if next != nil {
		utc := next.UTC()
		next = &utc
	}
	writeJSON(w, http.StatusAccepted, "application/json", api.Reconnecting{NextAttemptAt: next})
	return nil
}

// whileServing is a request's context that ends when the daemon stops, too.
func (s *serving) whileServing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.stopping, cancel)
	return ctx, func() { stop(); cancel() }
}

// decodeStrictly takes one JSON object with nothing unknown in it and nothing
// behind it.
func decodeStrictly(body []byte, v any) error {
	if len(body) > maxCommand {
		return fmt.Errorf("the body has %d bytes, and %d are taken", len(body), maxCommand)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("the body is not the JSON that is expected: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the JSON")
	}
	return nil
}

// askProblem turns what the session said into a problem.
func askProblem(err error) error {
	ask, ok := errors.AsType[*bus.AskError](err)
	if !ok {
		return err
	}
	var kind kind
	var retry time.Duration
	switch {
	case errors.Is(err, bus.ErrNotACommand):
		kind = badCommand
	case errors.Is(err, bus.ErrHarmful):
		kind = commandRefused
	case errors.Is(err, bus.ErrNotNow):
		kind = notNow
	case errors.Is(err, bus.ErrTooOften):
		kind, retry = tooOften, ask.After
	case errors.Is(err, bus.ErrNoModule):
		kind, retry = noModule, 10*time.Second
	case errors.Is(err, bus.ErrBusy):
		kind, retry = moduleBusy, 5*time.Second
	case errors.Is(err, bus.ErrCloud):
		kind = cloudRefused
	case errors.Is(err, bus.ErrNoAnswer):
		kind = moduleSilent
	default:
		return err
	}
	p := kind.problem(ask.Detail, ask.Hint)
	p.retryAfter = retry
	return p
}
