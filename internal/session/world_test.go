package session_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"airbridged/client/api"
	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
	"airbridged/internal/session"
	"airbridged/internal/wiring"
)

const (
	update = "/" + simcloud.GuideProductKey + "/" + simcloud.GuideDeviceName + "/update"
	get    = "/" + simcloud.GuideProductKey + "/" + simcloud.GuideDeviceName + "/get"
)

// world is a session on a simulated module and cloud, all in one synctest
// bubble: time is virtual, and nothing is real but the state directory.
type world struct {
	testing.TB
	options session.Options
	cloud   *simcloud.Cloud
	module  *airsim.Module
	queue   *outbox.Queue
	hub     *bus.Hub
	board   *bus.StatusBoard
	flight  *bus.Flight
	store   *provision.Store
	dir     string
	state   string // state.dir
	disk    *faulty
	log     *logBuffer
	meter   *meter

	stopModule context.CancelFunc
	moduleDone chan error
	stop       context.CancelFunc
	done       chan error
	session    *session.Session
}

// setup says how a world differs from the usual one.
type setup struct {
	module  func(*airsim.Options)
	cloud   func(*simcloud.Options)
	session func(*session.Options)
}

// newWorld builds everything and starts the module, but not the session.
func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	cloudOptions := simcloud.Options{
		Products: map[string]simcloud.Product{simcloud.GuideProductKey: {Secret: simcloud.GuideProductSecret}},
		Seed:     1,
	}
	if s.cloud != nil {
		s.cloud(&cloudOptions)
	}
	moduleOptions := airsim.Options{Personality: "air780ep", Latency: true, RTT: 50 * time.Millisecond, Seed: 1}
	if s.module != nil {
		s.module(&moduleOptions)
	}
	w := &world{TB: t, cloud: simcloud.New(cloudOptions), dir: t.TempDir(), log: &logBuffer{}, meter: &meter{}}
	w.state = filepath.Join(w.dir, "state")
	var err error
	if w.module, err = airsim.New(w.cloud, moduleOptions); err != nil {
		t.Fatal(err)
	}
	if err := provision.Prepare(w.state); err != nil {
		t.Fatal(err)
	}
	w.disk = &faulty{Directory: durable.OnDisk(w.state)}
	w.store = provision.OpenIn(w.disk)
	w.queue = outbox.New(outbox.Limits{Bytes: 64 << 20, Messages: 1_000_000})
	w.hub, w.board, w.flight = bus.NewHub(), bus.NewStatusBoard(), bus.NewFlight()
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), w.log, zap.DebugLevel)
	log := zap.New(core)
	cfg := config.Default()
	cfg.Device.ProductKey, cfg.Device.ProductSecret = simcloud.GuideProductKey, secret.New(simcloud.GuideProductSecret)
	cfg.Modem.Baud = 115200
	w.options = wiring.Session(cfg)
	w.options.Open = func(int) (io.ReadWriteCloser, error) { return w.module.Open(), nil }
	w.options.Store, w.options.State, w.options.Limits = w.store, w.disk, session.NewPayloadLimits(w.disk, 0, log)
	w.options.Queue, w.options.Hub, w.options.Board, w.options.Flight = w.queue, w.hub, w.board, w.flight
	w.options.Recorder, w.options.Log, w.options.Seed = w.meter, log, 1
	if s.session != nil {
		s.session(&w.options)
	}
	ctx, stopModule := context.WithCancel(t.Context())
	w.stopModule, w.moduleDone = stopModule, make(chan error, 1)
	go func() { w.moduleDone <- w.module.Run(ctx) }()
	return w
}

// inWorld runs a test in a world of its own, in which the session is not started yet.
func inWorld(t *testing.T, s setup, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s)
		defer w.end()
		test(t, w)
	})
}

// online is inWorld with a session that is online.
func online(t *testing.T, s setup, test func(*testing.T, *world)) {
	t.Helper()
	inWorld(t, s, func(t *testing.T, w *world) {
		w.begin()
		w.reaches(5*time.Minute, recovery.Online, "")
		test(t, w)
	})
}

// begin starts the session.
func (w *world) begin() {
	w.Helper()
	w.session = session.New(w.options)
	ctx, stop := context.WithCancel(w.Context())
	w.stop, w.done = stop, make(chan error, 1)
	go func() { w.done <- w.session.Run(ctx) }()
}

// end stops the session and the module, and waits for both: a goroutine left
// behind makes the bubble fail.
func (w *world) end() {
	w.Helper()
	if w.stop != nil {
		w.halt()
	}
	w.noSecrets()
	w.stopModule()
	if err := <-w.moduleDone; err != nil && w.Context().Err() == nil {
		w.Errorf("module: %v", err)
	}
	if w.Failed() {
		w.Logf("%s", w.timeline())
		w.Logf("%s", w.log)
	}
}

// halt asks the session to stop and waits until it has.
func (w *world) halt() {
	w.Helper()
	w.stop()
	if err := <-w.done; err != nil {
		w.Errorf("session ended with %v", err)
	}
	w.stop = nil
}

