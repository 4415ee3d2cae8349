package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"airbridged/client/api"
)

// Conditions to test for with errors.Is.
var (
	// ErrUnreachable: nobody answers on the socket. Nothing was sent.
	ErrUnreachable = errors.New("airbridged is not reachable")
	// ErrNotPermitted: the socket may not be opened, the call is for root or the daemon's
	// own user, or the topic is not for this program.
	ErrNotPermitted = errors.New("not permitted")
	// ErrTryAgain: the daemon refused for now (429, 503, 507, or [ErrInFlight]); see Problem.RetryAfter.
	ErrTryAgain = errors.New("try again later")
	// ErrFull: the outbox is full by its configured bounds. It is ErrTryAgain too.
	ErrFull = errors.New("outbox is full")
	// ErrUnknown: no message with this id is known, or not any more.
	ErrUnknown = errors.New("message is not known")
	// ErrInFlight: the message is being sent and cannot be dropped now. It is ErrTryAgain too.
	ErrInFlight = errors.New("message is in flight")
	// ErrKeyReused: the idempotency key belongs to another message.
	ErrKeyReused = errors.New("idempotency key was used for another message")
	// ErrFinal: the message is in a final state, so there is nothing to drop.
	ErrFinal = errors.New("message is in a final state")
	// ErrTooLarge: the payload is over what the module can carry.
	ErrTooLarge = errors.New("payload is too large")
	// ErrNotCarried: the payload has a byte that the module cannot carry.
	ErrNotCarried = errors.New("payload cannot be carried")
	// ErrConfiguration: the daemon's configuration has mistakes; Problem.Mistakes lists them.
	ErrConfiguration = errors.New("configuration has mistakes")
	// ErrHarmful: the AT command could break the daemon's session.
	ErrHarmful = errors.New("command would harm the session")
	// ErrUnhealthy: the daemon answers, but its supervisor makes no progress.
	ErrUnhealthy = errors.New("airbridged makes no progress")
)

// ProblemPrefix begins the Type of every problem that the daemon itself found.
const ProblemPrefix = api.ProblemPrefix

// Problem is a refusal by the daemon (RFC 9457). A publish that was refused was
// not kept, a drop that was refused dropped nothing. Mistakes are there with
// [ErrConfiguration] only.
type Problem struct {
	api.Problem

	// Size and Limit are there with [ErrTooLarge] only: bytes as the module counts
	// them, or 0 where that is not known. Offset, from 0 on, and Byte are there with
	// [ErrNotCarried] only: what of the payload is in the way.
	Size   int
	Limit  int
	Offset int
	Byte   byte

	// RetryAfter is how long to wait before the next try; 0: the daemon did not say.
	RetryAfter time.Duration
}

// Error is title, detail and hint in one line.
func (p *Problem) Error() string {
	s := "airbridged: " + p.Title
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Is makes the conditions of this package work with errors.Is.
func (p *Problem) Is(target error) bool {
	switch target {
	case ErrNotPermitted:
		return p.Status == http.StatusForbidden
	case ErrTryAgain:
		return p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable || p.Status == http.StatusInsufficientStorage || p.Is(ErrInFlight)
	case ErrFull:
		return p.Type == ProblemPrefix+api.OutboxFull
	case ErrUnknown:
		return p.Type == ProblemPrefix+api.UnknownMessage
	case ErrInFlight:
		return p.Type == ProblemPrefix+api.MessageInFlight
	case ErrKeyReused:
		return p.Type == ProblemPrefix+api.KeyReused
	case ErrFinal:
		return p.Type == ProblemPrefix+api.FinalState
	case ErrTooLarge:
		return p.Status == http.StatusRequestEntityTooLarge
	case ErrNotCarried:
		return p.Type == ProblemPrefix+api.NotCarried
	case ErrConfiguration:
		return p.Type == ProblemPrefix+api.Configuration
	case ErrHarmful:
		return p.Type == ProblemPrefix+api.CommandRefused
	case ErrUnhealthy:
		return p.Type == ProblemPrefix+api.Unhealthy
	}
	return false
}

// readProblem makes a Problem of an answer that is no success.
func readProblem(resp *http.Response) error {
	p := &Problem{Problem: api.Problem{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode), Type: "about:blank"}}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("answer of airbridged: %w", err)
	}
	switch contentType := resp.Header.Get("Content-Type"); {
	case strings.HasPrefix(contentType, "application/problem+json"):
		if err := p.decode(body); err != nil {
			return fmt.Errorf("answer of airbridged: %w", err)
		}
	case strings.HasPrefix(contentType, "application/json"):
		// Only /healthz refuses in a form of its own.
		var h api.Health
		if err := json.Unmarshal(body, &h); err != nil {
			return fmt.Errorf("answer of airbridged: %w", err)
		}
		p.Type, p.Title, p.Detail = ProblemPrefix+api.Unhealthy, "The daemon makes no progress", h.Detail
		p.Hint = "the daemon's log says where it hangs; the service manager restarts it when it stays so"
	default:
		p.Detail = strings.TrimSpace(string(body))
	}
	return p
}

// decode reads what the daemon wrote.
func (p *Problem) decode(body []byte) error {
	wire := struct {
		*api.Problem
		api.Uncarried
	}{Problem: &p.Problem}
	if err := json.Unmarshal(body, &wire); err != nil {
		return err
	}
	number := func(n *int) int {
		if n == nil {
			return 0
		}
		return *n
	}
	p.Size, p.Limit = number(wire.Size), number(wire.Limit)
	p.Offset, p.Byte = number(wire.Offset), byte(number(wire.Byte))
	return nil
}

// connectError is a socket that could not be connected to.
type connectError struct {
	socket string
	err    error
}

func (e *connectError) Error() string {
	return fmt.Sprintf("%v: %s: %v (%s)", e.condition(), e.socket, trimSyscall(e.err), e.hint())
}

// Unwrap gives both the condition and the cause.
func (e *connectError) Unwrap() []error { return []error{e.condition(), e.err} }

func (e *connectError) condition() error {
	if errors.Is(e.err, fs.ErrPermission) {
		return ErrNotPermitted
	}
	return ErrUnreachable
}

func (e *connectError) hint() string {
	if errors.Is(e.err, fs.ErrPermission) {
		return "run as a user in the socket's group; see [socket] in the daemon's configuration"
	}
	return "is airbridged running? another socket is chosen with $" + SocketVariable
}

// trimSyscall leaves out "connect:", which says nothing more here.
func trimSyscall(err error) error {
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err
	}
	return err
}
