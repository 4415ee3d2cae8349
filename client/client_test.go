package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"airbridged/client"
	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/ipc/ipctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connected returns a daemon and a client of it.
func connected(t *testing.T, change func(*ipc.Options)) (*ipctest.Daemon, *client.Client) {
	t.Helper()
	d := ipctest.Start(change)
	c := client.New(d.Socket)
	t.Cleanup(func() {
		c.Close()
		d.Stop()
	})
	return d, c
}

// fake answers every connection with the same bytes, as a daemon never would.
func fake(t *testing.T, answer string) *client.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	c := client.New(l.Addr().String())
	t.Cleanup(func() {
		c.Close()
		_ = l.Close()
		<-gone
		_ = os.RemoveAll(dir)
	})
	return c
}

func TestSocketIsFound(t *testing.T) {
	t.Setenv(client.SocketVariable, "")
	if got := client.New("").Socket(); got != client.DefaultSocket {
		t.Error(got)
	}
	t.Setenv(client.SocketVariable, "/tmp/env.sock")
	if got := client.New("").Socket(); got != "/tmp/env.sock" {
		t.Error(got)
	}
	if got := client.New("/tmp/arg.sock").Socket(); got != "/tmp/arg.sock" {
		t.Error(got)
	}
}

func TestUnreachableSaysSo(t *testing.T) {
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dead := filepath.Join(dir, "dead.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	for _, c := range []struct{ socket, says string }{
		{filepath.Join(dir, "none.sock"), "no such file"},
		{dead, "connection refused"},
	} {
		_, err := client.New(c.socket).Publish(t.Context(), "/a", nil, client.PublishOptions{})
		if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.socket) || !strings.Contains(err.Error(), "is airbridged running?") {
			t.Errorf("got %v", err)
		}
		if strings.Contains(err.Error(), "http://") {
			t.Errorf("an address that does not exist is shown: %v", err)
		}
	}
}

