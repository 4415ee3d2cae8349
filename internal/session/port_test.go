package session_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/recovery"
	"airbridged/internal/session"
	"airbridged/internal/tty"
)

// A daemon was killed between the command and the payload of an MPUBEX: the module
// took the ATs of the next process for the payload, and the cloud got a message
// "AT\rAT\rAT". The next process waits until no data phase can be open any more;
// one that was stopped in good order leaves nothing to wait for.
func TestKilledInADataPhase(t *testing.T) {
	online(t, setup{}, func(t *testing.T, w *world) {
		w.publish(update, 1, `back\slash`) // only a data phase carries it
		record := filepath.Join(w.dir, "state", "line.json")
		left, err := os.ReadFile(record)
		if err != nil {
			t.Fatalf("a data phase is not booked: %v", err)
		}
		w.halt()
		if _, err := os.Stat(record); !os.IsNotExist(err) {
			t.Errorf("a stop in good order leaves %s: %v", record, err)
		}
		if d := w.firstWord(); d > 5*time.Second {
			t.Errorf("after a stop in good order the module hears nothing for %v", d)
		}
		w.halt()
		if err := os.WriteFile(record, left, 0o600); err != nil { // as a kill would have left it
			t.Fatal(err)
		}
		if d := w.firstWord(); d < 20*time.Second || d > time.Minute {
			t.Errorf("after a kill the module hears the first command after %v", d)
		}
	})
}

// firstWord starts the session and returns how long the module hears nothing.
func (w *world) firstWord() time.Duration {
	w.Helper()
	begun, before := time.Now(), len(w.commands())
	w.begin()
	for time.Since(begun) < 2*time.Minute && len(w.commands()) == before {
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(begun)
}

// An error of the port ends with what to do. The log has that as its hint, and says it
// once.
func TestLogSaysTheHintOnce(t *testing.T) {
	const cure = "plug the module in"
	absent := func(int) (io.ReadWriteCloser, error) {
		err := &tty.Error{Op: "open", Path: "/dev/ttyUSB0", Err: tty.ErrMissing, Hint: cure}
		return nil, &recovery.Failure{Cause: recovery.PortMissing, Hint: err.Hint, Err: err}
	}
	inWorld(t, setup{session: func(o *session.Options) { o.Open = absent }}, func(t *testing.T, w *world) {
		w.begin()
		w.reaches(time.Minute, recovery.Recovering, recovery.PortMissing)
		synctest.Wait() // the line is written behind the change of state
		for _, line := range w.log.lines() {
			var l struct{ Hint, Error string }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if l.Hint == "" {
				continue
			}
			if l.Hint != cure || strings.Contains(l.Error, cure) || !strings.Contains(l.Error, "/dev/ttyUSB0: "+tty.ErrMissing.Error()) {
				t.Errorf("hint %q, error %q", l.Hint, l.Error)
			}
			return
		}
		t.Error("no line has a hint")
	})
}
