package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/intake"
	"airbridged/internal/outbox"
	"airbridged/internal/topic"
)

// How many messages a page of the outbox has: maxPage of them, with topics as
// long as the cloud takes them, stay under 1 MiB.
const (
	usualPage = 100
	maxPage   = 1000
)

// listOutbox answers with the messages that wait or are in flight, a page of
// them.
func (s *serving) listOutbox(w http.ResponseWriter, r *http.Request, q query) error {
	limit, err := q.number("limit", usualPage, 1, maxPage)
	if err != nil {
		return err
	}
	after, _ := q.one("after")
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "application/json")
		return nil
	}
	piece, n, last, total, err := s.outboxPiece(r, after, min(limit, pieceOfPage))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, `{"messages":[`)
	for begun := false; ; {
		if begun && n > 0 {
			piece = append([]byte{','}, piece...)
		}
		begun = begun || n > 0
		if _, err := w.Write(piece); err != nil {
			return nil // the client is gone
		}
		if limit -= n; limit <= 0 || last == "" {
			break
		}
		if piece, n, last, total, err = s.outboxPiece(r, last, min(limit, pieceOfPage)); err != nil {
			panic(http.ErrAbortHandler) // the page is cut, and must not look whole
		}
	}
	_, _ = fmt.Fprintf(w, "],\"total\":%d}\n", total)
	return nil
}

// pieceOfPage is how many messages of a page are made at once: a page is written piece
// by piece, so that many who take theirs slowly do not hold whole ones in memory.
const pieceOfPage = 64

// outboxPiece is the JSON of n messages behind an id, without brackets, when it is the
// user's turn; last is where to go on, "" where no more follow. Who may not see those
// of others gets his own.
func (s *serving) outboxPiece(r *http.Request, after string, limit int) (piece []byte, n int, last string, total int, err error) {
	give, err := s.takeTurn(r)
	if err != nil {
		return nil, 0, "", 0, err
	}
	defer give()
	messages, total, last := s.messagesFor(s.rights(r), after, limit)
	for i, m := range messages {
		if i > 0 {
			piece = append(piece, ',')
		}
		text, err := encode(api.OutboxMessage{
			ID: m.ID, Topic: m.Topic, QoS: int(m.QoS), Priority: priorityWord(m.Priority), Bytes: m.Size,
			AcceptedAt: known(m.AcceptedAt), ExpiresAt: known(m.ExpiresAt), Attempts: m.Attempts, State: api.State(m.State),
			Reading: s.o.Batched != nil && s.o.Batched(m.Topic),
		})
		if err != nil {
			return nil, 0, "", 0, err
		}
		piece = append(piece, bytes.TrimSuffix(text, []byte{'\n'})...)
	}
	return piece, len(messages), last, total, nil
}

// messagesFor is a page of the messages that somebody may see; last is where to go on.
func (s *serving) messagesFor(rights access.Rights, after string, limit int) (messages []outbox.Message, total int, last string) {
	if rights.May(access.Messages) != nil {
		messages, total, last, more := s.o.Outbox.ListOf(rights.Who().Owner(), after, limit)
		if !more {
			last = ""
		}
		return messages, total, last
	}
	messages, total = s.o.Outbox.List(after, limit)
	if len(messages) == limit {
		last = messages[limit-1].ID
	}
	return messages, total, last
}

// dropMessage gives up one message that waits.
func (s *serving) dropMessage(w http.ResponseWriter, r *http.Request, _ query) error {
	id := r.PathValue("id")
	if err := s.mayDrop(s.rights(r), id); err != nil {
		return err
	}
	if err := s.o.Outbox.Drop(id); err != nil {
		return s.dropProblem(id, err)
	}
	writeJSON(w, http.StatusOK, "application/json", api.Drops{Dropped: 1})
	return nil
}

// mayDrop says why somebody may not drop a message, or nil. One that he may not see either
// does not exist for him.
func (s *serving) mayDrop(rights access.Rights, id string) error {
	if rights.DropsAll() == nil {
		return nil
	}
	m, err := s.o.Outbox.Get(id)
	switch {
	case err != nil || !maySee(rights, m):
		return unknownProblem(id)
	case !isHis(rights, m):
		return denied(rights.DropsAll(), "nothing was dropped")
	}
	return nil
}

