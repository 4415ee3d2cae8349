package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"airbridged/client/api"
	"airbridged/internal/intake"
	"airbridged/internal/outbox"
	"airbridged/internal/topic"
)

// publishParams are the options of POST /v1/publish.
var publishParams = []string{"topic", "qos", "wait", "ttl", "priority", "latest"}

// priorities are the words for outbox.Priority.
var priorities = map[api.Priority]outbox.Priority{api.PriorityHigh: outbox.High, api.PriorityNormal: outbox.Normal, api.PriorityLow: outbox.Low}

// priorityWord is the word for a priority; empty for one that does not exist.
func priorityWord(p outbox.Priority) api.Priority {
	for word, known := range priorities {
		if p == known {
			return word
		}
	}
	return ""
}

// publish keeps one message. Everything that can be refused is checked before
// the outbox is asked, so nothing is ever half accepted.
func (s *serving) publish(w http.ResponseWriter, r *http.Request, q query) error {
	m, wait, err := publishOptions(q)
	if err != nil {
		return err
	}
	rights := s.rights(r)
	if err = mayPublish(rights, &m, q.has("priority")); err != nil {
		return err
	}
	if m.Key, err = idempotencyKey(r, m.QoS); err != nil {
		return err
	}
	if m.Key != "" {
		m.User = clientOf(r.Context()).peer.UID
	}
	if m.Payload, err = s.readPayload(w, r); err != nil {
		return err
	}
	first, known, err := s.o.Outbox.Repeat(m)
	if err != nil {
		return intakeProblem(intake.Of(err))
	}
	if known { // it was asked and taken before, whatever the module carries now
		return s.answer(w, r, first, wait)
	}
	if err := mayCarry(rights, &m); err != nil {
		return err
	}
	if r := intake.Payload(m.Topic, m.Payload, s.o.Carry); r != nil {
		return intakeProblem(r)
	}
	if s.o.Source != nil {
		m.Source = s.o.Source(clientOf(r.Context()).program())
	}
	if err := s.o.Access.Spend(rights); err != nil {
		return denied(err, notKept)
	}
	if m, err = s.keep(m); err != nil {
		return intakeProblem(intake.Of(err))
	}
	return s.answer(w, r, m, wait)
}

// answer tells of a message that is kept, after the wait.
func (s *serving) answer(w http.ResponseWriter, r *http.Request, m outbox.Message, wait time.Duration) error {
	status := http.StatusAccepted
	if wait > 0 {
		final := m.State.Final()
		if !final {
			m, final = s.await(r, m, wait)
		}
		if final {
			status = http.StatusOK
		}
	}
	writeJSON(w, status, "application/json", api.Accepted{ID: m.ID, State: api.State(m.State), Warning: s.warning(m.Topic)})
	return nil
}

// warning is what the program should know of a topic that is taken all the same.
func (s *serving) warning(name string) string {
	id, device := s.o.Board.Status().Identity, ""
	if id.DeviceName != nil {
		device = *id.DeviceName
	}
	if id.ProductKey == "" || topic.OfDevice(name, id.ProductKey, device) || s.o.Named != nil && s.o.Named(name) {
		return ""
	}
	return api.TopicForeign
}

// keyHeader is the header with the key that makes a repeat of a publish safe.
const keyHeader = "Idempotency-Key"

// idempotencyKey reads it; empty: there is none.
func idempotencyKey(r *http.Request, qos byte) (string, error) {
	keys := r.Header.Values(keyHeader)
	if len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	switch {
	case len(keys) > 1:
		return "", badOption.problem(fmt.Sprintf("%d headers %s are given", len(keys), keyHeader), "give one; "+notKept)
	case key == "" || len(key) > outbox.MaxKey:
		return "", badOption.problem(fmt.Sprintf("%s has %d bytes", keyHeader, len(key)), fmt.Sprintf("use 1 to %d; %s", outbox.MaxKey, notKept))
	case strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }):
		return "", badOption.problem(keyHeader+" "+shown(key)+" has a character that is no printable ASCII", "use letters, digits and punctuation, as of a UUID; "+notKept)
	case qos == 0:
		return "", badOption.problem(keyHeader+" with qos=0", "nothing is remembered of a message of best effort: leave the key away, or use qos=1; "+notKept)
	}
	return key, nil
}

// publishOptions reads the query of a publish.
func publishOptions(q query) (m outbox.Message, wait time.Duration, err error) {
	if m.Topic, err = q.topic(); err != nil {
		return m, 0, err
	}
	if m.QoS, err = q.qos(); err != nil {
		return m, 0, err
	}
	if m.Priority, err = q.priority(); err != nil {
		return m, 0, err
	}
	if m.Latest, err = q.flag("latest"); err != nil {
		return m, 0, err
	}
	if m.TTL, err = q.duration("ttl", 1, 0); err != nil {
		return m, 0, err
	}
	wait, err = q.duration("wait", 0, maxWait)
	return m, wait, err
}

// topic reads the one topic to publish to.
func (q query) topic() (string, error) {
	topics := q["topic"]
	if len(topics) != 1 {
		return "", badTopic.problem(fmt.Sprintf("%d topics are given", len(topics)), "give one, as in ?topic=/PRODUCT_KEY/DEVICE_NAME/update; "+notKept)
	}
	if r := intake.Topic(topics[0]); r != nil {
		return "", intakeProblem(r)
	}
	return topics[0], nil
}

