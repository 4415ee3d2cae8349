package session_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// The vendor's own page on MCONNECT has a refused login answered by OK, and by ERROR
// where CONNACK OK was due. That was waited out for 30 s and called connect-failed,
// with advice about host and port, and the token that the cloud no longer takes was
// kept, for ever.
func TestLoginRefusedBehindItsOK(t *testing.T) {
	// As the firmware prints it by itself.
	asPrinted := withToken
	asPrinted.module = func(o *airsim.Options) { o.Personality = "air780epm" }
	online(t, asPrinted, func(t *testing.T, w *world) {
		w.order("expire-tokens")
		w.order("closed")
		w.reaches(20*time.Second, recovery.Recovering, recovery.ConnAckRefused)
		w.reaches(2*time.Minute, recovery.Online, "")
	})
	online(t, withToken, func(t *testing.T, w *world) {
		h := w.history()
		tokens, lost := w.count("AT+HTTPACTION"), time.Now()
		w.order("connack error")
		w.order("expire-tokens")
		w.order("closed")
		w.reaches(20*time.Second, recovery.Recovering, recovery.ConnAckRefused)
		w.reaches(2*time.Minute, recovery.Online, "")
		if n := h.ended(); n["connect-failed"] > 0 {
			t.Errorf("sessions ended: %v", n)
		}
		if now := w.count("AT+HTTPACTION"); now == tokens {
			t.Errorf("no new token was asked for, %v after the loss", time.Since(lost))
		}
	})
}

// A dial that fails behind its OK was waited out for cloud.timeouts.connect.
func TestDialRefusedBehindItsOK(t *testing.T) {
	for _, how := range []string{"error", "cme", "tcp"} {
		t.Run(how, func(t *testing.T) {
			online(t, setup{}, func(t *testing.T, w *world) {
				w.order("connect " + how)
				w.order("closed")
				w.reaches(15*time.Second, recovery.Recovering, recovery.ConnectFailed)
				w.reaches(2*time.Minute, recovery.Online, "")
			})
		})
	}
}

// A subscription that is refused behind its OK took 30 s each time and the whole
// session, three times. The session goes on without the filter, who asked for it is
// told, and it is asked for again later.
func TestSubscriptionRefusedBehindItsOK(t *testing.T) {
	const wanted, other = get, get + "/other"
	for _, how := range []string{"error", "cme"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{session: func(o *session.Options) {
					o.Subscribe = []bus.Filter{{Topic: wanted}, {Topic: other}}
				}})
				defer w.end()
				h := w.history()
				listener, err := w.hub.Subscribe([]string{wanted})
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
				w.order("suback " + how)
				w.begin()
				w.reaches(time.Minute, recovery.Online, "")
				time.Sleep(5 * time.Second)
				if m := w.publish(update, 1, "one"); m.State != outbox.Acked {
					t.Errorf("a message ended as %s", m.State)
				}
				if w.granted(wanted) || !w.warned(bus.FilterRefused) {
					t.Errorf("granted %v, told in status %v", w.granted(wanted), w.warned(bus.FilterRefused))
				}
				refused := ""
				for it, ok := listener.TryNext(); ok; it, ok = listener.TryNext() {
					refused += it.Reason
				}
				if !strings.Contains(refused, "the module refuses the subscription") {
					t.Errorf("who listens is told %q", refused)
				}
				// Behind a bare ERROR a SUBACK may still come, and it has no id.
				if got := w.granted(other); got != (how == "cme") {
					t.Errorf("the other filter: granted %v", got)
				}
				if how == "error" {
					w.order("inject SUBACK")
					time.Sleep(time.Second)
					if w.granted(wanted) || w.granted(other) {
						t.Error("a SUBACK without an id granted something")
					}
				}
				time.Sleep(2 * time.Minute)
				if !w.granted(wanted) || !w.granted(other) || w.warned(bus.FilterRefused) {
					t.Errorf("later: granted %v and %v, told %v", w.granted(wanted), w.granted(other), w.warned(bus.FilterRefused))
				}
				if n := h.ended(); len(n) > 0 {
					t.Errorf("sessions ended: %v", n)
				}
			})
		})
	}
}

// A module that never takes a filter is asked for it less and less.
func TestFilterThatTheModuleNeverTakes(t *testing.T) {
	online(t, setup{}, func(t *testing.T, w *world) {
		const bad = "/" + simcloud.GuideProductKey + "/" + simcloud.GuideDeviceName + "/bad"
		h := w.history()
		w.order("suback cme count=all")
		listener, err := w.hub.Subscribe([]string{bad})
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		time.Sleep(4 * time.Hour)
		if n := w.count(`AT+MSUB="` + bad); n < 4 || n > 8 {
			t.Errorf("asked for %d times in four hours", n)
		}
		if n := h.ended(); len(n) > 0 {
			t.Errorf("sessions ended: %v", n)
		}
	})
}
