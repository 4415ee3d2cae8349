package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestOpenMakesTheDirectoryItsOwn(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	mode := func(dir string) fs.FileMode {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	deep := filepath.Join(base, "a/b/state")
	if _, err := Open(deep + "/"); err != nil || mode(deep) != 0o700 {
		t.Error(err, mode(deep))
	}
	loose := filepath.Join(base, "loose")
	if err := errors.Join(os.Mkdir(loose, 0o700), os.Chmod(loose, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(loose); err != nil || mode(loose) != 0o700 {
		t.Error(err, mode(loose))
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(deep, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(link); err != nil {
		t.Error("a symbolic link, as systemd makes for DynamicUser=:", err)
	}
	plain := filepath.Join(base, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sticky := filepath.Join(base, "sticky")
	if err := errors.Join(os.Mkdir(sticky, 0o700), os.Chmod(sticky, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		plain:        "open state directory " + plain + ": this is a file; remove it",
		plain + "/x": "not a directory",
		sticky:       "belongs to everybody",
		"/":          "belongs to everybody",
	} {
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrUnwritable) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if mode(sticky) != 0o777 {
		t.Error("a shared directory was closed")
	}
	if os.Geteuid() == 0 {
		other := filepath.Join(base, "other")
		if err := errors.Join(os.Mkdir(other, 0o755), os.Chown(other, 12345, -1)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(other); err == nil || !strings.Contains(err.Error(), "belongs to uid 12345, this program runs as uid 0") || mode(other) != 0o755 {
			t.Error(err)
		}
	} else if _, err := Open("/etc"); err == nil || !strings.Contains(err.Error(), "belongs to uid 0") {
		t.Error(err)
	}
}

// asNobody runs f without the powers of root over files, if there are any.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread ends with the goroutine, and its user with it.
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			t.Error(errno)
			return
		}
		f()
	}()
	<-done
}

// A directory that cannot be written to: Prove says so before a secret is
// asked for, and what is stored can still be read.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	if err := s.SaveDeviceSecret(guide, guideDevice); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		// Nobody must get there.
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o555); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, credentialsFile), 0o444); err != nil {
			t.Fatal(err)
		}
	} else if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			_ = os.Chmod(d, 0o700)
		}
	})
	asNobody(t, func() {
		err := s.Prove()
		if !errors.Is(err, ErrUnwritable) || !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrFull) {
			t.Error(err)
		}
		if want := fmt.Sprintf("write %s/probe.tmp: permission denied; make it belong to uid %d, which this program runs as", dir, os.Geteuid()); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if err := s.SaveDeviceSecret(guide, older); !errors.Is(err, ErrUnwritable) {
			t.Error(err)
		}
		have(t, s, guide, guideDevice)
	})
}

// A full file system, a real one where the test may mount one.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32k,mode=700"); err != nil {
		t.Skip("cannot mount a small file system here; the disk of the power cut tests is full too: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Prove(), s.SaveDeviceSecret(guide, guideDevice)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 64<<10), 0o600); err == nil {
		t.Fatal("not full")
	}
	if err := s.Prove(); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), dir) || !strings.HasSuffix(err.Error(), "no space left on device; free some space there") {
		t.Error(err)
	}
	if err := s.SaveDeviceSecret(guide, older); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	have(t, s, guide, guideDevice)
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	if err := s.Prove(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Error(err, left)
	}
}
