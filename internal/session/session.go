package session

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/dataphase"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
)

// Session is the supervisor. Make one with New and call Run once.
type Session struct {
	Options
	random   *rand.Rand
	gate     *connectGate
	costs    *costs
	show     display
	progress progress
	past     *recovery.Past

	// Owned by the goroutine in Run.
	line     *line // the open port and the module behind it; nil when there is none
	identity provision.Identity
	unsaved  secret.Text     // a DeviceSecret the cloud handed out that the disk has not taken yet
	told     map[string]bool // notes of the credential store that were passed on
	foreign  map[string]bool // topics that are not the device's and were told; at most foreignMost
	attached bool
	signal   *int            // received strength in dBm when it was last asked for; nil: not known
	iccid    string          // of the SIM; empty: not known
	awake    bool            // the radio was switched on in this attempt to attach
	nudged   bool            // and the module was told to attach
	fresh    bool            // the token was fetched for this attempt
	token    provision.Token // only while the token could not be cached on disk
	since    atengine.Mark   // events of the module up to here are dealt with
	shorts   int             // sessions in a row that the cloud closed right after CONNACK
	turn     time.Duration   // how long the first request to the cloud still has to wait: see turn.go
	onlineAt time.Time
	speed    speed

	clockAsked time.Time     // when the module was last asked for the network's time
	clockWait  time.Duration // before it is asked again

	dataPhase *dataphase.Record
	dumps     dumps
	wish      *wish // a registration that somebody asked for; nil: none
	searched  bool  // the answer to the last registration was looked for

	// Shared with the modem's reader and with whoever asks for health.
	asks   chan ask    // handed over, never queued
	kicked atomic.Bool // the cloud said that another client took the device's place

	filters filters
	up      up
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
	return &Session{
		Options:  o,
		random:   random,
		gate:     newConnectGate(o.Recovery.ConnectsPerMinute, o.Store),
		costs:    newCosts(o.Cloud, o.Recorder),
		past:     recovery.NewPast(o.Recovery.policy(), readResets(o.State), time.Now(), random),
		show:     display{log: o.Log, board: o.Board, meter: o.Recorder},
		progress: progress{state: recovery.Probing},
		filters:  newFilters(o),
		up:       up{queue: o.Queue},
		told:     make(map[string]bool),
		foreign:  make(map[string]bool),
		asks:     make(chan ask),
		dumps:    dumps{dir: o.State},

		speed:     speed{last: readSpeed(o.State)},
		dataPhase: dataphase.Open(o.State, time.Now()),
	}
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
	s.noteState(from, to, cause)
	s.progress.enters(c)
	s.show.entered(c)
}

// withGrace returns a context that outlives ctx by d.
func withGrace(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(d, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { stop(); cancel(context.Canceled) }
}

// pause waits, keeping the health check satisfied, until the time is over or
// the daemon is asked to stop. Meanwhile it does what people ask for, and ends
// with errAside when there is no going on after that.
func (s *Session) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	s.progress.expect(d)
	end := time.Now().Add(d)
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case a := <-s.asks:
			if err := a(ctx); err != nil {
				return err
			}
			s.progress.expect(time.Until(end))
		}
	}
}
