package airsim

import (
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"airbridged/internal/airsim/simcloud"
)

// mipstart opens the connection; CONNECT OK comes later. It does not check
// certificates and cannot know whether the login will work.
func mipstart(tls bool) func(*Module, command) reply {
	return func(m *Module, c command) reply {
		if len(c.args) != 2 || c.args[0].text == "" || len(c.args[0].text) > 255 {
			return m.fail(50)
		}
		port, fine := c.number(1, 1, 65535)
		if !fine {
			return m.fail(50)
		}
		host := c.args[0].text
		switch {
		case m.mqtt.connecting:
			return m.misuse()
		case m.mqtt.state != mqttOffline:
			return reply{final: "OK", then: func() { m.sendLine("ALREADY CONNECT") }}
		}
		m.mqtt.connecting = true
		return reply{final: "OK", then: func() { m.connect(host, port, tls) }}
	}
}

func (m *Module) connect(host string, port int, tls bool) {
	wait := m.draw(m.p.wait.tcp) + m.o.RTT
	if tls {
		wait = m.draw(m.p.wait.tls) + 3*m.o.RTT
	}
	switch f := m.faults.take(m, "connect"); f.how {
	case "never":
		return
	case "fail":
		m.air.lookUp(host)
		m.air.refused(AirHandshake)
		m.after(wait, m.connectFailed)
		return
	case "error", "cme", "tcp":
		m.air.lookUp(host)
		m.air.refused(AirHandshake)
		m.after(wait, func() {
			m.mqtt.connecting = false
			m.sendLine(m.lateRefusal(f.how))
		})
		return
	}
	if !m.mqttReady() {
		m.connectFailed()
		return
	}
	m.after(wait, func() {
		if !m.mqtt.connecting {
			return // closed meanwhile
		}
		if m.faults.nameless {
			m.connectFailed()
			return
		}
		m.air.lookUp(host)
		l, reached := m.cloud.Dial(host, port, m.inbox)
		if !reached || !m.mqttReady() {
			m.connectFailed()
			return
		}
		m.mqtt.connecting = false
		m.mqtt.link, m.mqtt.state = l, mqttTCP
		m.mqtt.flow = m.air.open(AirHandshake, tls, host, m.now)
		m.sendLine("CONNECT OK")
		m.closeUnlessLoggedIn(l)
	})
}

// lateRefusal is the line that refuses a command behind its OK: the manual lists ERROR
// and +CME ERROR as failures, drivers know TCP ERROR.
func (m *Module) lateRefusal(how string) string {
	switch how {
	case "cme":
		return m.failCode(767).final
	case "tcp":
		return "TCP ERROR:11"
	}
	return "ERROR"
}

func (m *Module) connectFailed() {
	if !m.mqtt.connecting {
		return
	}
	m.mqtt.connecting = false
	if m.p.statFail != "" {
		m.sendLine("STATE: " + m.stackState())
	}
	m.sendLine("CONNECT FAIL")
}

// closeUnlessLoggedIn is the cloud losing patience with a silent connection.
func (m *Module) closeUnlessLoggedIn(l *simcloud.Link) {
	m.after(preConnect, func() {
		if m.mqtt.link == l && m.mqtt.state == mqttTCP && !m.mqtt.login {
			m.cloud.HangUp(l)
			m.closed()
		}
	})
}

// closed is the end of the connection that the module notices and reports.
func (m *Module) closed() {
	m.forgetLink()
	m.sendLine("CLOSED")
}

// forgetLink puts the connection away without a word, but for the answer to an
// MCONNECT that still waits for one.
func (m *Module) forgetLink() {
	m.hungUp()
	m.mqtt.link, m.mqtt.state, m.mqtt.login = nil, mqttOffline, false
	m.mqtt.connecting = false
	m.settle(m.misuse())
}

// cutLink is a power cut: neither side says anything, and the cloud goes on
// believing in the session.
func (m *Module) cutLink() {
	if m.mqtt.link != nil {
		m.cloud.Lose(m.mqtt.link)
	}
	m.forgetLink()
}

// dropLink ends the connection from below and reports it.
func (m *Module) dropLink(why string) {
	if m.mqtt.link == nil {
		m.forgetLink()
		return
	}
	m.note("link: %s", why)
	m.cutLink()
	m.sendLine("CLOSED")
}

// dropLinkSilently ends it without CLOSED.
func (m *Module) dropLinkSilently() { m.cutLink() }

// deadLink cuts the path while the module goes on believing in it. It finds out
// when one and a half keep-alive periods have passed without an answer.
func (m *Module) deadLink() {
	l := m.mqtt.link
	if l == nil {
		return
	}
	m.cloud.Lose(l)
	keepalive := m.mqtt.keepalive
	if keepalive == 0 {
		keepalive = time.Minute
	}
	m.after(keepalive*3/2, func() {
		if m.mqtt.link == l {
			m.closed()
		}
	})
}

