package ipc

import (
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/intake"
	"airbridged/internal/outbox"
)

// answerCall answers a request of the cloud that waits. Nothing is stored: what comes too
// late is dropped.
func (s *serving) answerCall(w http.ResponseWriter, r *http.Request, _ query) error {
	id := r.PathValue("id")
	payload, err := s.readPayload(w, r)
	if err != nil {
		return err
	}
	calls := s.o.Hub.Calls()
	name, ok := calls.TopicOf(id)
	if !ok {
		return unknownCall.problem("no call "+shown(id)+" has come in the last ten minutes", "give the id of an rrpc line of GET /v1/subscribe")
	}
	rights := s.rights(r)
	if err := rights.Publish(name); err != nil {
		return denied(err, "nothing was answered")
	}
	if err := mayCarry(rights, &outbox.Message{Payload: payload}); err != nil {
		return err
	}
	if r := intake.Payload(name, payload, s.o.Carry); r != nil {
		return intakeProblem(r)
	}
	source := uint8(0)
	if s.o.Source != nil {
		source = s.o.Source(clientOf(r.Context()).program())
	}
	switch err := calls.Answer(name, payload, source); {
	case errors.Is(err, bus.ErrCallAnswered):
		return callAnswered.problem("the call "+shown(id)+" has been answered", "one answer goes to the cloud, the first one")
	case err != nil:
		s.o.Board.Emit(bus.Warned(bus.LateCall, fmt.Sprintf("the answer to the call %s came too late, and was dropped", shown(id))))
		s.o.Log.Warn("an answer came too late, and was dropped", zap.String("id", id), zap.Uint32("uid", clientOf(r.Context()).peer.UID))
		return callOver.problem("the time of the call "+shown(id)+" is over", fmt.Sprintf("the cloud's caller waits for %v at most; deadline_ms of the line says how long", bus.CallTime))
	}
	writeJSON(w, http.StatusAccepted, "application/json", api.Answered{ID: id, State: api.Held})
	return nil
}
