package session

import (
	"errors"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// The causes of bytes on the air.
const (
	costDNS       = "dns"
	costDownlink  = "downlink"
	costHandshake = "handshake" // TCP, TLS, login, subscriptions, and the end of connections
	costHTTP      = "http"      // registration and authentication
	costKeepalive = "keepalive"
	costPayload   = "payload"
	costRetry     = "retry" // a message that may have arrived before
)

// ByteCauses lists the causes of bytes on the air, which [Recorder] is told of.
func ByteCauses() []string {
	return []string{costDNS, costDownlink, costHandshake, costHTTP, costKeepalive, costPayload, costRetry}
}

// costs keeps account of what the session does on the air. The supervisor's
// goroutine owns it but for what is said of received.
type costs struct {
	tariff
	recorder  Recorder
	keepalive time.Duration
	begun     time.Time
	open      bool         // there is a connection to the server, as far as is known
	said      atomic.Int64 // when the last packet was sent up, in ns since begun; 0: no MQTT session
	doubtful  []string     // messages whose outcome was unknown, the newest last
}

// maxDoubtful bounds doubtful: of more than these, the repeats count as payload.
const maxDoubtful = 16

func newCosts(c Cloud, r Recorder) *costs {
	return &costs{tariff: tariff{tls: c.TLS}, recorder: r, keepalive: c.Keepalive, begun: time.Now()}
}

// dialed is an attempt to connect.
func (c *costs) dialed(host string, err error) {
	c.recorder.CloudBytes(costDNS, lookUp(host))
	if c.open = err == nil; !c.open {
		c.recorder.CloudBytes(costHandshake, synSize)
		return
	}
	c.recorder.CloudBytes(costHandshake, c.tariff.open(host))
}

// login is a CONNECT, whatever the answer.
func (c *costs) login(who provision.MQTTCredentials) {
	c.recorder.CloudBytes(costHandshake, c.tariff.login(who.ClientID, who.User, len(who.Password.Reveal())))
	c.speak()
}

// subscribed is a SUBSCRIBE or UNSUBSCRIBE.
func (c *costs) subscribed(filter string) {
	c.recorder.CloudBytes(costHandshake, c.subscription(filter))
	c.speak()
}

// published is a message that was acknowledged, or sent with QoS 0. rides says
// that the acknowledgement of the PUBACK before travelled with it.
func (c *costs) published(m outbox.Message, rides bool) {
	n := c.publish(m.Topic, m.Payload, m.QoS)
	if rides {
		n -= ipTCP
	}
	c.charge(m, n)
	c.doubtful = slices.DeleteFunc(c.doubtful, func(id string) bool { return id == m.ID })
}

// attempted is a message of which nobody knows whether it arrived.
func (c *costs) attempted(m outbox.Message) {
	c.charge(m, c.attempt(m.Topic, m.Payload, m.QoS))
	if !slices.Contains(c.doubtful, m.ID) {
		c.doubtful = append(c.doubtful, m.ID)
		c.doubtful = c.doubtful[max(0, len(c.doubtful)-maxDoubtful):]
	}
}

func (c *costs) charge(m outbox.Message, n int) {
	cause := costPayload
	if slices.Contains(c.doubtful, m.ID) {
		cause = costRetry
	}
	c.recorder.CloudBytes(cause, n)
	c.recorder.ProgramBytes(m.Source, n)
	c.speak()
}

// received is a message down. The module's reader calls it.
func (c *costs) received(topic string, payload []byte) {
	c.recorder.CloudBytes(costDownlink, c.downlink(topic, payload))
	c.speak()
}

// posted is an HTTPS request, with the sizes of body and answer. The module's own statuses, from 600 on, say that
// nothing was asked (Air AT manual, HTTPACTION).
func (c *costs) posted(address string, body, reply int, err error) {
	host := ""
	if u, parsed := url.Parse(address); parsed == nil {
		host = u.Hostname()
	}
	c.recorder.CloudBytes(costDNS, lookUp(host))
	var status *air.HTTPError
	if err == nil || reply > 0 || errors.As(err, &status) && status.Status < 600 {
		c.recorder.CloudBytes(costHTTP, post(address, host, body, reply))
		return
	}
	c.recorder.CloudBytes(costHTTP, synSize)
}

// speak notes that a packet goes up, after the pings that the silence before it
// took: the module sends PINGREQ when it has sent nothing for the keep-alive
// period (MQTT 3.1.1, 3.1.2.10).
func (c *costs) speak() { c.pings(c.said.Swap(c.now())) }

// silent counts the pings up to now, when nothing else is sent.
func (c *costs) silent() {
	said := c.said.Load()
	if n := c.pings(said); n > 0 {
		c.said.CompareAndSwap(said, said+n*int64(c.keepalive))
	}
}

func (c *costs) pings(said int64) (n int64) {
	if said == 0 || c.keepalive <= 0 {
		return 0
	}
	n = (c.now() - said) / int64(c.keepalive)
	if n > 0 {
		c.recorder.CloudBytes(costKeepalive, int(n)*c.ping())
	}
	return n
}

func (c *costs) now() int64 { return int64(time.Since(c.begun)) + 1 }

// hungUp is the end of the connection that the daemon asked for.
func (c *costs) hungUp() { c.end(c.farewell()) }

// failed is what a failure says of the connection: closed by the server, gone
// without a word, or still there.
func (c *costs) failed(cause recovery.Cause) {
	switch cause.Link() {
	case recovery.LinkShut:
		c.end(c.shut())
	case recovery.LinkGone:
		c.end(0)
	}
}

// end forgets the connection, whose end took n bytes.
func (c *costs) end(n int) {
	c.silent()
	c.said.Store(0)
	if c.open && n > 0 {
		c.recorder.CloudBytes(costHandshake, n)
	}
	c.open = false
}
