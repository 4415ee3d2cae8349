package session_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// errKilled is what a daemon that was killed meets, so that it ends.
var errKilled = errors.New("killed")

// killer kills the daemon at one of the bytes that go over the port, counted from
// the first write that holds a word: just before a write, or with the bytes of a
// read in hand that nobody has seen. What is on disk in that moment is what the
// next start finds; what the killed one still does is done to nobody.
type killer struct {
	w     *world
	since string
	at    int // which one; 0: never

	mu     sync.Mutex // the session writes, its reader reads, the test looks on
	asleep bool       // nothing counts
	begun  bool
	events int
	image  string // the state directory at the moment of death; empty: alive
}

// dead says whether it has happened.
func (k *killer) dead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.image != ""
}

// sleep lets nothing count for now, or begins to.
func (k *killer) sleep(yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asleep, k.begun = yes, false
}

func (k *killer) open(int) (io.ReadWriteCloser, error) {
	if k.dead() {
		return nil, &recovery.Failure{Cause: recovery.PortMissing, Err: errKilled}
	}
	return &mortal{k.w.module.Open(), k}, nil
}

// event counts what goes over the port, and says whether the daemon is dead.
func (k *killer) event(written []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begun = k.begun || strings.Contains(string(written), k.since)
	if k.image == "" && k.begun && !k.asleep {
		if k.events++; k.events == k.at {
			k.image = filepath.Join(k.w.dir, "image")
			if err := os.CopyFS(k.image, os.DirFS(k.w.state)); err != nil {
				k.w.Error(err)
			}
		}
	}
	return k.image != ""
}

type mortal struct {
	io.ReadWriteCloser
	k *killer
}

func (m *mortal) Write(b []byte) (int, error) {
	if m.k.event(b) {
		return 0, errKilled
	}
	return m.ReadWriteCloser.Write(b)
}

func (m *mortal) Read(b []byte) (int, error) {
	n, err := m.ReadWriteCloser.Read(b)
	if m.k.event(nil) {
		return 0, errKilled
	}
	return n, err
}

// restart begins anew with what the killed daemon left on disk.
func (k *killer) restart() {
	k.w.Helper()
	k.w.halt()
	if err := os.Chmod(k.image, 0o700); err != nil {
		k.w.Fatal(err)
	}
	store, err := provision.Open(k.image)
	if err != nil {
		k.w.Fatal(err)
	}
	k.w.state, k.w.options.State, k.w.options.Store, k.w.store = k.image, durable.OnDisk(k.image), store, store
	k.w.options.Open = func(int) (io.ReadWriteCloser, error) { return k.w.module.Open(), nil }
	k.w.begin()
}

// Promise 3: the daemon is killed at every moment of a registration. The cloud
// gives the secret once, and whenever it has given it, the next start has it:
// on disk, or still in the module. (A daemon that sent HTTPTERM before it saved
// the answer lost it for good when it was killed between the two.)
func TestKillAtEveryMomentOfARegistration(t *testing.T) {
	t.Parallel()
	given := 0
	for at := 1; ; at++ {
		died := true
		inWorld(t, setup{
			module: func(o *airsim.Options) { o.Latency = false },
			cloud:  func(o *simcloud.Options) { o.StrictRegistration = true },
		}, func(t *testing.T, w *world) {
			k := &killer{w: w, since: "AT+HTTPINIT", at: at}
			w.options.Open = k.open
			w.begin()
			for !k.dead() && w.board.Status().State != string(recovery.Online) {
				time.Sleep(time.Millisecond)
			}
			if died = k.dead(); !died {
				return
			}
			if w.cloud.Counters().Registrations > 0 {
				given++
			}
			k.restart()
			w.reaches(20*time.Minute, recovery.Online, "")
			if c := w.cloud.Counters(); c.Registrations != 1 || c.RegistrationsRefused != 0 {
				t.Errorf("killed at byte event %d: %+v", at, c)
			}
			if m := w.publish(update, 1, "alive"); m.State != outbox.Acked {
				t.Errorf("a message ended as %s", m.State)
			}
		})
		if !died || t.Failed() {
			t.Logf("%d moments, the cloud had given the secret in %d of them", at-1, given)
			break
		}
	}
	if given < 20 {
		t.Errorf("only %d of the moments were between the cloud's answer and the end", given)
	}
}

// A bit that flips on the serial line in the answer to a registration would be
// stored as a DeviceSecret that the cloud does not know, and the true one be gone.
// The answer is read again until two readings are the same.
func TestFlippedBitInARegistrationIsNotStored(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		inWorld(t, setup{
			module: func(o *airsim.Options) { o.Seed = seed },
			cloud:  func(o *simcloud.Options) { o.StrictRegistration = true },
		}, func(t *testing.T, w *world) {
			w.order("corrupt +HTTPREAD")
			w.begin()
			w.reaches(5*time.Minute, recovery.Online, "")
			if c := w.cloud.Counters(); c.Registrations != 1 || c.RegistrationsRefused != 0 || c.AuthsRefused != 0 {
				t.Errorf("seed %d: %+v", seed, c)
			}
		})
	}
}
