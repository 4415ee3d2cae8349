package session_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
	"airbridged/internal/airsim"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// speedWorld is a world whose host has a line speed, as a real one does; the
// usual one is always understood.
type speedWorld struct {
	*world

	mu    sync.Mutex
	tried []int
}

// opened are the speeds at which the port was opened, in turn.
func (w *speedWorld) opened() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tried)
}

func newSpeedWorld(t *testing.T, personality string, workBaud int) *speedWorld {
	w := &speedWorld{}
	w.world = newWorld(t, setup{
		module: func(o *airsim.Options) { o.Personality, o.Baud, o.Latency = personality, 115200, false },
		session: func(o *session.Options) {
			o.Modem = session.Modem{Baud: 0, WorkBaud: workBaud, APN: "CMIOT"}
			o.Open = func(baud int) (io.ReadWriteCloser, error) {
				port := w.module.Open()
				w.mu.Lock()
				w.tried = append(w.tried, baud)
				w.mu.Unlock()
				return port, port.(interface{ SetBaud(int) error }).SetBaud(baud)
			}
		},
	})
	return w
}

// speed is that at which the port was opened last.
func (w *speedWorld) speed() int {
	opened := w.opened()
	return opened[len(opened)-1]
}

// carries publishes, so that something passes at the present speed.
func (w *speedWorld) carries(text string) {
	w.Helper()
	w.publish(update, 1, text)
	if got := w.payloads(); !strings.HasSuffix(got, text) {
		w.Errorf("the cloud got %q", got)
	}
}

// watch collects the codes of warnings from now on, until they are asked for.
func (w *speedWorld) watch() func() []string {
	var codes []string
	watch := w.board.Watch()
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer watch.Close()
		for {
			e, err := watch.Next(ctx)
			if err != nil {
				return
			}
			if e.Type == api.WarningEvent {
				codes = append(codes, e.Code)
			}
		}
	}()
	return func() []string { cancel(); <-done; return codes }
}

// The line is raised once the module is known, is verified there, and nothing is
// saved in the module.
func TestWorkSpeed(t *testing.T) {
	for _, personality := range []string{"2g", "air780e", "air780ep"} {
		t.Run(personality, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSpeedWorld(t, personality, 921600)
				defer w.end()
				w.begin()
				w.reaches(time.Minute, recovery.Online, "")
				if w.speed() != 921600 {
					t.Errorf("online at %d", w.speed())
				}
				w.carries("at 921600")
				if n := w.count("AT+IPR="); n != 1 || w.count("AT&W") > 0 {
					t.Errorf("%d times AT+IPR, %d times AT&W", n, w.count("AT&W"))
				}
			})
		})
	}
}

// Whatever firmware and cable do with AT+IPR, the daemon comes online in bounded
// time: at the new speed where that works, else at the old one, with a warning.
func TestWorkSpeedGoesWrong(t *testing.T) {
	for _, c := range []struct {
		orders, warning string
		limit           time.Duration // of being online
		at              int
	}{
		{"ipr fail", "work-baud-refused", 3 * time.Second, 115200},
		{"ipr early", "", 5 * time.Second, 921600},
		{"ipr ignored", "work-baud-failed", 10 * time.Second, 115200},
		{"ipr kept", "", 3 * time.Second, 921600},
		{"ipr late 1s", "", 5 * time.Second, 921600},
		{"ipr late 4s", "work-baud-failed", 20 * time.Second, 115200},
		// The module follows, and is understood now and then, or never.
		{"garble-above 460800 prob=0.002", "work-baud-failed", 30 * time.Second, 115200},
		{"garble-above 460800 prob=0.02", "work-baud-failed", 30 * time.Second, 115200},
		// It cannot be called back: only a reset brings it back, and does.
		{"garble-above 460800", "work-baud-failed", 4 * time.Minute, 115200},
		{"garble-above 460800; ipr early", "work-baud-failed", 4 * time.Minute, 115200},
		// It restarts instead.
		{"on >AT+IPR= reboot", "work-baud-failed", 10 * time.Second, 115200},
	} {
		t.Run(strings.ReplaceAll(c.orders, " ", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSpeedWorld(t, "air780e", 921600)
				defer w.end()
				w.options.HardReset = func(context.Context) error { w.order("reset"); return nil }
				for order := range strings.SplitSeq(c.orders, "; ") {
					w.order(order)
				}
				warnings := w.watch()
				begun := time.Now()
				w.begin()
				w.reaches(c.limit, recovery.Online, "")
				t.Logf("online after %v, at the speeds %v", time.Since(begun), w.opened())
				if w.speed() != c.at {
					t.Errorf("online at %d, want %d", w.speed(), c.at)
				}
				w.carries("here")
				if got := strings.Join(warnings(), " "); !strings.HasPrefix(got, c.warning) || c.warning == "" && got != "" {
					t.Errorf("warned of %q, want %q", got, c.warning)
				}
			})
		})
	}
}

