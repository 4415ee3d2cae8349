package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// kind says who ends a wedge, and so from when its recovery is counted and what
// it is held to.
type kind int

const (
	lost    kind = iota // an online session is lost: noticed by leaving online
	ascent              // a step on the way up fails: noticed when the step's deadline is over
	outside             // it goes on until somebody else ends it: the back-off decides
	ridden              // it is ridden out: the session stays online
)

// wedge is one row of the catalogue: what happens, what the daemon must say of
// it, and within which bounds it must be noticed and over.
type wedge struct {
	name    string
	field   string // what happens in the field
	noticed string // how the daemon notices
	kind    kind

	strike  []string         // what the simulator is told
	hook    func(*wedged)    // what it cannot be told
	publish string           // a QoS 1 message published in the same moment
	lasts   time.Duration    // until it is over by itself, or mend is ordered; 0: a single blow
	mend    []string         // orders
	setup   setup            // how the world differs
	cold    bool             // it strikes before the daemon is started
	dead    bool             // the reset line does nothing
	only    []string         // personalities it can happen to; none: all
	causes  []recovery.Cause // any of which it must be called at first; none with ridden

	detect  time.Duration // the longest it may take to be noticed; 0: the aim
	recover time.Duration // the longest until a message is acknowledged again; 0: the aim
	resets  int           // the most resets of the module it may cost
	again   int           // how often the session is lost once more, to find out what it is about
	apart   string        // why no policy could keep the aims; it is told by itself then
}

// The aims at default settings. Recovery is counted beyond the module's own boot.
const (
	aimDetect  = 35 * time.Second
	aimRecover = 60 * time.Second
)

// seeds are the runs of each wedge: they take turns with personalities and both
// ways to log in, and draw latencies, jitter and the moment of the blow.
const seeds = 12

// outcome is what one run measured.
type outcome struct {
	cause, rung, hint string
	detect            time.Duration // -1: it was never noticed, and did not have to be
	back              time.Duration // until a message was acknowledged again
	boot              time.Duration // of the module, when it restarted meanwhile
}

// wedged is a world that is about to be wedged.
type wedged struct {
	*world
	wedge       wedge
	personality string
	busyUntil   time.Time // another process holds the port
	hardResets  int

	mu     sync.Mutex
	events []noted
	rungs  []climbed
	news   chan struct{}
}

// noted is a change of state with the hint that stood in the status with it.
type noted struct {
	api.Event
	hint string
}

// rungMeter takes down when a rung was climbed.
type rungMeter struct {
	*meter
	w *wedged
}

type climbed struct {
	rung string
	at   time.Time
}

func (m rungMeter) Recovery(rung, result string) {
	m.meter.Recovery(rung, result)
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.rungs = append(m.w.rungs, climbed{rung, time.Now()})
}

// run strikes one world and measures.
func (k wedge) run(t *testing.T, seed int) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWedged(t, k, seed)
		ctx, stop := context.WithCancel(t.Context())
		followed := make(chan struct{})
		defer func() { stop(); <-followed }()
		defer w.end()
		go func() { defer close(followed); w.follow(ctx) }()
		o = w.measure(seed)
	})
	return o
}

func newWedged(t *testing.T, k wedge, seed int) *wedged {
	names := k.only
	if len(names) == 0 {
		names = []string{"2g", "air724", "air780e", "air780ep"}
	}
	w := &wedged{wedge: k, personality: names[seed%len(names)], news: make(chan struct{}, 1)}
	w.world = newWorld(t, setup{
		module: func(o *airsim.Options) {
			o.Personality, o.Seed, o.RTT = w.personality, uint64(seed), time.Duration(40+seed*97%300)*time.Millisecond
			if k.setup.module != nil {
				k.setup.module(o)
			}
		},
		cloud: func(o *simcloud.Options) {
			o.Seed, o.StrictRegistration = uint64(seed), true
			if k.setup.cloud != nil {
				k.setup.cloud(o)
			}
		},
		session: func(o *session.Options) {
			o.Seed, o.Cloud.HTTPSAuth = uint64(seed), seed/4%2 == 0
			o.Subscribe = []bus.Filter{{Topic: "/${productKey}/${deviceName}/get", QoS: 0}}
			o.Open, o.Recorder = w.open, rungMeter{o.Recorder.(*meter), w}
			o.HardReset = func(context.Context) error {
				w.hardResets++
				if !k.dead {
					w.order("reset")
				}
				return nil
			}
			if k.setup.session != nil {
				k.setup.session(o)
			}
		},
	})
	return w
}

// open is the serial device as package tty shows it: missing, busy, or a port
// whose write ends when the other end stops taking bytes.
func (w *wedged) open(baud int) (io.ReadWriteCloser, error) {
	if time.Now().Before(w.busyUntil) {
		return nil, &recovery.Failure{Cause: recovery.PortBusy, Err: errors.New("held by another process")}
	}
	port := w.module.Open()
	if _, err := port.Write(nil); err != nil {
		return nil, &recovery.Failure{Cause: recovery.PortMissing, Err: err}
	}
	if err := port.(interface{ SetBaud(int) error }).SetBaud(baud); err != nil {
		return nil, &recovery.Failure{Cause: recovery.PortMissing, Err: err}
	}
	return &boundedPort{ReadWriteCloser: port}, nil
}

// boundedPort gives up on a write as package tty does. The bytes stay where they
// are until the owner closes the port.
type boundedPort struct{ io.ReadWriteCloser }

const writeTimeout = 5 * time.Second

func (p *boundedPort) Write(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := p.ReadWriteCloser.Write(b)
		done <- result{n, err}
	}()
	timer := time.NewTimer(writeTimeout)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.n, r.err
	case <-timer.C:
		return 0, fmt.Errorf("%w after %v", session.ErrWriteBlocked, writeTimeout)
	}
}

// follow keeps every change of state.
func (w *wedged) follow(ctx context.Context) {
	watch := w.board.Watch()
	defer watch.Close()
	for {
		e, err := watch.Next(ctx)
		if err != nil {
			return
		}
		if e.Type != api.StateEvent {
			continue
		}
		w.mu.Lock()
		w.events = append(w.events, noted{e, w.board.Status().Hint})
		w.mu.Unlock()
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// find waits for the first change of state since a moment that is wanted, until
// a deadline.
func (w *wedged) find(since, deadline time.Time, wanted func(noted) bool) (found noted, at int) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		w.mu.Lock()
		at = slices.IndexFunc(w.events, func(n noted) bool { return !n.At.Before(since) && wanted(n) })
		if at >= 0 {
			found = w.events[at]
		}
		w.mu.Unlock()
		if at >= 0 {
			return found, at
		}
		select {
		case <-w.news:
		case <-timer.C:
			return noted{}, -1
		}
	}
}
