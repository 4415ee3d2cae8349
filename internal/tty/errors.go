package tty

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The conditions a caller can act upon. Every error of this package is an
// [*Error] that wraps exactly one of them, or says that the caller passed
// something impossible.
var (
	// ErrMissing: there is no serial port at that path (not plugged in, still
	// enumerating, a dangling symlink, or something that is not a terminal).
	ErrMissing = errors.New("no serial port there")
	// ErrBusy: another process has the port.
	ErrBusy = errors.New("serial port is in use")
	// ErrPermission: the device node may not be opened by this user.
	ErrPermission = errors.New("no permission for the serial port")
	// ErrGone: the port was there and is not any more: unplugged, the module
	// power-cycled, or the other end of a pseudo-terminal closed. Close the
	// port and open it again by its path.
	ErrGone = errors.New("serial port is gone")
	// ErrClosed: this program closed the port.
	ErrClosed = errors.New("serial port was closed here")
	// ErrWriteBlocked: the other end stopped taking bytes. How much of the
	// command it took is unknown, so the port writes nothing any more.
	ErrWriteBlocked = errors.New("serial port takes no bytes")
)

// Error is what every function of this package returns.
type Error struct {
	Op   string // "open", "read", "write", "close", "set baud rate"
	Path string // as it was given to Open
	Err  error  // one of the sentinels, or wraps one
	Hint string // what the operator can do; empty where there is nothing to do
}

// Error gives operation, path, condition and hint.
func (e *Error) Error() string {
	s := e.Op + " " + e.Path + ": " + e.Err.Error()
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap makes errors.Is find the sentinel.
func (e *Error) Unwrap() error { return e.Err }

const (
	hintMissing = "check that the module is plugged in and powered; ls -l /dev/serial/by-path shows the ports that exist; " +
		"a udev rule with SYMLINK+= gives the module one name that survives replugging"
	hintNotSerial = "modem.device must name a serial port such as /dev/ttyUSB0 or a udev symlink to one"
	hintDead      = "the device node exists but nothing answers behind it; a module that is restarting comes back by itself, " +
		"otherwise check its power and its driver (dmesg)"
	hintBlocked = "the module or its USB driver hangs; reopen the port, then reset the module"
)

// openError turns the system's answer to an open into a sentinel with a hint.
// st may be nil when the node could not be examined.
func openError(path, device string, st fs.FileInfo, err error) *Error {
	e := &Error{Op: "open", Path: path}
	switch {
	case errors.Is(err, unix.EBUSY):
		e.Hint, e.Err = busy(device)
	case errors.Is(err, fs.ErrPermission):
		e.Err, e.Hint = fmt.Errorf("%w: %w", ErrPermission, reason(err)), permissionHint(device, st, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		e.Err, e.Hint = fmt.Errorf("%w: %w", ErrMissing, reason(err)), hintMissing
		if target, lerr := os.Readlink(path); lerr == nil {
			e.Hint = "the symlink points to " + target + ", which does not exist now; " + hintMissing
		}
	case errors.Is(err, unix.ENOTTY):
		e.Err, e.Hint = fmt.Errorf("%w: it is not a terminal device", ErrMissing), hintNotSerial
	default: // ENXIO, ENODEV, EIO: a node without a device
		e.Err, e.Hint = fmt.Errorf("%w: %w", ErrMissing, reason(err)), hintDead
	}
	return e
}

// reason strips the path and the call from a system error: both are in Error.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
