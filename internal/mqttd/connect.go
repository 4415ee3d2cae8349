package mqttd

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/mqttd/packet"
)

// refusal is why a CONNECT is refused for good: the return code up to 3.1.1, the
// reason code of 5, and words for the log.
type refusal struct {
	old, code packet.Code
	why       string
}

func (r *refusal) Error() string { return r.why }

// comeAgain ends a connection for a reason that passes. It gets a CONNACK all the
// same: nothing better can be said, and mqtt.js does not come again after a refusal.
func (c *conn) comeAgain(ctx context.Context, p *packet.Connect, err error) {
	if ctx.Err() != nil || c.isGone() {
		return
	}
	_ = c.welcome(p, c.srv.sessions.has(c))
	c.srv.o.Recorder.MQTTConnect(NoPlace)
	c.srv.o.Log.Warn("a client finds no place, and is sent away", c.fields(zap.String("why", err.Error()))...)
}

// greet reads the CONNECT and answers it, within 8 s and never before a reason
// that passes has passed. It says whether the connection goes on.
func (c *conn) greet(ctx context.Context) bool {
	p, ok := c.readConnect()
	if !ok {
		return false
	}
	at := time.Now()
	if r := c.introduce(p); r != nil {
		c.refuse(r)
		return false
	}
	late, cancel := context.WithDeadline(ctx, at.Add(connackTime))
	defer cancel()
	if delay := c.srv.poison.delay(c.key()); delay > 0 && !c.pause(ctx, delay) {
		return false
	}
	if err := c.srv.places.enter(late, c); err != nil {
		c.comeAgain(ctx, p, err)
		return false
	}
	present, err := c.srv.sessions.attach(late, c, p)
	if err != nil {
		if r, ok := errors.AsType[*refusal](err); ok {
			c.refuse(r)
		} else {
			c.comeAgain(ctx, p, err)
		}
		return false
	}
	c.srv.wills.revived(c.key(), present)
	poke(c.srv.due)
	if p.Will != nil {
		c.will = newWill(c, p.Will)
	}
	if err := c.welcome(p, present); err != nil {
		c.close("the connection is gone")
		c.srv.sessions.detach(c)
		return false
	}
	c.obey() // the rules may have changed in between
	c.srv.o.Recorder.MQTTConnect(Welcome)
	c.srv.o.Log.Debug("connected", c.fields(zap.Uint8("version", c.level))...)
	return true
}

// pause waits; false: the connection is to end.
func (c *conn) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-c.gone:
	case <-ctx.Done():
	}
	return false
}

// readConnect reads the first packet, which is a CONNECT or nothing.
func (c *conn) readConnect() (*packet.Connect, bool) {
	c.deadline(time.Now().Add(connectTime))
	first, body, err := c.r.Next()
	if err != nil || packet.Type(first>>4) != packet.CONNECT {
		return nil, false
	}
	p, err := packet.Decode(first, body, 0)
	if err != nil {
		if e, ok := errors.AsType[*packet.Error](err); ok {
			c.unreadable(e)
		}
		return nil, false
	}
	return p.(*packet.Connect), true
}

// unreadable answers a CONNECT that is none, where there is an answer.
func (c *conn) unreadable(e *packet.Error) {
	switch {
	case e.Code == packet.UnsupportedLevel && e.Level < packet.Level5:
		_ = c.say(&packet.Connack{Code: packet.BadLevel}, packet.Level311)
	case e.Code == packet.UnsupportedLevel:
		_ = c.say(&packet.Connack{Code: packet.UnsupportedLevel}, packet.Level5)
	}
	c.srv.o.Log.Info("a client breaks the protocol", zap.String("user", c.who.person()), zap.String("why", e.Error()))
}

