package mqttd

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/mqttd/packet"
)

// session is what a client id has beyond its connection (3.1.1, 4.1): filters, the
// messages down that wait or are not acknowledged, and which QoS 2 messages up are
// half handed over.
type session struct {
	id, owner string
	sub       *bus.Subscription
	acks      chan struct{} // 1-buffered: there may be room for more messages down
	box       *downlink.Box // what is kept for it; nil: it ends with its connection, or nothing is kept

	// Guarded by registry.mu.
	conn   *conn         // nil: the client is away
	expiry time.Duration // how long it is kept without a connection; 0: not
	until  time.Time     // of one that is away

	mu       sync.Mutex // guards what follows
	filters  map[string]wish
	flight   []flying
	next     uint16
	received idSet
	echo     echo
}

// wish is what a client wants of a filter.
type wish struct {
	qos     byte
	noLocal bool
	id      uint32 // subscription identifier; 0: none
}

// flying is a message down without its PUBACK.
type flying struct {
	p    *packet.Publish
	kept string // what it is called in the session's box; "": it is in memory only
}

// release ends the handshake of a QoS 2 message up.
func (s *session) release(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received.remove(id)
}

// acked takes a client's PUBACK; one that fits nothing is ignored.
func (s *session) acked(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.flight, func(f flying) bool { return f.p.ID == id }); i >= 0 {
		if kept := s.flight[i].kept; kept != "" {
			s.box.Ack(kept)
		}
		s.flight = slices.Delete(s.flight, i, i+1)
		poke(s.acks)
	}
}

// fly gives a message down its packet identifier and remembers it.
func (s *session) fly(p *packet.Publish, kept string) {
	for {
		if s.next++; s.next == 0 {
			s.next = 1
		}
		if !slices.ContainsFunc(s.flight, func(f flying) bool { return f.p.ID == s.next }) {
			break
		}
	}
	p.ID = s.next
	s.flight = append(s.flight, flying{p, kept})
}

// registry is every session by client id.
type registry struct {
	hub      *bus.Hub
	store    *downlink.Store // nil: sessions end with the daemon
	longest  time.Duration   // that one is kept without a connection
	watching atomic.Int64    // sessions with a filter of a local topic
	watched  chan struct{}   // 1-buffered: watching has grown
	most     int             // sessions of clients that are away
	mu       sync.Mutex
	byID     map[string]*session
}

func (r *registry) init(o Options) {
	r.hub, r.store, r.most, r.byID, r.watched = o.Hub, o.Downlink, o.MaxConnections, map[string]*session{}, make(chan struct{}, 1)
	r.longest = longestAway
	if r.store != nil {
		r.longest = downlink.Forever
	}
}

// away is how many sessions have no connection.
func (r *registry) away() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.byID {
		if s.conn == nil {
			n++
		}
	}
	return n
}

// has says whether the client has a session already.
func (r *registry) has(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byID[c.clientID]
	return s != nil && s.owner == c.who.owner() && s.expiry > 0
}

var errStaying = errors.New("the older connection of its client id does not end")

// attach gives a connection its session. An older connection of the same user is
// ended before; ctx bounds the wait for that. present: the session was there.
func (r *registry) attach(ctx context.Context, c *conn, p *packet.Connect) (present bool, err error) {
	for {
		old, err := r.tryAttach(c, p, &present)
		if err == nil && old == nil {
			r.settle(ctx, c)
		}
		if err != nil || old == nil {
			return present, err
		}
		old.close(whyTakenOver)
		select {
		case <-old.left:
		case <-ctx.Done():
			return false, errStaying
		case <-c.gone:
			return false, context.Canceled
		}
	}
}

// tryAttach returns the connection that has to end first.
func (r *registry) tryAttach(c *conn, p *packet.Connect, present *bool) (old *conn, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byID[c.clientID]
	if s != nil && s.conn == nil && time.Now().After(s.until) {
		r.remove(s)
		s = nil
	}
	switch {
	case s != nil && s.owner != c.who.owner():
		return nil, &refusal{packet.NotAuthorized311, packet.NotAuthorized, "another user has its client id"}
	case s != nil && s.conn != nil:
		return s.conn, nil
	case s != nil && (p.CleanStart || c.forbids(s)):
		c.ended = s.box
		r.remove(s)
		s = nil
	}
	*present = s != nil
	if s == nil {
		s = r.make(c, r.expiryOf(p))
	}
	s.conn, c.session = c, s
	if s.expiry = r.expiryOf(p); s.box != nil {
		s.box.Expire(s.expiry, time.Time{})
	}
	s.echo.all = p.Bridge
	return nil, nil
}

// expiryOf is how long a CONNECT asks to be remembered.
func (r *registry) expiryOf(p *packet.Connect) time.Duration {
	if p.Level < packet.Level5 {
		if p.CleanStart {
			return 0
		}
		return r.longest
	}
	seconds, _ := p.Properties.Number(packet.SessionExpiry)
	return min(time.Duration(seconds)*time.Second, r.longest)
}

// expire changes how long a session is kept; false: that is not allowed.
func (r *registry) expire(c *conn, seconds uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.session.expiry == 0 && seconds > 0 {
		return false
	}
	c.session.expiry = min(time.Duration(seconds)*time.Second, r.longest)
	return true
}

// kept is how long the session of a connection outlives it.
func (r *registry) kept(c *conn) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.session.expiry
}

// detach ends a connection's hold of its session.
func (r *registry) detach(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := c.session
	if s == nil || s.conn != c {
		return
	}
	s.conn = nil
	if s.expiry == 0 {
		r.remove(s)
		return
	}
	s.until = time.Now().Add(s.expiry)
	if s.box != nil {
		s.box.Expire(s.expiry, time.Now().UTC())
	}
	r.bound()
}

// bound drops the session that is away for longest, of the user with most, while
// there are too many; under the lock.
func (r *registry) bound() {
	count, of, all := map[string]int{}, "", 0
	for _, s := range r.byID {
		if s.conn == nil {
			all++
			if count[s.owner]++; count[s.owner] > count[of] {
				of = s.owner
			}
		}
	}
	if all <= r.most {
		return
	}
	var oldest *session
	for _, s := range r.byID {
		if s.conn == nil && s.owner == of && (oldest == nil || s.until.Add(-s.expiry).Before(oldest.until.Add(-oldest.expiry))) {
			oldest = s
		}
	}
	r.remove(oldest)
}

// remove ends a session, with what is kept for it; under the lock.
func (r *registry) remove(s *session) {
	if s.box != nil {
		s.box.End()
	}
	r.leave(s)
}

// leave lets go of a session; under the lock.
func (r *registry) leave(s *session) {
	delete(r.byID, s.id)
	s.mu.Lock()
	for f := range s.filters {
		r.unwatch(f)
	}
	clear(s.filters)
	s.mu.Unlock()
	s.sub.Close()
}

// expired ends what is away for too long, and says when to look again; zero:
// nothing is away.
func (r *registry) expired(now time.Time) (next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.byID {
		switch {
		case s.conn != nil:
		case !now.Before(s.until):
			r.remove(s)
		case next.IsZero() || s.until.Before(next):
			next = s.until
		}
	}
	return next
}

// close ends every session. What is kept for one stays.
func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.byID {
		r.leave(s)
	}
}
