package session_test

import (
	"testing"
	"time"

	"airbridged/internal/recovery"
)

// Whoever turned an antenna saw the signal of half a minute ago, and turned it past the
// best place. While somebody looks it is read every 2 s: online, busy or not, and also
// while there is no connection, which is when antennas are turned; never otherwise.
func TestTheSignalMovesWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		in := func(d time.Duration) int {
			before := w.count("AT+CSQ")
			time.Sleep(d)
			return w.count("AT+CSQ") - before
		}
		if n := in(time.Minute); n > 3 {
			t.Errorf("nobody looks, and it was read %d times in a minute", n)
		}
		leave := w.board.Onlookers.Look()
		w.order("csq 5")
		time.Sleep(3 * time.Second)
		if dbm := w.board.Status().Modem.SignalDBm; dbm == nil || *dbm != -103 {
			t.Errorf("3 s after the antenna was turned the signal is shown as %v", dbm)
		}
		if n := in(time.Minute); n < 25 || n > 35 {
			t.Errorf("read %d times in a minute", n)
		}
		for range 200 {
			w.append(update, 1, "x")
		}
		before := w.count("AT+CSQ")
		time.Sleep(20 * time.Second)
		if n := w.count("AT+CSQ") - before; n < 8 || n > 12 {
			t.Errorf("read %d times in 20 s while messages go out", n)
		}
		w.order("sim removed")
		w.reaches(5*time.Minute, recovery.Recovering, recovery.SIMMissing)
		time.Sleep(time.Second)
		if n := in(30 * time.Second); n < 8 || n > 20 {
			t.Errorf("read %d times in 30 s without a SIM", n)
		}
		leave()
		if n := in(time.Minute); n > 4 {
			t.Errorf("nobody looks any more, and it was read %d times in a minute", n)
		}
	})
}
