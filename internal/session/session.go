package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/dataphase"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
)

// ErrExit means that the last rung was reached: only a new process can help.
var ErrExit = errors.New("recovery is at its end: the process must be started anew")

// Device says who the device is at the cloud.
type Device struct {
	ProductKey    string
	DeviceName    string // empty: the module's IMEI
	ProductSecret secret.Text
	DeviceSecret  secret.Text // provisioned by hand; then nothing is ever registered
}

// Cloud says where the cloud is and how to log in.
type Cloud struct {
	HTTPSAuth   bool // iotId and iotToken; otherwise the MQTT signature
	Sign        provision.Method
	RegisterURL string
	AuthURL     string
	Host        string
	Port        int
	TLS         bool
	Keepalive   time.Duration
	Clean       bool
	Timeouts    air.Timeouts
}

// Modem says how to reach and to reset the module.
type Modem struct {
	Baud       int // 0 trains
	WorkBaud   int // raise the line to this speed once the module is known; 0: leave it
	APN        string
	MaxPayload int // 0: by firmware
}

// Recovery bounds how hard the session tries.
type Recovery struct {
	BackoffMin        time.Duration
	BackoffMax        time.Duration
	StableAfter       time.Duration
	StatusPoll        time.Duration
	HardResetsPerHour int
	ConnectsPerMinute int
	StartSpread       time.Duration // 0: the first login after the machine's start waits for nothing
}

func (r Recovery) policy() recovery.Policy {
	return recovery.Policy{BackoffMin: r.BackoffMin, BackoffMax: r.BackoffMax, HardResetsPerHour: r.HardResetsPerHour}
}

// Queue is the outbox as the session sees it.
type Queue interface {
	Ready() <-chan struct{}
	Take() (outbox.Message, bool)
	Done(id string, s outbox.State, reason string) error
	Release(id string) error
}

// Recorder takes the measurements.
type Recorder interface {
	air.Recorder
	State(state string)
	Transition(from, to, cause string)
	Published(qos int, outcome string, sinceAccepted time.Duration)
	Turnaround(d time.Duration)
	InFlight(n int)
	Recovery(rung, result string)
	Signal(dbm *int)
	Registered(v *bool)
	ModemInfo(model, firmware string)
	CloudBytes(cause string, n int)   // on the air, estimated
	ProgramBytes(source uint8, n int) // those of them that a program's messages took, by outbox.Message.Source
}

// Options is all that a session needs.
type Options struct {
	Device   Device
	Cloud    Cloud
	Modem    Modem
	Recovery Recovery

	// Open opens the serial port at a speed, or fails with a *recovery.Failure whose
	// cause is recovery.PortMissing or recovery.PortBusy. Closing the port ends a read in progress.
	Open func(baud int) (io.ReadWriteCloser, error)
	// HardReset resets a module that no longer listens to AT+RESET; nil: there is
	// no way to.
	HardReset func(ctx context.Context) error
	Store     *provision.Store
	Queue     Queue
	// Subscribe are the filters kept subscribed even when no program listens;
	// Expand puts the device's names into them.
	Subscribe []bus.Filter
	Expand    func(topic, productKey, deviceName string) string
	Hub       *bus.Hub
	Board     *bus.Board
	Carrier   *Carrier
	Flight    *bus.Flight       // takes the AT traffic, redacted; nil: a recorder that nobody reads
	State     durable.Directory // for what has to outlive the process and is no secret
	Recorder  Recorder
	Log       *zap.Logger
	Seed      uint64 // of the jitter; 0 draws one

	// JustBooted says that the machine was switched on a moment ago.
	JustBooted bool

	// Random makes the registration's random value; nil is provision.Random.
	Random func() string
}

// Session is the supervisor. Make one with New and call Run once.
type Session struct {
	Options
	random *rand.Rand
	gate   *connectGate
	costs  *costs
	past   *recovery.Past

	// Owned by the goroutine in Run.
	line     *line // the open port and the module behind it; nil when there is none
	identity provision.Identity
	unsaved  secret.Text     // a DeviceSecret the cloud handed out that the disk has not taken yet
	told     map[string]bool // notes of the credential store that were passed on
	foreign  map[string]bool // topics that are not the device's and were told; at most foreignMost
	attached bool
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
	health health

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
		Options: o,
		random:  random,
		gate:    newConnectGate(o.Recovery.ConnectsPerMinute, o.Store),
		costs:   newCosts(o.Cloud, o.Recorder),
		past:    recovery.NewPast(o.Recovery.policy(), readResets(o.State), time.Now(), random),
		filters: newFilters(o),
		up:      up{queue: o.Queue},
		told:    make(map[string]bool),
		foreign: make(map[string]bool),
		asks:    make(chan ask),
		dumps:   dumps{dir: o.State},

		speed:     speed{last: readSpeed(o.State)},
		dataPhase: dataphase.Open(o.State, time.Now()),
	}
}

