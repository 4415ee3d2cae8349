package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
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

	strike  []string        // what the simulator is told
	hook    func(*wedged)   // what it cannot be told
	publish string          // a QoS 1 message published in the same moment
	lasts   time.Duration   // until it is over by itself, or mend is ordered; 0: a single blow
	mend    []string        // orders
	setup   setup           // how the world differs
	cold    bool            // it strikes before the daemon is started
	only    []string        // personalities it can happen to; none: all
	causes  []session.Cause // any of which it must be called at first; none with ridden

	detect  time.Duration // the longest it may take to be noticed; 0: the aim
	recover time.Duration // the longest until a message is acknowledged again; 0: the aim
	resets  int           // the most resets of the module it may cost
	again   bool          // the session may be lost once more within a minute and a half
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
	recover           time.Duration
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
	bus.Event
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
		cloud: func(o *airsim.CloudOptions) {
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
				w.order("reset")
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
		return nil, &session.Failure{Cause: session.PortBusy, Err: errors.New("held by another process")}
	}
	port := w.module.Open()
	if _, err := port.Write(nil); err != nil {
		return nil, &session.Failure{Cause: session.PortMissing, Err: err}
	}
	if err := port.(interface{ SetBaud(int) error }).SetBaud(baud); err != nil {
		return nil, &session.Failure{Cause: session.PortMissing, Err: err}
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
		if e.Type != bus.StateEvent {
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

// measure brings the world online, strikes it, and takes the times.
func (w *wedged) measure(seed int) outcome {
	w.Helper()
	k := w.wedge
	if !k.cold {
		w.begin()
		w.reaches(10*time.Minute, session.Online, "")
		w.publish(update, 1, "before")
		// Long enough to be stable, and then any moment between two polls.
		time.Sleep(w.options.Recovery.StableAfter + time.Duration(seed*7919%30000)*time.Millisecond)
	}
	reboots := w.module.Counters().Reboots
	began := time.Now()
	for _, order := range k.strike {
		w.order(order)
	}
	if k.cold {
		w.begin()
	}
	if k.hook != nil {
		k.hook(w)
	}
	var ids []string
	if k.publish != "" {
		ids = append(ids, w.append(update, 1, k.publish))
	}
	over := began.Add(k.lasts)
	mended := time.AfterFunc(k.lasts, func() {
		for _, order := range k.mend {
			if _, err := w.module.Do(order); err != nil {
				w.Errorf("order %q: %v", order, err)
			}
		}
	})
	defer mended.Stop()
	o := outcome{detect: -1, rung: session.NoRung.String()}
	if k.kind != ridden {
		w.noticed(&o, began)
	}
	time.Sleep(time.Until(over))
	ids = append(ids, w.append(update, 1, "after"))
	recovered := w.allAcked(ids, over)
	if k.kind == ascent {
		over = w.lastFailure(began)
	}
	o.recover = max(recovered.Sub(over), 0)
	if w.module.Counters().Reboots > reboots {
		o.boot = airsim.BootTime(w.personality)
	}
	w.checkBounds(o)
	w.checkPromises(began, recovered)
	return o
}

// noticed waits until the daemon says that something is wrong, and takes down
// what it says.
func (w *wedged) noticed(o *outcome, began time.Time) {
	w.Helper()
	k := w.wedge
	n, at := w.find(began, began.Add(k.lasts+15*time.Minute), func(n noted) bool {
		failure := n.To == string(session.Recovering)
		step := n.From != string(session.Online) && slices.Contains(k.causes, session.Cause(n.Cause))
		return failure && (k.kind != ascent || step)
	})
	if at < 0 {
		w.Fatalf("was not noticed; status %+v", w.board.Status())
	}
	if !slices.Contains(k.causes, session.Cause(n.Cause)) {
		w.Errorf("was called %s, want one of %s", n.Cause, k.causes)
	}
	if n.hint == "" {
		w.Errorf("%s came without a hint", n.Cause)
	}
	o.cause, o.hint, o.detect = n.Cause, n.hint, n.At.Sub(began)
	if k.kind == ascent {
		w.mu.Lock()
		o.detect = n.At.Sub(w.events[at-1].At) // how long the step took that failed
		w.mu.Unlock()
	}
	// Every change but this one is a later attempt's.
	after, _ := w.find(n.At, n.At.Add(20*time.Minute), func(m noted) bool { return m.From == string(session.Recovering) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.rungs, func(c climbed) bool { return !c.at.Before(n.At) && !c.at.After(after.At) }); i >= 0 {
		o.rung = w.rungs[i].rung
	}
}

// allAcked waits until every message is acknowledged, and returns when that was.
func (w *wedged) allAcked(ids []string, over time.Time) time.Time {
	w.Helper()
	limit := 2 * time.Hour
	ctx, cancel := context.WithDeadline(w.Context(), over.Add(limit))
	defer cancel()
	for _, id := range ids {
		m, err := w.queue.Wait(ctx, id)
		if err != nil {
			w.Fatalf("message %s is not acknowledged %v after the end; status %+v", id, limit, w.board.Status())
		}
		if m.State != outbox.Acked {
			w.Errorf("message %s ended as %s (%s)", id, m.State, m.Reason)
		}
	}
	return time.Now()
}

// lastFailure is when the last failure of the wedge's own causes was noticed: the
// fault is over then.
func (w *wedged) lastFailure(began time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := began
	for _, n := range w.events {
		if n.To == string(session.Recovering) && slices.Contains(w.wedge.causes, session.Cause(n.Cause)) && n.At.After(last) {
			last = n.At
		}
	}
	return last
}

// checkBounds holds the times against the row's.
func (w *wedged) checkBounds(o outcome) {
	w.Helper()
	k := w.wedge
	if most := cmpOr(k.detect, aimDetect); k.kind != ridden && o.detect > most {
		w.Errorf("noticed after %v, want at most %v", o.detect, most)
	}
	if most := cmpOr(k.recover, aimRecover) + o.boot; o.recover > most {
		w.Errorf("recovered after %v (the module's boot is %v of it), want at most %v", o.recover, o.boot, most)
	}
}

func cmpOr(d, otherwise time.Duration) time.Duration {
	if d != 0 {
		return d
	}
	return otherwise
}

// checkPromises looks from both ends at what must hold whatever happened.
func (w *wedged) checkPromises(began, recovered time.Time) {
	w.Helper()
	k := w.wedge
	calm := recovered.Add(90 * time.Second)
	n, at := w.find(began, calm, func(n noted) bool {
		return n.To == string(session.Recovering) && (k.kind == ridden || n.At.After(recovered))
	})
	if at >= 0 && !k.again {
		w.Errorf("the session was lost %v after the blow: %s", n.At.Sub(began), n.Cause)
	}
	got := map[string]int{}
	for _, m := range w.cloud.Messages() {
		got[string(m.Payload)]++
	}
	total := 0
	for _, payload := range []string{"before", k.publish, "after"} {
		if got[payload] == 0 && payload != "" && (payload != "before" || !k.cold) {
			w.Errorf("%.20q is acked, and the cloud never got it", payload)
		}
		total += max(got[payload]-1, 0)
	}
	st, counters := w.board.Status(), w.cloud.Counters()
	if total > int(st.Counters.Unknown) {
		w.Errorf("%d duplicates from %d publishes of unknown outcome", total, st.Counters.Unknown)
	}
	if counters.Registrations != 1 || counters.RegistrationsRefused > 0 && !k.cold {
		w.Errorf("%d registrations, %d refused; want one", counters.Registrations, counters.RegistrationsRefused)
	}
	if counters.OverRate > 0 {
		w.Errorf("%d connects over the cloud's limit", counters.OverRate)
	}
	if resets := w.resets() + w.hardResets; resets > k.resets {
		w.Errorf("%d resets of the module, want at most %d", resets, k.resets)
	}
	if w.cloud.Push(get, 0, []byte("down")) != 1 && w.board.Status().State == string(session.Online) {
		w.Error("online again, and the subscription is not there")
	}
}

// rows of the table that could not be told apart in a report.
func checkCatalogue(t *testing.T, rows []wedge) {
	t.Helper()
	seen := map[string]bool{}
	for _, k := range rows {
		if seen[k.name] {
			t.Errorf("two wedges are called %q", k.name)
		}
		seen[k.name] = true
		if k.name == "" || k.field == "" || k.noticed == "" || (len(k.causes) == 0) != (k.kind == ridden) {
			t.Errorf("the row of %q is not whole", k.name)
		}
		if strings.ContainsAny(k.name+k.field+k.noticed, "|\n") {
			t.Errorf("the words of %q do not fit into a table", k.name)
		}
	}
}
