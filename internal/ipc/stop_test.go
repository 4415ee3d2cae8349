package ipc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// knocker is a program that publishes all the time, on a new connection for each message
// or on one that it keeps.
type knocker struct {
	path     string
	keep     bool
	answered atomic.Int64
}

// run ends with the first connection that cannot be made, and returns what must not be: a
// request that was taken, and not answered.
func (k *knocker) run() error {
	for {
		c, err := net.Dial("unix", k.path)
		if err != nil {
			return nil // nobody is there: a clear answer
		}
		err = k.talk(c)
		_ = c.Close()
		if err != nil {
			return err
		}
	}
}

func (k *knocker) talk(c net.Conn) error {
	in := bufio.NewReader(c)
	for {
		if _, err := io.WriteString(c, "POST /v1/publish?topic=/a HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\n\r\nx"); err != nil {
			if errors.Is(err, syscall.EPIPE) {
				return nil // not taken: a clear answer
			}
			return fmt.Errorf("written in part: %w", err)
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("%s %w", resp.Status, err)
		}
		k.answered.Add(1)
		if !k.keep || resp.Close {
			return nil
		}
	}
}

// stopper is a queue with which the daemon is stopped once so many messages are kept.
type stopper struct {
	*testQueue
	at   int
	stop func()
}

func (q stopper) Append(ctx context.Context, m outbox.Message) (outbox.Message, error) {
	m, err := q.testQueue.Append(ctx, m)
	if q.Stats().Messages >= q.at {
		q.stop()
	}
	return m, err
}

// served runs a server on a listener until so many more messages are kept.
func served(t *testing.T, q *testQueue, l net.Listener, more int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := Options{Outbox: stopper{q, q.Stats().Messages + more, stop}, Hub: bus.NewHub(), Board: bus.NewStatusBoard()}
	if err := New(o).Serve(ctx, l); err != nil {
		t.Error(err)
	}
}

// hammer has programs publish until done returns, and counts what was answered.
func hammer(t *testing.T, path string, done func()) (answered int) {
	t.Helper()
	var all sync.WaitGroup
	var knockers []*knocker
	for i := range 8 {
		k := &knocker{path: path, keep: i%2 == 0}
		knockers = append(knockers, k)
		all.Go(func() {
			if err := k.run(); err != nil {
				t.Errorf("kept connections %v: %v", k.keep, err)
			}
		})
	}
	done()
	all.Wait()
	for _, k := range knockers {
		answered += int(k.answered.Load())
	}
	return answered
}

// While the daemon stops, what a program could send is answered, and kept as often as it
// is answered. (A connection that was accepted at that moment was closed unread: "EOF", of
// a message of which nobody knew whether it was kept.)
func TestNobodyIsLeftWithoutAnAnswer(t *testing.T) {
	for round := range 8 {
		q := newTestQueue()
		l, err := Listen(filepath.Join(t.TempDir(), "s"), 0o600, "")
		if err != nil {
			t.Fatal(err)
		}
		answered := hammer(t, l.Addr().String(), func() { served(t, q, l, 20+round) })
		if kept := q.Stats().Messages; kept != answered {
			t.Errorf("round %d: %d messages are kept, %d answers said so", round, kept, answered)
		}
	}
}

// On a socket that the service manager holds, whoever comes while one daemon ends is
// answered by the next one.
func TestNobodyIsRefusedBetweenTwoDaemons(t *testing.T) {
	q := newTestQueue()
	path := filepath.Join(t.TempDir(), "s")
	manager, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	answered := hammer(t, path, func() {
		for round := range 4 {
			f, err := manager.File()
			if err != nil {
				t.Fatal(err)
			}
			inherited, err := net.FileListener(f)
			_ = f.Close()
			if err != nil {
				t.Fatal(err)
			}
			if round == 3 { // the last one leaves nobody behind, which ends the test
				inherited = &ours{UnixListener: inherited.(*net.UnixListener)}
			}
			served(t, q, inherited, 50)
		}
	})
	if kept := q.Stats().Messages; kept != answered {
		t.Errorf("%d messages are kept, %d answers said so", kept, answered)
	}
}
