package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"airbridged/client"
	"airbridged/internal/ipc/ipctest"
)

// relay stands before a daemon. answer is asked for every request, from 0 on; what it
// returns is the answer, nil: none, the connection breaks.
type relay struct {
	daemon string
	answer func(n int, r *http.Request, pass func() *http.Response) *http.Response

	mu   sync.Mutex
	seen []*http.Request
}

func (r *relay) requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*http.Request(nil), r.seen...)
}

func (r *relay) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	t.Setenv(client.SocketVariable, l.Addr().String())
}

func (r *relay) serve(c net.Conn) {
	defer c.Close()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	n := len(r.seen)
	r.seen = append(r.seen, req)
	ask := r.answer
	r.mu.Unlock()
	answer := ask(n, req, func() *http.Response {
		back, err := net.Dial("unix", r.daemon)
		if err != nil {
			return nil
		}
		defer back.Close()
		again := req.Clone(req.Context())
		again.Body, again.Close = io.NopCloser(bytes.NewReader(body)), true
		_ = again.Write(back)
		resp, err := http.ReadResponse(bufio.NewReader(back), again)
		if err != nil {
			return nil
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(said))
		return resp
	})
	if answer != nil {
		answer.Close = true
		_ = answer.Write(c)
	}
}

func queued(n int) *http.Response {
	return &http.Response{
		StatusCode: http.StatusAccepted, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"id":"kept-%d","state":"queued"}`, n))),
	}
}

func impatient(t *testing.T) {
	t.Helper()
	was := repeatTime
	repeatTime = 300 * time.Millisecond
	t.Cleanup(func() { repeatTime = was })
}

const waits = "/a1b2c3/gw-1/waits"

// The daemon ended before its answer was out. pub repeats with the key that it made, so
// there is one message, and says its id. (It was "EOF", exit 1: refused, of a message
// that was kept.)
func TestPubRepeatsWhereTheAnswerGotLost(t *testing.T) {
	d := start(t, nil)
	r := &relay{daemon: d.Socket, answer: func(n int, _ *http.Request, pass func() *http.Response) *http.Response {
		if answer := pass(); n > 0 {
			return answer
		}
		return nil
	}}
	r.listen(t)
	code, out, errs := ctl(nil, "pub", waits, "x")
	if code != 0 || !strings.HasSuffix(out, " queued\n") && !strings.HasSuffix(out, " inflight\n") || errs != "" {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	if n := d.Queue.Stats().Messages; n != 1 {
		t.Errorf("%d messages are kept", n)
	}
}

// Where nobody answers any more it says that the message may be kept, and the key that
// makes it safe to try again.
func TestPubOfWhichNobodyKnows(t *testing.T) {
	impatient(t)
	d := start(t, nil)
	r := &relay{daemon: d.Socket, answer: func(_ int, _ *http.Request, pass func() *http.Response) *http.Response { pass(); return nil }}
	r.listen(t)
	code, out, errs := ctl(nil, "pub", waits, "x")
	_, key, _ := strings.Cut(errs, "try again with --key ")
	key, _, _ = strings.Cut(key, ",")
	if code != exitTryAgain || out != "" || key == "" || !strings.Contains(errs, "not known whether the message is kept") {
		t.Fatalf("%d, %q, %q", code, out, errs)
	}
	if len(r.requests()) < 2 {
		t.Error("it was not repeated")
	}
	code, _, errs = ctl(nil, "--socket", d.Socket, "pub", "--key", key, waits, "x")
	if n := d.Queue.Stats().Messages; code != 0 || n != 1 {
		t.Errorf("again: %d, %q, %d messages", code, errs, n)
	}

	code, _, errs = ctl(nil, "pub", "--qos", "0", waits, "x")
	if n := len(r.requests()); code != exitTryAgain || !strings.Contains(errs, "not known whether the message is sent") || strings.Contains(errs, "--key") {
		t.Errorf("best effort: %d, %q, %d requests", code, errs, n)
	}
	if last := r.requests()[len(r.requests())-1]; last.Header.Get("Idempotency-Key") != "" {
		t.Error("best effort with a key")
	}
}

// A daemon that is stopped answers a wait early. The message is kept, so pub waits on at
// the daemon that comes next.
func TestPubWaitsOverARestart(t *testing.T) {
	d := start(t, nil)
	r := &relay{daemon: d.Socket, answer: func(n int, _ *http.Request, pass func() *http.Response) *http.Response {
		switch n {
		case 0:
			return queued(n)
		case 1:
			return nil // it is gone in the middle of a request
		case 2: // the next one starts, and has mistakes in its configuration for a moment
			return &http.Response{StatusCode: http.StatusServiceUnavailable, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(strings.NewReader(""))}
		}
		return pass()
	}}
	r.listen(t)
	code, out, errs := ctl(nil, "pub", "--wait", "60s", ipctest.UpdateTopic, "x")
	if code != 0 || !strings.HasSuffix(out, " acked\n") || errs != "" {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	seen := r.requests()
	for i, req := range seen {
		wait, err := time.ParseDuration(req.URL.Query().Get("wait"))
		if key := req.Header.Get("Idempotency-Key"); key == "" || key != seen[0].Header.Get("Idempotency-Key") {
			t.Errorf("request %d has the key %q", i, key)
		}
		if err != nil || i == 0 && wait != time.Minute || i > 0 && (wait >= time.Minute || wait < 30*time.Second) {
			t.Errorf("request %d waits %v, %v", i, wait, err)
		}
	}

	// The wait runs out while nobody is there: kept all the same.
	r.mu.Lock()
	r.answer = func(n int, _ *http.Request, _ func() *http.Response) *http.Response {
		if n == len(seen) {
			return queued(n)
		}
		return nil
	}
	r.mu.Unlock()
	code, out, errs = ctl(nil, "pub", "--wait", "400ms", waits, "x")
	if code != exitKept || !strings.HasPrefix(out, "kept-") || !strings.Contains(errs, "do not send it again") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
}

// What is refused once the daemon is back was refused the first time, too.
func TestPubRefusedAtTheRepeat(t *testing.T) {
	d := start(t, nil)
	r := &relay{daemon: d.Socket, answer: func(n int, _ *http.Request, pass func() *http.Response) *http.Response {
		if n == 0 {
			return nil
		}
		return pass()
	}}
	r.listen(t)
	if code, out, errs := ctl(nil, "pub", "/a/#", "x"); code != exitRefused || out != "" || !strings.Contains(errs, "nothing was kept") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
}

// An impatient person is told, too, what is known of the message.
func TestPubInterrupted(t *testing.T) {
	for _, c := range []struct {
		name string
		says string
		kept bool
	}{{"kept", "is kept, do not send it again", true}, {"not known", "it is not known whether the message is kept: try again with --key ", false}} {
		r := &relay{answer: func(n int, _ *http.Request, _ func() *http.Response) *http.Response {
			if c.kept && n == 0 {
				return queued(n)
			}
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
				t.Error(err)
			}
			return nil
		}}
		r.listen(t)
		if code, _, errs := ctl(nil, "pub", "--wait", "60s", waits, "x"); code != exitInterrupted || !strings.Contains(errs, c.says) {
			t.Errorf("%s: %d, %q", c.name, code, errs)
		}
	}
}
