package session

import (
	"errors"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/batch"
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

// books keep account of what the session does on the air. The supervisor's
// goroutine owns it but for what is said of received.
type books struct {
	tariff
	recorder  Recorder
	keepalive time.Duration
	begun     time.Time
	open      bool         // there is a connection to the server, as far as is known
	said      atomic.Int64 // when the last packet was sent up, in ns since begun; 0: no MQTT session
	doubtful  []string     // messages whose outcome was unknown, the newest last
}

// maxDoubtful bounds doubtful: of more than these, the repeats count as payload.
const maxDoubtful = batch.MaxMessages

func newBooks(c Cloud, r Recorder) *books {
	return &books{tariff: tariff{tls: c.TLS}, recorder: r, keepalive: c.Keepalive, begun: time.Now()}
}

// dialed is an attempt to connect.
func (b *books) dialed(host string, err error) {
	b.recorder.CloudBytes(costDNS, lookUp(host))
	if b.open = err == nil; !b.open {
		b.recorder.CloudBytes(costHandshake, synSize)
		return
	}
	b.recorder.CloudBytes(costHandshake, b.tariff.open(host))
}

// login is a CONNECT, whatever the answer.
func (b *books) login(who provision.MQTTCredentials) {
	b.recorder.CloudBytes(costHandshake, b.tariff.login(who.ClientID, who.User, len(who.Password.Reveal())))
	b.speak()
}

// subscribed is a SUBSCRIBE or UNSUBSCRIBE.
func (b *books) subscribed(filter string) {
	b.recorder.CloudBytes(costHandshake, b.subscription(filter))
	b.speak()
}

// published is a publication that was acknowledged, or sent with QoS 0. rides says
// that the acknowledgement of the PUBACK before travelled with it.
func (b *books) published(p publication, rides bool) {
	n := b.publish(p.topic, p.payload, p.qos)
	if rides {
		n -= ipTCP
	}
	b.charge(p, n)
	if len(b.doubtful) > 0 {
		ids := p.ids()
		b.doubtful = slices.DeleteFunc(b.doubtful, func(id string) bool { return slices.Contains(ids, id) })
	}
}

// attempted is a publication of which nobody knows whether it arrived.
func (b *books) attempted(p publication) {
	b.charge(p, b.attempt(p.topic, p.payload, p.qos))
	for _, id := range p.ids() {
		if !slices.Contains(b.doubtful, id) {
			b.doubtful = append(b.doubtful, id)
		}
	}
	b.doubtful = b.doubtful[max(0, len(b.doubtful)-maxDoubtful):]
}

// charge books the bytes of a publication: to each of its messages, and so to the
// program that it came from, the share that its payload has in all of them.
func (b *books) charge(p publication, n int) {
	rest := 0
	for _, m := range p.messages {
		rest += len(m.Payload) + 1
	}
	for _, m := range p.messages {
		weight := len(m.Payload) + 1
		share := n * weight / rest
		n, rest = n-share, rest-weight
		cause := costPayload
		if slices.Contains(b.doubtful, m.ID) {
			cause = costRetry
		}
		b.recorder.CloudBytes(cause, share)
		b.recorder.ProgramBytes(m.Source, share)
	}
	b.speak()
}

// received is a message down. The module's reader calls it.
func (b *books) received(topic string, payload []byte) {
	b.recorder.CloudBytes(costDownlink, b.downlink(topic, payload))
	b.speak()
}

// posted is an HTTPS request, with the sizes of body and answer. The module's own statuses, from 600 on, say that
// nothing was asked (Air AT manual, HTTPACTION).
func (b *books) posted(address string, body, reply int, err error) {
	host := ""
	if u, parsed := url.Parse(address); parsed == nil {
		host = u.Hostname()
	}
	b.recorder.CloudBytes(costDNS, lookUp(host))
	var status *air.HTTPError
	if err == nil || reply > 0 || errors.As(err, &status) && status.Status < 600 {
		b.recorder.CloudBytes(costHTTP, post(address, host, body, reply))
		return
	}
	b.recorder.CloudBytes(costHTTP, synSize)
}

// speak notes that a packet goes up, after the pings that the silence before it
// took: the module sends PINGREQ when it has sent nothing for the keep-alive
// period (MQTT 3.1.1, 3.1.2.10).
func (b *books) speak() { b.pings(b.said.Swap(b.now())) }

// silent counts the pings up to now, when nothing else is sent.
func (b *books) silent() {
	said := b.said.Load()
	if n := b.pings(said); n > 0 {
		b.said.CompareAndSwap(said, said+n*int64(b.keepalive))
	}
}

func (b *books) pings(said int64) (n int64) {
	if said == 0 || b.keepalive <= 0 {
		return 0
	}
	n = (b.now() - said) / int64(b.keepalive)
	if n > 0 {
		b.recorder.CloudBytes(costKeepalive, int(n)*b.ping())
	}
	return n
}

func (b *books) now() int64 { return int64(time.Since(b.begun)) + 1 }

// hungUp is the end of the connection that the daemon asked for.
func (b *books) hungUp() { b.end(b.farewell()) }

// failed is what a failure says of the connection: closed by the server, gone
// without a word, or still there.
func (b *books) failed(cause recovery.Cause) {
	switch cause.Link() {
	case recovery.LinkShut:
		b.end(b.shut())
	case recovery.LinkGone:
		b.end(0)
	}
}

// end forgets the connection, whose end took n bytes.
func (b *books) end(n int) {
	b.silent()
	b.said.Store(0)
	if b.open && n > 0 {
		b.recorder.CloudBytes(costHandshake, n)
	}
	b.open = false
}
