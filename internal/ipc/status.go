package ipc

import (
	"net/http"
	"time"

	"airbridged/client/api"
)

// status answers with Status.
func (s *serving) status(w http.ResponseWriter, _ *http.Request, _ query) error {
	writeJSON(w, http.StatusOK, "application/json", s.Status())
	return nil
}

// Status is the board's status with what the socket adds to it.
func (s *Server) Status() api.Status {
	status := s.o.Board.Status().Told(time.Now())
	queue, disk := s.o.Outbox.Stats(), s.o.Outbox.Disk()
	status.Outbox = api.Outbox{
		Messages: queue.Messages, Bytes: queue.Bytes, OldestAt: known(queue.OldestAt), InFlight: queue.InFlight, DiskBytes: disk.Bytes,
	}
	if disk.Share > 0 {
		status.Outbox.DiskLimit = &disk.Share
	}
	if s.o.MQTT != nil {
		status.MQTT = s.o.MQTT()
	}
	if s.o.Data != nil {
		status.Data = s.o.Data()
	}
	status.Version = s.o.Version
	status.UptimeSeconds = int64(time.Since(s.begun) / time.Second)
	return status
}

// healthz says whether the supervisor makes progress. It takes any query, as
// health checkers like to add their own.
func (s *serving) healthz(w http.ResponseWriter, _ *http.Request, _ query) error {
	if s.o.Healthy != nil {
		if err := s.o.Healthy(); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, "application/json", api.Health{Detail: err.Error()})
			return nil
		}
	}
	writeJSON(w, http.StatusOK, "application/json", api.Health{Healthy: true})
	return nil
}

func (s *serving) metrics(w http.ResponseWriter, r *http.Request, _ query) error {
	if s.o.Metrics == nil {
		return noSuchRoute.problem("this daemon counts nothing", existing())
	}
	s.o.Metrics.ServeHTTP(w, r)
	return nil
}
