package session

import "time"

// Estimates of what travels over the air, in bytes, both directions together.
// The module does TCP and TLS itself and does not count, so these are made of
// protocol headers: IPv4 and TCP 40, a TLS 1.2 record with HMAC and padding 53,
// an MQTT fixed header with length, packet id and topic length 7.
const (
	packetBytes       = 40 + 53
	mqttHeaderBytes   = 7
	tlsHandshakeBytes = 6 * 1024 // RSA key exchange with the cloud's certificate chain, and the TCP opening
)

// mqttBytes is one MQTT packet with n bytes of topic and payload, and the TCP
// acknowledgement and MQTT acknowledgement that come back for it.
func mqttBytes(n int) int { return packetBytes + mqttHeaderBytes + n + packetBytes + 4 }

// httpBytes is one HTTPS request and its answer, with n bytes of URL and bodies.
func httpBytes(n int) int { return tlsHandshakeBytes + 600 + n }

// keepaliveBytes is the share of one period in PINGREQ and PINGRESP.
func keepaliveBytes(period, keepalive time.Duration) int {
	if keepalive <= 0 {
		return 0
	}
	return int(float64(2*(packetBytes+2)) * period.Seconds() / keepalive.Seconds())
}
