package ipc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of Listen; both come wrapped with the path and what to do.
var (
	// ErrRunning means that somebody answers on the socket already.
	ErrRunning = errors.New("another airbridged is running")
	// ErrInTheWay means that the path holds something that is no socket.
	ErrInTheWay = errors.New("something that is no socket is in the way")
)

// maxSocketPath is what fits into sockaddr_un with its closing NUL (unix(7)).
const maxSocketPath = 107

// lockTime bounds the wait for another process that makes a socket in the same
// directory right now.
const lockTime = 2 * time.Second

// Listen makes the Unix socket at path, with the permission bits of mode and,
// when group is not empty, owned by that group (a name or a number). A socket
// that a dead daemon left is removed; one that answers is [ErrRunning]. The
// directory is made with mode 0755 when it is missing. At no moment is the
// socket open to more users than mode says. Closing the listener removes the
// socket.
func Listen(path string, mode fs.FileMode, group string) (net.Listener, error) {
	l, err := listen(path, mode, group)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return &ours{UnixListener: l}, nil
}

func listen(path string, mode fs.FileMode, group string) (*net.UnixListener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path has %d bytes and the kernel takes %d: choose a shorter socket path", len(path), maxSocketPath)
	}
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	// Two daemons that start at once must not remove each other's socket.
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("%w: let the daemon's user write to %s, or choose another socket path", err, dir)
	}
	if err := open(path, mode, gid); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// ours is a socket that this process has made. It leaves nobody behind who has connected
// and was not accepted; on one that is handed over, they wait for the next process.
type ours struct {
	*net.UnixListener
	once sync.Once
	err  error // of the first Close
}

// drainTime bounds it.
const drainTime = 100 * time.Millisecond

// Close removes the socket, lets the goroutine that accepts take those who came before,
// and closes it. It may be called again: the path may be another process's by then.
func (l *ours) Close() error {
	l.once.Do(func() {
		l.SetUnlinkOnClose(false)
		removed := os.Remove(l.Addr().String())
		for quiet, end := 0, time.Now().Add(drainTime); quiet < 3 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			if quiet++; l.waits() { // whoever found the socket just before is in the middle of it
				quiet = 0
			}
		}
		l.err = l.UnixListener.Close()
		if l.err == nil && !errors.Is(removed, fs.ErrNotExist) {
			l.err = removed
		}
	})
	return l.err
}

// waits says whether somebody has connected and was not accepted.
func (l *ours) waits() (some bool) {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		some = err == nil && n > 0
	})
	return some
}

// groupID finds a group's number; -1 leaves the group as it is.
func groupID(group string) (int, error) {
	if group == "" {
		return -1, nil
	}
	if gid, err := strconv.Atoi(group); err == nil && gid >= 0 {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("%w: make the group with `groupadd --system %s`, or set another socket group", err, group)
	}
	return strconv.Atoi(g.Gid)
}

// makeDir makes the socket's directory where it is missing, and does not touch
// one that is there.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, 0o755) // whatever the umask says
	}
	if err != nil {
		return fmt.Errorf("%w: make the directory by hand, or let the service manager do it (RuntimeDirectory=)", err)
	}
	return nil
}

// lockDir holds the directory's lock; it leaves no file behind.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockTime); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = d.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR), time.Now().After(end):
			_ = d.Close()
			return nil, fmt.Errorf("lock of directory %s: %w: is another daemon starting?", dir, err)
		}
	}
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%w: remove it, or choose another socket path", ErrInTheWay)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = c.Close()
		return fmt.Errorf("%w and answers here: stop it first, or give this one a socket of its own", ErrRunning)
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w, though it accepts no connections now: stop it first", ErrRunning)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: the socket belongs to another user, and whether it is in use cannot be seen: stop that daemon, or remove the socket", err)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return err
	}
	return os.Remove(path)
}

// listenPrivate makes the socket for the daemon's own user only. The mode is
// set on the descriptor before bind(2), which Linux takes over into the file
// system (less the umask); changing the umask would change it for every
// goroutine.
func listenPrivate(path string) (*net.UnixListener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmodErr error
		if err := c.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) }); err != nil {
			return err
		}
		return chmodErr
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// open lets in those who may, group first: no moment has the mode with the
// wrong group.
func open(path string, mode fs.FileMode, gid int) error {
	if gid >= 0 {
		if err := os.Lchown(path, -1, gid); err != nil {
			return fmt.Errorf("%w: the daemon's user must be a member of the socket group", err)
		}
	}
	return os.Chmod(path, mode.Perm())
}
