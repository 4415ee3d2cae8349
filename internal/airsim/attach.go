package airsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// UnpluggedError is the end of an [Module.Attach] by the unplug command.
type UnpluggedError struct{ For time.Duration }

func (e *UnpluggedError) Error() string {
	return fmt.Sprintf("the port was unplugged for %s", e.For)
}

// Attach connects a real port to a module that is being simulated by Run, until
// ctx ends (nil), the port fails, or the unplug command pulls it or another port
// takes its place (*UnpluggedError; For is 0 in the latter case). If the port is an io.Closer it is closed
// then, because nothing else ends a blocked read; a port that is not one must
// fail its Read by itself. If the port has a method HostBaud() int, that is
// asked for the rate the host has configured (0: not known); if it has a method
// Stall(bool) error, that is told when the module takes nothing; if it has a
// method Transit() time.Duration, bytes are taken to have been written that long
// before they were read. [Terminal] has all of these.
func (m *Module) Attach(ctx context.Context, port io.ReadWriter) error {
	l := m.attach()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var pumps sync.WaitGroup
	failed := make(chan error, 2)
	pumps.Go(func() { failed <- pumpIn(port, l); cancel() })
	pumps.Go(func() { failed <- pumpOut(port, l); cancel() })
	if s, ok := port.(interface{ Stall(on bool) error }); ok {
		pumps.Go(func() { pumpStall(s, l) })
	}
	<-ctx.Done()
	_ = l.Close() // does nothing when it has ended already
	if c, ok := port.(io.Closer); ok {
		_ = c.Close()
	}
	pumps.Wait()
	if !errors.Is(l.why(), os.ErrClosed) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return &UnpluggedError{For: max(0, m.faults.absentTo.Sub(m.now))}
	}
	// Only a failure from before the line was closed is the port's.
	return errors.Join(<-failed, <-failed)
}

// unplug fails the host's end of the line; a new one works after d.
func (m *Module) unplug(d time.Duration, why error) {
	m.faults.absentTo = m.now.Add(d)
	if m.port != nil {
		m.port.end(why)
		m.plug(nil)
	}
}

// pumpIn moves the host's bytes from the port to the line. It returns nil when
// the line was closed from this side.
func pumpIn(port io.Reader, l *serialLine) error {
	baud, _ := port.(interface{ HostBaud() int })
	var transit time.Duration
	if t, ok := port.(interface{ Transit() time.Duration }); ok {
		transit = t.Transit()
	}
	buf := make([]byte, hostBuffer)
	for {
		n, err := port.Read(buf)
		if n > 0 {
			if baud != nil {
				_ = l.SetBaud(baud.HostBaud())
			}
			if _, werr := l.write(buf[:n], transit); werr != nil {
				return nil
			}
		}
		if err != nil {
			if !l.up() {
				return nil
			}
			return fmt.Errorf("read the port: %w", err)
		}
	}
}

// pumpOut moves the module's bytes from the line to the port.
func pumpOut(port io.Writer, l *serialLine) error {
	buf := make([]byte, hostBuffer)
	for {
		n, err := l.Read(buf)
		if err != nil {
			return nil
		}
		if _, err := port.Write(buf[:n]); err != nil {
			if !l.up() {
				return nil
			}
			return fmt.Errorf("write to the port: %w", err)
		}
	}
}

// pumpStall passes on that the module takes nothing, to a port that can show
// it to the host.
func pumpStall(port interface{ Stall(on bool) error }, l *serialLine) {
	for was := false; ; {
		is, up := l.stallChanged(was)
		if !up {
			return
		}
		_ = port.Stall(is)
		was = is
	}
}

// Open returns the host's end of the serial line in memory. It behaves like a
// tty: a Write returns when the bytes are buffered (4096 at most ahead of the
// wire), a Read blocks until there is something, and output that is not read
// is lost beyond 64 KiB. It also has a method SetBaud(int) error. Opening again
// replaces the old end, whose calls then fail with EIO.
func (m *Module) Open() io.ReadWriteCloser { return m.attach() }

func (m *Module) attach() *serialLine {
	l := newSerialLine(m.poke)
	m.mu.Lock()
	old := m.port
	if m.faults.absentTo.After(time.Now()) {
		l.unplug()
		m.plug(nil)
	} else {
		m.plug(l)
	}
	m.mu.Unlock()
	if old != nil {
		old.unplug()
	}
	return l
}

// plug connects a new line; what was on the way over the old one is lost.
func (m *Module) plug(l *serialLine) {
	m.port = l
	m.in.arriving = nil
	m.out.queue = nil
}

// stall stops taking bytes off the line, or goes on.
func (m *Module) stall(on bool) {
	m.in.stalled = on
	if m.port != nil {
		m.port.stall(on)
	}
}
