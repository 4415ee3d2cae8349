package session_test

import (
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// unknownFirmware is a module of whose payloads nobody says how long they may be, and
// that takes limit bytes.
func unknownFirmware(personality string, limit int) setup {
	return setup{module: func(o *airsim.Options) {
		o.Personality, o.Firmware, o.MaxPayload = personality, "AirM2M_999X_V1_LTE_AT", limit
	}}
}

// Messages of 1361 bytes and more were refused for good by a guess, on modules that
// take 4100. They are tried.
func TestAnAssumedLimitIsTried(t *testing.T) {
	online(t, unknownFirmware("air780ep", 4100), func(t *testing.T, w *world) {
		if err := w.options.Limits.Check(update, []byte(strings.Repeat("x", 3000))); err != nil {
			t.Errorf("refused by a guess: %v", err)
		}
		for _, payload := range []string{strings.Repeat("x", 3000), strings.Repeat("y", 4099) + "\x00"} {
			if m := w.publish(update, 1, payload); m.State != outbox.Acked {
				t.Errorf("%d bytes ended as %s: %s", len(payload), m.State, m.Reason)
			}
		}
	})
}

// The module that takes most is not held to what the manual of others says.
func TestTheLargestPayload(t *testing.T) {
	online(t, setup{module: func(o *airsim.Options) { o.Personality = "air700eaq" }}, func(t *testing.T, w *world) {
		for _, payload := range []string{strings.Repeat("x", 5120), strings.Repeat("y", 5119) + "\x00"} {
			if m := w.publish(update, 1, payload); m.State != outbox.Acked {
				t.Errorf("%d bytes ended as %s: %s", len(payload), m.State, m.Reason)
			}
		}
		if err := w.options.Limits.Check(update, []byte(strings.Repeat("x", 5121))); err == nil || !strings.Contains(err.Error(), "modem.max_payload") {
			t.Errorf("5121 bytes: %v", err)
		}
	})
}

// Error 50 says that the command was not even read: one is enough, and the session
// stays.
func TestAPayloadLimitIsLearnedFromANumber(t *testing.T) {
	online(t, unknownFirmware("air780ep", 2000), func(t *testing.T, w *world) {
		h := w.history()
		if m := w.publish(update, 1, strings.Repeat("x", 1999)+"\x00"); m.State != outbox.Acked {
			t.Errorf("2000 bytes ended as %s: %s", m.State, m.Reason)
		}
		m := w.publish(update, 1, strings.Repeat("x", 2500)+"\x00")
		if m.State != outbox.Rejected || !strings.Contains(m.Reason, "2500") || !strings.Contains(m.Reason, "modem.max_payload") {
			t.Errorf("2501 bytes ended as %s: %s", m.State, m.Reason)
		}
		if n := w.count("AT+MPUBEX"); n != 3 { // with the test form
			t.Errorf("MPUBEX was given %d times", n)
		}
		if n := h.ended(); len(n) > 0 {
			t.Errorf("sessions ended: %v", n)
		}
		w.remembers(t, 2501)
	})
}

// remembers checks that a limit was told, and is kept by firmware over a restart, and
// that what is configured counts before it.
func (w *world) remembers(t *testing.T, refused int) {
	t.Helper()
	if !strings.Contains(w.log.String(), "payload-limit-learned") {
		t.Error("not told in the log")
	}
	for most, want := range map[int]bool{0: false, 4000: true} {
		again := session.NewPayloadLimits(w.disk, most, w.options.Log)
		if err := again.Check(update, make([]byte, refused)); (err == nil) != want {
			t.Errorf("after a restart with modem.max_payload = %d: %v", most, err)
		}
		if err := again.Check(update, make([]byte, refused-1)); err != nil {
			t.Errorf("less is refused as well: %v", err)
		}
	}
}

// ERROR without a number proves nothing: it takes two sessions, and a shorter message
// that passes in the second.
func TestAPayloadLimitIsLearnedFromErrors(t *testing.T) {
	online(t, unknownFirmware("2g", 1800), func(t *testing.T, w *world) {
		h := w.history()
		long := w.append(update, 1, strings.Repeat("x", 1800)+strings.Repeat("y", 700))
		short := w.append(update, 1, "short")
		if m := w.settled(short); m.State != outbox.Acked {
			t.Errorf("the short one ended as %s: %s", m.State, m.Reason)
		}
		m := w.settled(long)
		if m.State != outbox.Rejected || !strings.Contains(m.Reason, "modem.max_payload") {
			t.Errorf("2500 bytes ended as %s: %s", m.State, m.Reason)
		}
		if n := h.ended(); n["doubtful-answer"] != 2 {
			t.Errorf("sessions ended: %v", n)
		}
		w.reaches(5*time.Minute, recovery.Online, "")
		if m := w.publish(update, 1, strings.Repeat("x", 1800)); m.State != outbox.Acked {
			t.Errorf("1800 bytes ended as %s: %s", m.State, m.Reason)
		}
	})
}

// Nothing is learned from refusals of messages that are no longer than what every
// module takes, nor where no shorter message passes: then it is not the length.
func TestNoPayloadLimitIsLearnedFromOtherRefusals(t *testing.T) {
	for name, length := range map[string]int{"short": 100, "long": 3000} {
		t.Run(name, func(t *testing.T) {
			online(t, unknownFirmware("air780ep", 4100), func(t *testing.T, w *world) {
				w.order("error AT+MPUB count=5")
				if m := w.publish(update, 1, strings.Repeat("x", length)); m.State != outbox.Acked {
					t.Errorf("it ended as %s: %s", m.State, m.Reason)
				}
				if strings.Contains(w.log.String(), "payload-limit-learned") {
					t.Error("learned from a refusal that was about something else")
				}
			})
		})
	}
}
