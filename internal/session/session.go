package session

import (
	"context"
	"math/rand/v2"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// Session is the supervisor. Make one with New and call Run once.
type Session struct {
	o        Options
	random   *rand.Rand
	show     display
	progress progress
	past     past
	port     port
	network  network
	device   device
	gate     *gate
	link     link
	filters  filters
	up       up
	suspects suspects
	books    *books
	flight   flight
	errands  errands
}

// New returns a session that has done nothing yet.
func New(o Options) *Session {
	if o.Random == nil {
		o.Random = provision.Random
	}
	if o.Flight == nil {
		o.Flight = bus.NewFlight()
	}
	seed := o.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(seed, seed>>1|1))
	s := &Session{
		o:        o,
		random:   random,
		gate:     newGate(o.Recovery, o.Store),
		books:    newBooks(o.Cloud, o.Recorder),
		past:     newPast(o, random),
		show:     display{log: o.Log, board: o.Board, meter: o.Recorder},
		progress: progress{state: recovery.Probing},
		filters:  newFilters(o),
		up:       up{queue: o.Queue},
		suspects: newSuspects(),
		flight:   flight{recorder: o.Flight, dumps: dumps{dir: o.State}, log: o.Log},
	}
	s.port = newPort(o, air.Options{
		Timeouts: o.Cloud.Timeouts, MaxPayload: o.Modem.MaxPayload,
		Downlink: s.downlink, Trace: s.flight.traffic, Recorder: o.Recorder, Log: o.Log.Named("modem"),
	}, &s.show, &s.progress)
	s.device = newDevice(o, &s.show)
	s.errands = newErrands(&s.progress, &s.show)
	return s
}

// enter changes the state, and shows it, in one place. f is the failure that led there,
// if one did, and pause how long the next attempt waits.
func (s *Session) enter(to recovery.State, f *recovery.Failure, pause time.Duration) {
	from, _ := s.progress.at()
	if from == to {
		return
	}
	c := change{from: from, to: to, failure: f, pause: pause, attempts: s.past.Attempts(), at: time.Now()}
	cause, _ := c.cause()
	shows, folded := s.past.Shows(to, cause, c.at)
	c.quiet, c.folded = !shows, folded
	s.flight.entered(from, to, cause)
	s.progress.enters(c)
	s.show.entered(c)
}

// tearDown ends the MQTT session in the module, results ignored (vendor note on
// MQTT over TLS: MDISCONNECT, then MIPCLOSE), and with it all grants.
func (s *Session) tearDown(ctx context.Context) {
	s.port.modem.Hangup(ctx)
	s.books.hungUp()
	s.sessionLost()
}

// sessionLost takes in that there is no MQTT session any more, or none that is believed.
func (s *Session) sessionLost() {
	s.link.over()
	s.filters.lost()
}

// withGrace returns a context that outlives ctx by d.
func withGrace(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(d, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { stop(); cancel(context.Canceled) }
}