// dropProblem turns what outbox.Drop said into a problem.
func (s *serving) dropProblem(id string, err error) *problem {
	const notDropped = "nothing was dropped"
	switch {
	case errors.Is(err, outbox.ErrUnknown):
		return unknownProblem(id)
	case errors.Is(err, outbox.ErrInFlight):
		p := inFlight.problem("the message "+shown(id)+" is being sent, and cannot be called back",
			notDropped+"; try again: soon it is acknowledged, or it waits again and can be dropped")
		p.retryAfter = 5 * time.Second
		return p
	case errors.Is(err, outbox.ErrFinal):
		end := "in a final state"
		if m, err := s.o.Outbox.Get(id); err == nil {
			end = string(m.State)
		}
		return finalState.problem("the message "+shown(id)+" is "+end+" already", "there is nothing left to drop; GET /v1/messages/{id} tells what became of it")
	}
	why := intake.Of(err)
	if why.Cause == intake.Disk {
		return dropLost(why)
	}
	return internalFault.problem(why.Detail, notDropped+"; the daemon's log has more")
}

// dropLost is the answer where messages were dropped, but not on the disk.
func dropLost(why *intake.Refusal) *problem {
	why.Advice = ""
	return diskProblem(why, "what was dropped is not sent any more, but is back after a restart unless the disk recovers before; ask again when it has")
}

// everyTopic as a filter is here all there is: in MQTT it leaves out those that
// begin with a dollar sign.
const everyTopic = "#"

// dropMany gives up the messages of a topic, or of another device.
func (s *serving) dropMany(w http.ResponseWriter, r *http.Request, q query) error {
	if yes, err := q.flag("foreign"); err != nil {
		return err
	} else if !yes {
		return s.dropTopic(w, r, q)
	}
	if len(q["topic"]) > 0 {
		return badOption.problem("topic and foreign are both given", "nothing was dropped; give one of them")
	}
	if err := root.allows(r); err != nil {
		return err
	}
	n, err := s.o.Outbox.DropForeign()
	s.tellMany(r, "messages of another device dropped on request", n)
	if err != nil {
		return dropLost(intake.Of(err))
	}
	writeJSON(w, http.StatusOK, "application/json", api.Drops{Dropped: n})
	return nil
}

// tellMany logs who did something to messages.
func (s *serving) tellMany(r *http.Request, what string, n int) {
	if n > 0 {
		c := clientOf(r.Context())
		s.o.Log.Info(what, zap.Int("messages", n), zap.Uint32("uid", c.peer.UID), zap.Int32("pid", c.peer.PID))
	}
}

// retarget has the messages of another device sent as this one's.
func (s *serving) retarget(w http.ResponseWriter, r *http.Request, _ query) error {
	if _, err := s.readPayload(w, r); err != nil {
		return err
	}
	n, err := s.o.Outbox.Retarget()
	s.tellMany(r, "messages of another device are sent as this one's on request", n)
	switch {
	case errors.Is(err, outbox.ErrInvalid):
		return notNow.problem("it is not known yet which device is here", "try again when the module was identified; GET /v1/status tells")
	case err != nil:
		return dropLost(intake.Of(err))
	}
	writeJSON(w, http.StatusOK, "application/json", api.Retargets{Retargeted: n})
	return nil
}

// dropTopic gives up every message that waits on the topics of one filter. That
// a program throws messages away is told in the log; which, is its own business.
func (s *serving) dropTopic(w http.ResponseWriter, r *http.Request, q query) error {
	if n := len(q["topic"]); n != 1 {
		return badFilter.problem(fmt.Sprintf("%d topic filters are given", n), "nothing was dropped; give one, as in ?topic=/PRODUCT_KEY/DEVICE_NAME/update; every topic is ?topic=%23")
	}
	filter := q["topic"][0]
	if err := topic.CheckFilter(filter); err != nil {
		return badFilter.problem(err.Error(), "nothing was dropped; "+wildcards)
	}
	matches := func(name string) bool { return filter == everyTopic || topic.Match(filter, name) }
	n, err := s.dropMatching(s.rights(r), matches)
	s.tellMany(r, "messages dropped on request", n)
	if err != nil {
		return dropLost(intake.Of(err))
	}
	writeJSON(w, http.StatusOK, "application/json", api.Drops{Dropped: n})
	return nil
}

// dropMatching drops messages by their topics: those of others only for who may.
func (s *serving) dropMatching(rights access.Rights, matches func(topic string) bool) (int, error) {
	if rights.DropsAll() != nil {
		return s.o.Outbox.DropTopicOf(rights.Who().Owner(), matches)
	}
	return s.o.Outbox.DropTopic(matches)
}
