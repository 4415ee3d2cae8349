package session

import "time"

// What things cost on the air, in bytes of IP packets, both directions together,
// as a SIM's data volume counts. The module does TCP and TLS itself and tells
// nothing of them, so these are estimates from the protocols' formats, held
// against an independent model in the tests; docs/data-cost.md shows the table
// and what the estimate leaves out.
const (
	ipTCP   = 40        // IPv4 and TCP without options (RFC 791, RFC 793); an acknowledgement is nothing else
	segment = 1460      // most of a TCP segment's payload, for the usual MTU of 1500
	synSize = ipTCP + 4 // with the maximum segment size
	tcpOpen = 2*synSize + ipTCP
	tcpShut = 4 * ipTCP // FIN and its acknowledgement, from both ends

	// A TLS 1.2 handshake with RSA key exchange (RFC 5246, 7.3), the only one of
	// the vendor's list: ClientHello with server name, the server's flight with
	// a chain of three certificates as public authorities issue them, key
	// exchange and Finished, the server's Finished; and the acknowledgements.
	tlsClient    = 130 // and the name
	tlsChain     = 4030
	tlsKeys      = 342
	tlsDone      = 75
	tlsHandshake = tlsClient + ipTCP + tlsChain + 3*ipTCP + tlsKeys + ipTCP + tlsDone + ipTCP + ipTCP

	httpHeads = 330 // request line and headers of the module and of the server, without host and path
	dnsBoth   = 170 // question and answer with their UDP headers, without the name, which is in both

	// ackRides is how soon after a PUBACK the next packet must follow for the
	// acknowledgement to ride on it (lwIP's delayed acknowledgement).
	ackRides = 250 * time.Millisecond
)

// tariff says what one kind of link costs.
type tariff struct{ tls bool }

// data is n bytes of the application in TCP segments: under TLS in a record of
// AES-128-CBC with SHA-1, the suite that TLS 1.2 makes mandatory. The
// acknowledgements of all but the last segment are in it, one for every two.
func (t tariff) data(n int) int {
	if t.tls {
		n = 5 + 16 + (n+20+16)/16*16
	}
	segments := (n + segment - 1) / segment
	return n + segments*ipTCP + segments/2*ipTCP
}

// exchange is a packet and the answer to it: the packet's acknowledgement rides
// on the answer, the answer's travels alone.
func (t tariff) exchange(there, back int) int { return t.data(there) + t.data(back) + ipTCP }

// oneWay is a packet that nothing answers but TCP.
func (t tariff) oneWay(n int) int { return t.data(n) + ipTCP }

// open is a new connection to a host, with its handshakes.
func (t tariff) open(host string) int {
	if !t.tls {
		return tcpOpen
	}
	return tcpOpen + tlsHandshake + len(host)
}

// shut is the end of a connection, with close_notify from both ends under TLS.
func (t tariff) shut() int {
	if !t.tls {
		return tcpShut
	}
	return tcpShut + 2*t.data(2)
}

// publish is a message up with its PUBACK, if it gets one.
func (t tariff) publish(topic string, payload []byte, qos byte) int {
	n := publishPacket(topic, payload, qos)
	if qos == 0 {
		return t.oneWay(n)
	}
	return t.exchange(n, 4)
}

// attempt is a message up that nothing answered.
func (t tariff) attempt(topic string, payload []byte, qos byte) int {
	return t.oneWay(publishPacket(topic, payload, qos))
}

// downlink is a message down, acknowledged by the module: the dialect does not
// tell the QoS, and QoS 1 is the dearer.
func (t tariff) downlink(topic string, payload []byte) int {
	return t.data(publishPacket(topic, payload, 1)) + t.data(4) + ipTCP
}

// ping is PINGREQ and PINGRESP.
func (t tariff) ping() int { return t.exchange(2, 2) }

// login is CONNECT and CONNACK.
func (t tariff) login(clientID, user string, password int) int {
	return t.exchange(mqttPacket(10+2+len(clientID)+2+len(user)+2+password), 4)
}

// subscription is SUBSCRIBE and SUBACK; UNSUBSCRIBE is one byte less each way.
func (t tariff) subscription(filter string) int { return t.exchange(mqttPacket(2+2+len(filter)+1), 5) }

// farewell is DISCONNECT and the end of the connection.
func (t tariff) farewell() int { return t.oneWay(2) + t.shut() }

// lookUp is a name looked up.
func lookUp(host string) int { return dnsBoth + 2*len(host) }

// post is an HTTPS request with a connection of its own.
func post(url, host string, body, reply int) int {
	t := tariff{tls: true}
	return t.open(host) + t.exchange(httpHeads/2+len(url)+body, httpHeads/2+reply) + t.shut()
}

func publishPacket(topic string, payload []byte, qos byte) int {
	n := 2 + len(topic) + len(payload)
	if qos > 0 {
		n += 2 // the packet's number
	}
	return mqttPacket(n)
}

// mqttPacket adds the fixed header, whose length takes 7 bits a byte (MQTT
// 3.1.1, 2.2.3).
func mqttPacket(n int) int {
	header := 2
	for left := n >> 7; left > 0; left >>= 7 {
		header++
	}
	return header + n
}
