// Package tty owns the serial port: go.bug.st/serial made safe for a daemon
// that keeps one port for years.
//
// It promises:
//
//   - Exclusive: one opener, root included. Whoever holds the port is named.
//   - Open waits for nothing, neither for a carrier nor for a peer, and finds
//     the device behind a symlink anew each time.
//   - Read blocks without polling, and never returns (0, nil).
//   - Write ends: when the other end stops taking bytes it fails with
//     [ErrWriteBlocked] after [WriteTimeout] plus the bytes' time on the line.
//   - Close ends: it frees a reader and a writer, waits until both have left and
//     only then gives the descriptor back, so that no late write can land in a
//     file that got the same number. It leaves no goroutine behind; in fact the
//     package starts none.
//   - An unplugged device ([ErrGone]) is told from an own Close ([ErrClosed]).
//
// How: the descriptor is non-blocking and belongs to the runtime's poller
// (os.File), which has had these very problems solved for sockets. The library
// sets the terminal up (see setLine) and is out of the way afterwards.
//
// It never lists ports: listing opens other people's ports and resets their
// speed. It never uses flow control: the modules ship without it (Air AT manual
// 1.6.3, AT+IFC default 0,0), so the reader must keep up.
package tty

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// WriteTimeout is what a Write may wait for the other end beyond the time
	// its bytes need on the line.
	WriteTimeout = 5 * time.Second

	// maxPiece bounds one system call, in bytes: drivers copy it under a lock.
	maxPiece = 1024

	// closeDrain is how long Close lets written bytes leave, 250 bytes at 9600
	// baud. What is left then is thrown away: the kernel would wait 30 s for it
	// inside close (closing_wait, setserial(8)).
	closeDrain = 250 * time.Millisecond
)

// Port is an open serial port. One goroutine may read while others write;
// Close may be called by any, at any time.
type Port struct {
	path    string
	file    *os.File
	closed  atomic.Bool
	closing chan struct{} // closed by Close

	// turn holds one token; whoever took it may write, and owns what follows.
	turn         chan struct{}
	baud         int
	blocked      bool // a write ended half way: nothing is written any more
	writeTimeout time.Duration
}

// Open opens the port at path, follows symlinks, takes it exclusively, sets
// 8N1 at baud (50 to 4,000,000 bit/s) without flow control and throws away what
// had been received before. Errors: ErrMissing, ErrBusy, ErrPermission.
func Open(path string, baud int) (*Port, error) {
	if err := checkBaud("open", path, baud); err != nil {
		return nil, err
	}
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, openError(path, path, nil, err)
	}
	st, err := os.Stat(device)
	if err != nil {
		return nil, openError(path, device, nil, err)
	}
	if st.Mode()&fs.ModeCharDevice == 0 { // opening a FIFO or a file could do harm
		return nil, openError(path, device, st, unix.ENOTTY)
	}
	// Non-blocking: open must not wait for carrier detect.
	file, err := os.OpenFile(device, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, openError(path, device, st, err)
	}
	if err := seize(file, path, device, st, baud); err != nil {
		_ = file.Close()
		return nil, err
	}
	p := &Port{
		path: path, file: file, baud: baud, writeTimeout: WriteTimeout,
		turn: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	p.turn <- struct{}{}
	return p, nil
}

// seize takes the opened port for us alone and sets it up. The order matters:
// nothing is changed on a port that turns out to be someone else's.
func seize(file *os.File, path, device string, st fs.FileInfo, baud int) error {
	return control(file, func(fd int) error {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return openError(path, device, st, err)
		}
		// TIOCEXCL does not bind root; the lock does, among its users.
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = unix.EBUSY
			}
			return openError(path, device, st, err)
		}
		if h, found := intruder(device); found {
			return &Error{"open", path, fmt.Errorf("%w: held by %s", ErrBusy, h), holderHint(h)}
		}
		if err := setLine(fd, baud); err != nil {
			return openError(path, device, st, err)
		}
		if err := unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
			return openError(path, device, st, err)
		}
		return nil
	})
}

