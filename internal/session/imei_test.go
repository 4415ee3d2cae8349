package session_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/airsim"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// A module that answers everything but has no IMEI was told as one that does not answer,
// with advice about wiring, and was reset four times in 70 s. It is asked in another way;
// then a person is told what it said, and it is left in peace.
func TestIMEIThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for order, said := range map[string]string{
		"imei 000000000000000": `"000000000000000"`,
		"imei 86A991419B35241": `"86A991419B35241"`,
		"imei 86299":           `"86299"`,
		"imei nothing":         "nothing but OK",
		"imei refused":         "+CME ERROR: 100",
	} {
		inWorld(t, setup{}, func(t *testing.T, w *world) {
			w.order(order)
			w.begin()
			w.reaches(time.Minute, recovery.Recovering, recovery.IMEIUnreadable)
			st := w.board.Status()
			if !strings.Contains(st.Hint, said) || !strings.Contains(st.Hint, "device.device_name") {
				t.Errorf("%s: the hint %q does not say %s, and what to do", order, st.Hint, said)
			}
			if st.NextAttemptAt == nil || st.NextAttemptAt.Sub(st.Since) < w.options.Recovery.BackoffMax/2 {
				t.Errorf("%s: tried again at %v", order, st.NextAttemptAt)
			}
			if w.count("AT+CGSN=1") == 0 {
				t.Errorf("%s: AT+CGSN=1 was not tried", order)
			}
			if st.Modem.Firmware == nil {
				t.Errorf("%s: what the module did tell is not shown", order)
			}
			time.Sleep(time.Hour)
			if w.resets() > 0 {
				t.Errorf("%s: the module was reset", order)
			}
		})
	}
}

// Without an IMEI the module works as well, where the device has another name; and a
// single answer that was spoilt is no verdict.
func TestIMEIIsNotNeededForAName(t *testing.T) {
	t.Parallel()
	named := setup{session: func(o *session.Options) { o.Device.DeviceName = "gateway-1" }}
	for order, s := range map[string]setup{"imei nothing": named, "imei nothing plain": {}, "on >AT+CGSN=1 clear": {}} {
		inWorld(t, s, func(t *testing.T, w *world) {
			w.order("imei nothing")
			w.order(order)
			w.begin()
			w.reaches(time.Minute, recovery.Online, "")
		})
	}
}

// Modules whose IMEI was never written all have the same name, and throw each other out.
// That lasts until somebody gives the device another name, so the warning does.
func TestIMEIThatManyHaveIsWarnedOf(t *testing.T) {
	t.Parallel()
	warned := func(w *world) bool {
		return slices.ContainsFunc(w.board.Status().Warnings, func(m api.Warning) bool { return m.Code == "imei-unwritten" && m.Hint != "" })
	}
	inWorld(t, setup{module: func(o *airsim.Options) { o.IMEI = "3520990017614823" }}, func(t *testing.T, w *world) {
		w.begin()
		w.reaches(time.Minute, recovery.Online, "")
		if !warned(w) {
			t.Error("not warned of")
		}
		w.order("imei 862991419835241") // as if written, or another module
		w.order("reboot")
		w.reaches(time.Minute, recovery.Recovering, recovery.Rebooted)
		w.reaches(time.Minute, recovery.Online, "")
		if warned(w) {
			t.Error("still warned of")
		}
	})
}
