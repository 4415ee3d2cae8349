package session

import (
	"time"

	"go.uber.org/zap"

	"airbridged/internal/durable"
)

// resetsFile remembers the hard resets of the last hour, so that a daemon that
// is started anew, perhaps by its own last rung, does not begin with a full
// budget.
const resetsFile = "resets.json"

type resetsRecord struct {
	At []time.Time `json:"at"`
}

// readResets returns the resets that earlier processes made. A file that cannot be
// read is as good as none.
func readResets(state durable.Directory) []time.Time {
	r, err := durable.NewNote[resetsRecord](state, resetsFile).Load()
	if err != nil {
		return nil
	}
	return r.At
}

// bookReset books a hard reset before it is made, over a restart too.
func (s *Session) bookReset() {
	made := s.past.Reset(time.Now())
	if err := durable.NewNote[resetsRecord](s.State, resetsFile).Save(resetsRecord{made}); err != nil {
		s.Log.Warn("a reset could not be recorded; a restart may exceed hard_resets_per_hour", zap.Error(err))
	}
}
