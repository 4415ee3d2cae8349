package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"airbridged/internal/durable"
)

func TestReplace(t *testing.T) {
	dir := durable.OnDisk(t.TempDir())
	path := dir.Path("x.json")
	for _, content := range []string{"a long first content", "short", ""} {
		if err := durable.Replace(dir, "x.json", []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if left, err := os.ReadDir(string(dir)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// What cannot be written whole does not touch what is there.
func TestReplaceLeavesTheOldOnFailure(t *testing.T) {
	dir := durable.OnDisk(t.TempDir())
	if err := durable.Replace(dir, "x.json", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir.Path("x.json.tmp/in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(dir, "x.json", []byte("new")); err == nil {
		t.Error("no error")
	}
	if got, _ := os.ReadFile(dir.Path("x.json")); string(got) != "old" {
		t.Errorf("%q", got)
	}
	if err := durable.Replace(durable.OnDisk(dir.Path("no")), "x.json", nil); err == nil {
		t.Error("no error without a directory")
	}
}

type level struct {
	Height int `json:"height"`
}

// absurd puts something under a name that is no file of ours, and says what
// becomes of reading it.
var absurd = map[string]struct {
	put  func(path string) error
	want error
}{
	"a FIFO":               {func(p string) error { return syscall.Mkfifo(p, 0o600) }, durable.ErrNotRegular},
	"a directory":          {func(p string) error { return os.Mkdir(p, 0o700) }, durable.ErrNotRegular},
	"a device":             {func(p string) error { return os.Symlink("/dev/zero", p) }, durable.ErrNotRegular},
	"a terminal":           {func(p string) error { return os.Symlink("/dev/ptmx", p) }, durable.ErrNotRegular},
	"a link to itself":     {func(p string) error { return os.Symlink(p, p) }, durable.ErrNotRegular},
	"a link to nothing":    {func(p string) error { return os.Symlink("nothing", p) }, durable.ErrNotRegular},
	"a sparse file, 40 GB": {func(p string) error { return sparse(p, 40<<30) }, durable.ErrTooLarge},
	"zeros":                {func(p string) error { return os.WriteFile(p, make([]byte, 200), 0o600) }, durable.ErrDamaged},
	"empty":                {func(p string) error { return os.WriteFile(p, nil, 0o600) }, durable.ErrDamaged},
	"cut off":              {func(p string) error { return os.WriteFile(p, []byte(`{"height":1`), 0o600) }, durable.ErrDamaged},
	"of another type":      {func(p string) error { return os.WriteFile(p, []byte(`{"height":"x"}`), 0o600) }, durable.ErrDamaged},
	"nothing":              {func(string) error { return nil }, fs.ErrNotExist},
}

func sparse(path string, size int64) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

// A FIFO as data.json, modem.json, speed.json, line.json or resets.json held up
// the start for ever, and SIGTERM did not end it; a large file took all memory.
// Whatever stands there is told, and the next save puts it right, but for a
// directory, which may hold somebody's files.
func TestNoteMeetsAbsurdFiles(t *testing.T) {
	for name, c := range absurd {
		t.Run(name, func(t *testing.T) {
			dir := durable.OnDisk(t.TempDir())
			if err := c.put(dir.Path("level.json")); err != nil {
				t.Fatal(err)
			}
			note := durable.NewNote[level](dir, "level.json")
			loaded := make(chan error, 1)
			go func() {
				_, err := note.Load()
				loaded <- err
			}()
			select {
			case err := <-loaded:
				if !errors.Is(err, c.want) {
					t.Errorf("loading: %v, want %v", err, c.want)
				}
				if got := durable.Verdict(err); got != (c.want != fs.ErrNotExist) {
					t.Errorf("a verdict on the file: %v", got)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("loading hangs")
			}
			err := note.Save(level{7})
			if name == "a directory" {
				if err == nil {
					t.Error("a directory was replaced")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v, err := note.Load(); err != nil || v.Height != 7 {
				t.Errorf("after a save: %v %v", v, err)
			}
		})
	}
}

// A file that cannot be opened now is there all the same.
func TestAFailedReadIsNoVerdict(t *testing.T) {
	dir := durable.OnDisk(t.TempDir())
	note := durable.NewNote[level](dir, "level.json")
	if err := note.Save(level{7}); err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := note.Load()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) || durable.Verdict(err) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestNoteRemove(t *testing.T) {
	note := durable.NewNote[level](durable.OnDisk(t.TempDir()), "level.json")
	for range 2 {
		if err := note.Remove(); err != nil {
			t.Fatal(err)
		}
		if err := note.Save(level{1}); err != nil {
			t.Fatal(err)
		}
	}
	var none durable.Note[level]
	if _, err := none.Load(); !errors.Is(err, fs.ErrNotExist) || none.Save(level{1}) != nil || none.Remove() != nil {
		t.Error(err)
	}
}

func TestCounted(t *testing.T) {
	dir := durable.Count(durable.OnDisk(t.TempDir()))
	if err := durable.Replace(dir, "x", bytes.Repeat([]byte("x"), 100)); err != nil || dir.Written() != 100 {
		t.Error(dir.Written(), err)
	}
}

// holdLock is set for the process that has the lock in TestLock.
const holdLock = "DURABLE_TEST_LOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdLock); dir != "" {
		if _, err := durable.TakeLock(dir); err != nil {
			os.Exit(3)
		}
		_, _ = os.Stdout.WriteString("held\n")
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Two daemons in one directory overwrite each other. The lock is the directory's
// own: nothing in it can be removed to get past it, and it names who has it.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), holdLock+"="+dir)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_, err = durable.TakeLock(dir)
	if !errors.Is(err, durable.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(other.Process.Pid)) {
		t.Errorf("%v: wants the directory and process %d", err, other.Process.Pid)
	}
	_ = in.Close()
	_ = other.Wait()
	lock, err := durable.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(keep(lock), lock.Release(), lock.Release()); err != nil {
		t.Error(err)
	}
}

// A directory that is mounted over, or moved away and made anew, is another one:
// the lock follows the path, unless somebody else has locked it there.
func TestLockFollowsItsPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := durable.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release() }()
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := keep(lock); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	theirs, err := durable.TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := keep(lock); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("somebody else's directory: %v", err)
	}
	if err := theirs.Release(); err != nil {
		t.Fatal(err)
	}
	if err := keep(lock); err != nil {
		t.Error(err)
	}
	if _, err := durable.TakeLock(dir); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("the new directory is not locked: %v", err)
	}
}

func keep(l *durable.Lock) error {
	_, err := l.Keep()
	return err
}

// A directory tells how it is: what could not be read or written at the last try,
// whether it is gone, and whether it is another one than before.
func TestHeldKnowsHowItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := durable.Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Release() }()
	look := func(want durable.Condition, wantMoved bool) {
		t.Helper()
		if c, moved, err := h.Look(); c != want || moved != wantMoved || (err == nil) != (want == durable.Sound) {
			t.Errorf("condition %v, moved %v, %v; want %v %v", c, moved, err, want, wantMoved)
		}
	}
	look(durable.Sound, false)
	note := durable.NewNote[level](h, "level.json")
	if _, err := note.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := note.Save(level{1}); err != nil {
		t.Error(err)
	}
	look(durable.Sound, false)
	if err := os.MkdirAll(filepath.Join(path, "level.json.tmp", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := note.Save(level{2}); err == nil {
		t.Error("saved")
	}
	look(durable.Failing, false)
	if err := os.RemoveAll(filepath.Join(path, "level.json.tmp")); err != nil {
		t.Fatal(err)
	}
	look(durable.Failing, false) // until something was written
	if err := note.Save(level{2}); err != nil {
		t.Error(err)
	}
	look(durable.Sound, false)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	look(durable.Gone, false)
	if err := note.Save(level{3}); err == nil {
		t.Error("saved into nothing")
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	other, err := durable.Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	look(durable.Gone, false)
	if err := note.Save(level{3}); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("another process's directory: %v", err)
	}
	if left, _ := os.ReadDir(path); len(left) != 0 {
		t.Errorf("written there: %v", left)
	}
	if err := other.Release(); err != nil {
		t.Fatal(err)
	}
	if c, moved, _ := h.Look(); c == durable.Gone || !moved {
		t.Errorf("a directory of its own again: %v %v", c, moved)
	}
	if err := note.Save(level{3}); err != nil {
		t.Error(err)
	}
	look(durable.Sound, false)
}

// A file system that is mounted read-only, or goes so after an error, can be held
// and read.
func TestHeldReadOnly(t *testing.T) {
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skip("cannot mount a file system here: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	note := durable.NewNote[level](durable.OnDisk(path), "level.json")
	if err := note.Save(level{7}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip(err)
	}
	h, err := durable.Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Release() }()
	note = durable.NewNote[level](h, "level.json")
	if v, err := note.Load(); err != nil || v.Height != 7 {
		t.Error(v, err)
	}
	if c, _, err := h.Look(); c != durable.ReadOnly || !errors.Is(err, syscall.EROFS) {
		t.Error(c, err)
	}
	if err := note.Save(level{8}); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
}
