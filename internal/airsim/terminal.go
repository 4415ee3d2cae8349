package airsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is the module's side of a pseudo-terminal whose other side is a
// serial port to any program. It is made for [Module.Attach] and
// [Module.Serve].
//
// It keeps the host's side open itself, so that a host may come and go. What the
// module prints while no host has the port open is lost, as on a real line, and
// what the last host left behind, unread output, its speed and its exclusive
// lock, is cleared when it closes.
type Terminal struct {
	master, slave *os.File
	path          string
	baud          int
	transit       time.Duration
	watch         *os.File // inotify on path; nil where that is not to be had
	watching      sync.WaitGroup

	mu    sync.Mutex
	hosts int // how many have the port open
}

// OpenTerminal makes a pseudo-terminal in raw mode. baud is the speed that the
// port has until a host sets another one; 0 is 115200.
func OpenTerminal(baud int) (*Terminal, error) {
	if baud == 0 {
		baud = defaultRate
	}
	t := &Terminal{baud: baud}
	if err := t.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("make a pseudo-terminal: %w", err), t.Close())
	}
	if err := t.raw(); err != nil {
		return nil, errors.Join(fmt.Errorf("set %s to raw mode: %w", t.path, err), t.Close())
	}
	var err error
	if t.transit, err = t.measure(); err != nil {
		return nil, errors.Join(fmt.Errorf("try %s: %w", t.path, err), t.Close())
	}
	t.follow()
	return t, nil
}

// open asks the kernel for a pair. Both sides stay with the runtime's poller, so
// that closing ends a read that waits.
func (t *Terminal) open() (err error) {
	if t.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return err
	}
	err = control(t.master, func(fd int) error {
		n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		if err != nil {
			return err
		}
		t.path = fmt.Sprintf("/dev/pts/%d", n)
		return unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	})
	if err != nil {
		return err
	}
	t.slave, err = os.OpenFile(t.path, os.O_RDWR|unix.O_NOCTTY, 0)
	return err
}

// Path is the name that a host opens, such as /dev/pts/7.
func (t *Terminal) Path() string { return t.path }

// Read returns what the host wrote.
func (t *Terminal) Read(p []byte) (int, error) { return t.master.Read(p) }

// Write gives bytes to the host, or loses them when there is none.
func (t *Terminal) Write(p []byte) (int, error) {
	if !t.attended() {
		return len(p), nil
	}
	return t.master.Write(p)
}

// Close takes the port away: the host sees a hang-up. It returns when the
// terminal's goroutine is gone.
func (t *Terminal) Close() error {
	var err error
	for _, f := range []*os.File{t.watch, t.master, t.slave} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	t.watching.Wait()
	return err
}

// HostBaud is the speed that the host has configured, in bits a second.
func (t *Terminal) HostBaud() int {
	var baud int
	_ = control(t.master, func(fd int) error {
		attr, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err == nil {
			baud = int(attr.Ospeed)
		}
		return err
	})
	return baud
}

// Transit is the time from a host's write to the return of the module's read, as
// measured when the terminal was made. On a UART the first bit leaves with the
// write; here the kernel and the scheduler come first, and they must not be
// taken for the wire.
func (t *Terminal) Transit() time.Duration { return t.transit }

// measure takes the median of a few passes from the host's side to the
// module's, each after a pause as between commands: a processor that rests takes
// longer to wake.
func (t *Terminal) measure() (time.Duration, error) {
	var passes [31]time.Duration
	buf := make([]byte, 16)
	for i := range passes {
		time.Sleep(time.Millisecond)
		begin := time.Now()
		if _, err := t.slave.Write(buf[:1]); err != nil {
			return 0, err
		}
		if _, err := t.master.Read(buf); err != nil {
			return 0, err
		}
		passes[i] = time.Since(begin)
	}
	slices.Sort(passes[:])
	return passes[len(passes)/2], nil
}

