package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
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
	CloudBytes(cause string, n int)
}

// Options is all that a session needs.
type Options struct {
	Device   Device
	Cloud    Cloud
	Modem    Modem
	Recovery Recovery

	// Open opens the serial port at a speed, or fails with a *Failure whose
	// cause is PortMissing or PortBusy. Closing the port ends a read in progress.
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
	StateDir  string // for what has to outlive the process and is no secret
	Recorder  Recorder
	Log       *zap.Logger
	Seed      uint64 // of the jitter; 0 draws one

	// Random makes the registration's random value; nil is provision.Random.
	Random func() string
}

// Session is the supervisor. Make one with New and call Run once.
type Session struct {
	Options
	random *rand.Rand
	gate   *connectGate
	resets resetBudget

	// Owned by the goroutine in Run.
	line      *line // the open port and the module behind it; nil when there is none
	identity  provision.Identity
	unsaved   secret.Text     // a DeviceSecret the cloud handed out that the disk has not taken yet
	told      map[string]bool // notes of the credential store that were passed on
	attached  bool
	awake     bool            // the radio was switched on in this attempt to attach
	worked    bool            // online at least once
	fresh     bool            // the token was fetched for this attempt
	token     provision.Token // only while the token could not be cached on disk
	since     atengine.Mark   // events of the module up to here are dealt with
	shorts    int             // sessions in a row that the cloud closed right after CONNACK
	attempt   int
	climb     int
	climbed   Cause // whose ladder climb counts on
	onlineAt  time.Time
	refusedID string // the message that the module refused last, and how often
	refused   int
	deafUntil time.Time // nothing may be written before: see deaf.go
	lastAcked time.Time // when the last PUBACK was seen, while nothing else was written since

	// Shared with the modem's reader and with whoever asks for health.
	kicked atomic.Bool // the cloud said that another client took the device's place
	health health

	keepMu  sync.Mutex // guards the fields that follow, which a reload may change
	kept    []bus.Filter
	keptFor provision.Identity
}

