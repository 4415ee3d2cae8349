package simulation

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/batch"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/metrics"
	"airbridged/internal/outbox"
	"airbridged/internal/outbox/simdisk"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
	"airbridged/internal/session"
	"airbridged/internal/wiring"
)

// gateway is the machine that the daemon runs on: the module at its serial port, and
// its disks, which outlive the daemon.
type gateway struct {
	t       testing.TB
	p       plan
	referee *referee
	cloud   *simcloud.Cloud
	module  *airsim.Module
	random  *rand.Rand // of power cuts
	booted  bool       // the machine was switched on a moment ago

	downs sync.Mutex // holds the order of what is sent down

	mu    sync.Mutex
	life  *life         // nil: the daemon does not run
	queue *simdisk.Disk // the outbox's
	state *simdisk.Disk // state.dir: the credential store's, and what the session keeps beside it
}

var (
	identity = provision.Identity{ProductKey: simcloud.GuideProductKey, DeviceName: simcloud.GuideDeviceName}
	own      = "/" + identity.ProductKey + "/" + identity.DeviceName
	downlink = own + "/user/get"
)

// life is one process of the daemon.
type life struct {
	g       *gateway
	dead    atomic.Bool // killed: nothing that it still does counts
	queue   *outbox.Queue
	files   *simdisk.Disk
	state   *simdisk.Disk
	hub     *bus.Hub
	board   *bus.StatusBoard
	flight  *bus.Flight
	port    io.Closer
	session *session.Session
	ctx     context.Context // ends with the session
	stop    context.CancelFunc
	done    chan error // what Run returned
	seals   context.CancelFunc
	sealed  chan struct{} // the committer is gone
	watched sync.WaitGroup
}

func newGateway(t testing.TB, p plan, r *referee) *gateway {
	g := &gateway{
		t: t, p: p, referee: r, random: rand.New(rand.NewPCG(p.seed, 4)),
		queue: simdisk.New(), state: simdisk.New(),
	}
	g.queue.NoAllocate, g.queue.Lying = p.seed%5 == 0, p.lying
	r.conceal(simcloud.GuideProductSecret)
	if p.module.Latency {
		r.bootTime = map[string]time.Duration{"2g": 14 * time.Second, "air724": 7500 * time.Millisecond}[p.module.Personality]
		r.bootTime = max(r.bootTime, 4500*time.Millisecond)
	}
	// Before its first login a device is given its secret again, as field logs
	// show: a module that loses power with the answer in it has lost it for good.
	g.cloud = simcloud.New(simcloud.Options{
		Quota:    [2]int{30, 10},
		Products: map[string]simcloud.Product{identity.ProductKey: {Secret: simcloud.GuideProductSecret}}, Seed: p.seed, Observe: g.observe,
	})
	p.module.Log = r.spoken
	var err error
	if g.module, err = airsim.New(g.cloud, p.module); err != nil {
		t.Fatal(err)
	}
	return g
}

// memoryDir is a directory in memory where there is one. That of a worker is in its
// parent's, which outlives it if it has to be killed.
func memoryDir(t testing.TB) string {
	parent := os.Getenv(memoryVariable)
	if parent == "" {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "airbridged")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// observe passes on what the cloud does, and checks the credentials at the two
// moments that count: when a secret is handed out, none may be durable; and once
// the device has logged in, one must be, for it will never get another.
func (g *gateway) observe(h simcloud.Happening) {
	g.referee.cloud(h)
	if h.Kind != simcloud.SecretGiven && h.Kind != simcloud.Connected {
		return
	}
	g.mu.Lock()
	state := g.state
	g.mu.Unlock()
	_, durable, err := provision.OpenIn(stateDir{state.Certain()}).DeviceSecret(identity)
	switch {
	case h.Kind == simcloud.SecretGiven && durable:
		g.referee.fail("registered again while a secret is durable")
	case h.Kind == simcloud.Connected && !durable:
		g.referee.fail("the device logged in with a secret that a power cut now would lose for good: %v", err)
	}
}

// order gives the module, or the cloud behind it, a command of the fault language.
func (g *gateway) order(command string) {
	if _, err := g.module.Do(command); err != nil {
		g.t.Fatalf("order %q: %v", command, err)
	}
}

// start begins a process, on what the one before left. It fails when the outbox
// cannot be opened, as the daemon would.
func (g *gateway) start(seed uint64) error {
	g.mu.Lock()
	files, state := g.queue, g.state
	g.mu.Unlock()
	l := &life{g: g, files: files, state: state, hub: bus.NewHub(), board: bus.NewStatusBoard(), flight: bus.NewFlight(), done: make(chan error, 1), sealed: make(chan struct{})}
	if files.Latency == nil {
		slow := rand.New(rand.NewPCG(seed, 5)) // the committer's only
		files.Latency = func(op string) time.Duration {
			if op == "sync" || op == "syncdir" {
				return time.Duration(slow.Int64N(int64(g.p.flush)))
			}
			return 0
		}
	}
	var err error
	if l.queue, err = outbox.Open("", g.p.limits, outbox.Options{Files: files, SegmentSize: 16 << 10, CommitWindow: g.p.window}); err != nil {
		return err
	}
	g.referee.reborn(l.queue, g.booted)
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), (*printer)(g.referee), zap.DebugLevel))
	store := provision.OpenIn(stateDir{state})
	l.session = session.New(l.options(store, seed, log))
	l.ctx, l.stop = context.WithCancel(g.t.Context())
	seal, cancel := context.WithCancel(g.t.Context())
	l.seals = cancel
	go func() { defer close(l.sealed); _ = l.queue.Run(seal) }()
	l.watched.Go(l.watch)
	go func() { l.done <- l.session.Run(l.ctx) }()
	g.mu.Lock()
	g.life = l
	g.mu.Unlock()
	return nil
}

