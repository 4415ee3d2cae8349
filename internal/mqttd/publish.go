package mqttd

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/intake"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
	"airbridged/internal/topic"
)

// bridgeTopics is where a bridge of mosquitto publishes whether it is connected.
const bridgeTopics = "$SYS/broker/connection/"

// never is why a message can never go, with the reason code of 5.
type never struct {
	code packet.Code
	why  string
}

// codes are the reason codes of 5 for what is refused.
var codes = map[intake.Cause]packet.Code{
	intake.Internal:     packet.ImplementationSpecific,
	intake.BadTopic:     packet.TopicInvalid,
	intake.Reserved:     packet.NotAuthorized,
	intake.TooLarge:     packet.TooLarge,
	intake.NotCarried:   packet.PayloadFormatInvalid,
	intake.NotBatchable: packet.PayloadFormatInvalid,
	intake.Full:         packet.QuotaExceeded,
	intake.Disk:         packet.QuotaExceeded,
	intake.Late:         packet.QuotaExceeded,
}

// judge says what is in the way of a message for ever, or nil. local: it is about
// the client itself, and not for the cloud.
func (c *conn) judge(name string, payload []byte) (local bool, n *never) {
	if strings.HasPrefix(name, bridgeTopics) {
		return true, nil
	}
	if strings.HasPrefix(name, "$SYS/") {
		return false, &never{packet.NotAuthorized, "topics under $SYS/ are a broker's own; the cloud has none"}
	}
	r := intake.Topic(name)
	if r == nil {
		if n := judgeByRules(c.rights(), name, payload); n != nil {
			return false, n
		}
		r = intake.Payload(name, payload, c.srv.o.Carry)
	}
	if r != nil {
		return false, &never{codes[r.Cause], r.Detail}
	}
	return false, nil
}

// publish takes a message. An error ends the connection.
func (c *conn) publish(p *packet.Publish) error {
	if _, there := p.Properties.Number(packet.TopicAlias); there {
		return &packet.Error{Code: packet.AliasInvalid, Type: packet.PUBLISH, Detail: "a topic alias, where none is allowed (Topic Alias Maximum is 0)"}
	}
	if p.Retain {
		c.srv.retained(c)
	}
	if p.QoS == 2 && c.again(p) {
		return nil
	}
	local, n := c.judge(p.Topic, p.Payload)
	switch {
	case n != nil:
		return c.refuseMessage(p, n)
	case local:
		if p.QoS > 0 {
			c.flow.push(c, &entry{qos: p.QoS, id: p.ID, ready: true})
		}
		return nil
	}
	if topic.IsAnswer(p.Topic) {
		return c.answerCall(p)
	}
	m := outbox.Message{Topic: p.Topic, Payload: p.Payload, QoS: min(p.QoS, 1), TTL: expiry(p.Properties), Source: c.source}
	inscribe(&m, c.rights())
	if p.QoS == 0 {
		c.publishLoose(m)
		return nil
	}
	return c.keep(&entry{qos: p.QoS, id: p.ID, m: m, size: int64(len(p.Topic)+len(p.Payload)) + messageOverhead})
}

// expiry is the time to live that a message of level 5 brings. 0 seconds are over
// at once.
func expiry(props packet.Properties) time.Duration {
	seconds, there := props.Number(packet.MessageExpiry)
	if !there {
		return 0
	}
	return max(time.Duration(seconds)*time.Second, 1)
}

// again answers a QoS 2 message that the client repeats: it is kept once (3.1.1,
// 4.3.3). One that is still on its way to the disk is answered when it is there.
func (c *conn) again(p *packet.Publish) bool {
	s := c.session
	s.mu.Lock()
	seen := s.received.has(p.ID)
	s.received.add(p.ID)
	s.mu.Unlock()
	if !seen {
		return false
	}
	if !c.flow.has(p.ID) {
		c.flow.push(c, &entry{qos: 2, id: p.ID, ready: true})
	}
	return true
}

// publishLoose hands a QoS 0 message on, or drops it.
func (c *conn) publishLoose(m outbox.Message) {
	if err := c.srv.o.Access.Spend(c.rights()); err != nil {
		c.dropped(m.Topic, err.Error())
		return
	}
	a, err := c.srv.o.Outbox.Begin(m, nil)
	if err == nil {
		_, err = a.Result()
	}
	if err != nil {
		c.dropped(m.Topic, intake.Of(err).Detail)
		return
	}
	c.published(m)
}

// published notes a message that is kept.
func (c *conn) published(m outbox.Message) {
	c.session.mu.Lock()
	c.session.echo.published(m.Topic, m.Payload)
	c.session.mu.Unlock()
	c.srv.o.Recorder.MQTTPublish(Kept)
}

// dropped notes a QoS 0 message that is not.
func (c *conn) dropped(topic, why string) {
	c.srv.o.Recorder.MQTTPublish(Dropped)
	if c.srv.told.first("dropped " + c.key() + " " + topic) {
		c.srv.o.Log.Warn("messages with QoS 0 are dropped", c.fields(zap.String("topic", short(topic)), zap.String("why", why))...)
	}
}

// refuseMessage refuses what can never go: by its reason code in 5, and up to
// 3.1.1 by closing, which is the only word there is.
func (c *conn) refuseMessage(p *packet.Publish, n *never) error {
	if p.QoS == 0 {
		c.dropped(p.Topic, n.why)
		return nil
	}
	c.srv.o.Recorder.MQTTPublish(Refused)
	c.srv.poison.note(c, p.Topic, n.why, c.level < packet.Level5)
	poke(c.srv.due)
	if c.srv.told.first("refused " + c.key() + " " + p.Topic + " " + n.why) {
		c.srv.o.Log.Warn("a program publishes what can never go", c.fields(zap.String("topic", short(p.Topic)), zap.String("why", n.why))...)
	}
	if c.level >= packet.Level5 {
		c.forget(p.QoS, p.ID)
		c.flow.push(c, &entry{qos: p.QoS, id: p.ID, ready: true, code: n.code, why: n.why})
		return nil
	}
	c.forget(p.QoS, p.ID)
	c.close("it publishes what can never go")
	return errGone
}

// forget takes a QoS 2 message that is not kept out of the session.
func (c *conn) forget(qos byte, id uint16) {
	if qos == 2 {
		c.session.release(id)
	}
}

// retained counts a retain flag, and tells of it once for each client.
func (s *Server) retained(c *conn) {
	s.o.Recorder.MQTTRetain()
	if s.told.first("retain " + c.key()) {
		s.o.Log.Info("retain is not kept, the cloud has no retained messages; the message goes as a plain one", c.fields()...)
	}
}
