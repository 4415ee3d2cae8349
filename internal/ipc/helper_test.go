package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// acceptedAt is when the queue below accepts everything.
var acceptedAt = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// testQueue keeps what it is given and gives up what it is told to.
type testQueue struct {
	mu       sync.Mutex
	messages []outbox.Message
	fail     error         // what Append and Drop say
	hang     bool          // Append waits for its context
	done     chan struct{} // closed when a message gets a final state
}

func newTestQueue() *testQueue { return &testQueue{done: make(chan struct{})} }

func (q *testQueue) Append(ctx context.Context, m outbox.Message) (outbox.Message, error) {
	if q.hang {
		<-ctx.Done()
		return m, ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return m, q.fail
	}
	m.ID, m.Size = fmt.Sprintf("m%d", len(q.messages)+1), len(m.Payload)
	m.AcceptedAt = acceptedAt
	if m.TTL > 0 {
		m.ExpiresAt = acceptedAt.Add(m.TTL)
	}
	m.State = outbox.Queued
	if m.QoS == 0 {
		m.State = outbox.Held
	}
	q.messages = append(q.messages, m)
	return m, nil
}

// Repeat knows no keys; where they matter, tests take the real queue.
func (q *testQueue) Repeat(m outbox.Message) (outbox.Message, bool, error) {
	if m.Key != "" {
		return m, q.fail != nil, q.fail
	}
	return m, false, nil
}

func (q *testQueue) Get(id string) (outbox.Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.ID == id {
			return m, nil
		}
	}
	return outbox.Message{}, outbox.ErrUnknown
}

func (q *testQueue) Wait(ctx context.Context, id string) (outbox.Message, error) {
	for {
		m, err := q.Get(id)
		if err != nil {
			return m, err
		}
		switch m.State {
		case outbox.Acked, outbox.Dropped, outbox.Rejected, outbox.Expired, outbox.Sent:
			return m, nil
		}
		q.mu.Lock()
		done := q.done
		q.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			m, _ = q.Get(id)
			return m, ctx.Err()
		}
	}
}

func (q *testQueue) List(after string, limit int) (page []outbox.Message, total int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.ID > after && len(page) < limit {
			page = append(page, m)
		}
	}
	return page, len(q.messages)
}

// Drop fails as it is told to; where that matters, tests take the real queue.
func (q *testQueue) Drop(string) error {
	if q.fail != nil {
		return q.fail
	}
	return outbox.ErrUnknown
}

func (q *testQueue) DropTopic(func(topic string) bool) (int, error) {
	if q.fail != nil {
		return 3, q.fail
	}
	panic("use the real queue")
}

func (q *testQueue) ListOf(string, string, int) ([]outbox.Message, int, string, bool) {
	panic("use the real queue")
}

func (q *testQueue) DropTopicOf(string, func(topic string) bool) (int, error) {
	panic("use the real queue")
}

func (q *testQueue) DropForeign() (int, error) { return 3, q.fail }

func (q *testQueue) Retarget() (int, error) { return 3, q.fail }

func (q *testQueue) Disk() outbox.DiskStats { return outbox.DiskStats{} }

func (q *testQueue) Stats() outbox.Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := outbox.Stats{Messages: len(q.messages)}
	for _, m := range q.messages {
		s.Bytes += int64(len(m.Payload))
		s.OldestAt = m.AcceptedAt
	}
	return s
}

// settle gives message n (from 1) a state.
func (q *testQueue) settle(n int, s outbox.State, reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages[n-1].State, q.messages[n-1].Reason = s, reason
	close(q.done)
	q.done = make(chan struct{})
}

func (q *testQueue) kept() []outbox.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]outbox.Message(nil), q.messages...)
}

// daemon is a server on a real Unix socket and a client of it.
type daemon struct {
	t      *testing.T
	socket string
	server *Server
	hub    *bus.Hub
	board  *bus.StatusBoard
	queue  *testQueue
	http   *http.Client
	stop   func() // ends Serve and waits for it
}

// socketDir is short enough for a socket path, unlike t.TempDir.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func startDaemon(t *testing.T, change func(*Options)) *daemon {
	t.Helper()
	socket := filepath.Join(socketDir(t), "api.sock")
	l, err := Listen(socket, 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	d := serveOn(t, l, change, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	})
	d.socket = socket
	return d
}

func serveOn(t *testing.T, l net.Listener, change func(*Options), dial func(context.Context) (net.Conn, error)) *daemon {
	t.Helper()
	d := &daemon{t: t, hub: bus.NewHub(), board: bus.NewStatusBoard(), queue: newTestQueue()}
	o := Options{Outbox: d.queue, Hub: d.hub, Board: d.board, Version: "1.2.3"}
	if change != nil {
		change(&o)
	}
	d.server = New(o)
	transport := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
	}
	d.http = &http.Client{Transport: transport}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(ctx, l) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		transport.CloseIdleConnections()
	})
	t.Cleanup(d.stop)
	return d
}

// pipes is a listener in memory, for tests in virtual time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, errors.New("listener is closed")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// virtualDaemon is a daemon for synctest bubbles. The caller must stop it
// before the bubble ends.
func virtualDaemon(t *testing.T, change func(*Options)) (*daemon, *pipes) {
	t.Helper()
	p := newPipes()
	return serveOn(t, p, change, p.dial), p
}

// ask sends one request and returns the answer with its whole body.
func (d *daemon) ask(method, target, body string, header ...string) (*http.Response, string) {
	d.t.Helper()
	req, err := http.NewRequest(method, "http://d"+target, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := d.http.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp, string(data)
}

// reader reads a stream line by line.
type reader struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Scanner
}

func (d *daemon) open(target string, header ...string) *reader {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://d"+target, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := d.http.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		d.t.Fatalf("%s: %s: %s", target, resp.Status, body)
	}
	d.t.Cleanup(func() { _ = resp.Body.Close() })
	r := &reader{t: d.t, resp: resp, lines: bufio.NewScanner(resp.Body)}
	r.lines.Buffer(nil, 1<<20)
	return r
}

// streamLine is the next line, or a failure.
func (r *reader) line() string {
	r.t.Helper()
	if !r.lines.Scan() {
		r.t.Fatalf("the stream ended: %v", r.lines.Err())
	}
	return r.lines.Text()
}

// object is the next line as JSON.
func (r *reader) object() map[string]any {
	r.t.Helper()
	text := r.line()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		r.t.Fatalf("%q: %v", text, err)
	}
	return v
}

// ends fails unless the stream is over.
func (r *reader) ends() {
	r.t.Helper()
	if r.lines.Scan() {
		r.t.Fatalf("the stream goes on: %q", r.lines.Text())
	}
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// dial opens a bare connection.
func (d *daemon) dial() net.Conn {
	d.t.Helper()
	conn, err := net.Dial("unix", d.socket)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	return conn
}