func (l *life) options(store *provision.Store, seed uint64, log *zap.Logger) session.Options {
	g := l.g
	random := rand.New(rand.NewPCG(seed, 6))
	cfg := config.Default()
	cfg.Device.ProductKey, cfg.Device.ProductSecret = identity.ProductKey, secret.New(simcloud.GuideProductSecret)
	o := wiring.Session(cfg)
	o.Cloud.HTTPSAuth, o.Modem, o.Recovery, o.JustBooted = g.p.https, g.p.modem, g.p.recovery(o.Recovery), g.booted
	o.Open = func(baud int) (io.ReadWriteCloser, error) {
		port := g.module.Open()
		l.port = port
		_ = port.(interface{ SetBaud(int) error }).SetBaud(baud) // one that is gone says so when it is read
		return &serial{port, l}, nil
	}
	o.HardReset = func(context.Context) error {
		if l.dead.Load() {
			return simdisk.ErrDead
		}
		g.order("reset")
		return nil
	}
	o.Store, o.State, o.Limits = store, stateDir{l.state}, session.NewPayloadLimits(stateDir{l.state}, 0, log)
	if g.p.batch != nil {
		o.Limits.Batch(func(string) batch.Rules { return batch.Rules{*g.p.batch} })
	}
	o.Queue, o.Hub, o.Board, o.Flight = witnessed{l}, l.hub, l.board, l.flight
	o.Recorder = &recorder{metrics.New("simulated", "", metrics.Labels{States: metrics.Words(recovery.States())}), l}
	o.Log, o.Seed = log, seed|1
	o.Random = func() string { return "r" + time.Duration(random.Int64()).String() }
	return o
}

// watch reads the daemon's events, status and trace, as a program would.
func (l *life) watch() {
	w := l.board.Watch()
	defer w.Close()
	seen := uint64(0)
	for {
		e, err := w.Next(l.ctx)
		if err != nil {
			return
		}
		l.g.referee.printed("events", []byte(e.Detail))
		l.g.referee.printed("status", []byte(l.board.Status().Hint))
		traffic, _, _ := l.flight.After(seen, 1<<20)
		for _, t := range traffic {
			seen = t.Seq
			l.g.referee.printed("the trace", []byte(t.Text))
		}
	}
}

// halt is SIGTERM: it stops in good order, or after the session ended by itself.
func (g *gateway) halt() {
	l := g.current()
	l.stop()
	if err := <-l.done; err != nil && !errors.Is(err, session.ErrExit) {
		g.referee.fail("the session ended with %v", err)
	}
	l.finish()
	if err := l.queue.Close(); err != nil && !errors.Is(err, outbox.ErrDisk) {
		g.referee.fail("closing the outbox: %v", err)
	}
	g.referee.stopped(l.queue, false)
	g.forget(l)
}

// finish waits for what belongs to a process besides its session.
func (l *life) finish() {
	l.stop()
	l.seals()
	<-l.sealed
	l.watched.Wait()
}

// murder ends the process in the middle of whatever it does. After a SIGKILL all
// that it wrote is there; after a power cut only what it synced is sure to be. It
// may be called from within a call of the process to its disk.
func (g *gateway) murder(l *life, power bool) {
	if l.dead.Swap(true) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if power {
		g.queue, g.state = l.files.Cut(g.random), l.state.Cut(g.random)
		l.files.Survivor()
		l.state.Survivor()
	} else {
		g.queue, g.state = l.files.Survivor(), l.state.Survivor()
	}
}

// bury waits until nothing is left of a murdered process, and cuts the module's
// power too if it was that.
func (g *gateway) bury(l *life, power bool) {
	if power {
		g.order("reset")
	}
	l.stop()
	if l.port != nil {
		_ = l.port.Close()
	}
	<-l.done
	l.finish()
	g.referee.stopped(l.queue, true)
	g.forget(l)
}

func (g *gateway) current() *life {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.life
}

func (g *gateway) forget(l *life) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.life == l {
		g.life = nil
	}
}
