package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// ErrLocked: another process works in the directory, for errors.Is.
var ErrLocked = errors.New("in use by another process")

// Lock keeps a directory for one process. It is on the directory itself
// (flock(2)), not on a file in it: nobody opens a second door by removing a file,
// and a file system that is mounted read-only can be locked too.
type Lock struct {
	path string

	mu   sync.Mutex
	held *os.File // of the directory
}

// TakeLock locks a directory until Release or the end of the process. Errors:
// ErrLocked, with who has it where the kernel tells, or what the file system says.
func TakeLock(dir string) (*Lock, error) {
	f, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	return &Lock{path: dir, held: f}, nil
}

// Keep makes sure that the lock is on the directory which has the path now: one
// that was mounted or made there meanwhile is locked too. The error says why what
// is written there may be another process's, or would go nowhere. moved says that
// it is on another directory than before.
func (l *Lock) Keep() (moved bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, err := os.Stat(l.path)
	if err != nil {
		return false, err
	}
	if l.held == nil {
		return false, fs.ErrClosed
	}
	if then, err := l.held.Stat(); err == nil && os.SameFile(then, now) {
		return false, nil
	}
	f, err := lockDirectory(l.path)
	if err != nil {
		return false, err
	}
	_ = l.held.Close()
	l.held = f
	return true, nil
}

// Release lets the next one in.
func (l *Lock) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		return nil
	}
	err := l.held.Close()
	l.held = nil
	return err
}

func lockDirectory(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	err = flock(f)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%s is %w%s", dir, ErrLocked, holder(f))
	} else {
		err = &fs.PathError{Op: "lock", Path: dir, Err: err}
	}
	_ = f.Close()
	return nil, err
}

// flock locks a directory. Network file systems turn it into a lock of bytes,
// which a directory cannot have (flock(2), NFS): there, and where there are no
// locks at all, the one who keeps the file system has to see to it.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EBADF), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EISDIR):
			return nil
		default:
			return err
		}
	}
}

// holder names the process that has a directory locked, by what the kernel tells
// (proc(5), /proc/locks), or is empty.
func holder(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	pid := lockedBy(string(locks), uint64(st.Dev), st.Ino)
	if pid <= 0 {
		return ""
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf(" (process %d)", pid)
	}
	return fmt.Sprintf(" (%s, process %d)", strings.TrimSpace(string(comm)), pid)
}

// lockedBy finds the process in lines such as
// "1: FLOCK  ADVISORY  WRITE 1234 fe:00:131 0 EOF"; 0: not there.
func lockedBy(locks string, dev, ino uint64) int {
	major, minor := dev>>8&0xfff|dev>>32&^0xfff, dev&0xff|dev>>12&^0xff // gnu_dev_major(3)
	file := fmt.Sprintf("%02x:%02x:%d", major, uint32(minor), ino)
	for line := range strings.Lines(locks) {
		w := strings.Fields(line)
		if len(w) >= 6 && w[1] == "FLOCK" && w[5] == file {
			pid, _ := strconv.Atoi(w[4])
			return pid
		}
	}
	return 0
}
