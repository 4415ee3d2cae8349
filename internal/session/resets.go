package session

import (
	"errors"
	"io/fs"
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

// recallResets takes in the resets that earlier processes made. A damaged file is as
// good as none; one that cannot be read now is read later.
func (s *Session) recallResets() {
	if s.resetsRead {
		return
	}
	r, err := durable.NewNote[resetsRecord](s.State, resetsFile).Load()
	s.resetsRead = err == nil || errors.Is(err, fs.ErrNotExist) || durable.Verdict(err)
	if err == nil {
		s.past.Recall(r.At, time.Now())
	}
}

// bookReset books a hard reset before it is made, over a restart too.
func (s *Session) bookReset() {
	made := s.past.Reset(time.Now())
	if err := durable.NewNote[resetsRecord](s.State, resetsFile).Save(resetsRecord{made}); err != nil {
		s.Log.Warn("a reset could not be recorded; a restart may exceed hard_resets_per_hour", zap.Error(err))
	}
}