// introduce takes over what a CONNECT says, and checks who says it.
func (c *conn) introduce(p *packet.Connect) *refusal {
	c.level, c.clientID = p.Level, p.ClientID
	c.keepAlive = time.Duration(p.KeepAlive) * time.Second
	c.maxPacket, c.window, c.problems = 1<<28, maxFlight, c.level >= packet.Level5
	if v, there := p.Properties.Number(packet.MaximumPacketSize); there {
		c.maxPacket = int(min(v, 1<<28))
	}
	if v, there := p.Properties.Number(packet.ReceiveMaximum); there {
		c.window = min(c.window, int(v))
	}
	if v, there := p.Properties.Number(packet.RequestProblemInfo); there {
		c.problems = v == 1
	}
	if _, there := p.Properties.Data(packet.AuthMethod); there {
		return &refusal{packet.NotAuthorized311, packet.BadAuthMethod, "it asks for an authentication that there is not"}
	}
	if r := c.identify(p); r != nil {
		return r
	}
	if err := c.rights().Any(); err != nil {
		return &refusal{packet.NotAuthorized311, packet.NotAuthorized, err.Error()}
	}
	switch {
	case len(c.clientID) > maxClientID:
		return &refusal{packet.IdentifierRejected, packet.BadClientID, "its client id has more than 1024 bytes"}
	case c.clientID == "" && !p.CleanStart && c.level < packet.Level5:
		return &refusal{packet.IdentifierRejected, packet.BadClientID, "it asks for a session and names no client id"}
	case c.clientID == "":
		c.clientID = "auto-" + rand.Text()
	}
	if c.srv.o.Source != nil {
		c.source = c.srv.o.Source(c.who.program())
	}
	if p.Will != nil {
		return c.judgeWill(p.Will)
	}
	return nil
}

// identify asks a client on TCP for its name and password where there are any. On
// a Unix socket the kernel has told already, and a name and password say nothing.
func (c *conn) identify(p *packet.Connect) *refusal {
	if c.who.Local || c.srv.o.Passwords == nil {
		return nil
	}
	known := c.srv.o.Passwords()
	if known == nil {
		return nil
	}
	if p.Username == nil {
		return &refusal{packet.NotAuthorized311, packet.NotAuthorized, "it brings no name and password (mqtt.password_file)"}
	}
	if !known.Check(*p.Username, p.Password) {
		return &refusal{packet.BadUserOrPassword, packet.BadUser, "its name and password are not in mqtt.password_file"}
	}
	c.who.Name = *p.Username
	c.srv.places.rename(c, c.who.owner())
	return nil
}

// refuse answers a CONNECT that is refused for good.
func (c *conn) refuse(r *refusal) {
	answer := &packet.Connack{Code: r.old}
	if c.level >= packet.Level5 {
		answer.Code = r.code
		if c.problems {
			answer.Properties = answer.Properties.WithData(packet.ReasonString, []byte(r.why))
		}
	}
	_ = c.say(answer, c.level)
	c.srv.o.Recorder.MQTTConnect(Rejected)
	c.srv.o.Log.Warn("a client is refused", c.fields(zap.String("why", r.why))...)
}

// welcome answers a CONNECT with success.
func (c *conn) welcome(p *packet.Connect, present bool) error {
	answer := &packet.Connack{SessionPresent: present}
	if c.level >= packet.Level5 {
		props := packet.Properties(nil).
			WithNumber(packet.ReceiveMaximum, uint32(c.srv.o.ReceiveMaximum)).
			WithNumber(packet.RetainAvailable, 0).
			WithNumber(packet.SharedSubscriptions, 0).
			WithNumber(packet.MaximumPacketSize, uint32(c.srv.o.MaxPacket))
		if p.ClientID == "" {
			props = props.WithData(packet.AssignedClientID, []byte(c.clientID))
		}
		if asked, _ := p.Properties.Number(packet.SessionExpiry); time.Duration(asked)*time.Second > c.srv.sessions.longest {
			props = props.WithNumber(packet.SessionExpiry, uint32(c.srv.sessions.longest/time.Second))
		}
		answer.Properties = props
	}
	return c.say(answer, c.level)
}

// say writes one packet while nobody else writes.
func (c *conn) say(p packet.Packet, level byte) error {
	_ = c.nc.SetWriteDeadline(time.Now().Add(graceTime))
	_, err := c.nc.Write(packet.Append(nil, p, level))
	return err
}

// key names a client in what is remembered of it.
func (c *conn) key() string { return c.who.owner() + " " + c.clientID }

// shown is a client's string, fit for a text: quoted and not too long.
func shown(s string) string {
	if cut := short(s); len(cut) < len(s) {
		return strconv.Quote(strings.TrimSuffix(cut, "...")) + "..."
	}
	return strconv.Quote(s)
}

// short is a client's string, fit for a field of the log: not too long.
func short(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
