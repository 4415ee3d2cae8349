package tty

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// While a write is blocked, what the module sends is still received: without
// flow control it would be lost.
func TestP30ReadingGoesOnWhileAWriteIsBlocked(t *testing.T) {
	module, path := newPTY(t)
	p := open(t, path)
	blocked := make(chan error, 1)
	go func() { blocked <- fill(t, p) }() // the full five seconds: ends by Close
	awaitParked(t, "tty.(*Port).Write")
	const urc = "\r\n+MSUB: \"t\",1 byte,x\r\n"
	if _, err := module.Write([]byte(urc)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(urc))
	within(t, 5*time.Second, "reading", func() {
		if _, err := io.ReadFull(p, got); err != nil {
			t.Error(err)
		}
	})
	if string(got) != urc {
		t.Errorf("got %q", got)
	}
	within(t, time.Second, "Close during a blocked write", func() { _ = p.Close() })
	wantError(t, <-blocked, ErrClosed, "write", path)
}

// As fast as a pseudo-terminal goes, both ways at once, every byte value.
func TestP30FullRateIsByteExact(t *testing.T) {
	module, path := newPTY(t)
	p := open(t, path)
	const size = 1 << 20
	up, down := noise(1, size), noise(2, size)
	copyAll := func(w io.Writer, r io.Reader, want []byte) {
		done := make(chan error, 1)
		go func() { _, err := w.Write(want); done <- err }()
		got := make([]byte, size)
		if _, err := io.ReadFull(r, got); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("bytes differ")
		}
	}
	var both sync.WaitGroup
	both.Go(func() { copyAll(p, module, up) })
	both.Go(func() { copyAll(module, p, down) })
	both.Wait()
}

func noise(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, seed))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Writers share the port, but never in the middle of a command.
func TestWritesDoNotMix(t *testing.T) {
	module, path := newPTY(t)
	p := open(t, path)
	const writers, rounds, size = 4, 20, 3 * maxPiece
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for range rounds {
				if _, err := p.Write(bytes.Repeat([]byte{'a' + byte(i)}, size)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	command := make([]byte, size)
	for range writers * rounds {
		if _, err := io.ReadFull(module, command); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(command, bytes.Repeat(command[:1], size)) {
			t.Fatal("two commands are mixed on the wire")
		}
	}
	all.Wait()
}

func readInBackground(p *Port) <-chan error {
	result := make(chan error, 1)
	go func() {
		_, err := p.Read(make([]byte, 64))
		result <- err
	}()
	return result
}

// awaitParked returns once a goroutine inside the named function is parked in
// the poller. That is also the proof that it does not spin.
func awaitParked(t *testing.T, function string) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			header, _, _ := strings.Cut(g, "\n")
			if strings.Contains(header, "[IO wait") && strings.Contains(g, function+"(") {
				return
			}
		}
	}
	t.Fatalf("no goroutine waits in %s", function)
}

// go.bug.st/serial returns (0, nil) on a time-out and the same error for an
// unplugged port and for its own Close.
func TestP27OwnCloseAndUnplugAreToldApart(t *testing.T) {
	t.Run("own close", func(t *testing.T) {
		_, path := newPTY(t)
		p := open(t, path)
		read := readInBackground(p)
		awaitParked(t, "tty.(*Port).Read")
		within(t, time.Second, "Close", func() { _ = p.Close() })
		wantError(t, <-read, ErrClosed, "read", path)
	})
	t.Run("unplug", func(t *testing.T) {
		module, path := newPTY(t)
		p := open(t, path)
		read := readInBackground(p)
		awaitParked(t, "tty.(*Port).Read")
		if err := module.Close(); err != nil {
			t.Fatal(err)
		}
		wantError(t, <-read, ErrGone, "read", path)
		_, err := p.Read(make([]byte, 8)) // and again, not (0, nil)
		wantError(t, err, ErrGone, "read", path)
		_, err = p.Write([]byte("AT\r"))
		wantError(t, err, ErrGone, "write", path)
		wantError(t, p.SetBaud(9600), ErrGone, "set baud rate", path)
		within(t, time.Second, "Close of a gone port", func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
		_, err = p.Read(make([]byte, 8))
		wantError(t, err, ErrClosed, "read", path)
	})
}

func TestP27ReadWaitsForAByteAndNeverReturnsNothing(t *testing.T) {
	module, path := newPTY(t)
	p := open(t, path)
	if n, err := p.Read(nil); n != 0 || !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("a read into nothing: %d, %v", n, err)
	}
	type result struct {
		text string
		err  error
	}
	for _, want := range []string{"O", "K", "\x00", "\x04", "\xff"} {
		got := make(chan result, 1)
		go func() {
			b := make([]byte, 64)
			n, err := p.Read(b)
			got <- result{string(b[:n]), err}
		}()
		awaitParked(t, "tty.(*Port).Read") // no busy loop, no early return
		if _, err := module.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if r := <-got; r.err != nil || r.text != want {
			t.Errorf("got %q, %v, want %q", r.text, r.err, want)
		}
	}
}

// A module that power-cycles comes back as another device; udev moves the
// symlink. The old descriptor is dead, the new device is found by the same path.
func TestP29ReenumerationIsFoundThroughTheSymlink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "airbridge-modem")
	before, first := newPTY(t)
	if err := os.Symlink(first, link); err != nil {
		t.Fatal(err)
	}
	p := open(t, link)
	after, second := newPTY(t)
	if err := errors.Join(os.Remove(link), os.Symlink(second, link)); err != nil {
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := p.Read(make([]byte, 8))
	wantError(t, err, ErrGone, "read", link)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, link)
	if _, err := p.Write([]byte("AT\r")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(after, got); err != nil || string(got) != "AT\r" {
		t.Errorf("the new device got %q, %v", got, err)
	}
}

// Between unplug and replug the symlink points nowhere, or is gone.
func TestP29OpenFailsUntilTheDeviceIsBack(t *testing.T) {
	link := filepath.Join(t.TempDir(), "airbridge-modem")
	_, err := Open(link, 115200)
	wantError(t, err, ErrMissing, "open", link)
	_, path := newPTY(t)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	open(t, link)
}

// What a former session left in the line's buffer answers nobody.
func TestOpenThrowsAwayOldInput(t *testing.T) {
	module, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	defer slave.Close()
	if _, err := module.Write([]byte("\r\nPUBACK\r\n")); err != nil {
		t.Fatal(err)
	}
	p := open(t, slave.Name())
	if _, err := module.Write([]byte("OK")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 64)
	n, err := p.Read(got)
	if err != nil || string(got[:n]) != "OK" {
		t.Errorf("read %q, %v", got[:n], err)
	}
}

// select(2), which the library reads with, ends the program at descriptor 1024:
// a daemon with many subscribers that reopens its modem gets there.
func TestPortWithAHighDescriptorNumber(t *testing.T) {
	module, path := newPTY(t)
	for range 1100 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Skip("the limit on open files is too low here: ", err)
		}
		defer f.Close()
	}
	p := open(t, path)
	if _, err := module.Write([]byte("OK")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2)
	if _, err := io.ReadFull(p, got); err != nil || string(got) != "OK" {
		t.Errorf("read %q, %v", got, err)
	}
}