// reaches waits for a state, and for a cause if one is given, at most limit of
// virtual time, and returns the events up to there.
func (w *world) reaches(limit time.Duration, state recovery.State, cause recovery.Cause) []api.Event {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), limit)
	defer cancel()
	watch := w.board.Watch()
	defer watch.Close()
	var seen []api.Event
	for {
		e, err := watch.Next(ctx)
		if err != nil {
			w.Fatalf("%s %s was not reached within %v; seen: %+v\n%s\n%s", state, cause, limit, seen, w.timeline(), w.log)
		}
		seen = append(seen, e)
		if e.Type == api.StateEvent && e.To == string(state) && (cause == "" || e.Cause == string(cause)) {
			return seen
		}
	}
}

// order gives the module, or the cloud behind it, a command of the fault
// language.
func (w *world) order(command string) {
	w.Helper()
	if _, err := w.module.Do(command); err != nil {
		w.Fatalf("order %q: %v", command, err)
	}
}

// append puts a message into the outbox and returns its id.
func (w *world) append(topic string, qos byte, payload string) string {
	w.Helper()
	m, err := w.queue.Append(w.Context(), outbox.Message{Topic: topic, QoS: qos, Payload: []byte(payload), Priority: outbox.Normal})
	if err != nil {
		w.Fatal(err)
	}
	return m.ID
}

// payloads is what the cloud got, in order.
func (w *world) payloads() string {
	var list []string
	for _, m := range w.cloud.Messages() {
		list = append(list, string(m.Payload))
	}
	return strings.Join(list, " ")
}

// publish puts a message into the outbox and waits for its final state.
func (w *world) publish(topic string, qos byte, payload string) outbox.Message {
	w.Helper()
	return w.settled(w.append(topic, qos, payload))
}

func (w *world) settled(id string) outbox.Message {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 24*time.Hour)
	defer cancel()
	m, err := w.queue.Wait(ctx, id)
	if err != nil {
		w.Fatalf("message %s: %v\n%s\n%s", id, err, w.timeline(), w.log)
	}
	return m
}

// commands are the AT commands that the module was given so far.
func (w *world) commands() []string {
	var list []string
	for _, e := range w.module.Transcript() {
		if e.Dir == airsim.DirCommand {
			list = append(list, e.Text)
		}
	}
	return list
}

// count says how many commands began with a prefix.
func (w *world) count(prefix string) int {
	n := 0
	for _, c := range w.commands() {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// timeline is the end of the dialogue with times, for a failing test; all of it
// when one seed is replayed.
func (w *world) timeline() string {
	var b strings.Builder
	entries := w.module.Transcript()
	if os.Getenv("SEED") == "" {
		entries = entries[max(0, len(entries)-120):]
	}
	for _, e := range entries {
		b.WriteString(e.At.Format("15:04:05.000 ") + e.Dir + " " + e.Text + "\n")
	}
	return b.String()
}

// resets counts the commands that restart the module.
func (w *world) resets() int { return w.count("AT+RESET") + w.count("AT+CFUN=1,1") }

func eventStates(events []api.Event) []string {
	var list []string
	for _, e := range events {
		if e.Type == api.StateEvent {
			list = append(list, e.To)
		}
	}
	return list
}

// logBuffer collects the log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) Sync() error { return nil }

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines are what an operator sees at the default level: info and above.
func (l *logBuffer) lines() []string {
	var shown []string
	for line := range strings.Lines(l.String()) {
		if !strings.Contains(line, `"level":"debug"`) {
			shown = append(shown, strings.TrimSpace(line))
		}
	}
	return shown
}

// meter is a recorder that remembers what tests ask for.
type meter struct {
	mu        sync.Mutex
	rungs     []string
	published []string
	bytes     map[string]uint64 // on the air, by cause
	shown     struct {
		signal, registered bool
		firmware           string
	}
}

func (m *meter) Command(string, string, time.Duration) {}
func (m *meter) Bytes(string, int)                     {}
func (m *meter) Resync(string)                         {}
func (m *meter) URC(string)                            {}
func (m *meter) State(string)                          {}
func (m *meter) Transition(string, string, string)     {}
func (m *meter) Turnaround(time.Duration)              {}
func (m *meter) InFlight(int)                          {}
func (m *meter) ProgramBytes(uint8, int)               {}

func (m *meter) Signal(dbm *int) { m.note(func() { m.shown.signal = dbm != nil }) }

func (m *meter) Registered(v *bool) { m.note(func() { m.shown.registered = v != nil }) }

func (m *meter) ModemInfo(_, firmware string) { m.note(func() { m.shown.firmware = firmware }) }

func (m *meter) note(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *meter) CloudBytes(cause string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes == nil {
		m.bytes = map[string]uint64{}
	}
	m.bytes[cause] += uint64(n)
}

// cost is what the session says that it used on the air, by cause.
func (m *meter) cost() map[string]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.bytes)
}

func (m *meter) Published(_ int, outcome string, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.published = append(m.published, outcome)
}

func (m *meter) Recovery(rung, _ string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rungs = append(m.rungs, rung)
}

// climbed are the rungs of recovery so far.
func (m *meter) climbed() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.rungs)
}

// golden compares a text with a file under testdata; UPDATE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}