// mconnect logs in. How a refusal looks depends on the firmware.
func mconnect(m *Module, c command) reply {
	clean, fine := c.number(0, 0, 1)
	keepalive, timed := c.number(1, 1, 65535)
	if !fine || !timed || len(c.args) > 3 {
		return m.fail(50)
	}
	if m.mqtt.state != mqttTCP || m.mqtt.login || !m.mqtt.configured {
		return m.misuse()
	}
	l := m.mqtt.link
	in := simcloud.Login{
		ClientID: m.mqtt.clientID, User: m.mqtt.user, Password: m.mqtt.password,
		Clean: clean == 1, Keepalive: keepalive,
	}
	m.mqtt.login = true
	m.mqtt.keepalive = time.Duration(keepalive) * time.Second
	m.onAir(l, AirHandshake, connectSize(in.ClientID, in.User, in.Password), m.now.Add(m.o.RTT/2))
	f := m.faults.take(m, "connack")
	ordered := f.how == "refuse" || f.how == "close" || f.how == "error"
	wait := m.draw(m.p.wait.connack)
	m.anyway(m.o.RTT/2+wait/2, func() {
		accepted := false
		switch {
		case ordered:
			m.cloud.Refuse(l)
		default:
			accepted = m.cloud.Login(l, in)
		}
		if accepted && m.mqtt.link == l {
			m.mqtt.flow.answered(AirHandshake, ackSize(packets.Connack), m.now, m.now.Add(m.o.RTT/2))
		}
		if f.how != "never" {
			m.after(m.o.RTT/2+wait/2+f.delay, func() { m.connack(l, accepted, f.how) })
		}
	})
	// OK means only that the packet went out. Firmware that shows a refusal
	// as the final result must have held the OK back; the simulator knows
	// beforehand whether it will be one.
	withOK := m.p.refused == refuseThenClosed || m.p.refused == refuseLate
	m.mqtt.pending = !withOK && f.how != "close" && f.how != "error" && f.how != "never" && (ordered || !m.cloud.Admits(in))
	if m.mqtt.pending {
		return pending()
	}
	return ok()
}

// connack is the cloud's answer to the login.
func (m *Module) connack(l *simcloud.Link, accepted bool, how string) {
	if m.mqtt.link != l || !m.mqtt.login {
		return
	}
	m.mqtt.login = false
	if accepted {
		m.mqtt.state = mqttOnline
		m.beat(l)
		m.settle(ok())
		if m.mqtt.link == l {
			m.sendLine("CONNACK OK")
		}
		return
	}
	if !m.mqtt.pending && (how == "error" || m.p.refused == refuseLate && how != "close") {
		m.forgetLink()
		m.sendLine("ERROR")
		return
	}
	instead := m.mqtt.pending
	if m.p.refused == refuseCME {
		m.settle(m.failCode(3))
	} else {
		m.settle(plainError())
	}
	m.forgetLink()
	if !instead || m.p.refused != refuseError {
		m.sendLine("CLOSED")
	}
}

// settle finishes an MCONNECT whose final result has waited.
func (m *Module) settle(r reply) {
	if m.mqtt.pending {
		m.mqtt.pending = false
		m.finish(r)
	}
}

// msub subscribes. SUBACK carries no return code: a refused filter looks like a
// granted one (Air AT manual).
func msub(m *Module, c command) reply {
	qos, fine := c.number(1, 0, 2)
	if !fine || len(c.args) != 2 || c.args[0].text == "" || len(c.args[0].text) > 256 {
		return m.fail(50)
	}
	if m.mqtt.state != mqttOnline {
		return m.misuse()
	}
	l, filter := m.mqtt.link, c.args[0].text
	return reply{final: "OK", then: func() {
		m.exchange(l, "suback", subscribeSize(filter), m.p.wait.suback, "SUBACK", func() bool {
			m.cloud.Subscribe(l, filter, byte(qos))
			return true
		})
	}}
}

func munsub(m *Module, c command) reply {
	if len(c.args) != 1 || c.args[0].text == "" || len(c.args[0].text) > 256 {
		return m.fail(50)
	}
	if m.mqtt.state != mqttOnline {
		return m.misuse()
	}
	l, filter := m.mqtt.link, c.args[0].text
	return reply{final: "OK", then: func() {
		m.exchange(l, "unsuback", unsubscribeSize(filter), m.p.wait.suback, "UNSUBACK", func() bool {
			m.cloud.Unsubscribe(l, filter)
			return true
		})
	}}
}

