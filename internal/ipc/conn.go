package ipc

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"airbridged/internal/peer"
)

// client is what a request's context knows of its connection.
type client struct {
	peer  peer.Cred
	known bool // peer is what the kernel said; false on anything but a Unix socket
	extra bool // accepted beyond the number of connections that are served
}

type clientKey struct{}

// withClient is the http.Server's ConnContext.
func withClient(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, c.(*conn).client)
}

// clientOf returns what withClient has put there.
func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
}

// program names the program for people, see [peer.Cred.Program].
func (c client) program() string {
	if !c.known {
		return "unknown"
	}
	return c.peer.Program()
}

// limiter bounds the connections of a listener: the first many are served,
// some more are marked as extra so that they can be told why not, and all
// further ones wait in the kernel's backlog.
type limiter struct {
	net.Listener
	serve    int
	accepted *atomic.Uint64
	slots    chan struct{}
	done     chan struct{}

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
}

func newLimiter(l net.Listener, serve, extra int, accepted *atomic.Uint64) *limiter {
	return &limiter{
		Listener: l,
		serve:    serve,
		accepted: accepted,
		slots:    make(chan struct{}, serve+extra),
		done:     make(chan struct{}),
		conns:    make(map[*conn]struct{}),
	}
}

// Accept waits for a place first and for a connection then.
func (l *limiter) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	nc, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	l.accepted.Add(1)
	c := &conn{Conn: nc, owner: l}
	c.fresh.Store(true)
	if p, err := peer.Of(nc); err == nil {
		c.client.peer, c.client.known = p, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = nc.Close()
		<-l.slots
		return nil, net.ErrClosed
	}
	c.client.extra = len(l.conns) >= l.serve
	l.conns[c] = struct{}{}
	return c, nil
}

// Close accepts no more, and closes the connections on which not one request
// has begun: net/http would wait 5 s for them to say something.
func (l *limiter) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	var fresh []*conn
	for c := range l.conns {
		if c.fresh.Load() {
			fresh = append(fresh, c)
		}
	}
	l.mu.Unlock()
	close(l.done)
	err := l.Listener.Close()
	for _, c := range fresh {
		_ = c.Close()
	}
	return err
}

// conn is one accepted connection.
type conn struct {
	net.Conn
	owner  *limiter
	client client
	fresh  atomic.Bool // no byte of a request has come yet
	once   sync.Once
}

// Close gives the place back, once.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.owner.mu.Lock()
		delete(c.owner.conns, c)
		c.owner.mu.Unlock()
		<-c.owner.slots
	})
	return err
}

// CloseWrite lets net/http say its last word to a client that is still sending.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