func TestPublishOptionsReachTheDaemon(t *testing.T) {
	d, c := connected(t, nil)
	payload := []byte("\x00\xff+MSUB\r\n")
	m, err := c.Publish(t.Context(), "/other", payload, client.PublishOptions{TTL: 90 * time.Minute, Priority: client.PriorityLow, Latest: true})
	if err != nil {
		t.Fatal(err)
	}
	if m.Topic != "/other" || m.State != client.Queued || m.ID == "" {
		t.Errorf("answer %+v", m)
	}
	kept, err := d.Queue.Get(m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept.Payload, payload) || kept.QoS != 1 || kept.TTL != 90*time.Minute || !kept.Latest {
		t.Errorf("kept %+v", kept)
	}
	full, err := c.Message(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if full.Priority != client.PriorityLow || !full.Latest || full.ExpiresAt == nil || full.ExpiresAt.Sub(*full.AcceptedAt) != 90*time.Minute {
		t.Errorf("message %+v", full)
	}
}

func TestEveryFilterAndTopicArrivesAsItWasGiven(t *testing.T) {
	_, c := connected(t, nil)
	for _, f := range []string{"/a/+/b", "#", "/a/#", "/é/ü", "/a&b=c", "/100%", "/a?b;c"} {
		s, err := c.Subscribe(t.Context(), f)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		it, err := s.Next()
		if err != nil || len(it.Subscribed) != 1 || it.Subscribed[0].Topic != f {
			t.Errorf("%s: %+v, %v", f, it, err)
		}
		_ = s.Close()
	}
	_, err := c.Publish(t.Context(), "/a b", nil, client.PublishOptions{})
	if p, ok := errors.AsType[*client.Problem](err); !ok || !strings.Contains(p.Detail, "blank at offset 2") {
		t.Errorf("got %v", err)
	}
}

func TestProblemsAreConditions(t *testing.T) {
	carry := func(err error) func(*ipc.Options) {
		return func(o *ipc.Options) { o.Carry = func(string, []byte) error { return err } }
	}
	conditions := []error{client.ErrNotPermitted, client.ErrTryAgain, client.ErrFull, client.ErrUnknown, client.ErrTooLarge, client.ErrNotCarried, client.ErrUnreachable, client.ErrUnhealthy}
	for _, c := range []struct {
		name   string
		change func(*ipc.Options)
		topic  string
		times  int
		want   []error
	}{
		{"bad topic", nil, "/#", 1, nil},
		{"reserved", nil, "$airbridge/state", 1, []error{client.ErrNotPermitted}},
		{"full", nil, "/waits", ipctest.Messages + 1, []error{client.ErrTryAgain, client.ErrFull}},
		{"too large", carry(&bus.CarryError{Reason: "r", TooLarge: true}), "/a", 1, []error{client.ErrTooLarge}},
		{"not carried", carry(&bus.CarryError{Reason: "r"}), "/a", 1, []error{client.ErrNotCarried}},
	} {
		_, cl := connected(t, c.change)
		var err error
		for range c.times {
			_, err = cl.Publish(t.Context(), c.topic, nil, client.PublishOptions{})
		}
		p, ok := errors.AsType[*client.Problem](err)
		if !ok || p.Title == "" || p.Detail == "" || p.Hint == "" || !strings.Contains(p.Error(), p.Hint) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, condition := range conditions {
			want := false
			for _, w := range c.want {
				want = want || w == condition
			}
			if errors.Is(err, condition) != want {
				t.Errorf("%s: errors.Is(%v) = %v", c.name, condition, !want)
			}
		}
		if errors.Is(err, client.ErrTryAgain) && p.RetryAfter <= 0 {
			t.Errorf("%s: nobody says when to try again", c.name)
		}
	}
}

func TestProblemsTellWhatIsInTheWay(t *testing.T) {
	for _, c := range []struct {
		err  bus.CarryError
		want [4]int
	}{
		{bus.CarryError{Reason: "r", TooLarge: true, Size: 1400, Limit: 1360}, [4]int{1400, 1360, 0, 0}},
		{bus.CarryError{Reason: "r", Offset: 2, Byte: 0x1a}, [4]int{0, 0, 2, 0x1a}},
	} {
		_, cl := connected(t, func(o *ipc.Options) { o.Carry = func(string, []byte) error { return &c.err } })
		_, err := cl.Publish(t.Context(), "/a", []byte("no\x1a"), client.PublishOptions{})
		p, ok := errors.AsType[*client.Problem](err)
		if !ok || [4]int{p.Size, p.Limit, p.Offset, int(p.Byte)} != c.want {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
}

// Seen: mistakes in a configuration passed for a payload that is not carried,
// because both are 422.
func TestMistakesAreNoPayload(t *testing.T) {
	_, cl := connected(t, func(o *ipc.Options) {
		o.Reload = func(context.Context) (api.Reloaded, error) {
			return api.Reloaded{}, ipc.Mistakes{{File: "/etc/a.toml", Line: 3, Column: 1, Key: "modem.bawd", Text: "unknown key"}}
		}
	})
	_, err := cl.Reload(t.Context())
	if !errors.Is(err, client.ErrConfiguration) || errors.Is(err, client.ErrNotCarried) {
		t.Error(err)
	}
}

func TestHealthy(t *testing.T) {
	var sick error
	_, c := connected(t, func(o *ipc.Options) { o.Healthy = func() error { return sick } })
	if err := c.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	sick = errors.New("no progress for 3m")
	if err := c.Healthy(t.Context()); !errors.Is(err, client.ErrUnhealthy) || !strings.Contains(err.Error(), "no progress for 3m") {
		t.Errorf("got %v", err)
	}
}

func TestBinaryAndGapItems(t *testing.T) {
	d, c := connected(t, nil)
	s, err := c.Subscribe(t.Context(), "/a")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for _, p := range []string{"\xff\x00", "", "é\n"} {
		d.Hub.Publish(bus.Message{Topic: "/a", Payload: []byte(p), ReceivedAt: at})
		it, err := s.Next()
		if err != nil || it.Message == nil || string(it.Message.Payload) != p || !it.Message.ReceivedAt.Equal(at) {
			t.Errorf("%q: %+v, %v", p, it, err)
		}
	}
	if want := `"payload":"é\n"`; !bytes.Contains(s.Line(), []byte(want)) {
		t.Errorf("the line %s has no %s", s.Line(), want)
	}
	for range 20000 {
		d.Hub.Publish(bus.Message{Topic: "/a", Payload: []byte(strings.Repeat("x", 1000)), ReceivedAt: at})
	}
	for {
		it, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if it.Gap > 0 {
			break
		}
	}
}

func TestStreamsEndWithTheReason(t *testing.T) {
	t.Run("daemon stops", func(t *testing.T) {
		d, c := connected(t, nil)
		s, err := c.Events(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		go d.Stop()
		if _, err := s.Next(); !errors.Is(err, client.ErrStopped) {
			t.Errorf("got %v", err)
		}
		d.Stop()
	})
	t.Run("context ends", func(t *testing.T) {
		_, c := connected(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		s, err := c.Subscribe(ctx, "/a")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		cancel()
		for err == nil {
			_, err = s.Next()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		_, c := connected(t, nil)
		s, err := c.Subscribe(t.Context(), "/a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		go s.Close()
		if _, err := s.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("daemon is killed", func(t *testing.T) {
		c := fake(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+"11\r\n{\"type\":\"other\"}\n\r\n")
		s, err := c.Subscribe(t.Context(), "/a")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
}

// What is not airbridged must not be taken for it.
func TestForeignAnswers(t *testing.T) {
	for _, c := range []struct{ name, answer, says string }{
		{"a page", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "another program"},
		{"plain refusal", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops", "Bad Gateway: oops"},
		{"broken problem", "HTTP/1.1 500 X\r\nContent-Type: application/problem+json\r\nContent-Length: 1\r\n\r\n{", "JSON"},
		{"no HTTP", "hello\r\n", "malformed"},
		{"nothing", "", "went away"},
	} {
		_, err := fake(t, c.answer).Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, client.ErrUnreachable) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, line := range []string{"hello", `{"type":"message","encoding":"rot13"}`, `{"type":"message","encoding":"base64","payload":"*"}`, `{"type":"gap","dropped":"many"}`} {
		s, err := fake(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s\n", len(line)+1, line)).Subscribe(t.Context(), "/a")
		if err != nil {
			t.Fatal(err)
		}
		if it, err := s.Next(); err == nil {
			t.Errorf("%s: %+v", line, it)
		}
		_ = s.Close()
	}
}

// When the context ends under way, nobody knows whether the message was kept;
// it must not look like the error that says it was not.
func TestDeadlineIsNotUnreachable(t *testing.T) {
	_, c := connected(t, func(o *ipc.Options) {
		o.Carry = func(string, []byte) error { <-t.Context().Done(); return nil }
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Publish(ctx, "/a", nil, client.PublishOptions{})
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}
