package session

import (
	"context"
	"math/rand/v2"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/recovery"
)

// Session is the supervisor. Make one with New and call Run once. Its parts belong to
// the goroutine in Run, but for what each says of itself.
type Session struct {
	o      Options
	random *rand.Rand // of all that is drawn

	show     display          // what others see
	progress progress         // where the procedure stands
	past     past             // failures, and what to do about them
	port     port             // the serial port and the module behind it
	network  network          // SIM, radio and bearer
	apn      apn              // the access point of the data connection
	device   device           // who this is at the cloud, and what proves it
	gate     *gate            // when the cloud may be asked
	link     link             // the MQTT session
	up       up               // messages to the cloud
	caps     air.Capabilities // what the module at hand can carry
	filters  filters          // subscriptions
	openings openings         // what each session begins with
	suspects suspects         // filters and messages that may end sessions
	books    *books           // what it costs on the air
	flight   flight           // the AT traffic, kept for who looks for a fault
	errands  *errands         // what people ask for
	glances  glances          // when the signal is read for who watches
	requests requests         // registrations and authentications of the last minute
}

// New returns a session that has done nothing yet.
func New(o Options) *Session {
	o = o.withDefaults()
	s := &Session{o: o, random: rand.New(rand.NewPCG(o.Seed, o.Seed>>1|1))}
	s.show = display{log: o.Log, board: o.Board, meter: o.Recorder}
	s.progress.state = recovery.Probing
	s.past = newPast(o, s.random)
	s.flight = newFlight(o)
	s.port = newPort(o, air.Options{
		Timeouts: o.Cloud.Timeouts,
		Downlink: s.downlink, Trace: s.flight.traffic, Recorder: o.Recorder, Log: o.Log.Named("modem"),
	}, &s.show, &s.progress)
	s.apn = newAPN(o)
	s.device = newDevice(o, &s.show)
	s.gate = newGate(o.Recovery, o.Store)
	s.up = newUp(o.Queue, o.Cloud.Quota)
	s.openings = newOpenings(o.OnConnect)
	s.filters.begin(o)
	s.filters.replies = s.openings.replies()
	s.suspects = newSuspects()
	s.glances = glances{onlookers: &o.Board.Onlookers}
	s.books = newBooks(o.Cloud, o.Recorder)
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
