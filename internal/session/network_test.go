package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/recovery"
)

// A network that refuses was told as one that is not there: "check antenna" beside an
// excellent signal. A denial has a cause of its own; a search, SMS only and the rest are
// told in the network's words, and none of them is a denial.
func TestWhatTheNetworkSaysIsTold(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]struct {
		cause recovery.Cause
		words []string
	}{
		"0":    {recovery.NotRegistered, []string{"not searching", "antenna"}},
		"2":    {recovery.NotRegistered, []string{"searching", "antenna"}},
		"3":    {recovery.NetworkDenied, []string{"registration denied", "operator"}},
		"3 15": {recovery.NetworkDenied, []string{"registration denied", "no suitable cell"}},
		"4":    {recovery.NotRegistered, []string{"unknown"}},
		"6":    {recovery.NotRegistered, []string{"SMS only, home", "packet data"}},
		"7":    {recovery.NotRegistered, []string{"SMS only, roaming", "packet data"}},
		"8":    {recovery.NotRegistered, []string{"emergency calls only", "operator"}},
	} {
		for _, when := range []string{"cold", "online"} {
			t.Run(when+" "+said, func(t *testing.T) {
				t.Parallel()
				inWorld(t, setup{}, func(t *testing.T, w *world) {
					if when == "online" {
						w.begin()
						w.reaches(5*time.Minute, recovery.Online, "")
						w.order("network-says " + said)
						w.order("closed")
					} else {
						w.order("network-says " + said)
						w.begin()
					}
					time.Sleep(4 * time.Minute)
					st := w.board.Status()
					if st.Cause != string(want.cause) {
						t.Errorf("cause %s, want %s", st.Cause, want.cause)
					}
					for _, words := range want.words {
						if !strings.Contains(st.Hint, words) {
							t.Errorf("the hint %q does not say %q", st.Hint, words)
						}
					}
					if want.cause == recovery.NetworkDenied {
						time.Sleep(3 * time.Hour)
						if w.resets() > 0 || w.count("AT+CFUN=0") == 0 {
							t.Errorf("%d resets and %d radio cycles for a SIM that is refused", w.resets(), w.count("AT+CFUN=0"))
						}
					}
					w.order("network-says 5")
					w.reaches(15*time.Minute, recovery.Online, "")
				})
			})
		}
	}
}

// A denial that lasts is told after half a minute and not after two; one that comes and
// goes while the module looks for another network is none.
func TestDenialIsToldWhenItLasts(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		w.order("network-says 3")
		w.begin()
		w.reaches(50*time.Second, recovery.Recovering, recovery.NetworkDenied)
	})
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		w.order("network-says 3")
		w.order("at 30s network-says 2")
		w.order("at 50s network-says 3")
		w.order("at 60s network-says 1")
		w.begin()
		for _, e := range w.reaches(2*time.Minute, recovery.Online, "") {
			if e.Cause != "" {
				t.Errorf("told as %s", e.Cause)
			}
		}
	})
}

// What carries the session is no failure, whatever the module says of it.
func TestSessionOutlivesAStrangeRegistration(t *testing.T) {
	t.Parallel()
	for _, stat := range []int{4, 6, 7, 8, 11} {
		online(t, setup{}, func(t *testing.T, w *world) {
			w.order(fmt.Sprintf("network-says %d works", stat))
			time.Sleep(time.Hour)
			if st := w.board.Status(); st.State != string(recovery.Online) || st.Counters.Connects != 1 {
				t.Errorf("%d: %s after %d logins", stat, st.State, st.Counters.Connects)
			}
		})
	}
}

// A network that lets the module in and refuses it packet data says why as well.
func TestRefusedAttachIsADenial(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		w.order("attach never")
		w.order("on >AT+CGATT=1 error AT+CGATT 107")
		w.begin()
		w.reaches(time.Minute, recovery.Recovering, recovery.NetworkDenied)
		for _, words := range []string{"+CME ERROR: 107", "packet data is not allowed for this SIM"} {
			if hint := w.board.Status().Hint; !strings.Contains(hint, words) {
				t.Errorf("the hint %q does not say %q", hint, words)
			}
		}
		w.reaches(10*time.Minute, recovery.Online, "")
	})
}

// Another SIM that was put in while the module looked for a network has its own number.
func TestAnotherSIMIsNotTakenForTheOneBefore(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("service lost")
		w.reaches(time.Minute, recovery.Recovering, recovery.NotRegistered)
		time.Sleep(10 * time.Minute)
		w.order("sim removed")
		w.order("sim inserted 89860000000000000009")
		time.Sleep(20 * time.Minute)
		w.order("service back")
		w.reaches(20*time.Minute, recovery.Online, "")
		if iccid := w.board.Status().Modem.ICCID; iccid == nil || *iccid != "89860000000000000009" {
			t.Errorf("the number of the SIM is told as %v", iccid)
		}
	})
}
