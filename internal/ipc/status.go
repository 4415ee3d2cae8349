package ipc

import (
	"net/http"
	"time"

	"airbridged/internal/bus"
)

// status answers with the board's status and what the socket adds to it.
func (s *serving) status(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	status := s.o.Board.Status()
	queue := s.o.Outbox.Stats()
	status.Outbox = bus.StatusOutbox{Messages: queue.Messages, Bytes: queue.Bytes, OldestAt: known(queue.OldestAt), Inflight: queue.InFlight}
	if at := status.Cloud.TokenAt; at != nil {
		age := max(int64(time.Since(*at)/time.Second), 0) // the clock may have been set back since
		status.Cloud.TokenAgeSeconds = &age
	}
	if told := status.Modem.NetworkTime; told != nil {
		now := told.Now(time.Now())
		status.Modem.NetworkTime = &now
	}
	if s.o.Data != nil {
		status.Data = s.o.Data()
	}
	status.Version = s.o.Version
	status.UptimeSeconds = int64(time.Since(s.begun) / time.Second)
	writeJSON(w, http.StatusOK, "application/json", status)
	return nil
}

// health is the body of GET /healthz.
type health struct {
	Healthy bool   `json:"healthy"`
	Detail  string `json:"detail"` // why not; empty when healthy
}

// healthz says whether the supervisor makes progress. It takes any query, as
// health checkers like to add their own.
func (s *serving) healthz(w http.ResponseWriter, _ *http.Request) error {
	if s.o.Healthy != nil {
		if err := s.o.Healthy(); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, "application/json", health{Detail: err.Error()})
			return nil
		}
	}
	writeJSON(w, http.StatusOK, "application/json", health{Healthy: true})
	return nil
}

func (s *serving) metrics(w http.ResponseWriter, r *http.Request) error {
	if s.o.Metrics == nil {
		return noSuchRoute.problem("this daemon counts nothing", existing)
	}
	s.o.Metrics.ServeHTTP(w, r)
	return nil
}
