package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// stream opens a stream in a bubble; the test writes the daemon's side.
func stream(t *testing.T) (*Stream[Event], net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	c := &Client{socket: "memory", http: &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
	}}}
	go func() {
		_, _ = far.Read(make([]byte, 4096))
		_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
	}()
	s, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, far
}

const heartbeat = `{"type":"heartbeat","at":"2026-11-22T08:00:00Z"}` + "\n"

// A daemon that hangs keeps its connections open, so only missing heartbeats
// tell: three of them end the stream.
func TestSilentDaemonEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := stream(t)
		defer far.Close()
		defer s.Close()
		begun := time.Now()
		go func() {
			for range 4 {
				time.Sleep(15 * time.Second)
				_, _ = io.WriteString(far, heartbeat)
			}
		}()
		_, err := s.Next()
		if !errors.Is(err, ErrStalled) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); took != time.Minute+stallTime {
			t.Errorf("after %v", took)
		}
	})
}

// A program that takes its time over one value is no silent daemon.
func TestBusyProgramDoesNotEndTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := stream(t)
		defer far.Close()
		defer s.Close()
		go func() { _, _ = io.WriteString(far, heartbeat+`{"type":"state","to":"online"}`+"\n") }()
		if e, err := s.Next(); err != nil || e.To != "online" {
			t.Fatalf("got %+v, %v", e, err)
		}
		time.Sleep(time.Hour)
		go func() { _, _ = io.WriteString(far, `{"type":"warning","code":"sim"}`+"\n") }()
		if e, err := s.Next(); err != nil || e.Code != "sim" {
			t.Errorf("got %+v, %v", e, err)
		}
	})
}

// Seen: a stream to a daemon that was stopped (SIGSTOP) was opened for ever.
func TestSilentDaemonOpensNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := &Client{socket: "memory", http: &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
		}}}
		go func() { _, _ = io.Copy(io.Discard, far) }()
		begun := time.Now()
		if _, err := c.Events(t.Context()); !errors.Is(err, ErrStalled) || time.Since(begun) != stallTime {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

// What cuts a request short is told in words that somebody who does not know Go reads, and
// is still what it was for a program.
func TestWordsOfWhatCutsARequestShort(t *testing.T) {
	c := New("/run/x.sock")
	for _, err := range []error{context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET} {
		told := c.dialError(&url.Error{Op: "Post", URL: "http://airbridged/v1/publish", Err: err})
		if !errors.Is(told, err) || strings.Contains(told.Error(), err.Error()) || strings.Contains(told.Error(), "http://") {
			t.Errorf("%v: %v", err, told)
		}
	}
}

// The tests may run as root, for whom every socket opens.
func TestForbiddenSocketIsNotUnreachable(t *testing.T) {
	c := New("/run/x.sock")
	err := c.dialError(fmt.Errorf("Post: %w", &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}))
	if !errors.Is(err, ErrNotPermitted) || errors.Is(err, ErrUnreachable) || !errors.Is(err, syscall.EACCES) {
		t.Errorf("got %v", err)
	}
	if want := "not permitted: /run/x.sock: permission denied (run as a user in the socket's group"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}
