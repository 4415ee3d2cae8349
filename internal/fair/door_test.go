package fair

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openDoor serves a page at a port of loopback.
func openDoor(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Door{Handler: h}.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

func knock(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func page(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }

const request = "GET /metrics HTTP/1.1\r\nHost: d\r\n\r\n"

// ask sends one whole request and returns the status.
func ask(t *testing.T, c net.Conn, head string) int {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// 800 connections of any local user, each with a header that never ends, took 762
// MB, and the unit's own MemoryMax killed the daemon. Now they take nothing, and
// whoever sends a whole request is answered beside them in time.
func TestHeadersThatNeverEnd(t *testing.T) {
	address := openDoor(t, page)
	chunk := strings.Repeat("x", 64<<10)
	for range 800 {
		c := knock(t, address)
		go func() {
			_, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nX: ")
			for n := 0; err == nil && n < 1<<20; n += len(chunk) {
				_, err = io.WriteString(c, chunk)
			}
		}()
	}
	for range 5 {
		begun := time.Now()
		if code := ask(t, knock(t, address), request); code != 200 {
			t.Errorf("a scrape beside them: %d", code)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("a scrape beside them took %v, and Prometheus gives up after 10 s", took)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > 64<<20 {
		t.Errorf("%d MiB in use, this test's own 800 connections included", m.HeapInuse>>20)
	}
}

// Who says nothing, or not all of it, is closed after 2 s; 4 KiB are the most that
// a request may say before its body.
func TestDoorsBounds(t *testing.T) {
	t.Parallel()
	address := openDoor(t, page)
	silent, slow := knock(t, address), knock(t, address)
	if _, err := io.WriteString(slow, "GET /metrics HTTP/1.1\r\nX: "); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for _, c := range []net.Conn{silent, slow} {
		_ = c.SetReadDeadline(begun.Add(10 * time.Second))
		_, _ = io.ReadAll(c)
		if took := time.Since(begun); took < doorRead-100*time.Millisecond || took > doorRead+time.Second {
			t.Errorf("closed after %v", took)
		}
	}
	for filler, want := range map[int]int{4000: 200, 4200: 431} {
		head := "GET /metrics HTTP/1.1\r\nHost: d\r\nX: " + strings.Repeat("x", filler) + "\r\n\r\n"
		if code := ask(t, knock(t, address), head); code != want {
			t.Errorf("with a header of %d bytes: %d, want %d", len(head), code, want)
		}
	}
}

// Of connections that all have their request, the one that is served longest makes
// room; those that are kept alive without one go before it.
func TestDoorEndsWhoWaitsLongest(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	address := openDoor(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			entered <- struct{}{}
			<-leave
		}
		page(w, r)
	})
	defer close(leave)
	idle := knock(t, address)
	ask(t, idle, request)
	var served []net.Conn
	for range doorConns - 1 {
		c := knock(t, address)
		if _, err := io.WriteString(c, "GET /long HTTP/1.1\r\nHost: d\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-entered
		served = append(served, c)
	}
	gone := func(what string, c net.Conn) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("%s is still connected: %v", what, err)
		}
	}
	first := knock(t, address)
	if _, err := io.WriteString(first, "GET /long HTTP/1.1\r\nHost: d\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	gone("the idle one", idle)
	if code := ask(t, knock(t, address), request); code != 200 {
		t.Errorf("the last one: %d", code)
	}
	gone("the one that is served longest", served[0])
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}
