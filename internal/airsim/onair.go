package airsim

import (
	"maps"
	"time"
)

// OnAir is what one cause has cost on the air, in bytes of IP packets. Up is
// from the module.
type OnAir struct {
	Up   uint64 `json:"up"`
	Down uint64 `json:"down"`
}

// Sum is both directions together, as a SIM's data volume counts.
func (o OnAir) Sum() uint64 { return o.Up + o.Down }

// The causes of OnAir counters.
const (
	AirDNS       = "dns"       // looking names up
	AirHandshake = "handshake" // TCP, TLS, CONNECT, subscriptions, and the end of connections
	AirHTTP      = "http"      // registration and authentication, each with a connection of its own
	AirPublish   = "publish"   // messages up, with their acknowledgements; every time they are sent
	AirDownlink  = "downlink"  // messages down
	AirKeepalive = "keepalive" // PINGREQ and PINGRESP
)

type direction uint8

const (
	up direction = iota
	down
)

func (d direction) back() direction { return 1 - d }

// airMeter counts IP packets. It models what passes between a module's TCP and
// the cloud's, packet by packet: segments of at most mss bytes, acknowledgements
// that ride on data or travel alone, TLS records. Neither radio nor link layer
// is in it, nor are packets that got lost and were sent again: nothing is lost
// here but whole connections.
//
// testdata/capture-*.txt are recordings of real sessions that the test holds
// this model against.
type airMeter map[string]OnAir

func (m airMeter) add(cause string, d direction, n int) {
	c := m[cause]
	if d == up {
		c.Up += uint64(n)
	} else {
		c.Down += uint64(n)
	}
	m[cause] = c
}

// Sizes of headers and packets (RFC 791, 793, 6691, 768): no options but the
// maximum segment size in a SYN.
const (
	packetHeader = 20 + 20
	synPacket    = packetHeader + 4
	udpHeader    = 20 + 8
	mss          = 1460
)

// Acknowledgements wait a while for data to ride on (RFC 1122, 4.2.3.2), 250 ms
// on a small TCP (lwIP, TCP_FAST_INTERVAL), 40 ms on a server (Linux,
// TCP_DELACK_MIN).
var ackPatience = [...]time.Duration{up: 250 * time.Millisecond, down: 40 * time.Millisecond}

// flow is one TCP connection, with TLS or without.
type flow struct {
	meter airMeter
	tls   bool
	owed  [2]debt // acknowledgements not sent yet, by the direction they will go
}

// debt is an acknowledgement that waits for data to ride on.
type debt struct {
	segments int
	since    time.Time
	cause    string
}

// record is a TLS 1.2 record of n bytes with AES-128-CBC and SHA-1 (RFC 5246,
// 6.2.3.2; the modules offer no suite without CBC or RC4): header, IV, and
// content with its digest, padded to whole blocks.
func record(n int) int {
	const header, block, digest = 5, 16, 20
	blocks := (n + digest) / block // and always one byte of padding length
	return header + block + (blocks+1)*block
}

// send is data of the application; sent and arrives say when it leaves one end
// and reaches the other.
func (f *flow) send(cause string, d direction, n int, sent, arrives time.Time) {
	if f.tls {
		n = record(n)
	}
	f.raw(cause, d, n, sent, arrives)
}

// raw is bytes of the TCP stream.
func (f *flow) raw(cause string, d direction, n int, sent, arrives time.Time) {
	if owed := &f.owed[d]; owed.segments > 0 {
		if sent.Sub(owed.since) >= ackPatience[d] {
			f.meter.add(owed.cause, d, packetHeader)
		}
		*owed = debt{}
	}
	segments := (n + mss - 1) / mss
	f.meter.add(cause, d, n+segments*packetHeader)
	owed := &f.owed[d.back()]
	if owed.segments == 0 {
		owed.since, owed.cause = arrives, cause
	}
	owed.segments += segments
	// Every second segment is acknowledged at once.
	for ; owed.segments >= 2; owed.segments -= 2 {
		f.meter.add(cause, d.back(), packetHeader)
	}
}

// settle sends what acknowledgements are still owed.
func (f *flow) settle() {
	for d := range f.owed {
		if f.owed[d].segments > 0 {
			f.meter.add(f.owed[d].cause, direction(d), packetHeader)
		}
		f.owed[d] = debt{}
	}
}

// unanswered is data on a path that is cut: nothing comes back.
func (f *flow) unanswered(cause string, n int, at time.Time) {
	f.send(cause, up, n, at, at)
	f.owed[down] = debt{}
}

// Bytes of a TLS handshake with RSA key exchange, as recorded (see
// testdata/capture-tls12-cbc.txt): a ClientHello without server name, the
// ServerHello with a chain of three certificates of the size that public
// authorities issue, key exchange and Finished, and the server's Finished.
const (
	helloBytes    = 121
	chainBytes    = 4031
	keyBytes      = 342
	finishedBytes = 75
	sniBytes      = 9 // and the name itself (RFC 6066, 3)
)

// open is the TCP handshake and, if wanted, that of TLS.
func (m airMeter) open(cause string, tls bool, host string, now time.Time) *flow {
	m.add(cause, up, synPacket)
	m.add(cause, down, synPacket)
	m.add(cause, up, packetHeader)
	f := &flow{meter: m, tls: tls}
	if tls {
		f.raw(cause, up, helloBytes+sniBytes+len(host), now, now)
		f.raw(cause, down, chainBytes, now, now)
		f.raw(cause, up, keyBytes, now, now)
		f.raw(cause, down, finishedBytes, now, now)
	}
	return f
}

// close is the end of a connection: close_notify under TLS, FIN and its
// acknowledgement from both ends.
func (f *flow) close(cause string, now time.Time) {
	if f.tls {
		f.send(cause, up, 2, now, now)
		f.send(cause, down, 2, now, now)
	}
	f.settle()
	for _, d := range []direction{up, down} {
		f.meter.add(cause, d, packetHeader)
		f.meter.add(cause, d.back(), packetHeader)
	}
}

// lookUp is a question for a name and its answer: the question again, one alias
// and two addresses, with compressed names (RFC 1035, 4).
func (m airMeter) lookUp(host string) {
	question := 12 + len(host) + 2 + 4
	m.add(AirDNS, up, udpHeader+question)
	m.add(AirDNS, down, udpHeader+question+12+len("ipv4.")+len("iot-as-mqtt.cn-shanghai")+2*16)
}

// refused is a SYN that gets no connection.
func (m airMeter) refused(cause string) { m.add(cause, up, synPacket) }

// OnAir returns what has passed over the air so far, by cause.
func (m *Module) OnAir() map[string]OnAir {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.air)
}
