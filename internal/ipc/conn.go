package ipc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/fair"
	"airbridged/internal/peer"
)

// errCrowdedOut ends what a connection does when another user needs its place.
var errCrowdedOut = errors.New("another user needs the place of this connection")

// client is what a request's context knows of its connection.
type client struct {
	peer   peer.Cred
	groups []uint32 // the other groups of peer
	known  bool     // peer is what the kernel said; false on anything but a Unix socket
	extra  bool     // accepted beyond the number of connections that are served
}

type clientKey struct{}

// withClient is the http.Server's ConnContext. What a request does with its
// context ends when its connection has to make room.
func withClient(ctx context.Context, nc net.Conn) context.Context {
	c := nc.(*conn)
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, clientKey{}, c.client))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	if c.ended {
		cancel(errCrowdedOut)
	}
	return ctx
}

// clientOf returns what withClient has put there.
func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
}

// crowdedOut says whether a request's connection had to make room.
func crowdedOut(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errCrowdedOut) }

// program names the program for people, see [peer.Cred.Program].
func (c client) program() string {
	if !c.known {
		return "unknown"
	}
	return c.peer.Program()
}

// user is who the connection counts for: nobody, where the kernel does not tell.
func (c client) user() int64 {
	if !c.known {
		return -1
	}
	return int64(c.peer.UID)
}

// trusted says whether it is root or the daemon's own user.
func (c client) trusted() bool {
	return c.known && (c.peer.UID == 0 || int(c.peer.UID) == os.Geteuid())
}

// limiter bounds the connections of a listener, and lets no newcomer wait. Who
// has no place of the pool is an extra, and told so; the oldest of the extras is
// closed for the next. A connection that has to give its place up may say
// goodbye, if it is in the middle of a request, for a moment.
type limiter struct {
	net.Listener
	server *Server

	mu      sync.Mutex
	closed  bool
	conns   map[*conn]struct{}
	extras  []*conn // oldest first, at most spareConns
	leaving []*conn // oldest first, at most spareConns
}

func (s *Server) limit(l net.Listener) *limiter {
	return &limiter{Listener: l, server: s, conns: make(map[*conn]struct{})}
}

func (l *limiter) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.server.accepted.Add(1)
	if u, ok := nc.(*net.UnixConn); ok {
		_ = u.SetWriteBuffer(sendBuffer) // else it is as large as the system has it
	}
	c := &conn{Conn: nc, owner: l, accepted: time.Now()}
	if p, err := l.server.o.who(nc); err == nil {
		c.client.peer, c.client.known = p, true
		if c.client.groups, err = l.server.o.groups(nc); err != nil {
			l.server.o.Log.Warn("the kernel does not tell the groups of a program", zap.Error(err), zap.Int32("pid", p.PID))
		}
	}
	c.client.extra = !c.sit(l.server.places.Take(c.client.user(), c.client.trusted(), 1, c.end))
	l.enter(c)
	return c, nil
}

// enter books a connection. One that comes while the listener is closed is answered
// what it has asked already, and no more.
func (l *limiter) enter(c *conn) {
	l.mu.Lock()
	closed := l.closed
	l.conns[c] = struct{}{}
	var oldest *conn
	if c.client.extra {
		l.extras, oldest = push(l.extras, c)
	}
	l.mu.Unlock()
	closeConn(oldest)
	if closed {
		c.hearNoMore()
	}
}

// leave lets a connection that lost its place finish what it says, but not for
// long, and not many of them.
func (l *limiter) leave(c *conn) {
	l.mu.Lock()
	var oldest *conn
	l.leaving, oldest = push(l.leaving, c)
	l.mu.Unlock()
	closeConn(oldest)
}

// push appends to a short list, and returns its first one if it is too long then.
func push(list []*conn, c *conn) (_ []*conn, oldest *conn) {
	list = append(list, c)
	if len(list) > spareConns {
		return list[1:], list[0]
	}
	return list, nil
}

func closeConn(c *conn) {
	if c != nil {
		_ = c.Close()
	}
}

// Close accepts no more.
func (l *limiter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	return l.Listener.Close()
}

