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
