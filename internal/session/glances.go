package session

import (
	"context"
	"time"

	"airbridged/internal/bus"
)

// glanceEvery is how often the signal is read while somebody watches it, as one does
// who turns the antenna. It is one short command on the line, which costs nothing on
// the air: at 115200 bit/s some 20 ms of 2 s, between two messages.
const glanceEvery = 2 * time.Second

// glances is when the signal is read for who watches, besides what polls read.
type glances struct {
	onlookers *bus.Onlookers
	last      time.Time
}

// next delivers when the next glance is due; nil: nobody watches.
func (g *glances) next(now time.Time) <-chan time.Time {
	if !g.onlookers.Any() {
		return nil
	}
	return time.After(g.last.Add(glanceEvery).Sub(now))
}

// glance reads the signal if it is due and the module can be asked.
func (s *Session) glance(ctx context.Context) {
	now := time.Now()
	if !s.glances.onlookers.Any() || now.Sub(s.glances.last) < glanceEvery {
		return
	}
	s.glances.last = now
	if !s.port.inStep() || s.port.gone() {
		return
	}
	s.progress.expect(s.o.Cloud.Timeouts.Command)
	s.readSignal(ctx)
	s.glances.last = time.Now()
}