// settle ends the connections in good order, after Close, and says whether all of them
// ended within a limit. What was written on one that rests is answered, what comes later
// fails where it is written: the kernel decides which of the two it is. (net/http's own
// Shutdown closes what rests, and loses unread what was asked in that moment.) Whoever has
// only just connected may ask what he came for.
func (l *limiter) settle(limit time.Duration) bool {
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		now := time.Now()
		for _, c := range l.resting() {
			if c.was() || now.Sub(c.accepted) >= freshTime {
				c.hearNoMore()
			}
		}
		if n := l.count(); n == 0 || !now.Before(end) {
			return n == 0
		}
	}
}

func (l *limiter) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// resting are the connections without a request under way.
func (l *limiter) resting() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*conn
	for c := range l.conns {
		if c.rests() {
			list = append(list, c)
		}
	}
	return list
}

func (l *limiter) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// forget drops a connection from the books.
func (l *limiter) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	same := func(other *conn) bool { return other == c }
	l.extras, l.leaving = slices.DeleteFunc(l.extras, same), slices.DeleteFunc(l.leaving, same)
}

// conn is one accepted connection.
type conn struct {
	net.Conn
	owner    *limiter
	client   client
	accepted time.Time
	deaf     sync.Once // hears no more

	mu     sync.Mutex
	place  *fair.Holding[int64]    // nil: an extra
	cancel context.CancelCauseFunc // of its requests' context
	begun  bool                    // there was a request
	busy   bool                    // between a request's first byte and the end of its answer
	ended  bool                    // its place was given to somebody else
	late   *time.Timer             // closes it then
	closed bool
}

// sit keeps the place that the connection got, if it got one.
func (c *conn) sit(place *fair.Holding[int64]) bool {
	if place == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed { // ended in the same moment
		place.Release()
	}
	c.place = place
	return true
}

// end gives the place to somebody else. In the middle of a request it is told by
// its context, has leaveTime to say so, and is closed behind the answer.
func (c *conn) end() {
	c.mu.Lock()
	c.ended = true
	if c.cancel != nil {
		c.cancel(errCrowdedOut)
	}
	busy := c.busy && !c.closed
	if busy {
		c.late = time.AfterFunc(leaveTime, func() { _ = c.Close() })
	}
	c.mu.Unlock()
	c.owner.server.crowded.Add(1)
	c.owner.server.o.Log.Warn("a connection has ended so that another user gets its place; its user has the most",
		zap.Uint32("uid", c.client.peer.UID), zap.Int32("pid", c.client.peer.PID))
	if !busy {
		_ = c.Close()
		return
	}
	c.owner.leave(c)
}

// turn follows the connection's state, as net/http tells it.
func (c *conn) turn(state http.ConnState) {
	c.mu.Lock()
	c.begun = c.begun || state == http.StateActive
	c.busy = state == http.StateActive
	over := c.ended && state == http.StateIdle
	c.mu.Unlock()
	switch {
	case over:
		_ = c.Close()
	case state == http.StateIdle && c.owner.isClosed():
		c.hearNoMore()
	}
}

// rests says that no request is under way.
func (c *conn) rests() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.busy
}

// was says that there was a request.
func (c *conn) was() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
}

// hearNoMore has what the client writes from now on fail. What it has written is there to
// be read, and behind it the end.
func (c *conn) hearNoMore() {
	c.deaf.Do(func() {
		if half, ok := c.Conn.(interface{ CloseRead() error }); ok {
			_ = half.CloseRead()
		} else {
			_ = c.Close()
		}
	})
}

// Close gives the place back, once.
func (c *conn) Close() error {
	c.mu.Lock()
	closed, place := c.closed, c.place
	c.closed = true
	if c.late != nil {
		c.late.Stop()
	}
	if c.cancel != nil {
		c.cancel(nil)
	}
	c.mu.Unlock()
	err := c.Conn.Close()
	if closed {
		return err
	}
	if place != nil {
		place.Release()
	}
	c.owner.forget(c)
	return err
}

// CloseWrite lets net/http say its last word to a client that is still sending.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
