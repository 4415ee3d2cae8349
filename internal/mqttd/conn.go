package mqttd

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/downlink"
	"airbridged/internal/mqttd/packet"
)

// conn is one connection. Its fields are the reader's, unless it says otherwise.
type conn struct {
	srv *Server
	nc  net.Conn
	r   *packet.Reader

	// Set by its CONNECT, and not changed afterwards.
	who       Who
	clientID  string
	level     byte
	keepAlive time.Duration // 0: none
	maxPacket int           // that the client takes
	window    int           // messages down without a PUBACK
	problems  bool          // the client wants reason strings
	source    uint8
	session   *session
	ended     *downlink.Box // what was kept for the session before; nil: nothing

	will    *will // what is published when it ends without a word; nil: nothing
	readDue time.Time
	out     answers
	flow    flow

	placed placed // guarded by places.mu

	once sync.Once
	why  string        // it is closed; set before gone is closed
	gone chan struct{} // closed when it is to end
	mute chan struct{} // closed when nothing more is added to out but answers of flow
	left chan struct{} // closed when all of it has ended
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, who: s.whoIs(nc), gone: make(chan struct{}), mute: make(chan struct{}), left: make(chan struct{})}
	c.out.init()
	c.r = packet.NewReader(nc, s.o.MaxPacket)
	c.r.Account = func(more int) error { return s.places.account(c, int64(more)) }
	return c
}

// Why a connection is closed, where it matters to what follows.
const (
	whyStopping  = "the daemon stops"
	whyTakenOver = "another connection has its client id now"
	whyRules     = "the access rules have changed: " // and then which one forbids what
)

// close has a connection end. It waits for nothing and may be called by anybody,
// several times; the first reason counts.
func (c *conn) close(why string) {
	c.once.Do(func() {
		c.why = why
		close(c.gone)
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
		_ = c.nc.SetWriteDeadline(time.Now().Add(graceTime))
	})
}

// isGone says whether the connection is to end.
func (c *conn) isGone() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// serve is the connection's life.
func (c *conn) serve(ctx context.Context) {
	defer close(c.left)
	defer func() { _ = c.nc.Close() }()
	defer c.srv.places.leave(c)
	unhook := context.AfterFunc(ctx, func() { c.close(whyStopping) })
	defer unhook()
	if !c.greet(ctx) {
		c.close("it never began")
		return
	}
	var writer sync.WaitGroup
	writer.Go(c.write)
	err := c.read()
	c.end(err)
	close(c.mute)
	writer.Wait()
	c.flow.abandon(c)
	c.srv.sessions.detach(c)
	c.srv.bequeath(c)
	poke(c.srv.due)
}

// read handles packets until the connection ends. nil: with a DISCONNECT.
func (c *conn) read() error {
	for {
		c.await()
		if err := c.r.Wait(); err != nil {
			return err
		}
		if !c.r.Whole() {
			c.deadline(time.Now().Add(packetTime))
		}
		first, body, err := c.r.Next()
		if err != nil {
			return err
		}
		p, err := packet.Decode(first, body, c.level)
		if err != nil {
			return err
		}
		if d, ok := p.(*packet.Disconnect); ok {
			return c.disconnect(d)
		}
		if err := c.handle(p); err != nil {
			return err
		}
		if !c.out.wait(c.gone) {
			return net.ErrClosed
		}
	}
}

// await sets the deadline for the next packet: the client is cut between 1.6 and
// 1.75 times its keep-alive after the last one (3.1.1, 3.1.2.10 asks for 1.5; some
// libraries are late with their ping). It is set anew only when it matters.
func (c *conn) await() {
	if c.keepAlive == 0 {
		if !c.readDue.IsZero() {
			c.deadline(time.Time{})
		}
		return
	}
	now := time.Now()
	if left := c.readDue.Sub(now); left < c.keepAlive*13/8 || left > c.keepAlive*7/4 {
		c.deadline(now.Add(c.keepAlive * 7 / 4))
	}
}

// deadline is when reading ends; at once, if the connection is to end.
func (c *conn) deadline(at time.Time) {
	c.readDue = at
	_ = c.nc.SetReadDeadline(at)
	if c.isGone() {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// handle does what a packet asks for. An error ends the connection.
func (c *conn) handle(p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Publish:
		return c.publish(p)
	case *packet.Ack:
		c.acknowledged(p)
		return nil
	case *packet.Subscribe:
		c.subscribe(p)
		return nil
	case *packet.Unsubscribe:
		c.unsubscribe(p)
		return nil
	case *packet.Ping:
		if p.Kind == packet.PINGREQ {
			c.answer(&packet.Ping{Kind: packet.PINGRESP})
			return nil
		}
	}
	return &packet.Error{Code: packet.ProtocolError, Type: p.Type(), Detail: "a client does not send it there"}
}

// acknowledged takes one of the four acknowledgements.
func (c *conn) acknowledged(p *packet.Ack) {
	switch p.Kind {
	case packet.PUBACK:
		c.session.acked(p.ID)
	case packet.PUBREL:
		answer := &packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}
		if !c.session.release(p.ID) && c.level >= packet.Level5 {
			answer.Code = packet.IDNotFound
		}
		c.answer(answer)
	case packet.PUBREC: // nothing goes down with QoS 2
		if c.level >= packet.Level5 && !p.Code.Failed() {
			c.answer(&packet.Ack{Kind: packet.PUBREL, ID: p.ID, Code: packet.IDNotFound})
		}
		c.session.acked(p.ID)
	}
}

// answer has a packet written.
func (c *conn) answer(p packet.Packet) { c.out.put(p, c.level) }

// disconnect takes the client's leave.
func (c *conn) disconnect(d *packet.Disconnect) error {
	if seconds, there := d.Properties.Number(packet.SessionExpiry); there {
		if !c.srv.sessions.expire(c, seconds) {
			return &packet.Error{Code: packet.ProtocolError, Type: packet.DISCONNECT, Detail: "a session that was to end with its connection cannot be kept now"}
		}
	}
	if d.Code != packet.DisconnectWithWill {
		c.will = nil
	}
	return nil
}

// end says why the reader has ended, to the client where that is right.
func (c *conn) end(err error) {
	if c.isGone() {
		if c.why == whyTakenOver && c.level >= packet.Level5 {
			c.answer(&packet.Disconnect{Code: packet.SessionTakenOver})
		}
		if why, by := strings.CutPrefix(c.why, whyRules); by && c.level >= packet.Level5 {
			c.answer(c.banned(why))
		}
		return
	}
	if wrong, ok := errors.AsType[*packet.Error](err); ok {
		if c.level >= packet.Level5 {
			c.answer(&packet.Disconnect{Code: wrong.Code})
		}
		c.close(wrong.Error())
		c.srv.o.Log.Info("a client breaks the protocol", c.fields(zap.String("why", c.why))...)
		return
	}
	switch {
	case err == nil:
		c.close("the client has disconnected")
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.close("nothing came for longer than its keep-alive allows")
	case errors.Is(err, errUnfinished):
		c.close(err.Error())
	default:
		c.close("the connection is gone")
	}
	c.srv.o.Log.Debug("connection ended", c.fields(zap.String("why", c.why))...)
}

// fields name a client in the log.
func (c *conn) fields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.String("client", short(c.clientID)), zap.String("user", c.who.person())}, more...)
}
