package ipc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/peer"
)

// userConn is a connection of one user.
type userConn struct {
	net.Conn
	uid uint32
}

// crowd is a daemon in virtual time that has users.
type crowd struct {
	*daemon
	pipes *pipes
}

func newCrowd(t *testing.T, conns int, change func(*Options)) *crowd {
	t.Helper()
	d, p := virtualDaemon(t, func(o *Options) {
		o.Conns = conns
		o.who = func(c net.Conn) (peer.Cred, error) {
			if u, ok := c.(userConn); ok {
				return peer.Cred{UID: u.uid}, nil
			}
			return peer.Cred{}, errors.ErrUnsupported
		}
		if change != nil {
			change(o)
		}
	})
	return &crowd{d, p}
}

// dial connects as a user, and waits until the daemon has dealt with it.
func (c *crowd) dial(uid uint32) *guest {
	near, far := net.Pipe()
	c.pipes.conns <- userConn{far, uid}
	synctest.Wait()
	g := &guest{t: c.t, Conn: near, answers: bufio.NewReader(near)}
	return g
}

// guest is one connection of a program.
type guest struct {
	t *testing.T
	net.Conn
	answers *bufio.Reader
}

func (g *guest) say(text string) {
	g.t.Helper()
	if _, err := io.WriteString(g, text); err != nil {
		g.t.Fatal(err)
	}
	synctest.Wait()
}

// hears is the next answer: its status line and body. "" is the end.
func (g *guest) hears() (status, body string, closing bool) {
	resp, err := http.ReadResponse(g.answers, nil)
	if err != nil {
		return "", "", true
	}
	data, _ := io.ReadAll(resp.Body)
	return resp.Status, string(data), resp.Close
}

const (
	askStatus = "GET /v1/status HTTP/1.1\r\nHost: d\r\n\r\n"
	askWait   = "POST /v1/publish?topic=/a&wait=1h HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\n\r\nx"
	askEvents = "GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n"
)

// 256 requests with wait=1h of one user kept everybody else out, root's status too
// (EAGAIN). Now he may have every place and loses the newest as others come: a wait
// is answered early, a stream says goodbye, a body that never comes breaks off. Root
// always has some.
func TestOneUserCannotKeepOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, keptConns+5, nil)
		silent, slow := c.dial(1000), c.dial(1000)
		slow.say("POST /v1/publish?topic=/a HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\nx")
		idle := c.dial(1000)
		idle.say(askStatus)
		idle.hears()
		wait := c.dial(1000)
		wait.say(askWait)
		events := c.dial(1000)
		events.say(askEvents)

		extra := c.dial(1000)
		extra.say(askStatus)
		if status, body, closing := extra.hears(); status != "503 Service Unavailable" || !strings.Contains(body, `"urn:airbridged:problem:too-busy"`) || !closing {
			t.Errorf("one more of the same user: %s %s", status, body)
		}
		root := c.dial(0)
		root.say(askStatus)
		if status, _, _ := root.hears(); status != "200 OK" {
			t.Errorf("root: %s", status)
		}

		served := func(what string) {
			t.Helper()
			g := c.dial(1001)
			g.say(askStatus)
			if status, _, _ := g.hears(); status != "200 OK" {
				t.Errorf("another user, when %s: %s", what, status)
			}
		}
		served("a stream is the newest")
		if _, lines, _ := events.hears(); !strings.HasSuffix(lines, `{"type":"end","reason":"too-busy"}`+"\n") {
			t.Errorf("the stream ends with %q", lines)
		}
		served("a wait is the newest")
		if status, body, closing := wait.hears(); status != "202 Accepted" || body != `{"id":"m1","state":"queued"}`+"\n" || !closing {
			t.Errorf("the wait is answered %s %q, close %v", status, body, closing)
		}
		third := c.dial(1002)
		third.say(askStatus)
		if status, _, _ := third.hears(); status != "200 OK" {
			t.Errorf("a third user: %s", status)
		}
		if status, _, _ := idle.hears(); status != "" {
			t.Errorf("the idle connection is still there: %s", status)
		}
		// Now all have two or one, and nobody can take from another.
		more := c.dial(1002)
		more.say(askStatus)
		if status, _, _ := more.hears(); status != "503 Service Unavailable" {
			t.Errorf("one whose user has as many: %s", status)
		}
		slow.say("12345678")
		if status, _, _ := slow.hears(); status != "202 Accepted" {
			t.Errorf("a body that comes after all: %s", status)
		}
		_ = silent.Close()
		c.stop()
	})
}

// One that is in the middle of a request has 2 s to end it.
func TestWhoLosesAPlaceHasAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, keptConns+2, nil)
		c.dial(1000)
		slow := c.dial(1000)
		slow.say("POST /v1/publish?topic=/a HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\nx")
		begun := time.Now()
		c.dial(1001).say(askStatus)
		_, _ = io.ReadAll(slow)
		if took := time.Since(begun); took != leaveTime {
			t.Errorf("cut off after %v", took)
		}
		c.stop()
	})
}

// A user who only connects, again and again, is told so or closed, whatever he has
// not said yet; nobody waits in the kernel behind him.
func TestAFloodOfConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, keptConns+4, nil)
		var flood []*guest
		for range 500 {
			flood = append(flood, c.dial(1000))
		}
		for _, uid := range []uint32{1001, 0} {
			g := c.dial(uid)
			g.say(askStatus)
			if status, _, _ := g.hears(); status != "200 OK" {
				t.Errorf("uid %d beside 500 connections: %s", uid, status)
			}
		}
		open := 0
		for _, g := range flood {
			_ = g.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := g.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				open++
			}
		}
		if open > 4+spareConns {
			t.Errorf("%d of his connections are open", open)
		}
		c.stop()
	})
}

// Nobody is cut off, and no goroutine or place is left, whatever comes and goes at
// the same time.
func TestPlacesAreGivenBack(t *testing.T) {
	d := startDaemon(t, func(o *Options) { o.Conns = keptConns + 8 })
	for range 40 {
		var conns []net.Conn
		for i := range 20 {
			c := d.dial()
			if i%2 == 0 {
				fmt.Fprint(c, askStatus)
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	}
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		held, _ := d.server.places.Held()
		if held == 0 {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d places are still held", held)
		}
	}
}