// New returns a session that has done nothing yet.
func New(o Options) *Session {
	if o.Random == nil {
		o.Random = provision.Random
	}
	seed := o.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	return &Session{
		Options: o,
		random:  rand.New(rand.NewPCG(seed, seed>>1|1)),
		gate:    newConnectGate(o.Recovery.ConnectsPerMinute, o.Store),
		resets:  resetBudget{perHour: o.Recovery.HardResetsPerHour},
		kept:    o.Subscribe,
		told:    make(map[string]bool),

		deafUntil: readDeaf(o.StateDir, time.Now()),
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
	s.Recorder.State(string(Probing))
	state := Probing
	for {
		following, err := s.step(ctx, state)
		switch {
		case err == nil:
			s.enter(state, following, nil, 0)
		case ctx.Err() != nil:
			s.enter(state, Stopping, nil, 0)
			s.leave()
			return nil
		default:
			following, err = s.recover(ctx, state, err)
			switch {
			case err == nil:
			case ctx.Err() != nil:
				s.enter(Recovering, Stopping, nil, 0)
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
func (s *Session) step(ctx context.Context, state State) (State, error) {
	switch state {
	case Probing:
		return s.probing(ctx)
	case Attaching:
		return s.attaching(ctx)
	case Registering:
		return s.registering(ctx)
	case Authenticating:
		return s.authenticating(ctx)
	case Connecting:
		return s.connecting(ctx)
	case Online:
		return s.online(ctx)
	}
	return state, fmt.Errorf("no way out of state %q", state)
}

// enter makes a change of state visible, in one place: log, status, events and
// metrics. f is the failure that led here, if one did.
func (s *Session) enter(from, to State, f *Failure, pause time.Duration) {
	if from == to {
		return
	}
	cause, hint := None, ""
	if f != nil {
		cause, hint = f.Cause, f.hint()
	}
	now := time.Now()
	s.Recorder.State(string(to))
	s.Recorder.Transition(string(from), string(to), string(cause))
	s.Board.Update(func(st *bus.Status) {
		st.State, st.Since, st.Attempt, st.NextAttemptAt = string(to), now, s.attempt, nil
		if f != nil || to == Online || to == Stopping {
			st.Cause, st.Hint = string(cause), hint
		}
		if pause > 0 {
			at := now.Add(pause)
			st.NextAttemptAt = &at
		}
	})
	s.Board.Emit(bus.Event{
		Type: bus.StateEvent, At: now, From: string(from), To: string(to),
		Cause: string(cause), Attempt: s.attempt, WaitSeconds: pause.Seconds(),
	})
	fields := []zap.Field{zap.String("from", string(from)), zap.String("to", string(to))}
	if s.attempt > 0 {
		fields = append(fields, zap.Int("attempt", s.attempt))
	}
	level := zap.InfoLevel
	if f != nil {
		level = zap.WarnLevel
		fields = append(fields, zap.String("cause", string(cause)), zap.Duration("wait", pause.Round(time.Millisecond)), zap.String("hint", hint), zap.Error(f.Err))
	}
	if s.folded(to) {
		level = zap.DebugLevel
	}
	s.Log.Log(level, "state", fields...)
}

// folded says whether a change of state is one of many in a long outage, whose
// log lines nobody needs: after the third attempt only every attempt that is a
// power of two is told, with its number, and the way up only when it leads there.
func (s *Session) folded(to State) bool {
	if s.attempt <= 3 || to == Online || to == Stopping {
		return false
	}
	return to != Recovering || bits.OnesCount(uint(s.attempt)) != 1
}

// warn tells of something that does not stop the session.
func (s *Session) warn(code, detail string) {
	s.Log.Warn(detail, zap.String("code", code))
	s.Board.Emit(bus.Event{Type: bus.WarningEvent, Code: code, Detail: detail})
}

// Keep replaces the filters that stay subscribed even when no program listens.
func (s *Session) Keep(filters []bus.Filter) {
	s.keepMu.Lock()
	defer s.keepMu.Unlock()
	s.kept = slices.Clone(filters)
	if s.keptFor.DeviceName != "" {
		s.Hub.Keep(s.expanded())
	}
}

// keepFor settles whose names stand in the kept filters.
func (s *Session) keepFor(id provision.Identity) {
	s.keepMu.Lock()
	defer s.keepMu.Unlock()
	s.keptFor = id
	s.Hub.Keep(s.expanded())
}

// expanded are the kept filters with the device's own names in them.
func (s *Session) expanded() []bus.Filter {
	list := slices.Clone(s.kept)
	for i := range list {
		list[i].Topic = s.Expand(list[i].Topic, s.keptFor.ProductKey, s.keptFor.DeviceName)
	}
	return list
}

// leave closes the MQTT session politely and lets go of the port. It is given
// a moment of its own, because the context that ended the work is over.
func (s *Session) leave() {
	if s.line != nil && s.line.loggedIn {
		ctx, cancel := context.WithTimeout(context.Background(), hangupGrace)
		s.line.modem.Hangup(ctx)
		cancel()
	}
	s.Hub.Revoke()
	s.dropLine()
}

// hangupGrace is how long a stop may spend on MDISCONNECT and MIPCLOSE.
const hangupGrace = 2 * time.Second

// line is an open port with the module behind it and the goroutine that reads it.
type line struct {
	port     io.ReadWriteCloser
	modem    *air.Modem
	stop     context.CancelFunc
	dead     chan struct{} // closed when the reader is gone
	err      error         // why; read it only after dead is closed
	echoOff  bool          // the module took ATE0, so that an echo means that it restarted
	loggedIn bool          // MCONNECT was acknowledged and nothing has torn it down since

	refused map[string]bool // filters that the module does not take in this session
}

// forgot says whether the module shows, by echoing again, that it restarted and
// lost its settings.
func (l *line) forgot() bool { return l.echoOff && l.modem.Echoes() }

// openLine opens the port at a speed and starts reading.
func (s *Session) openLine(ctx context.Context, baud int) error {
	s.dropLine()
	port, err := s.Open(baud)
	if err != nil {
		return err
	}
	modem := air.New(port, air.Options{
		Baud:       baud,
		Timeouts:   s.Cloud.Timeouts,
		MaxPayload: s.Modem.MaxPayload,
		Downlink:   s.downlink,
		Recorder:   s.Recorder,
		Log:        s.Log.Named("modem"),
	})
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &line{port: port, modem: modem, stop: stop, dead: make(chan struct{})}
	go func() {
		defer close(l.dead)
		l.err = modem.Run(runCtx)
	}()
	s.line = l
	return nil
}

// dropLine closes the port and waits until its reader is gone.
func (s *Session) dropLine() {
	if s.line == nil {
		return
	}
	l := s.line
	s.line = nil
	s.stayDeaf(l.modem.DeafFor())
	l.stop()
	if err := l.port.Close(); err != nil {
		s.Log.Debug("closing the port", zap.Error(err))
	}
	<-l.dead
}

// pause waits, keeping the health check satisfied, until the time is over or
// the daemon is asked to stop.
func (s *Session) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	s.health.expect(d)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Healthy returns nil while the supervisor makes progress: every step it takes
// has a bound, and the bound of the present one is not over yet.
func (s *Session) Healthy() error { return s.health.check() }

// health knows when the supervisor is expected to have moved on.
type health struct {
	mu    sync.Mutex
	until time.Time
}

// slack is what a bounded step may take beyond its bound before the daemon
// counts as stuck.
const slack = 60 * time.Second

// expect says that the next step takes at most d.
func (h *health) expect(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Now().Add(d + slack)
}

func (h *health) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if late := time.Since(h.until); !h.until.IsZero() && late > 0 {
		return fmt.Errorf("the supervisor has made no progress for %v longer than its step may take", late.Round(time.Second))
	}
	return nil
}
