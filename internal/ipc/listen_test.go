package ipc

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// staleSocket leaves a socket as a killed daemon does.
func staleSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestListenMakesTheSocketAndItsDirectory(t *testing.T) {
	dir := filepath.Join(socketDir(t), "run", "airbridged")
	path := filepath.Join(dir, "api.sock")
	old := syscall.Umask(0o077)
	l, err := Listen(path, 0o660, strconv.Itoa(os.Getgid()))
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{dir: fs.ModeDir | 0o755, path: fs.ModeSocket | 0o660} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestListenSetsTheGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a file to any group")
	}
	group, err := user.LookupGroup("daemon")
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(socketDir(t), "api.sock")
	l, err := Listen(path, 0o660, "daemon")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; strconv.Itoa(int(gid)) != group.Gid {
		t.Errorf("group %d, want %s", gid, group.Gid)
	}
}

func TestListenReplacesASocketThatADeadDaemonLeft(t *testing.T) {
	path := filepath.Join(socketDir(t), "api.sock")
	staleSocket(t, path)
	l, err := Listen(path, 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestListenRefuses(t *testing.T) {
	dir := socketDir(t)
	live := filepath.Join(dir, "live.sock")
	l, err := Listen(live, 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path, group string
		is                error
		says              string
	}{
		{"a live daemon", live, "", ErrRunning, "stop it first"},
		{"a file in the way", file, "", ErrInTheWay, "remove it"},
		{"a directory in the way", dir, "", ErrInTheWay, "another socket path"},
		{"a path that is too long", filepath.Join(dir, strings.Repeat("x", 100)), "", nil, "the kernel takes 107"},
		{"an unknown group", filepath.Join(dir, "s"), "no-such-group", nil, "groupadd"},
		{"a file where a directory must be", filepath.Join(file, "s"), "", nil, "not a directory"},
	} {
		l, err := Listen(c.path, 0o600, c.group)
		if err == nil {
			_ = l.Close()
			t.Errorf("%s: accepted", c.name)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
	if c, err := net.Dial("unix", live); err != nil {
		t.Errorf("the live socket was touched: %v", err)
	} else {
		_ = c.Close()
	}
}

// Daemons that start at the same moment over one stale socket: exactly one gets
// it. Without the lock one removes the socket that another has just made.
func TestListenAtOnceHasOneWinner(t *testing.T) {
	for range 20 {
		path := filepath.Join(socketDir(t), "api.sock")
		staleSocket(t, path)
		var all sync.WaitGroup
		var won atomic.Int32
		var listeners [8]net.Listener
		for i := range listeners {
			all.Go(func() {
				l, err := Listen(path, 0o600, "")
				switch {
				case err == nil:
					won.Add(1)
					listeners[i] = l
				case !errors.Is(err, ErrRunning):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("%d winners", won.Load())
		}
		for _, l := range listeners {
			if l != nil {
				_ = l.Close()
			}
		}
	}
}

// At no moment may others connect: the socket is made for its owner only, and
// only then given its mode.
func TestSocketIsPrivateUntilItHasItsMode(t *testing.T) {
	path := filepath.Join(socketDir(t), "api.sock")
	old := syscall.Umask(0)
	l, err := listenPrivate(path)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}
