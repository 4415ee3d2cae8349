package airsim

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"airbridged/internal/airsim/simcloud"
)

// MQTT packets are measured by encoding them with a library that shares nothing
// with the program under test.

// encoded is how many bytes a packet has.
func encoded(p packets.ControlPacket) int {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.Len()
}

func packetOf(kind byte) packets.ControlPacket { return packets.NewControlPacket(kind) }

func connectSize(clientID, user, password string) int {
	p := packetOf(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.ClientIdentifier = "MQTT", 4, clientID
	p.UsernameFlag, p.Username = user != "", user
	p.PasswordFlag, p.Password = password != "", []byte(password)
	return encoded(p)
}

func publishSize(topic string, qos byte, payload []byte) int {
	p := packetOf(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Qos, p.Payload = topic, qos, payload
	return encoded(p)
}

func subscribeSize(filter string) int {
	p := packetOf(packets.Subscribe).(*packets.SubscribePacket)
	p.Topics, p.Qoss = []string{filter}, []byte{1}
	return encoded(p)
}

func unsubscribeSize(filter string) int {
	p := packetOf(packets.Unsubscribe).(*packets.UnsubscribePacket)
	p.Topics = []string{filter}
	return encoded(p)
}

// ackSize is any acknowledgement with a packet id; a SUBACK has a return code
// beside it.
func ackSize(kind byte) int {
	p := packetOf(kind)
	if s, ok := p.(*packets.SubackPacket); ok {
		s.ReturnCodes = []byte{1}
	}
	return encoded(p)
}

// exchangeKinds are the packets of what waits for an acknowledgement.
var exchangeKinds = map[string]struct {
	cause string
	ack   byte
}{
	"puback":   {AirPublish, packets.Puback},
	"suback":   {AirHandshake, packets.Suback},
	"unsuback": {AirHandshake, packets.Unsuback},
}

// onAir counts a packet up to the cloud on the connection of the module, and
// notes that the module said something: a client sends PINGREQ when it has sent
// nothing for the keep-alive period (MQTT 3.1.1, 3.1.2.10).
func (m *Module) onAir(l *simcloud.Link, cause string, n int, arrives time.Time) {
	f := m.mqtt.flow
	if f == nil || m.mqtt.link != l {
		return
	}
	m.mqtt.said = m.now
	if !m.cloud.Reaches(l) {
		f.unanswered(cause, n, m.now)
		return
	}
	f.send(cause, up, n, m.now, arrives)
}

// answered counts a packet that the cloud sends down.
func (f *flow) answered(cause string, n int, sent, arrives time.Time) {
	if f != nil {
		f.send(cause, down, n, sent, arrives)
	}
}

// beat pings when the module has been silent for the keep-alive period.
func (m *Module) beat(l *simcloud.Link) {
	if m.mqtt.keepalive == 0 {
		return
	}
	m.after(m.mqtt.said.Add(m.mqtt.keepalive).Sub(m.now), func() {
		if m.mqtt.link != l || m.mqtt.state != mqttOnline {
			return
		}
		if m.now.Sub(m.mqtt.said) >= m.mqtt.keepalive {
			n := encoded(packetOf(packets.Pingreq))
			m.onAir(l, AirKeepalive, n, m.now.Add(m.o.RTT/2))
			if m.cloud.Reaches(l) {
				m.mqtt.flow.answered(AirKeepalive, n, m.now.Add(m.o.RTT/2), m.now.Add(m.o.RTT))
			}
		}
		m.beat(l)
	})
}

// hungUp counts the end of the connection that the module knows of.
func (m *Module) hungUp() {
	if m.mqtt.flow != nil && m.cloud.Reaches(m.mqtt.link) {
		m.mqtt.flow.close(AirHandshake, m.now)
	}
	m.mqtt.flow = nil
}

// The head of an answer of the cloud's authentication server.
const answerHead = "HTTP/1.1 %d %s\r\nServer: Tengine\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
	"Content-Type: text/plain;charset=utf-8\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n"

// httpOnAir counts a request with a connection of its own.
func (a airMeter) httpOnAir(r simcloud.Request, status int, body []byte, now time.Time) {
	host := r.URL.Hostname()
	a.lookUp(host)
	switch status {
	case 603: // no such name
		return
	case 601: // nobody listens
		a.refused(AirHTTP)
		return
	}
	f := a.open(AirHTTP, r.URL.Scheme == "https", host, now)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/4.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n", r.URL.RequestURI(), host, len(r.Body))
	for _, h := range r.Headers {
		head += h + "\r\n"
	}
	f.send(AirHTTP, up, len(head)+len(r.Body), now, now)
	f.send(AirHTTP, down, len(fmt.Sprintf(answerHead, status, http.StatusText(status), len(body)))+len(body), now, now)
	f.close(AirHTTP, now)
}
