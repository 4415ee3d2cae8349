package session

import (
	"math/rand/v2"
	"time"

	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// gate says when the next request to the cloud may be made. It keeps the MCONNECTs of
// any minute below the limit, over restarts too: the times are on disk before the
// command is sent.
//
// When the power comes back to a whole district, every gateway in it starts in the
// same second, and nothing has failed yet that a back-off could spread. So a gateway on
// a machine that was just switched on draws a moment within start_spread, where that is
// set, for its first request. A new one, which has never logged in, is in nobody's way,
// and somebody stands beside it and waits.
type gate struct {
	limit  int
	store  *provision.Store
	recent []time.Time
	unread bool // those of the last process could not be read so far
	spread time.Duration
	turn   time.Duration // how long the first request still has to wait
}

// gateWindow is the span in which the cloud counts CONNECTs (Aliyun IoT limits:
// 5 a minute for each device), with a second to spare for clocks and latency.
const gateWindow = time.Minute + time.Second

// JustBooted is how long after the machine's start the daemon's own start counts as
// part of it.
const JustBooted = 5 * time.Minute

func newGate(r Recovery, store *provision.Store) *gate {
	g := &gate{limit: r.ConnectsPerMinute, spread: r.StartSpread, store: store}
	g.read()
	return g
}

// read takes in the logins of the last process.
func (g *gate) read() {
	times, err := g.store.Connects()
	g.recent = append(times, g.recent...)
	g.unread = err != nil
}

// booted says that the machine was just switched on. The wait is drawn from the moment
// at which the first request could be sent: modules that start together are ready
// together.
func (g *gate) booted(random *rand.Rand) {
	if g.unread || len(g.recent) > 0 { // it may have logged in before
		g.turn = g.draw(random)
	}
}

func (g *gate) draw(random *rand.Rand) time.Duration { return recovery.Between(0, g.spread, random) }

// firstWait is how long the first request has to wait; asked again, it is 0.
func (g *gate) firstWait() time.Duration {
	turn := g.turn
	g.turn = 0
	return turn
}

// wait returns how long to wait before the next MCONNECT, which leaves so many of the
// limit to others. A recorded time in the future, left by a clock that was set back,
// counts as now.
func (g *gate) wait(now time.Time, spare int) time.Duration {
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
func (g *gate) pass(now time.Time) error {
	g.recent = append(g.recent, now)
	return g.store.SaveConnects(g.recent)
}
