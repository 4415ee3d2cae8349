package session_test

import (
	"testing"
	"time"

	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// A card pulled for an hour, a network away for an hour: by then the waits are
// minutes long. A module that is asked sees when it is over.
func TestWaitEndsWhenTheCardOrTheNetworkIsThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, begin, end string }{
		{"the card is put in", "sim removed", "sim inserted"},
		{"the network is back", "service lost", "service back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			online(t, setup{session: func(o *session.Options) {
				o.Recovery.BackoffMax = time.Hour
				o.Recovery.HardResetsPerHour = 0 // after one nobody listens until the next attempt
			}}, func(t *testing.T, w *world) {
				w.order(c.begin)
				time.Sleep(5 * time.Hour)
				for st := w.board.Status(); st.NextAttemptAt == nil || time.Until(*st.NextAttemptAt) < 10*time.Minute; st = w.board.Status() {
					time.Sleep(time.Minute)
				}
				w.order(c.end)
				w.reaches(time.Minute, recovery.Online, "")
			})
		})
	}
}

// At the edge of a cell the network comes and goes all day.
// An attempt at each coming would cost more than the data.
func TestFlappingNetworkDoesNotBreakTheBackOff(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		begun := w.cloud.Counters().Connects
		w.order("every 50s service lost")
		time.Sleep(30 * time.Second)
		w.order("every 50s service back")
		time.Sleep(6 * time.Hour)
		if n := w.cloud.Counters().Connects - begun; n > 6*25 {
			t.Errorf("%d connects in 6 hours of a network that comes and goes, more than one in 2.4 minutes", n)
		}
	})
}
