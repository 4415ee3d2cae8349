package air

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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

// Speeds are the line speeds at which a module is looked for, the likeliest first: the
// default of nearly every image, then 9600 of the low-power images, then what people
// set (AT manual, IPR; 780EL firmware notes).
func Speeds() []int { return []int{115200, 9600, 921600, 460800, 230400, 57600, 38400, 19200} }

// speedTimeout is how long the answer to AT+IPR is waited for. It is given from
// memory, and one that comes at the new speed already is not read.
const speedTimeout = 1500 * time.Millisecond

// SetSpeed asks the module to run its line at baud bit/s from now on (AT+IPR, AT
// manual section 4.7). It returns [atengine.ErrRefused] when the module says no. Any other
// error but that of a port that is gone tells nothing: some firmware changes the
// speed before it answers. Whoever calls it has to look at which speed the module
// is; the engine may be out of step. The speed is not saved (&W), though some
// firmware keeps it over a restart all the same.
func (m *Modem) SetSpeed(ctx context.Context, baud int) error {
	_, err := m.eng.Do(ctx, atengine.Command{Line: "AT+IPR=" + strconv.Itoa(baud), Timeout: speedTimeout})
	return err
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