// Read waits until there is at least one byte and returns what there is, up to
// len(b). It fails with ErrGone or ErrClosed, and then has read nothing.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, &Error{"read", p.path, io.ErrShortBuffer, ""}
	}
	n, err := p.file.Read(b)
	if n > 0 {
		return n, nil
	}
	return 0, p.ioError("read", err)
}

// Write writes all of b, or fails with the number of bytes the kernel took:
// ErrGone, ErrClosed, or ErrWriteBlocked, after which every further Write fails
// at once; the owner closes the port. Two Writes never mix.
func (p *Port) Write(b []byte) (int, error) {
	if err := p.take("write"); err != nil {
		return 0, err
	}
	defer p.give()
	if err := p.file.SetWriteDeadline(time.Now().Add(p.writeTimeout + wireTime(len(b), p.baud))); err != nil {
		return 0, p.ioError("write", err)
	}
	for n := 0; ; {
		m, err := p.file.Write(b[n:min(n+maxPiece, len(b))])
		n += m
		if err != nil {
			return n, p.ioError("write", err)
		}
		if n == len(b) {
			return n, nil
		}
	}
}

// SetBaud changes the line speed (50 to 4,000,000 bit/s) after what was written
// before has left. Bytes received before stay to be read.
func (p *Port) SetBaud(baud int) error {
	const op = "set baud rate"
	if err := checkBaud(op, p.path, baud); err != nil {
		return err
	}
	if err := p.take(op); err != nil {
		return err
	}
	defer p.give()
	err := control(p.file, func(fd int) error {
		if !drain(fd, p.writeTimeout) {
			return os.ErrDeadlineExceeded
		}
		return setLine(fd, baud)
	})
	if err != nil {
		return p.ioError(op, err)
	}
	p.baud = baud
	return nil
}

// Close gives the port back. Bytes already written get a quarter of a second to
// leave. It returns when a blocked Read and a blocked Write have returned
// ErrClosed and the descriptor is closed; closing again does nothing.
func (p *Port) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	close(p.closing)
	_ = p.file.SetDeadline(time.Now()) // reader and writer leave
	_ = control(p.file, func(fd int) error {
		if !drain(fd, closeDrain) {
			_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH)
		}
		// On a pseudo-terminal the flag would outlive us and shut out the next opener.
		return unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
	})
	if err := p.file.Close(); err != nil {
		return &Error{"close", p.path, err, ""}
	}
	return nil
}

// take waits for the turn to write. The holder's own deadline bounds the wait.
func (p *Port) take(op string) error {
	select {
	case <-p.turn:
	case <-p.closing:
		return &Error{op, p.path, ErrClosed, ""}
	}
	var err error
	switch {
	case p.closed.Load(): // both cases were ready
		err = ErrClosed
	case p.blocked:
		err = ErrWriteBlocked
	default:
		return nil
	}
	p.give()
	return &Error{op, p.path, err, ""}
}

func (p *Port) give() { p.turn <- struct{}{} }

// ioError tells the reasons for which the poller ends a call apart. The holder
// of the turn calls it for writes.
func (p *Port) ioError(op string, err error) error {
	switch {
	case p.closed.Load():
		return &Error{op, p.path, ErrClosed, ""}
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.blocked = true
		return &Error{op, p.path, ErrWriteBlocked, hintBlocked}
	case errors.Is(err, io.EOF): // a hang-up, seen by read
		return &Error{op, p.path, ErrGone, ""}
	}
	return &Error{op, p.path, fmt.Errorf("%w: %w", ErrGone, reason(err)), ""}
}

func checkBaud(op, path string, baud int) error {
	if baud >= minBaud && baud <= maxBaud {
		return nil
	}
	return &Error{op, path, fmt.Errorf("impossible line speed %d", baud), "use one of the usual speeds, e.g. 115200"}
}
