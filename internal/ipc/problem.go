package ipc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/intake"
	"airbridged/internal/plain"
)

// kind is what all problems of one type have in common.
type kind struct {
	name   string
	status int
	title  string
}

var (
	badOption           = kind{api.BadOption, http.StatusBadRequest, "An option is wrong"}
	badTopic            = kind{api.BadTopic, http.StatusBadRequest, "The topic cannot be published to"}
	badFilter           = kind{api.BadFilter, http.StatusBadRequest, "The topic filter is wrong"}
	badBody             = kind{api.BadBody, http.StatusBadRequest, "The request body did not arrive whole"}
	notBatchable        = kind{api.NotBatchable, http.StatusBadRequest, "The payload cannot stand among the readings of its topic"}
	unsupported         = kind{api.Unsupported, http.StatusBadRequest, "The cloud has no such thing"}
	reservedTopic       = kind{api.ReservedTopic, http.StatusForbidden, "The topic is the daemon's own"}
	foreignSite         = kind{api.ForeignSite, http.StatusForbidden, "The page of another site may not use this socket"}
	noSuchRoute         = kind{api.NoSuchRoute, http.StatusNotFound, "There is nothing at this path"}
	unknownSubscription = kind{api.UnknownSubscription, http.StatusNotFound, "The subscription is not known"}
	unknownCall         = kind{api.UnknownCall, http.StatusNotFound, "The call is not known"}
	callAnswered        = kind{api.CallAnswered, http.StatusConflict, "The call has been answered"}
	callOver            = kind{api.CallOver, http.StatusGone, "The time of the call is over"}
	unknownMessage      = kind{api.UnknownMessage, http.StatusNotFound, "The message is not known"}
	methodNotHere       = kind{api.MethodNotAllowed, http.StatusMethodNotAllowed, "The path exists, but not with this method"}
	inFlight            = kind{api.MessageInFlight, http.StatusConflict, "The message is in flight"}
	keyReused           = kind{api.KeyReused, http.StatusConflict, "The idempotency key belongs to another message"}
	finalState          = kind{api.FinalState, http.StatusConflict, "The message is in a final state"}
	slowBody            = kind{api.SlowBody, http.StatusRequestTimeout, "The request body came too slowly"}
	payloadTooLarge     = kind{api.PayloadTooLarge, http.StatusRequestEntityTooLarge, "The payload is too large"}
	notCarried          = kind{api.NotCarried, http.StatusUnprocessableEntity, "The module cannot carry this payload"}
	internalFault       = kind{api.Internal, http.StatusInternalServerError, "The daemon failed"}
	outboxFull          = kind{api.OutboxFull, http.StatusServiceUnavailable, "The outbox is full"}
	tooBusy             = kind{api.TooBusy, http.StatusServiceUnavailable, "Too many programs are connected"}
	tooManyFilters      = kind{api.TooManyFilters, http.StatusServiceUnavailable, "The cloud takes no more filters"}
	notKeptInTime       = kind{api.NotKeptInTime, http.StatusServiceUnavailable, "The message could not be kept in time"}
	badRequest          = kind{api.BadRequest, http.StatusBadRequest, "The request body is not what is expected"}
	badCommand          = kind{api.BadCommand, http.StatusBadRequest, "This is no AT command"}
	commandRefused      = kind{api.CommandRefused, http.StatusConflict, "The command would harm the session"}
	tooOften            = kind{api.TooOften, http.StatusTooManyRequests, "It was asked for too often"}
	notNow              = kind{api.NotNow, http.StatusConflict, "This is not possible as things are"}
	cloudRefused        = kind{api.CloudRefused, http.StatusBadGateway, "The cloud or the way to it did not do it"}
	noModule            = kind{api.NoModule, http.StatusServiceUnavailable, "There is no module to ask"}
	moduleBusy          = kind{api.ModuleBusy, http.StatusServiceUnavailable, "The module is busy"}
	moduleSilent        = kind{api.ModuleSilent, http.StatusGatewayTimeout, "The module did not answer"}
	diskFailing         = kind{api.DiskFailing, http.StatusInsufficientStorage, "The disk is full or failing"}
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

// intakeProblem turns what intake said of a message into a problem.
func intakeProblem(r *intake.Refusal) *problem {
	switch r.Cause {
	case intake.BadTopic:
		return badTopic.problem(r.Detail, notKept+"; the topics that a device may publish to are listed with its product at the cloud")
	case intake.Reserved:
		return reservedTopic.problem(r.Detail, notKept+"; choose a topic of the cloud")
	case intake.TooLarge:
		p := payloadTooLarge.problem(r.Detail, notKept+"; send it in parts")
		p.Size, p.Limit = &r.Carry.Size, &r.Carry.Limit
		return p
	case intake.NotCarried:
		return carryProblem(r)
	case intake.NotBatchable:
		return notBatchable.problem(r.Detail, notKept+"; send one JSON value in one line, or ask the gateway's owner about the [[batch]] table of the topic")
	case intake.KeyReused:
		return keyReused.problem(r.Detail, notKept+"; "+r.Advice)
	case intake.Full:
		p := outboxFull.problem(r.Detail, notKept+"; try again later; "+cmp.Or(r.Advice, "GET /v1/status tells how much waits"))
		p.retryAfter = 10 * time.Second
		return p
	case intake.Disk:
		return diskProblem(r, notKept)
	case intake.Late:
		p := notKeptInTime.problem("the outbox did not answer in time", notKept+"; try again, and look at the load of the disk")
		p.retryAfter = 10 * time.Second
		return p
	}
	return internalFault.problem(r.Detail, notKept+"; the daemon's log has more")
}

// carryProblem is 422, with the numbers for programs.
func carryProblem(r *intake.Refusal) *problem {
	if r.Carry == nil || r.Carry.Form {
		return notCarried.problem(r.Detail, notKept)
	}
	b := int(r.Carry.Byte)
	p := notCarried.problem(r.Detail, notKept+"; encode the payload, e.g. as base64")
	p.Offset, p.Byte = &r.Carry.Offset, &b
	return p
}

// diskProblem is 507. outcome begins its hint and says what did not happen.
func diskProblem(r *intake.Refusal, outcome string) *problem {
	p := diskFailing.problem(r.Detail, outcome+"; "+cmp.Or(r.Advice, "free space where outbox.dir is, and look at the kernel log for errors of the disk"))
	p.retryAfter = 30 * time.Second
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
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON answers with one JSON document and a line end. An error of the
// connection is left to the next read of it.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := encode(v)
	if err != nil { // cannot be: all that is answered has a form in JSON
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// encode is a JSON document with its line end. What could steer a terminal stands in
// it as an escape: people look at it there, too.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return plain.JSON(b.Bytes()), nil
}

// shown is a client's string, fit for an error: quoted and not too long.
func shown(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return strconv.Quote(s)
}
