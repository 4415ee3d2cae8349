package session_test

import (
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/recovery"
)

// A cable was out for 20 s: six looks for the port, every few seconds. The next thing
// that went wrong, a connection that the cloud closed, then waited for minutes,
// because the looks had counted as attempts.
func TestLookingForAPortDoesNotLengthenTheBackOff(t *testing.T) {
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("unplug 20s")
		w.reaches(2*time.Minute, recovery.Probing, "")
		w.reaches(2*time.Minute, recovery.Online, "")
		w.order("closed")
		var last api.Event
		for _, e := range w.reaches(time.Minute, recovery.Recovering, recovery.Closed) {
			last = e
		}
		if most := 2 * w.options.Recovery.BackoffMin; last.WaitSeconds > most.Seconds() {
			t.Errorf("the first back-off waits %.0f s, not up to %v", last.WaitSeconds, most)
		}
	})
}
