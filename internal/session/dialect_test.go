package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// What real modules do that no manual says: none of it is a reason to reset one, to
// take its firmware for another, or to end a session.
func TestWhatRealModulesDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		orders []string
		within time.Duration
	}{
		// The setting was kept by somebody with AT&W. A probe that was answered by words
		// counted as "not supported", and "SIM busy" as no SIM.
		{"errors in words", []string{"cmee 2"}, 30 * time.Second},
		{"no numbers at all", []string{"cmee 0"}, 30 * time.Second},
		// An Air780E in its first half minute: error 4 to everything, which is also what a
		// module says to a command that it does not have.
		{"error 4 after power-on", []string{"starting 25s"}, time.Minute},
		// An Air780EP V1010: RDY a second time 0.7 s later, and 6 s without an answer.
		{"RDY twice", []string{"rdy-twice on", "reset"}, time.Minute},
		// An Air780EG prints its position at any time.
		{"positions between the lines", []string{"gnss on"}, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, setup{module: func(o *airsim.Options) { o.Personality = "air780e" }}, func(t *testing.T, w *world) {
				for _, order := range c.orders {
					w.order(order)
				}
				before := w.resets()
				w.begin()
				w.reaches(c.within, recovery.Online, "")
				if m := w.publish(update, 1, "binary \x00"); m.State != outbox.Acked {
					t.Errorf("what the firmware can carry ended as %s: %s", m.State, m.Reason)
				}
				if n := w.resets() - before; n > 0 {
					t.Errorf("%d resets", n)
				}
			})
		})
	}
}

// A second PDP context, which somebody opened beside the one in use, is not the bearer.
func TestAnotherContextIsNotTheBearer(t *testing.T) {
	online(t, setup{}, func(t *testing.T, w *world) {
		h := w.history()
		w.order(`inject "+CGEV: ME PDN ACT 5,0"`)
		w.order(`inject "+CGEV: ME PDN DEACT 5"`)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := h.ended(); len(n) > 0 {
			t.Errorf("sessions ended: %v", n)
		}
		w.order(`inject "+CGEV: ME PDN DEACT 1"`)
		w.reaches(time.Second, recovery.Recovering, recovery.BearerFailed)
	})
}

// A SIM that starts slowly is told as that, in words too.
func TestSIMTroubleInWords(t *testing.T) {
	inWorld(t, setup{module: func(o *airsim.Options) { o.Personality, o.NoSIM = "air780e", true }}, func(t *testing.T, w *world) {
		w.order("cmee 2")
		w.begin()
		w.reaches(2*time.Minute, recovery.Recovering, recovery.SIMMissing)
		if hint := w.board.Status().Hint; !strings.Contains(hint, "10") && !strings.Contains(hint, "not inserted") {
			t.Errorf("the hint is %q", hint)
		}
	})
}

// Every simulated firmware comes online, takes what it is said to take, and hears.
func TestEveryPersonality(t *testing.T) {
	for _, personality := range airsim.Personalities() {
		if personality == "unsupported" {
			continue
		}
		t.Run(personality, func(t *testing.T) {
			online(t, setup{module: func(o *airsim.Options) { o.Personality = personality }}, func(t *testing.T, w *world) {
				heard, err := w.hub.Subscribe([]string{get})
				if err != nil {
					t.Fatal(err)
				}
				defer heard.Close()
				if m := w.publish(update, 1, strings.Repeat("x", 1300)); m.State != outbox.Acked {
					t.Errorf("a message ended as %s: %s", m.State, m.Reason)
				}
				time.Sleep(5 * time.Second)
				w.cloud.Push(get, 0, []byte("line\r\nOK\r\nERROR\r\n"))
				time.Sleep(5 * time.Second)
				got := ""
				for it, ok := heard.TryNext(); ok; it, ok = heard.TryNext() {
					if it.Message != nil {
						got += string(it.Message.Payload)
					}
				}
				if got != "line\r\nOK\r\nERROR\r\n" {
					t.Errorf("heard %q", got)
				}
			})
		})
	}
}
