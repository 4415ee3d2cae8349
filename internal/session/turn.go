package session

import (
	"context"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/recovery"
)

// When the power comes back to a whole district, every gateway in it starts in the
// same second, and nothing has failed yet that a back-off could spread. So a
// gateway on a machine that was just switched on draws a moment within
// start_spread, where that is set, for its first request to the cloud. A new one, which has never
// logged in, is in nobody's way, and somebody stands beside it and waits.

// JustBooted is how long after the machine's start the daemon's own start counts as
// part of it.
const JustBooted = 5 * time.Minute

// drawTurn is how long the first request waits, from the moment at which it could be
// sent: modules that start together are ready together.
func (s *Session) drawTurn() time.Duration {
	return recovery.Between(0, s.Recovery.StartSpread, s.random)
}

// awaitTurn waits for that, before whatever goes to the cloud first.
func (s *Session) awaitTurn(ctx context.Context) error {
	left := s.turn
	if left <= 0 {
		return nil
	}
	s.turn = 0
	s.Log.Info("waiting for its turn after the machine's start", zap.Duration("wait", left.Round(time.Second)))
	at := time.Now().Add(left)
	s.show.waitsUntil(at)
	return s.pause(ctx, left)
}
