package session_test

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// faulty is a state directory whose calls fail on demand.
type faulty struct {
	durable.Directory

	mu   sync.Mutex
	fail func(op, name string) error
	hits int
}

func (f *faulty) set(fail func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *faulty) struck() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

func (f *faulty) call(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return nil
	}
	err := f.fail(op, name)
	if err != nil {
		f.hits++
		err = &fs.PathError{Op: op, Path: f.Path(name), Err: err}
	}
	return err
}

func (f *faulty) Read(name string) ([]byte, error) {
	if err := f.call("read", name); err != nil {
		return nil, err
	}
	return f.Directory.Read(name)
}

func (f *faulty) Create(name string) (durable.File, error) {
	if err := f.call("open", name); err != nil {
		return nil, err
	}
	file, err := f.Directory.Create(name)
	if err != nil {
		return nil, err
	}
	return faultyFile{file, f, name}, nil
}

func (f *faulty) Flush(name string) error {
	if err := f.call("sync", name); err != nil {
		return err
	}
	return f.Directory.Flush(name)
}

func (f *faulty) Rename(from, to string) error {
	if err := f.call("rename", from); err != nil {
		return err
	}
	return f.Directory.Rename(from, to)
}

func (f *faulty) Remove(name string) error {
	if err := f.call("unlink", name); err != nil {
		return err
	}
	return f.Directory.Remove(name)
}

func (f *faulty) List(dir string) ([]string, error) {
	if err := f.call("list", dir); err != nil {
		return nil, err
	}
	return f.Directory.List(dir)
}

func (f *faulty) SyncDir(dir string) error {
	if err := f.call("sync", dir); err != nil {
		return err
	}
	return f.Directory.SyncDir(dir)
}

func (f *faulty) ModTime(name string) (time.Time, error) {
	if err := f.call("stat", name); err != nil {
		return time.Time{}, err
	}
	return f.Directory.ModTime(name)
}

type faultyFile struct {
	durable.File
	f    *faulty
	name string
}

func (f faultyFile) Write(b []byte) (int, error) {
	if err := f.f.call("write", f.name); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f faultyFile) Sync() error {
	if err := f.f.call("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

// The calls of the state directory, and what they fail with. Which call fails how
// is drawn by turns; with ERRNOS=all each call meets each error in each stage.
var (
	diskCalls = []string{"read", "open", "write", "sync", "rename", "unlink", "list", "stat"}
	errnos    = []syscall.Errno{
		syscall.EIO, syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR, syscall.EROFS, syscall.ENOENT, syscall.ESTALE,
	}
)

// diskStage is a moment of a device's life at which its disk begins to fail.
type diskStage struct {
	name  string
	prior bool                   // the device has been online before, by an earlier process
	begun func(*world) bool      // from when on the disk fails
	works func(call string) bool // it is online while the disk fails
}

var diskStages = []diskStage{
	{
		name: "start", prior: true, begun: func(*world) bool { return true },
		works: func(call string) bool { return call != "read" }, // there is nothing to log in with
	},
	{
		name: "registering", begun: func(w *world) bool { return w.board.Status().State == string(recovery.Registering) },
		works: func(call string) bool { return call == "stat" }, // whether there is a secret cannot be told
	},
	{
		name: "registered", begun: func(w *world) bool { return w.cloud.Counters().Registrations > 0 },
		works: func(call string) bool { return call == "stat" },
	},
	{
		name: "authenticating", begun: func(w *world) bool { return w.board.Status().State == string(recovery.Authenticating) },
		works: func(string) bool { return true },
	},
	{
		name: "online", begun: func(w *world) bool { return w.board.Status().State == string(recovery.Online) },
		works: func(string) bool { return true },
	},
}

// Promise 3, on a disk on which each call fails in each way at each moment: the cloud
// gives the secret once, nothing that it gave is lost, a file that cannot be read is
// never taken for one that is not there, what does not need the disk goes on, and what
// does says so.
func TestStateDirectoryMeetsEveryErrno(t *testing.T) {
	t.Parallel()
	struck, n := 0, 0
	for _, stage := range diskStages {
		for _, call := range diskCalls {
			these := errnos[n%len(errnos) : n%len(errnos)+1]
			n += 4 // and 40 cells: every call meets five of nine
			if os.Getenv("ERRNOS") == "all" {
				these = errnos
			}
			for _, errno := range these {
				t.Run(fmt.Sprintf("%s/%s/%s", stage.name, call, errnoName(errno)), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { struck += stage.run(t, call, errno) })
				})
			}
		}
	}
	if struck < 100 {
		t.Errorf("only %d calls failed", struck)
	}
}

