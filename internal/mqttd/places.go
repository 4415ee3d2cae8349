package mqttd

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// places bounds what clients can take: connections, bytes of messages without an
// answer, bytes of packets that have not arrived whole. Where a bound is shared,
// the one who has most gives way first.
type places struct {
	connections int
	most        int64 // bytes without an answer of one connection
	mu          sync.Mutex
	users       map[string]*user
	all         int // connections
	connected   int // of them with their CONNECT, and a place
	held        int // messages for which there is no room
	holding     int64
	heldBytes   int64
	unfinished  int64
	freed       chan struct{} // closed and made anew when a place may be free
}

// user is what one user has of them.
type user struct {
	name       string
	conns      []*conn // in the order in which they came
	connected  int
	holding    int64
	unfinished int64
}

// placed is what one connection has of them; guarded by places.mu.
type placed struct {
	user       *user
	connected  bool
	holding    int64 // bytes of messages without an answer
	held       int   // of them without room
	heldBytes  int64
	unfinished int64
}

func (p *places) init(o Options) {
	p.connections, p.most = o.MaxConnections, int64(o.HoldBytes)
	p.users = map[string]*user{}
	p.freed = make(chan struct{})
}

func (p *places) stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Clients: p.connected, Held: p.held, HeldBytes: p.heldBytes}
}

// arrive takes a new connection in, or says that it has to be closed. When there
// are too many, the newest of the user with most is closed for one of another user.
func (p *places) arrive(c *conn) bool {
	p.mu.Lock()
	var victim *conn
	if p.all >= p.connections+waiters {
		most := p.fullest(func(u *user) int64 { return int64(len(u.conns)) })
		if mine := p.users[c.who.owner()]; most == nil || mine == most || mine != nil && len(mine.conns)+1 >= len(most.conns) {
			p.mu.Unlock()
			return false
		}
		victim = newest(most.conns, func(*conn) bool { return true })
	}
	p.all++
	p.join(c, c.who.owner())
	p.mu.Unlock()
	if victim != nil {
		victim.close("another user needs the place")
	}
	return true
}

// join files a connection under a user; under the lock.
func (p *places) join(c *conn, name string) {
	u := p.users[name]
	if u == nil {
		u = &user{name: name}
		p.users[name] = u
	}
	u.conns = append(u.conns, c)
	u.unfinished += c.placed.unfinished
	c.placed.user = u
}

// part takes a connection from its user; under the lock.
func (p *places) part(c *conn) {
	u := c.placed.user
	if i := slices.Index(u.conns, c); i >= 0 {
		u.conns = slices.Delete(u.conns, i, i+1)
	}
	u.unfinished -= c.placed.unfinished
	if len(u.conns) == 0 {
		delete(p.users, u.name)
	}
}

// rename files a connection under the user as whom it has shown itself.
func (p *places) rename(c *conn, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part(c)
	p.join(c, name)
}

var errNoPlace = errors.New("more connections than mqtt.max_connections")

// enter gives a connection with its CONNECT a place. Where there is none it waits
// until ctx ends: errNoPlace.
func (p *places) enter(ctx context.Context, c *conn) error {
	for {
		freed, victim := p.tryEnter(c)
		if victim != nil {
			victim.close("another user needs the place")
		}
		if freed == nil {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return errNoPlace
		}
	}
}

// tryEnter returns nil, or what to wait for.
func (p *places) tryEnter(c *conn) (freed chan struct{}, victim *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connected >= p.connections {
		most := p.fullest(func(u *user) int64 { return int64(u.connected) })
		if most == nil || most.connected < c.placed.user.connected+2 {
			return p.freed, nil
		}
		victim = newest(most.conns, func(c *conn) bool { return c.placed.connected })
		p.disconnect(victim)
	}
	p.connected++
	c.placed.connected = true
	c.placed.user.connected++
	return nil, victim
}

// disconnect takes the place of a connection; under the lock.
func (p *places) disconnect(c *conn) {
	if c.placed.connected {
		c.placed.connected = false
		c.placed.user.connected--
		p.connected--
	}
}

// leave gives back all that a connection has.
func (p *places) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disconnect(c)
	p.all--
	pl, u := &c.placed, c.placed.user
	p.holds(c, -pl.holding)
	p.held -= pl.held
	p.heldBytes -= pl.heldBytes
	p.unfinished -= pl.unfinished
	p.part(c)
	*pl = placed{user: u}
	close(p.freed)
	p.freed = make(chan struct{})
}

// room is what places say of one more message without an answer.
type room int

const (
	fits    room = iota
	overOwn      // of what the connection may have
	overAll      // of what its user, or all, may have
)

// hold counts n more bytes without an answer; negative: fewer.
func (p *places) hold(c *conn, n int64) room {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < 0 {
		n = -min(-n, c.placed.holding) // it may have been taken away already
	}
	p.holds(c, n)
	switch {
	case c.placed.holding > p.most:
		return overOwn
	case c.placed.user.holding > p.most*holdsInAll/2, p.holding > p.most*holdsInAll:
		return overAll
	}
	return fits
}

// holds counts bytes without an answer; under the lock.
func (p *places) holds(c *conn, n int64) {
	c.placed.holding += n
	c.placed.user.holding += n
	p.holding += n
}

// noRoom counts messages that wait for room; negative: fewer.
func (p *places) noRoom(c *conn, messages int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.placed.held += messages
	c.placed.heldBytes += bytes
	p.held += messages
	p.heldBytes += bytes
}

// holder is whom to close when all hold too much: of the user with most the
// connection with most. What it holds is counted no more. nil: nobody holds for
// want of room.
func (p *places) holder() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.fullest(func(u *user) int64 { return u.holding })
	if u == nil {
		return nil
	}
	var most *conn
	for _, c := range u.conns {
		if c.placed.held > 0 && (most == nil || c.placed.holding > most.placed.holding) {
			most = c
		}
	}
	if most != nil {
		p.holds(most, -most.placed.holding)
	}
	return most
}

var errUnfinished = errors.New("too many bytes of packets that have not arrived whole")

// account counts bytes of an unfinished packet. At the bound the user with most of
// them loses a connection, which may be this one: errUnfinished.
func (p *places) account(c *conn, more int64) error {
	p.mu.Lock()
	pl := &c.placed
	if more < 0 {
		more = -min(-more, pl.unfinished) // it may have been taken away already
	}
	pl.unfinished += more
	pl.user.unfinished += more
	p.unfinished += more
	var victim *conn
	if more > 0 && p.unfinished > maxUnfinished {
		u := p.fullest(func(u *user) int64 { return u.unfinished })
		for _, other := range u.conns {
			if victim == nil || other.placed.unfinished > victim.placed.unfinished {
				victim = other
			}
		}
		u.unfinished -= victim.placed.unfinished
		p.unfinished -= victim.placed.unfinished
		victim.placed.unfinished = 0
	}
	p.mu.Unlock()
	switch {
	case victim == c:
		return errUnfinished
	case victim != nil:
		victim.close(errUnfinished.Error())
	}
	return nil
}

// fullest is the user with most of something; nil: nobody has any. Under the lock.
func (p *places) fullest(of func(*user) int64) *user {
	var most *user
	for _, u := range p.users {
		if of(u) > 0 && (most == nil || of(u) > of(most)) {
			most = u
		}
	}
	return most
}

// newest is the last connection to which something applies, or nil.
func newest(list []*conn, applies func(*conn) bool) *conn {
	for _, c := range slices.Backward(list) {
		if applies(c) {
			return c
		}
	}
	return nil
}
