package air

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airbridged/internal/atengine"
)

// Train finds out whether the module answers at the line's present speed: up to
// tries times an upper-case AT, from which the module takes its speed (quick
// guide, part 1), each waited for as long as each. It returns
// [atengine.ErrTimeout] when nothing answers.
func (m *Modem) Train(ctx context.Context, tries int, each time.Duration) error {
	for range tries {
		err := m.trainOnce(ctx, each)
		_, no := refusal(err)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case no, errors.Is(err, atengine.ErrTimeout), errors.Is(err, atengine.ErrOutOfSync), errors.Is(err, atengine.ErrRebooted):
			// Garbage at a wrong speed can look like any of these.
		default:
			return err
		}
	}
	return fmt.Errorf("training the line speed, %d times AT: %w", tries, atengine.ErrTimeout)
}

// trainOnce sends one AT. After one that was not answered the engine is out of
// step, and sends the next itself once the line is quiet.
func (m *Modem) trainOnce(ctx context.Context, each time.Duration) error {
	if m.eng.InSync() {
		_, err := m.eng.Do(ctx, atengine.Command{Line: "AT", Timeout: each})
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, each, atengine.ErrTimeout)
	defer cancel()
	return m.eng.Resync(ctx)
}