// publish sends one message up; PUBACK, for QoS 1, carries nothing that tells
// which message it is for.
func (m *Module) publish(topic string, qos byte, payload []byte) reply {
	l := m.mqtt.link
	return reply{final: "OK", then: func() {
		if qos == 0 {
			m.onAir(l, AirPublish, publishSize(topic, 0, payload), m.now.Add(m.o.RTT/2))
			m.up(0, func() { m.cloud.Publish(l, topic, 0, payload) })
			return
		}
		m.exchange(l, "puback", publishSize(topic, qos, payload), m.p.wait.puback, "PUBACK", func() bool {
			return m.cloud.Publish(l, topic, qos, payload)
		})
	}}
}

// exchange carries one packet to the cloud, whatever happens to the module
// meanwhile, and the acknowledgement back, if the connection is still there. size
// is the packet's, in bytes.
func (m *Module) exchange(l *simcloud.Link, kind string, size int, latency span, text string, reach func() bool) {
	wait := m.draw(latency)
	f := m.faults.take(m, kind)
	packet := exchangeKinds[kind]
	m.onAir(l, packet.cause, size, m.now.Add(m.o.RTT/2+wait/2))
	m.up(wait/2, func() {
		if refused := f.how == "error" || f.how == "cme"; !refused && !reach() || f.how == "never" {
			return
		}
		if m.mqtt.link == l {
			m.mqtt.flow.answered(packet.cause, ackSize(packet.ack), m.now, m.now.Add(m.o.RTT/2+wait/2))
		}
		m.down(wait/2, f.delay, func() {
			if m.mqtt.link != l {
				return
			}
			if f.how == "error" || f.how == "cme" {
				m.sendLine(m.lateRefusal(f.how))
				return
			}
			m.sendLine(text)
			if f.how == "dup" {
				m.sendLine(text)
			}
		})
	})
}

// up lets something arrive at the cloud half a round trip and a wait from now.
// TCP keeps the order of packets, whatever each one's wait.
func (m *Module) up(wait time.Duration, f func()) {
	at := m.now.Add(m.o.RTT/2 + wait)
	if at.Before(m.mqtt.lastUp) {
		at = m.mqtt.lastUp
	}
	if !at.After(m.now) {
		f()
		return
	}
	m.mqtt.lastUp = at
	m.future.add(at, 0, f)
}

// down is the same for the way back; late is a fault's and may overtake.
func (m *Module) down(wait, late time.Duration, f func()) {
	at := m.now.Add(m.o.RTT/2 + wait)
	if at.Before(m.mqtt.lastDown) {
		at = m.mqtt.lastDown
	}
	if !at.After(m.now) && late == 0 {
		f()
		return
	}
	m.mqtt.lastDown = at
	m.future.add(at.Add(late), m.power, f)
}

// mdisconnect says goodbye to the cloud; the connection itself stays until
// MIPCLOSE, or until the cloud closes it.
func mdisconnect(m *Module, _ command) reply {
	if m.mqtt.state != mqttOnline {
		return m.misuse()
	}
	l := m.mqtt.link
	m.onAir(l, AirHandshake, encoded(packetOf(packets.Disconnect)), m.now.Add(m.o.RTT/2))
	m.cloud.Disconnect(l)
	m.mqtt.state = mqttTCP
	m.closeUnlessLoggedIn(l)
	return ok()
}

// mipclose closes the connection; with nothing to close it fails.
func mipclose(m *Module, _ command) reply {
	if m.mqtt.state == mqttOffline && !m.mqtt.connecting {
		return m.misuse()
	}
	if m.mqtt.link != nil {
		m.cloud.HangUp(m.mqtt.link)
	}
	m.forgetLink()
	return ok()
}

// takeInbox puts what the cloud sent since on its way over the radio.
func (m *Module) takeInbox() {
	for _, p := range m.inbox.Take() {
		at := p.At
		if at.Before(m.now) {
			at = m.now
		}
		m.future.add(at.Add(m.o.RTT/2), 0, func() { m.fromCloud(p) })
	}
}

// fromCloud is a packet from the cloud reaching the module, if it is still the
// same connection.
func (m *Module) fromCloud(p simcloud.Packet) {
	if m.mqtt.link != p.Link || p.Link == nil {
		return
	}
	if p.Closed {
		m.closed()
		return
	}
	m.mqtt.flow.answered(AirDownlink, publishSize(p.Topic, p.QoS, p.Payload), p.At, m.now)
	if p.QoS > 0 {
		m.onAir(p.Link, AirDownlink, ackSize(packets.Puback), m.now.Add(m.o.RTT/2))
	}
	m.received(p.Topic, p.Payload)
}