// Stall stops the flow from the host, whose writes then block at once, or lets
// it go on.
func (t *Terminal) Stall(on bool) error {
	how := unix.TCOON
	if on {
		how = unix.TCOOFF
	}
	return control(t.slave, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCXONC, how) })
}

// raw sets the port as a serial driver would come up: no echo, no translation,
// eight bits, the given speed.
func (t *Terminal) raw() error {
	return control(t.slave, func(fd int) error {
		attr, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return err
		}
		attr.Iflag, attr.Oflag, attr.Lflag = 0, 0, 0
		attr.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.BOTHER
		attr.Ispeed, attr.Ospeed = uint32(t.baud), uint32(t.baud)
		attr.Cc[unix.VMIN], attr.Cc[unix.VTIME] = 1, 0
		return unix.IoctlSetTermios(fd, unix.TCSETS2, attr)
	})
}

// follow counts the hosts that have the port open, through inotify: a master
// whose other side is kept open is not told otherwise.
func (t *Terminal) follow() {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	if _, err := unix.InotifyAddWatch(fd, t.path, unix.IN_OPEN|unix.IN_CLOSE); err != nil {
		_ = unix.Close(fd)
		return
	}
	t.watch = os.NewFile(uintptr(fd), "inotify")
	raw, err := t.watch.SyscallConn()
	if err != nil {
		return
	}
	t.watching.Go(func() {
		// Not done until the descriptor is closed: the poller calls again
		// whenever there is something.
		_ = raw.Read(func(fd uintptr) bool {
			t.drain(int(fd))
			return false
		})
	})
}

// attended says whether a host has the port open, up to this moment: the kernel
// has queued the news of an open before the opener can write.
func (t *Terminal) attended() bool {
	if t.watch == nil {
		return true
	}
	_ = control(t.watch, func(fd int) error { t.drain(fd); return nil })
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hosts > 0
}

// drain reads the news. When the last host has gone and none has come since,
// what it left is cleared.
func (t *Terminal) drain(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	closed := false
	buf := make([]byte, 1024)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil || n <= 0 {
			break
		}
		closed = t.count(buf[:n]) || closed
	}
	if !closed {
		return
	}
	// Two opens in a row that nobody has read yet are one event (inotify(7)). A host
	// that opens the port twice and closes it once, as serial libraries do, would be
	// taken for gone, and all that the module says to it would be lost.
	t.hosts = max(t.hosts, t.holders())
	if t.hosts == 0 {
		t.abandoned()
	}
}

// count reads inotify events: a header of 16 bytes with the mask at 4 and the
// length of a name at 12. It says whether a host has closed the port.
func (t *Terminal) count(events []byte) (closed bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		name := int(binary.NativeEndian.Uint32(events[12:]))
		events = events[min(len(events), unix.SizeofInotifyEvent+name):]
		switch {
		case mask&unix.IN_OPEN != 0:
			t.hosts++
		case mask&unix.IN_CLOSE != 0:
			t.hosts = max(0, t.hosts-1)
			closed = true
		}
	}
	return closed
}

// holders counts the descriptors of the port that are open besides our own, in all
// processes whose descriptors we may see.
func (t *Terminal) holders() int {
	var own unix.Stat_t
	if err := control(t.slave, func(fd int) error { return unix.Fstat(fd, &own) }); err != nil {
		return 0
	}
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	n := -1 // ours
	for _, name := range open {
		var other unix.Stat_t
		if unix.Stat(name, &other) == nil && other.Dev == own.Dev && other.Ino == own.Ino {
			n++
		}
	}
	return max(n, 0)
}

// abandoned clears what the last host left.
func (t *Terminal) abandoned() {
	_ = t.raw()
	_ = control(t.slave, func(fd int) error {
		_ = unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
		return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
	})
}

// control runs an ioctl without taking the descriptor away from the poller.
func control(f *os.File, op func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = op(int(fd)) }); err != nil {
		return err
	}
	return failed
}