func errnoName(e syscall.Errno) string { return strings.ReplaceAll(e.Error(), " ", "-") }

// diskTrouble is how long the disk fails.
const diskTrouble = 5 * time.Minute

func (stage diskStage) run(t *testing.T, call string, errno syscall.Errno) int {
	w := newWorld(t, setup{cloud: func(o *simcloud.Options) { o.StrictRegistration = true }})
	defer w.end()
	if stage.prior {
		w.begin()
		w.reaches(5*time.Minute, recovery.Online, "")
		w.halt()
		w.store = provision.OpenIn(w.disk)
		w.options.Store = w.store
	}
	var until time.Time
	w.disk.set(func(op, name string) error {
		if until.IsZero() && stage.begun(w) {
			until = time.Now().Add(diskTrouble)
		}
		if op != call || until.IsZero() || time.Now().After(until) {
			return nil
		}
		return errno
	})
	if stage.prior {
		w.options.Store = provision.OpenIn(w.disk)
	}
	w.begin()
	hint := ""
	for begun := time.Now(); time.Since(begun) < diskTrouble-time.Minute; time.Sleep(time.Second) {
		st := w.board.Status()
		if st.Cause == string(recovery.StateUnwritable) || st.Cause == string(recovery.DiskFull) {
			hint = st.Hint
		}
		if stage.name == "online" && st.State == string(recovery.Online) && time.Since(begun) == 2*time.Minute {
			w.order("closed") // and what it does to come back
		}
	}
	st := w.board.Status()
	switch {
	case stage.works(call) && st.State != string(recovery.Online):
		t.Errorf("while the disk fails it is %s, %s: %s", st.State, st.Cause, st.Hint)
	case st.State != string(recovery.Online) && (!strings.Contains(hint, w.state) || !strings.Contains(hint, errno.Error()) && !strings.Contains(hint, "is listed, but cannot be opened")):
		t.Errorf("it is %s and does not say why: %q (%s)", st.State, hint, st.Cause)
	case call == "read" && strings.Contains(hint, "cannot be written"), call == "write" && strings.Contains(hint, "cannot be read"):
		t.Errorf("dishonest: %s", hint)
	}
	struck := w.disk.struck()
	if st.State != string(recovery.Online) {
		w.reaches(15*time.Minute, recovery.Online, "")
	}
	if m := w.publish(update, 1, "alive"); m.State != outbox.Acked {
		t.Errorf("a message ended as %s", m.State)
	}
	w.disk.set(nil)
	if c := w.cloud.Counters(); c.Registrations != 1 || c.RegistrationsRefused != 0 || c.AuthsRefused != 0 {
		t.Errorf("registered %d times, refused %d, logins refused %d", c.Registrations, c.RegistrationsRefused, c.AuthsRefused)
	}
	// What a process finds that begins now.
	again := provision.OpenIn(durable.OnDisk(w.state))
	if _, ok, err := again.DeviceSecret(provision.Identity{ProductKey: simcloud.GuideProductKey, DeviceName: simcloud.GuideDeviceName}); !ok || err != nil {
		t.Errorf("the secret is not on disk afterwards: %v", err)
	}
	return struck
}
