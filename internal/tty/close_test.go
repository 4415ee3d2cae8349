package tty

import (
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"
)

// Measured on go.bug.st/serial 1.8.0: "AT+CFUN=0\r" written after Close landed
// in a file opened meanwhile, without an error.
func TestP25WriteAfterCloseReachesNoOtherFile(t *testing.T) {
	_, path := newPTY(t)
	p := open(t, path)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	files := openFiles(t, 8) // one of them has the port's number now
	n, err := p.Write([]byte("AT+CFUN=0\r"))
	if n != 0 {
		t.Errorf("%d bytes were written", n)
	}
	wantError(t, err, ErrClosed, "write", path)
	_, err = p.Read(make([]byte, 8))
	wantError(t, err, ErrClosed, "read", path)
	wantError(t, p.SetBaud(9600), ErrClosed, "set baud rate", path)
	if err := p.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	wantEmpty(t, files)
}

// The same with writers that are on their way while the port is closed.
func TestP25WritersRacingCloseReachNoOtherFile(t *testing.T) {
	for range 20 {
		module, path := newPTY(t)
		p := open(t, path)
		var read sync.WaitGroup
		read.Go(func() { _, _ = io.Copy(io.Discard, module) })
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for {
					if _, err := p.Write([]byte("AT+CFUN=0\r")); err != nil {
						wantError(t, err, ErrClosed, "write", path)
						return
					}
				}
			})
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		files := openFiles(t, 8)
		writers.Wait()
		wantEmpty(t, files)
		_ = module.Close()
		read.Wait()
	}
}

func openFiles(t *testing.T, n int) []*os.File {
	t.Helper()
	files := make([]*os.File, n)
	for i := range files {
		f, err := os.CreateTemp(t.TempDir(), "reused")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		files[i] = f
	}
	return files
}

func wantEmpty(t *testing.T, files []*os.File) {
	t.Helper()
	for _, f := range files {
		if st, err := f.Stat(); err != nil || st.Size() != 0 {
			t.Errorf("%s got bytes meant for the modem (%v)", f.Name(), err)
		}
	}
}

// fill writes until the other end takes no more.
func fill(t *testing.T, p *Port) error {
	t.Helper()
	chunk := make([]byte, 1<<10)
	for range 4096 { // 4 MiB: far more than a pseudo-terminal buffers
		if n, err := p.Write(chunk); err != nil {
			if n == len(chunk) {
				t.Errorf("all bytes written, and yet %v", err)
			}
			return err
		}
	}
	t.Fatal("the pseudo-terminal takes everything")
	return nil
}

// A module that reads no more (seen as a write that never returns) must not
// hang the daemon: not Write, not Close, not the reader.
func TestP26PeerStopsReading(t *testing.T) {
	_, path := newPTY(t)
	p := open(t, path)
	p.writeTimeout = 100 * time.Millisecond
	read := readInBackground(p)
	within(t, 20*time.Second, "a blocked write", func() {
		e := wantError(t, fill(t, p), ErrWriteBlocked, "write", path)
		if e.Hint == "" {
			t.Error("no hint")
		}
	})
	within(t, time.Second, "a write after a blocked one", func() {
		_, err := p.Write([]byte("AT\r"))
		wantError(t, err, ErrWriteBlocked, "write", path)
		wantError(t, p.SetBaud(9600), ErrWriteBlocked, "set baud rate", path)
	})
	within(t, time.Second, "Close after a blocked write", func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	wantError(t, <-read, ErrClosed, "read", path)
}

// Nothing of the abandoned write is left: the port can be opened and used again.
func TestP26PortWorksAgainAfterReopening(t *testing.T) {
	module, path := newPTY(t)
	p := open(t, path)
	p.writeTimeout = 100 * time.Millisecond
	if err := fill(t, p); !errors.Is(err, ErrWriteBlocked) {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var read sync.WaitGroup
	read.Go(func() { _, _ = io.Copy(io.Discard, module) }) // the module is back
	p = open(t, path)
	if _, err := p.Write([]byte("AT\r")); err != nil {
		t.Error(err)
	}
	_ = p.Close()
	_ = module.Close()
	read.Wait()
}

// Shutting down after a time-out hung in two other stacks.
func TestP31CloseAfterATimeout(t *testing.T) {
	_, path := newPTY(t)
	p := open(t, path)
	p.writeTimeout = 50 * time.Millisecond
	read := readInBackground(p)
	if err := fill(t, p); !errors.Is(err, ErrWriteBlocked) {
		t.Fatal(err)
	}
	within(t, time.Second, "shutdown", func() {
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() { _ = p.Close() })
		}
		closers.Wait()
	})
	wantError(t, <-read, ErrClosed, "read", path)
}
