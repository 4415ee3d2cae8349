package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/recovery"
)

// A card that answers with an error until its power is taken away for a moment was
// asked again and again, AT+CFUN=1 the only thing that was done for it, and the gateway
// stayed offline for ever. Which number the module has for it makes no difference, nor
// whether the card has worked before.
func TestSIMThatNeedsItsPowerAnewGetsIt(t *testing.T) {
	t.Parallel()
	for _, code := range []int{3, 4, 10, 13, 14, 15, 100, 65535} {
		for _, order := range []string{"online", "cold"} {
			t.Run(fmt.Sprintf("%s %d", order, code), func(t *testing.T) {
				t.Parallel()
				inWorld(t, setup{}, func(t *testing.T, w *world) {
					strike := fmt.Sprintf("sim-stuck %d", code)
					if order == "online" {
						w.begin()
						w.reaches(5*time.Minute, recovery.Online, "")
						w.order(strike)
					} else {
						w.order("on >AT+CPIN? " + strike)
						w.begin()
					}
					w.reaches(3*time.Minute, recovery.Recovering, recovery.SIMMissing)
					if hint, want := w.board.Status().Hint, fmt.Sprintf(`the module says "+CME ERROR: %d"`, code); !strings.Contains(hint, want) {
						t.Errorf("the hint %q does not say %s", hint, want)
					}
					w.reaches(2*time.Minute, recovery.Online, "")
					if n := w.resets(); n > 0 {
						t.Errorf("the module was reset %d times", n)
					}
				})
			})
		}
	}
}

// A card that has worked and that no radio cycle brings back is worth a reset of the
// module, an hour later; one that never worked is not, for it may not be there at all.
func TestSIMThatHasWorkedGetsAResetInAnHour(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("sim-stuck 13 reset")
		begun := time.Now()
		time.Sleep(55 * time.Minute)
		if n := w.resets(); n > 0 {
			t.Errorf("reset %d times within an hour", n)
		}
		w.reaches(25*time.Minute, recovery.Online, "")
		if n := w.resets(); n != 1 {
			t.Errorf("back after %v and %d resets", time.Since(begun), n)
		}
	})
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		w.order("on >AT+CPIN? sim-stuck 13 reset")
		w.begin()
		time.Sleep(5 * time.Hour)
		if n := w.resets(); n > 0 {
			t.Errorf("a card that never worked: reset %d times", n)
		}
		if n := w.count("AT+CFUN=0"); n < 5 || n > 120 {
			t.Errorf("its radio was switched off %d times in 5 hours", n)
		}
	})
}

// A card that is away for days costs a reset an hour, and no more.
func TestSIMThatIsAwayCostsNoMoreThanAResetAnHour(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("sim removed")
		time.Sleep(24 * time.Hour)
		if n := w.resets(); n < 12 || n > 24 {
			t.Errorf("reset %d times in a day", n)
		}
		w.order("sim inserted")
		w.reaches(5*time.Minute, recovery.Online, "")
	})
}

// A lock is opened by a person. The advice for a PUK was that for a PIN, and what the
// module had said stood in the log only. Nothing is done to the card: it asks again after
// each start, and a wrong answer can cost it.
func TestLockedSIMIsLeftAlone(t *testing.T) {
	t.Parallel()
	for what, words := range map[string][2]string{
		"pin":     {"SIM PIN", "switch its PIN off"},
		"puk":     {"SIM PUK", "PUK that the operator has"},
		"ph-net":  {"PH-NET PIN", "other operators"},
		"blocked": {"SIM BLOCKED", "replace the card"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				w.order("sim " + what)
				w.reaches(2*time.Minute, recovery.Recovering, recovery.SIMMissing)
				for _, part := range words {
					if hint := w.board.Status().Hint; !strings.Contains(hint, part) {
						t.Errorf("the hint %q lacks %q", hint, part)
					}
				}
				time.Sleep(4 * time.Hour)
				if n := w.resets() + w.count("AT+CFUN=0") + w.count("AT+CPIN="); n > 0 {
					t.Errorf("%d resets, radio cycles and PINs", n)
				}
				w.order("sim unlocked")
				w.reaches(time.Minute, recovery.Online, "")
			})
		})
	}
}
