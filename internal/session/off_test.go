package session_test

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/airsim"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// A module that switches itself off and says so was told as one that had restarted, then
// as a matter of wiring, beside "registered, signal excellent". It is off, its words are
// shown, and nothing that it told is held to be true; until it answers again.
func TestModuleThatSwitchesItselfOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, order, words, advice string }{
		{"under-voltage", "power-off under-voltage", "UNDER-VOLTAGE POWER DOWN", "supply is too low"},
		{"over-voltage", "power-off over-voltage", "OVER-VOLTAGE POWER DOWN", "supply is too high"},
		{"over-temperature", "power-off over-temperature", "OVER-TEMPERATURE POWER DOWN", "cool down"},
		{"normal", "power-off normal", "NORMAL POWER DOWN", "power key"},
		{"under a publish", "on >AT+MPUB power-off normal", "NORMAL POWER DOWN", "power key"},
		{"under a poll", "on >AT+CSQ power-off normal", "NORMAL POWER DOWN", "power key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			online(t, setup{session: func(o *session.Options) { o.HardReset = func(context.Context) error { return nil } }}, func(t *testing.T, w *world) {
				watch := w.board.Watch()
				defer watch.Close()
				w.order(c.order)
				w.append(update, 1, "x")
				w.reaches(time.Minute, recovery.Recovering, recovery.ModuleOff)
				for range 20 {
					time.Sleep(30 * time.Second)
					st := w.board.Status()
					if st.Cause != string(recovery.ModuleOff) || !strings.Contains(st.Hint, c.words) || !strings.Contains(st.Hint, c.advice) {
						t.Fatalf("%s, %q", st.Cause, st.Hint)
					}
					unknown(t, w, recovery.LostModule)
				}
				w.order("reset")
				w.reaches(3*time.Minute, recovery.Online, "")
				known(t, w)
			})
		})
	}
}

// So it is where a person switches it off, and nobody listens for a moment.
func TestModuleThatAPersonSwitchesOff(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		if _, err := w.session.AT(t.Context(), "AT+CPOWD=1", true); err != nil {
			t.Fatal(err)
		}
		w.reaches(time.Minute, recovery.Recovering, recovery.ModuleOff)
		unknown(t, w, recovery.LostModule)
		if hint := w.board.Status().Hint; !strings.Contains(hint, "NORMAL POWER DOWN") {
			t.Errorf("the hint is %q", hint)
		}
		w.order("reset")
		w.reaches(3*time.Minute, recovery.Online, "")
		known(t, w)
	})
}

// unknown says whether what is lost is neither in the status nor in the metrics.
func unknown(t *testing.T, w *world, lost recovery.Lost) {
	t.Helper()
	m := w.board.Status().Modem
	w.meter.mu.Lock()
	shown := w.meter.shown
	w.meter.mu.Unlock()
	switch {
	case m.SignalDBm != nil || m.Operator != nil || shown.signal:
		t.Errorf("a network is known: %s", told(m))
	case m.Registered != nil && *m.Registered:
		t.Errorf("registered: %s", told(m))
	case lost >= recovery.LostSIM && m.ICCID != nil:
		t.Errorf("a SIM is known: %s", told(m))
	case lost >= recovery.LostModule && (m.Firmware != nil || m.Model != nil || m.IMEI != nil || m.Registered != nil || shown.firmware != "" || shown.registered):
		t.Errorf("a module is known: %s", told(m))
	case lost < recovery.LostModule && m.Firmware == nil:
		t.Error("the module is still there, and not known")
	}
}

// known says whether all of it is there again.
func known(t *testing.T, w *world) {
	t.Helper()
	m := w.board.Status().Modem
	w.meter.mu.Lock()
	shown := w.meter.shown
	w.meter.mu.Unlock()
	if m.SignalDBm == nil || m.Operator == nil || m.Registered == nil || m.ICCID == nil || m.Firmware == nil || m.Model == nil || m.IMEI == nil ||
		!shown.signal || !shown.registered || shown.firmware == "" {
		t.Errorf("not all is known again: %s, metrics %+v", told(m), shown)
	}
}

func told(m api.Modem) string {
	text := func(s *string) string {
		if s == nil {
			return "null"
		}
		return *s
	}
	words := "firmware " + text(m.Firmware) + ", imei " + text(m.IMEI) + ", iccid " + text(m.ICCID) + ", operator " + text(m.Operator)
	if m.SignalDBm != nil {
		words += ", a signal"
	}
	return words
}

// What a module told is forgotten when what it told of is gone: the network, the SIM, the
// module itself.
func TestWhatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		strike string
		after  time.Duration
		lost   recovery.Lost
		mend   string
	}{
		{"unplugged", "unplug 5m", time.Minute, recovery.LostModule, ""},
		{"hung", "hang", 2 * time.Minute, recovery.LostNetwork, "reset"},
		{"SIM pulled", "sim removed", time.Minute, recovery.LostSIM, "sim inserted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				w.order(c.strike)
				time.Sleep(c.after)
				unknown(t, w, c.lost)
				if c.mend != "" {
					w.order(c.mend)
				}
				w.reaches(10*time.Minute, recovery.Online, "")
				known(t, w)
			})
		})
	}
}

// So it is where a module restarts and finds no network any more.
func TestRestartForgetsTheNetwork(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("service lost")
		w.order("reboot")
		time.Sleep(time.Minute)
		unknown(t, w, recovery.LostNetwork)
	})
}

// Another module behind the same port has its own number, and no SIM: nothing of the one
// before is shown as its own.
func TestAnotherModuleIsNotTakenForTheOneBefore(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		second, err := airsim.New(w.cloud, airsim.Options{Personality: "air724", IMEI: "867959033021349", NoSIM: true, Latency: true, Seed: 2})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- second.Run(ctx) }()
		defer func() { stop(); <-done }()
		var changed atomic.Bool
		w.options.Open = func(int) (io.ReadWriteCloser, error) {
			if changed.Load() {
				return second.Open(), nil
			}
			return w.module.Open(), nil
		}
		w.begin()
		w.reaches(time.Minute, recovery.Online, "")
		changed.Store(true)
		w.order("unplug")
		w.reaches(2*time.Minute, recovery.Recovering, recovery.SIMMissing)
		m := w.board.Status().Modem
		if m.IMEI == nil || *m.IMEI != "867959033021349" || m.ICCID != nil || m.Operator != nil || m.SignalDBm != nil || m.Registered != nil {
			t.Errorf("shown: %s", told(m))
		}
	})
}