// A speed that works in the test and not at work is given up after the third
// time the module falls out of step at it.
func TestUnsteadyWorkSpeedIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSpeedWorld(t, "air780e", 921600)
		defer w.end()
		warnings := w.watch()
		w.order("on <CONNACK garble-above 460800 prob=0.05")
		w.begin()
		w.reaches(time.Minute, recovery.Online, "")
		if w.speed() != 921600 {
			t.Fatalf("online at %d", w.speed())
		}
		begun := time.Now()
		w.carries("at last")
		t.Logf("given up after %v, at the speeds %v", time.Since(begun), w.opened())
		if w.speed() != 115200 || time.Since(begun) > 5*time.Minute {
			t.Errorf("at %d after %v", w.speed(), time.Since(begun))
		}
		if got := strings.Join(warnings(), " "); !strings.Contains(got, "work-baud-failed") {
			t.Errorf("warned of %q", got)
		}
	})
}

// A module that restarted by itself is back at its own speed. It is found there,
// and raised again.
func TestModuleIsFoundAtAnotherSpeed(t *testing.T) {
	for _, c := range []struct {
		order string
		limit time.Duration
	}{
		{"reboot", 45 * time.Second}, // at the latest the poll finds out
		{"baud 9600", 60 * time.Second},
		{"baud 230400", 60 * time.Second},
	} {
		t.Run(c.order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSpeedWorld(t, "air780e", 921600)
				defer w.end()
				w.begin()
				w.reaches(time.Minute, recovery.Online, "")
				time.Sleep(2 * time.Minute)
				w.order(c.order)
				begun, opened := time.Now(), len(w.opened())
				w.publish(update, 1, "back")
				if d := time.Since(begun); d > c.limit {
					t.Errorf("it took %v", d)
				} else {
					t.Logf("back after %v, at the speeds %v", d, w.opened()[opened:])
				}
				if w.speed() != 921600 {
					t.Errorf("back at %d", w.speed())
				}
			})
		})
	}
}

// The next daemon looks first where the last one left the module, whatever its
// configuration says now, and a module that kept the speed over a restart is
// found as well.
func TestSpeedIsRemembered(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(*session.Options)
		reset bool // the module restarts between the daemons
		first []int
		at    int
	}{
		{"same configuration", nil, false, []int{921600}, 921600},
		{"module restarted", nil, true, []int{921600, 115200, 921600}, 921600},
		{"no longer raised", func(o *session.Options) { o.Modem.WorkBaud = 0 }, false, []int{921600}, 921600},
		{"no longer raised, fixed", func(o *session.Options) { o.Modem.WorkBaud, o.Modem.Baud = 0, 115200 }, false, []int{921600}, 921600},
		{"raised to another", func(o *session.Options) { o.Modem.WorkBaud = 460800 }, false, []int{921600, 460800}, 460800},
		{"forgotten", func(o *session.Options) {
			if err := os.Remove(o.State.Path("speed.json")); err != nil {
				panic(err)
			}
		}, false, []int{115200, 921600}, 921600},
		{"damaged", func(o *session.Options) {
			if err := os.WriteFile(o.State.Path("speed.json"), []byte(`{"baud":12345}`), 0o600); err != nil {
				panic(err)
			}
		}, false, []int{115200, 921600}, 921600},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSpeedWorld(t, "air780e", 921600)
				defer w.end()
				w.begin()
				w.reaches(time.Minute, recovery.Online, "")
				w.halt()
				if c.reset {
					w.order("reset")
				}
				if c.edit != nil {
					c.edit(&w.options)
				}
				opened := len(w.opened())
				w.begin()
				w.reaches(time.Minute, recovery.Online, "")
				if got := fmt.Sprint(w.opened()[opened:]); got != fmt.Sprint(c.first) {
					t.Errorf("opened at %v, want %v", got, c.first)
				}
				if w.speed() != c.at {
					t.Errorf("online at %d", w.speed())
				}
				w.carries("still here")
			})
		})
	}
}
