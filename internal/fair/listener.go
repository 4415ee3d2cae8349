package fair

import (
	"net"
	"slices"
	"sync"
	"time"
)

// listener bounds the connections of another one, where nobody can tell who
// connects. At the bound, the connection that has been longest without a whole request
// is closed for a newcomer, and where all have one, the one that has been served
// longest. Each has a moment for its request all the same, so that even a flood of
// newcomers does not wash out one that sends its request at once.
type listener struct {
	net.Listener
	most int

	mu     sync.Mutex
	guests []*guest // in the order in which they began to wait, or to be served
}

// guest is one accepted connection.
type guest struct {
	net.Conn
	door *listener
	busy bool // a whole request of it is being answered
	from time.Time
}

// doorMoment is what every connection has to send its request, however many others
// come. A flood waits in the kernel meanwhile, and moves on by 16 of them each time.
const doorMoment = 100 * time.Millisecond

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &guest{Conn: c, door: l}
	l.mu.Lock()
	leaves := l.full()
	l.mu.Unlock()
	if leaves != nil {
		time.Sleep(doorMoment - time.Since(leaves.from))
		l.mu.Lock()
		if leaves = l.full(); leaves != nil { // it may be another one by now, or none
			l.guests = slices.DeleteFunc(l.guests, func(other *guest) bool { return other == leaves })
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	g.from = time.Now()
	l.guests = append(l.guests, g)
	l.mu.Unlock()
	if leaves != nil {
		_ = leaves.Close()
	}
	return g, nil
}

// full returns who has to leave before one more comes; nil while there is room.
func (l *listener) full() *guest {
	if len(l.guests) < l.most {
		return nil
	}
	return l.guests[max(0, slices.IndexFunc(l.guests, func(g *guest) bool { return !g.busy }))]
}

// turn notes that a request is being answered, or no longer is: from then on its
// connection is the newest one that is served, or that waits.
func (g *guest) turn(busy bool) {
	g.door.mu.Lock()
	defer g.door.mu.Unlock()
	if i := slices.Index(g.door.guests, g); i >= 0 {
		g.busy, g.from = busy, time.Now()
		g.door.guests = append(slices.Delete(g.door.guests, i, i+1), g)
	}
}

// Close gives the place back; it may be called again.
func (g *guest) Close() error {
	g.door.mu.Lock()
	g.door.guests = slices.DeleteFunc(g.door.guests, func(other *guest) bool { return other == g })
	g.door.mu.Unlock()
	return g.Conn.Close()
}
