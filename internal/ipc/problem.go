package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// kind is what all problems of one type have in common.
type kind struct {
	name   string
	status int
	title  string
}

var (
	badOption       = kind{api.BadOption, http.StatusBadRequest, "An option is wrong"}
	badTopic        = kind{api.BadTopic, http.StatusBadRequest, "The topic cannot be published to"}
	badFilter       = kind{api.BadFilter, http.StatusBadRequest, "The topic filter is wrong"}
	badBody         = kind{api.BadBody, http.StatusBadRequest, "The request body did not arrive whole"}
	unsupported     = kind{api.Unsupported, http.StatusBadRequest, "The cloud has no such thing"}
	reservedTopic   = kind{api.ReservedTopic, http.StatusForbidden, "The topic is the daemon's own"}
	noSuchRoute     = kind{api.NoSuchRoute, http.StatusNotFound, "There is nothing at this path"}
	unknownMessage  = kind{api.UnknownMessage, http.StatusNotFound, "The message is not known"}
	methodNotHere   = kind{api.MethodNotAllowed, http.StatusMethodNotAllowed, "The path exists, but not with this method"}
	inFlight        = kind{api.MessageInFlight, http.StatusConflict, "The message is in flight"}
	finalState      = kind{api.FinalState, http.StatusConflict, "The message is in a final state"}
	slowBody        = kind{api.SlowBody, http.StatusRequestTimeout, "The request body came too slowly"}
	payloadTooLarge = kind{api.PayloadTooLarge, http.StatusRequestEntityTooLarge, "The payload is too large"}
	notCarried      = kind{api.NotCarried, http.StatusUnprocessableEntity, "The module cannot carry this payload"}
	internalFault   = kind{api.Internal, http.StatusInternalServerError, "The daemon failed"}
	outboxFull      = kind{api.OutboxFull, http.StatusServiceUnavailable, "The outbox is full"}
	tooBusy         = kind{api.TooBusy, http.StatusServiceUnavailable, "Too many programs are connected"}
	tooManyFilters  = kind{api.TooManyFilters, http.StatusServiceUnavailable, "The cloud takes no more filters"}
	notKeptInTime   = kind{api.NotKeptInTime, http.StatusServiceUnavailable, "The message could not be kept in time"}
	badRequest      = kind{api.BadRequest, http.StatusBadRequest, "The request body is not what is expected"}
	badCommand      = kind{api.BadCommand, http.StatusBadRequest, "This is no AT command"}
	commandRefused  = kind{api.CommandRefused, http.StatusConflict, "The command would harm the session"}
	notNow          = kind{api.NotNow, http.StatusConflict, "This is not possible as things are"}
	cloudRefused    = kind{api.CloudRefused, http.StatusBadGateway, "The cloud or the way to it did not do it"}
	noModule        = kind{api.NoModule, http.StatusServiceUnavailable, "There is no module to ask"}
	moduleBusy      = kind{api.ModuleBusy, http.StatusServiceUnavailable, "The module is busy"}
	moduleSilent    = kind{api.ModuleSilent, http.StatusGatewayTimeout, "The module did not answer"}
	diskFailing     = kind{api.DiskFailing, http.StatusInsufficientStorage, "The disk is full or failing"}
)

// notKept ends every hint of a refused publish: nothing is half accepted.
const notKept = "nothing was kept"

// problem is the error of every refusal, and its body.
type problem struct {
	api.Problem
	api.Uncarried

	retryAfter time.Duration
	allow      string
}

func (p *problem) Error() string { return p.Detail }

func (k kind) problem(detail, hint string) *problem {
	return &problem{Problem: api.Problem{Type: api.ProblemPrefix + k.name, Title: k.title, Status: k.status, Detail: detail, Hint: hint}}
}

// contextErrors mean that the outbox ran out of its time, or the daemon of its.
var contextErrors = []error{context.Canceled, context.DeadlineExceeded}

// diskErrors are what a file system says when it cannot keep a byte; what the
// outbox says of its own to that effect belongs here too.
var diskErrors = []error{outbox.ErrDisk, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO}

// appendProblem turns what outbox.Append said into a problem. A condition that
// the outbox learns to report gets its case here.
func appendProblem(err error) *problem {
	switch {
	case errors.Is(err, outbox.ErrFull):
		p := outboxFull.problem(outboxDetail(err), notKept+"; try again later; "+outboxHint(err))
		p.retryAfter = 10 * time.Second
		return p
	case isAny(err, diskErrors):
		return diskProblem(err, notKept)
	case isAny(err, contextErrors):
		p := notKeptInTime.problem("the outbox did not answer in time", notKept+"; try again, and look at the load of the disk")
		p.retryAfter = 10 * time.Second
		return p
	}
	return internalFault.problem(outboxDetail(err), notKept+"; the daemon's log has more")
}

// diskProblem is 507. outcome begins its hint and says what did not happen.
func diskProblem(err error, outcome string) *problem {
	p := diskFailing.problem(outboxDetail(err), outcome+"; free space where outbox.dir is, and look at the kernel log for errors of the disk")
	p.retryAfter = 30 * time.Second
	return p
}

// outboxDetail is what the outbox said, without its hint.
func outboxDetail(err error) string {
	if oe, ok := errors.AsType[*outbox.Error](err); ok {
		return oe.Err.Error()
	}
	return err.Error()
}

// outboxHint is what the outbox advises.
func outboxHint(err error) string {
	if oe, ok := errors.AsType[*outbox.Error](err); ok && oe.Hint != "" {
		return oe.Hint
	}
	return "GET /v1/status tells how much waits"
}

func isAny(err error, targets []error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// carryProblem is 413 or 422, with the numbers for programs.
func carryProblem(err error) *problem {
	ce, ok := errors.AsType[*bus.CarryError](err)
	if !ok {
		return notCarried.problem(err.Error(), notKept)
	}
	if ce.TooLarge {
		p := payloadTooLarge.problem(ce.Error(), notKept+"; send it in parts")
		p.Size, p.Limit = &ce.Size, &ce.Limit
		return p
	}
	b := int(ce.Byte)
	p := notCarried.problem(ce.Error(), notKept+"; encode the payload, e.g. as base64")
	p.Offset, p.Byte = &ce.Offset, &b
	return p
}

// refuse answers with a problem, and logs what somebody has to look after.
func (s *serving) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = internalFault.problem("the request could not be answered", "the daemon's log has more")
	}
	if p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable {
		s.o.Log.Warn("request refused", zap.String("route", routeOf(r)), zap.Int("code", p.Status), zap.Error(err))
	}
	h := w.Header()
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.retryAfter.Seconds())))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON answers with one JSON document and a line end. An error of the
// connection is left to the next read of it.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// shown is a client's string, fit for an error: quoted and not too long.
func shown(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return strconv.Quote(s)
}
