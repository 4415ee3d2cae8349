package session

import (
	"time"

	"airbridged/internal/provision"
)

// gateWindow is the span in which the cloud counts CONNECTs (Aliyun IoT limits:
// 5 a minute for each device), with a second to spare for clocks and latency.
const gateWindow = time.Minute + time.Second

// connectGate keeps the MCONNECTs of any minute below the limit, over restarts
// too: the times are on disk before the command is sent.
type connectGate struct {
	limit  int
	store  *provision.Store
	unread bool // those of the last process could not be read so far
	recent []time.Time
}

func newConnectGate(limit int, store *provision.Store) *connectGate {
	g := &connectGate{limit: limit, store: store}
	g.read()
	return g
}

// read takes in the logins of the last process.
func (g *connectGate) read() {
	times, err := g.store.Connects()
	g.recent = append(times, g.recent...)
	g.unread = err != nil
}

// loggedInBefore says whether a process before may have logged in.
func (g *connectGate) loggedInBefore() bool { return g.unread || len(g.recent) > 0 }

// wait returns how long to wait before the next MCONNECT, which leaves so many of the
// limit to others. A recorded time in the future, left by a clock that was set back,
// counts as now.
func (g *connectGate) wait(now time.Time, spare int) time.Duration {
	if g.unread {
		g.read()
	}
	kept := g.recent[:0]
	for _, t := range g.recent {
		if t.After(now) {
			t = now
		}
		if now.Sub(t) < gateWindow {
			kept = append(kept, t)
		}
	}
	g.recent = kept
	limit := max(g.limit-spare, 1)
	if len(g.recent) < limit {
		return 0
	}
	return gateWindow - now.Sub(g.recent[len(g.recent)-limit])
}

// pass records an MCONNECT. An error means that a restart would forget it.
func (g *connectGate) pass(now time.Time) error {
	g.recent = append(g.recent, now)
	return g.store.SaveConnects(g.recent)
}
