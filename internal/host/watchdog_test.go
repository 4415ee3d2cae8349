package host

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a part that a test can stop.
type stage struct {
	mu     sync.Mutex
	silent error // what it says; nil: it moves
	stuck  chan struct{}
	asked  atomic.Int64
}

func (s *stage) answers(ctx context.Context) error {
	s.mu.Lock()
	s.asked.Add(1)
	silent, stuck := s.silent, s.stuck
	s.mu.Unlock()
	if stuck != nil {
		<-stuck // does not even look at ctx, as one that waits for a mutex
	}
	return silent
}

func (s *stage) become(silent error, stuck chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent, s.stuck = silent, stuck
}

// watched is a watchdog over two parts in virtual time.
type watched struct {
	*testing.T
	pings    atomic.Int64
	lines    *observer.ObservedLogs
	one, two stage
	stop     func()
}

func watch(t *testing.T) *watched {
	core, lines := observer.New(zap.InfoLevel)
	w := &watched{T: t, lines: lines}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	dog := watchdog{
		interval: 60 * time.Second, parts: []Part{{"supervisor", w.one.answers}, {"outbox", w.two.answers}},
		ping: func() { w.pings.Add(1) }, log: zap.New(core),
	}
	go func() { _ = dog.run(ctx); close(ended) }()
	w.stop = func() { cancel(); <-ended }
	return w
}

// during counts the pings of a time.
func (w *watched) during(d time.Duration) int {
	before := w.pings.Load()
	time.Sleep(d)
	synctest.Wait()
	return int(w.pings.Load() - before)
}

func (w *watched) said(n int, what string) {
	w.Helper()
	all := w.lines.All()
	if len(all) != n {
		w.Fatalf("%d lines, want %d: %v", len(all), n, all)
	}
	if text := all[n-1].Message + " " + strings.Join(stalledOf(all[n-1]), "; "); !strings.Contains(text, what) {
		w.Errorf("it said %q, not %q", text, what)
	}
}

func stalledOf(e observer.LoggedEntry) (list []string) {
	names, _ := e.ContextMap()["stalled"].([]any)
	for _, n := range names {
		list = append(list, n.(string))
	}
	return list
}

// As long as everything moves there are four pings in each interval; systemd
// wants one.
func TestWatchdogPingsWhileAllMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		synctest.Wait()
		if w.pings.Load() != 1 {
			t.Errorf("%d pings at the start", w.pings.Load())
		}
		if n := w.during(time.Hour); n != 240 {
			t.Errorf("%d pings in an hour", n)
		}
		w.said0()
		w.stop()
	})
}

func (w *watched) said0() {
	w.Helper()
	if all := w.lines.All(); len(all) != 0 {
		w.Errorf("it said %v", all)
	}
}

// A part that says it is stuck stops the pings and is named once; when it moves
// again the pings go on.
func TestWatchdogNamesWhatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		synctest.Wait()
		w.two.become(errors.New("the flush hangs"), nil)
		if n := w.during(10 * time.Minute); n != 0 {
			t.Errorf("%d pings for a stalled daemon", n)
		}
		w.said(1, "outbox: the flush hangs")
		w.two.become(nil, nil)
		if n := w.during(time.Minute); n != 4 {
			t.Errorf("%d pings in a minute after it moved again", n)
		}
		w.said(2, "everything moves again")
		w.stop()
	})
}

// A part that hangs where no context reaches it, as on a mutex, is found just the
// same, and is not asked over and over: there is one goroutine that waits for it.
func TestWatchdogFindsADeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		synctest.Wait()
		stuck := make(chan struct{})
		w.one.become(nil, stuck)
		before := w.one.asked.Load()
		if n := w.during(10 * time.Minute); n != 0 {
			t.Errorf("%d pings for a deadlocked daemon", n)
		}
		w.said(1, "supervisor: no answer")
		if n := w.one.asked.Load() - before; n != 1 {
			t.Errorf("it was asked %d times", n)
		}
		w.one.become(nil, nil)
		close(stuck)
		if n := w.during(time.Minute); n < 4 {
			t.Errorf("%d pings in a minute after it came back", n)
		}
		w.stop()
	})
}

// The API is asked over its own socket, by a request as every program sends it.
func TestAPIAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	release, status := make(chan struct{}), http.StatusServiceUnavailable
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		<-release
		w.WriteHeader(status)
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	defer serving.Wait()
	defer server.Close()
	accepted := uint64(0)
	core, lines := observer.New(zap.InfoLevel)
	answers := SocketAnswers(l.Addr(), func() uint64 { return accepted }, zap.New(core))

	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return answers(ctx)
	}
	if err := ask(); err == nil {
		t.Error("a handler that hangs passes for an answer")
	}
	close(release)
	if err := answers(t.Context()); err != nil {
		t.Errorf("503 is an answer too, the supervisor is asked apart: %v", err)
	}

	// Somebody removed the socket file: a restart under systemd would not bring it
	// back, so it is told, once, and the module's session goes on.
	_ = l.(*net.UnixListener).Close()
	for range 3 {
		if err := ask(); err != nil {
			t.Errorf("the socket file is gone: %v", err)
		}
	}
	if n := lines.Len(); n != 1 {
		t.Errorf("%d lines about it", n)
	}
}

// 256 programs that hold their connections keep the probe waiting in the
// kernel's queue. That is a busy daemon, not a stalled one.
func TestAPIBusyIsNotStalled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := uint64(0)
	answers := SocketAnswers(l.Addr(), func() uint64 { accepted += 2; return accepted }, zap.NewNop())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := answers(ctx); err != nil {
		t.Errorf("others are being served: %v", err)
	}
}

// Without a service manager that watches there is no watchdog.
func TestNoWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "")
	if _, ok := newWatchdog(zap.NewNop()); ok {
		t.Error("it watches for nobody")
	}
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", "1")
	if _, ok := newWatchdog(zap.NewNop()); ok {
		t.Error("the variables are those of another process")
	}
	t.Setenv("WATCHDOG_PID", "")
	if w, ok := newWatchdog(zap.NewNop()); !ok || w.interval != time.Minute {
		t.Errorf("interval %v", w.interval)
	}
}