// Run brings the module online and keeps it there until ctx ends, which is the
// good end and returns nil after the MQTT session was closed. It returns an
// error that wraps ErrExit when only a new process can help. All goroutines it
// started are gone when it returns.
func (s *Session) Run(ctx context.Context) error {
	s.Board.Update(func(st *bus.Status) {
		st.Identity.ProductKey = s.Device.ProductKey
		st.Identity.DeviceName = bus.Known(s.Device.DeviceName)
		st.Cloud.Host = s.Cloud.Host
		st.Cloud.Auth = "direct"
		if s.Cloud.HTTPSAuth {
			st.Cloud.Auth = "https"
		}
	})
	s.Recorder.State(string(recovery.Probing))
	s.past.Begin(time.Now())
	if s.JustBooted && len(s.Store.Connects()) > 0 {
		s.turn = s.drawTurn()
	}
	state := recovery.Probing
	for {
		following, err := s.step(ctx, state)
		switch {
		case err == nil:
			s.enter(state, following, nil, 0)
		case ctx.Err() != nil:
			s.enter(state, recovery.Stopping, nil, 0)
			s.leave()
			return nil
		case errors.Is(err, errAside):
			following = s.aside(state)
		default:
			following, err = s.recover(ctx, state, err)
			switch {
			case err == nil:
			case errors.Is(err, errAside) && ctx.Err() == nil:
				following = s.aside(recovery.Recovering)
			case ctx.Err() != nil:
				s.enter(recovery.Recovering, recovery.Stopping, nil, 0)
				s.leave()
				return nil
			default:
				s.dropLine()
				return err
			}
		}
		state = following
	}
}

// step runs one state to its end.
func (s *Session) step(ctx context.Context, state recovery.State) (recovery.State, error) {
	switch state {
	case recovery.Probing:
		return s.probing(ctx)
	case recovery.Attaching:
		return s.attaching(ctx)
	case recovery.Registering:
		return s.registering(ctx)
	case recovery.Authenticating:
		return s.authenticating(ctx)
	case recovery.Connecting:
		return s.connecting(ctx)
	case recovery.Online:
		return s.online(ctx)
	}
	return state, fmt.Errorf("no way out of state %q", state)
}

// enter makes a change of state visible, in one place: log, status, events and
// metrics. f is the failure that led here, if one did.
func (s *Session) enter(from, to recovery.State, f *recovery.Failure, pause time.Duration) {
	if from == to {
		return
	}
	cause, hint := recovery.None, ""
	if f != nil {
		cause, hint = f.Cause, f.Advice()
	}
	now := time.Now()
	s.noteState(from, to, cause)
	s.Recorder.State(string(to))
	s.Recorder.Transition(string(from), string(to), string(cause))
	s.Board.Update(func(st *bus.Status) {
		st.State, st.Since, st.Attempt, st.NextAttemptAt = string(to), now, s.past.Attempts(), nil
		if f != nil || to == recovery.Online || to == recovery.Stopping {
			st.Cause, st.Hint = string(cause), hint
		}
		if pause > 0 {
			at := now.Add(pause)
			st.NextAttemptAt = &at
		}
	})
	s.Board.Emit(bus.At(now, bus.Changed(api.Change{
		From: string(from), To: string(to), Cause: string(cause), Attempt: s.past.Attempts(), WaitSeconds: pause.Seconds(),
	})))
	fields := []zap.Field{zap.String("from", string(from)), zap.String("to", string(to))}
	if n := s.past.Attempts(); n > 0 {
		fields = append(fields, zap.Int("attempt", n))
	}
	level := zap.InfoLevel
	if f != nil {
		level = zap.WarnLevel
		fields = append(fields, zap.String("cause", string(cause)), zap.Duration("wait", pause.Round(time.Millisecond)), zap.String("hint", hint), zap.Error(f.Err))
	}
	shows, folded := s.past.Shows(to, cause, now)
	if !shows {
		level = zap.DebugLevel
	}
	if folded > 0 {
		fields = append(fields, zap.Int("folded", folded))
	}
	s.Log.Log(level, "state", fields...)
}

// warn tells of something that does not stop the session.
func (s *Session) warn(code, detail string) {
	s.Log.Warn(detail, zap.String("code", code))
	s.Board.Emit(bus.Warned(code, detail))
}

// leave closes the MQTT session politely and lets go of the port. It is given
// a moment of its own, because the context that ended the work is over.
func (s *Session) leave() {
	if s.line != nil && s.line.loggedIn {
		ctx, cancel := context.WithTimeout(context.Background(), hangupGrace)
		s.line.modem.Hangup(ctx)
		s.costs.hungUp()
		cancel()
	}
	s.filters.lost()
	s.dropLine()
}

// hangupGrace is how long a stop may spend on MDISCONNECT and MIPCLOSE.
const hangupGrace = 2 * time.Second

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
	s.health.expect(d)
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
			s.health.expect(time.Until(end))
		}
	}
}