// qos reads the quality of service: 1 when absent. The cloud knows 0 and 1
// (Aliyun IoT, MQTT protocol).
func (q query) qos() (byte, error) {
	v, given := q.one("qos")
	switch {
	case !given, v == "1":
		return 1, nil
	case v == "0":
		return 0, nil
	case v == "2":
		return 0, unsupported.problem("the cloud has no QoS 2 (Aliyun IoT, MQTT protocol)", "use qos=1 (at least once) and let the receiver tell duplicates apart; "+notKept)
	}
	return 0, badOption.problem("qos="+shown(v)+" is no quality of service", "write qos=1 (kept until the cloud acknowledges; the default) or qos=0 (best effort)")
}

func (q query) priority() (outbox.Priority, error) {
	v, given := q.one("priority")
	if !given {
		return outbox.Normal, nil
	}
	p, ok := priorities[api.Priority(v)]
	if !ok {
		return 0, badOption.problem("priority="+shown(v)+" is unknown", "write high, normal or low")
	}
	return p, nil
}

// readPayload reads the body within its bounds in size and time. What the
// module can carry is asked afterwards: its limit counts escaped bytes.
func (s *serving) readPayload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, bodyTooLarge()
	}
	rc := http.NewResponseController(w)
	payload, err := s.readBody(http.MaxBytesReader(w, r.Body, maxBody), clientOf(r.Context()).user(), max(r.ContentLength, 0), func() {
		_ = rc.SetReadDeadline(time.Now()) // ends the read that waits
	})
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, bodyTooLarge()
	}
	switch {
	case errors.Is(err, errBodiesFull):
		p := tooBusy.problem("the bodies that are on their way take all the memory that there is for them", notKept+"; send the whole payload at once, and try again")
		p.retryAfter = time.Second
		w.Header().Set("Connection", "close") // else net/http reads on before it answers
		return nil, p
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, slowBody.problem(fmt.Sprintf("after %v there are %d bytes of the body", bodyTime, len(payload)), notKept+"; send the whole payload at once")
	case err != nil:
		return nil, badBody.problem(fmt.Sprintf("the body broke off after %d bytes: %v", len(payload), err), notKept+"; send as many bytes as Content-Length says")
	}
	// With a read deadline, net/http would take its passing for a hang-up.
	_ = rc.SetReadDeadline(time.Time{})
	return payload, nil
}

// errBodiesFull means that a body has no room, or had to make some.
var errBodiesFull = errors.New("too many bodies are on their way")

// bodyStep is how much room a body asks for at once, in bytes.
const bodyStep = 4 << 10

// readBody reads a body of about size bytes, with room for it out of the pool that all
// share. give is called when it has to make room, and has to end the read that waits.
func (s *serving) readBody(body io.Reader, user, size int64, give func()) ([]byte, error) {
	var given atomic.Bool
	room := min(size, bodyStep)
	held := s.bodies.Take(user, false, room, func() { given.Store(true); give() })
	if held == nil {
		return nil, errBodiesFull
	}
	defer held.Release()
	payload := make([]byte, 0, room+1)
	for {
		if len(payload) == cap(payload) {
			if !held.Grow(bodyStep) {
				return payload, errBodiesFull
			}
			payload = slices.Grow(payload, bodyStep)
		}
		n, err := body.Read(payload[len(payload):cap(payload)])
		payload = payload[:len(payload)+n]
		switch {
		case errors.Is(err, io.EOF):
			return payload, nil
		case err != nil && given.Load():
			return payload, errBodiesFull
		case err != nil:
			return payload, err
		}
	}
}

func bodyTooLarge() error {
	limit := maxBody
	p := payloadTooLarge.problem(fmt.Sprintf("the payload is over %d bytes, and no module carries so much", limit), notKept+"; send it in parts")
	p.Limit = &limit
	return p
}

// keep appends to the outbox. A client that hangs up does not undo it: whoever
// sends and leaves at once has sent. Only the daemon's own end cuts it short.
func (s *serving) keep(m outbox.Message) (outbox.Message, error) {
	ctx, cancel := context.WithTimeout(s.life, appendTime)
	defer cancel()
	return s.o.Outbox.Append(ctx, m)
}

// await waits for the message's final state, and says whether it came. The wait
// also ends when the client hangs up and when the daemon stops.
func (s *serving) await(r *http.Request, m outbox.Message, wait time.Duration) (outbox.Message, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	now, err := s.o.Outbox.Wait(ctx, m.ID)
	if now.ID != m.ID {
		return m, false
	}
	return now, err == nil
}

// message tells what became of one message.
func (s *serving) message(w http.ResponseWriter, r *http.Request, _ query) error {
	id := r.PathValue("id")
	m, err := s.o.Outbox.Get(id)
	if errors.Is(err, outbox.ErrUnknown) || err == nil && !maySee(s.rights(r), m) {
		return unknownProblem(id)
	}
	if err != nil {
		return err
	}
	view := api.Message{
		ID: m.ID, Topic: m.Topic, QoS: int(m.QoS), Priority: priorityWord(m.Priority), Latest: m.Latest, State: api.State(m.State), Reason: m.Reason,
		Attempts: m.Attempts, AcceptedAt: known(m.AcceptedAt), ExpiresAt: known(m.ExpiresAt), Warning: s.warning(m.Topic),
	}
	writeJSON(w, http.StatusOK, "application/json", view)
	return nil
}

func unknownProblem(id string) *problem {
	return unknownMessage.problem("no message with the id "+shown(id)+" is known", "the last 10000 final states are remembered, and none from before a restart: an older message is done, but how is forgotten")
}

// known makes a time that is not known null.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
