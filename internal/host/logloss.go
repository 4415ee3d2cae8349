package host

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
)

// When the loss of lines is told: how often that is looked at, from when on a reader
// that takes nothing is told before anything is lost, and for how long a loss is told
// after the last one.
const (
	lossLook  = 2 * time.Second
	lossStuck = 5 * time.Second
	lossTold  = 15 * time.Minute
)

const lossHint = "see what reads the log: journald, logger, the disk it is on; the service goes on, and airbridgectl events and airbridgectl trace have what happens"

// TellLoss shows lines of the log that could not be written, until ctx ends: as a
// warning that lasts, and in the log as soon as there is one again.
func TellLoss(ctx context.Context, sink *Sink, board *bus.StatusBoard, log *zap.Logger) error {
	tick := time.NewTicker(lossLook)
	defer tick.Stop()
	var l loss
	for {
		l.look(sink.Stats(), time.Now(), board, log)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// loss is what was told.
type loss struct {
	shown  uint64    // lost lines, in the warning
	logged uint64    // lost lines, in the log
	last   time.Time // of the last line that was lost
}

func (l *loss) look(st SinkStats, now time.Time, board *bus.StatusBoard, log *zap.Logger) {
	if st.Lost > l.shown {
		l.shown, l.last = st.Lost, now
	}
	works := st.Err == nil && st.Stuck < lossLook
	if works && l.logged < st.Lost {
		log.Warn("lines of the log were lost", zap.Uint64("lost", st.Lost-l.logged))
		l.logged = st.Lost
	}
	detail := fmt.Sprintf("%d lines of the log were lost since the start", st.Lost)
	switch {
	case st.Stuck >= lossStuck:
		detail = fmt.Sprintf("nobody has read the log for %v; %s", st.Stuck.Round(time.Second), detail)
	case st.Err != nil:
		detail = fmt.Sprintf("the log cannot be written (%v); %s", st.Err, detail)
	case l.last.IsZero() || now.Sub(l.last) >= lossTold:
		board.ClearWarning(bus.LogLost, "")
		return
	}
	board.SetWarning(bus.Warning{Code: bus.LogLost, Detail: detail, Hint: lossHint})
}
