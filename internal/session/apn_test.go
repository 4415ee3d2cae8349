package session_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
	"airbridged/internal/session"
)

const apnPassword = "s3cret-of-the-apn"

// privateAPN is a card with an access point of its own, which wants a login, and a
// configuration that says so, or not.
func privateAPN(personality string, given bool) setup {
	return setup{
		module: func(o *airsim.Options) {
			o.Personality, o.APN, o.APNUser, o.APNPassword = personality, "meter.iot", "meter", apnPassword
		},
		session: func(o *session.Options) {
			o.Modem.APN = "meter.iot"
			if given {
				o.Modem.APNUser, o.Modem.APNPassword, o.Modem.APNAuth, o.Modem.APNGiven = "meter", secret.New(apnPassword), "chap", true
			}
		},
	}
}

// 4G modules run MQTT in the default context, which SAPBR does not touch: a card with an
// access point of its own was offline for ever, whatever modem.apn said.
func TestAccessPointOf4G(t *testing.T) {
	for _, personality := range []string{"air780e", "air780ep", "air700eaq"} {
		t.Run(personality, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, privateAPN(personality, true))
				defer w.end()
				w.begin()
				w.reaches(2*time.Minute, recovery.Online, "")
				if n := w.count(`AT+CPNETAPN=2,"meter.iot","meter","` + apnPassword + `",2`); n != 1 {
					t.Errorf("CPNETAPN was given %d times", n)
				}
				if n := w.count("AT+CFUN=0"); n != 1 {
					t.Errorf("the radio was restarted %d times", n)
				}
				// It is set once for this module, this card and this value: not after a
				// restart of the module, nor of the daemon.
				w.order("reset")
				w.reaches(2*time.Minute, recovery.Recovering, "")
				w.reaches(2*time.Minute, recovery.Online, "")
				w.halt()
				w.begin()
				w.reaches(2*time.Minute, recovery.Online, "")
				if n := w.count("AT+CPNETAPN"); n != 1 {
					t.Errorf("CPNETAPN was given %d times", n)
				}
				w.halt()
				// Another value is another matter.
				w.options.Modem.APNAuth = "pap"
				w.begin()
				w.reaches(2*time.Minute, recovery.Online, "")
				if n := w.count("AT+CPNETAPN"); n != 2 {
					t.Errorf("CPNETAPN was given %d times", n)
				}
				// The password stands nowhere but in its own file.
				kept, err := os.ReadFile(filepath.Join(w.state, "apn.json"))
				if err != nil || strings.Contains(string(kept), apnPassword) || strings.Contains(w.log.String(), apnPassword) {
					t.Errorf("%v, %s", err, kept)
				}
				for _, traffic := range w.recorded() {
					if strings.Contains(string(traffic.Text), apnPassword) {
						t.Errorf("the flight recorder has it: %s", traffic.Text)
					}
				}
			})
		})
	}
}

// Where no file names an access point, the module's own is left alone.
func TestDefaultAccessPointTouchesNothing(t *testing.T) {
	online(t, setup{module: func(o *airsim.Options) { o.Personality = "air780e" }}, func(t *testing.T, w *world) {
		if n := w.count("AT+CPNETAPN") + w.count("AT+CGDCONT") + w.count("AT+CFUN=0"); n > 0 {
			t.Errorf("%d commands that change the module", n)
		}
	})
	// And a card that wants one is not online without it; the hint names the key.
	inWorld(t, privateAPN("air780e", false), func(t *testing.T, w *world) {
		w.begin()
		w.reaches(5*time.Minute, recovery.Recovering, recovery.ConnectFailed)
		time.Sleep(10 * time.Minute)
		if n := w.count("AT+CPNETAPN"); n > 0 {
			t.Errorf("CPNETAPN was given %d times", n)
		}
		if hint := w.board.Status().Hint; !strings.Contains(hint, "modem.apn") {
			t.Errorf("the hint is %q", hint)
		}
	})
}

// Firmware without CPNETAPN is told by CGDCONT and CGAUTH; a refusal of both is told, and
// is no reason to stay offline.
func TestAccessPointWithoutCPNETAPN(t *testing.T) {
	inWorld(t, privateAPN("air780e", true), func(t *testing.T, w *world) {
		w.order("error AT+CPNETAPN count=all")
		w.order("error AT+CGDCONT count=all")
		w.begin()
		w.reaches(5*time.Minute, recovery.Recovering, recovery.ConnectFailed)
		if w.count("AT+CGDCONT=1") == 0 || !strings.Contains(w.log.String(), "apn-refused") {
			t.Error("not tried, or not told")
		}
	})
}
