package tty

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// The line speeds that can be asked for, in bit/s. The modules do 9600 to
// 921600 (Air AT manual 1.6.3, AT+IPR); the limits are the library's.
const (
	minBaud = 50
	maxBaud = 4_000_000
)

// wireTime is how long n bytes need on the line: 8N1 is ten bit times a byte.
func wireTime(n, baud int) time.Duration {
	return time.Duration(n) * 10 * time.Second / time.Duration(baud)
}

// setLine puts the line into raw mode, 8N1, without any flow control, at baud,
// and leaves it marked exclusive.
//
// go.bug.st/serial does the terminal settings, over a descriptor of its own
// that lives only during this call. It is not used to read and write: its
// Write cannot be interrupted, a Write after its Close goes to whatever file
// has the number then, and its Read ends the program once a descriptor number
// is above 1023 (select). It also opens without close-on-exec, therefore the
// fork lock: no program started meanwhile (a reset command) inherits the port.
// /proc must be mounted.
func setLine(fd, baud int) error {
	// The flag binds ourselves too when we are not root.
	if err := unix.IoctlSetInt(fd, unix.TIOCNXCL, 0); err != nil {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	// By descriptor, not by name: the name may belong to another device by now.
	lib, err := serial.Open(fmt.Sprintf("/proc/self/fd/%d", fd), &serial.Mode{
		BaudRate: baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit,
	})
	if err != nil {
		return libraryError(err)
	}
	if err := lib.Close(); err != nil { // takes the exclusive flag away, so:
		return err
	}
	return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0)
}

// libraryError undoes the library's renaming of system errors.
func libraryError(err error) error {
	var perr *serial.PortError
	if errors.As(err, &perr) {
		switch perr.Code() {
		case serial.PortBusy:
			return unix.EBUSY
		case serial.PermissionDenied:
			return unix.EACCES
		}
	}
	return err
}

// drain waits until the kernel has handed everything written to the line, at
// most limit, and says whether it did. tcdrain would wait for ever.
func drain(fd int, limit time.Duration) bool {
	const poll = 2 * time.Millisecond
	for end := time.Now().Add(limit); ; time.Sleep(poll) {
		waiting, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
		if err != nil || waiting == 0 {
			return true // nothing left, or no device left to hand it to
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// control runs f with the descriptor and keeps the file from being closed
// meanwhile. (os.File.Fd would put the descriptor into blocking mode.)
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}
