package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
)

// Decode makes a packet of its first byte and its body, which belongs to the
// packet from then on. level is the connection's; for a CONNECT it does not
// matter. Error: *[Error].
func Decode(first byte, body []byte, level byte) (Packet, error) {
	d := decoder{rest: body}
	p := d.packet(Type(first>>4), first&0xf, level)
	if d.err == nil && len(d.rest) > 0 {
		d.fail(malformed("bytes behind its end"))
	}
	if d.err != nil {
		if e, ok := errors.AsType[*Error](d.err); ok {
			typed := *e
			typed.Type = Type(first >> 4)
			return nil, &typed
		}
		return nil, d.err
	}
	return p, nil
}

// packet reads what a type says is there.
func (d *decoder) packet(t Type, flags, level byte) Packet {
	if want := wantedFlags(t); t != PUBLISH && flags != want {
		d.fail(malformed("reserved bits of the first byte"))
		return nil
	}
	switch t {
	case CONNECT:
		return d.connect()
	case CONNACK:
		return d.connack(level)
	case PUBLISH:
		return d.publish(flags, level)
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		return d.ack(t, level)
	case SUBSCRIBE:
		return d.subscribe(level)
	case UNSUBSCRIBE:
		return d.unsubscribe(level)
	case SUBACK, UNSUBACK:
		return d.suback(t, level)
	case PINGREQ, PINGRESP:
		return &Ping{t}
	case DISCONNECT:
		p := &Disconnect{}
		p.Code, p.Properties = d.reason(t, level)
		return p
	case AUTH:
		if level >= Level5 {
			p := &Auth{}
			p.Code, p.Properties = d.reason(t, level)
			return p
		}
	}
	d.fail(malformed("no such type of packet"))
	return nil
}

// wantedFlags are the lower four bits of a first byte, but for PUBLISH (3.1.1, 2.2.2).
func wantedFlags(t Type) byte {
	switch t {
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		return 2
	}
	return 0
}

func (d *decoder) connect() Packet {
	name, level := d.text(), d.byte()
	p := &Connect{Level: level &^ bridgeBit, Bridge: level&bridgeBit != 0}
	switch {
	case d.err != nil:
		return p
	case name == "MQIsdp" && p.Level == Level31, name == "MQTT" && (p.Level == Level311 || p.Level == Level5):
	case name == "MQTT" || name == "MQIsdp":
		d.fail(&Error{Code: UnsupportedLevel, Level: p.Level, Detail: "a protocol level that is not known"})
		return p
	default:
		d.fail(&Error{Code: ProtocolError, Detail: "the protocol is not MQTT"})
		return p
	}
	flags := d.byte()
	p.CleanStart = flags&2 != 0
	p.KeepAlive = d.uint16()
	if d.err == nil && flags&1 != 0 {
		d.fail(malformed("the reserved flag is set"))
	}
	if p.Level >= Level5 {
		p.Properties = d.properties(CONNECT)
	}
	p.ClientID = d.text()
	if flags&4 != 0 {
		p.Will = d.will(flags, p.Level)
	} else if d.err == nil && flags&0x38 != 0 {
		d.fail(malformed("QoS or retain of a will, and no will"))
	}
	if flags&0x80 != 0 {
		user := d.text()
		p.Username = &user
	}
	if flags&0x40 != 0 {
		if p.Username == nil && p.Level < Level5 {
			d.fail(malformed("a password without a user name"))
		}
		if p.Password = d.data(); p.Password == nil {
			p.Password = []byte{}
		}
	}
	return p
}

func (d *decoder) will(flags, level byte) *Will {
	w := &Will{QoS: flags >> 3 & 3, Retain: flags&0x20 != 0}
	if d.err == nil && w.QoS == 3 {
		d.fail(malformed("QoS 3 of the will"))
	}
	if level >= Level5 {
		w.Properties = d.properties(will)
	}
	w.Topic = d.text()
	w.Payload = d.data()
	return w
}

func (d *decoder) connack(level byte) Packet {
	flags := d.byte()
	if d.err == nil && flags > 1 {
		d.fail(malformed("reserved bits"))
	}
	p := &Connack{SessionPresent: flags == 1, Code: Code(d.byte())}
	if level >= Level5 {
		p.Properties = d.properties(CONNACK)
	}
	return p
}

func (d *decoder) publish(flags, level byte) Packet {
	p := &Publish{Dup: flags&8 != 0, QoS: flags >> 1 & 3, Retain: flags&1 != 0}
	switch {
	case p.QoS == 3:
		d.fail(malformed("QoS 3"))
	case p.Dup && p.QoS == 0:
		d.fail(malformed("DUP with QoS 0"))
	}
	p.Topic = d.text()
	if p.QoS > 0 {
		p.ID = d.id()
	}
	if level >= Level5 {
		p.Properties = d.properties(PUBLISH)
	}
	p.Payload, d.rest = d.rest, nil
	return p
}

func (d *decoder) ack(t Type, level byte) Packet {
	p := &Ack{Kind: t, ID: d.id()}
	p.Code, p.Properties = d.reason(t, level)
	return p
}

// reason reads what ends an acknowledgement, a DISCONNECT and an AUTH in level 5:
// the reason code, and the properties, both of which may be missing (5.0, 3.4.2.1).
func (d *decoder) reason(t Type, level byte) (Code, Properties) {
	if level < Level5 || len(d.rest) == 0 {
		return Success, nil
	}
	code := Code(d.byte())
	if len(d.rest) == 0 {
		return code, nil
	}
	return code, d.properties(t)
}

func (d *decoder) subscribe(level byte) Packet {
	p := &Subscribe{ID: d.id(), level: level}
	if level >= Level5 {
		p.Properties = d.properties(SUBSCRIBE)
	}
	p.raw = d.rest
	if d.err == nil && len(d.rest) == 0 {
		d.fail(protocolError("no filter"))
	}
	for d.err == nil && len(d.rest) > 0 {
		d.subscription(level)
	}
	return p
}

// subscription reads a filter and its options.
func (d *decoder) subscription(level byte) Subscription {
	s := Subscription{Filter: d.text()}
	o := d.byte()
	s.QoS = o & 3
	if d.err == nil && (s.QoS == 3 || level < Level5 && o > 2 || o&0xc0 != 0) {
		d.fail(malformed("options of a subscription"))
	}
	s.NoLocal, s.RetainAsPublished, s.RetainHandling = o&4 != 0, o&8 != 0, o>>4&3
	switch {
	case d.err != nil:
	case s.RetainHandling == 3:
		d.fail(protocolError("retain handling 3"))
	case s.NoLocal && strings.HasPrefix(s.Filter, "$share/"):
		d.fail(protocolError("no local on a shared subscription"))
	case s.Filter == "":
		d.fail(protocolError("an empty filter"))
	}
	return s
}

func (d *decoder) unsubscribe(level byte) Packet {
	p := &Unsubscribe{ID: d.id()}
	if level >= Level5 {
		p.Properties = d.properties(UNSUBSCRIBE)
	}
	p.raw = d.rest
	if d.err == nil && len(d.rest) == 0 {
		d.fail(protocolError("no filter"))
	}
	for d.err == nil && len(d.rest) > 0 {
		d.utf8()
	}
	return p
}

func (d *decoder) suback(t Type, level byte) Packet {
	p := &Suback{Kind: t, ID: d.id()}
	if level >= Level5 {
		p.Properties = d.properties(t)
	}
	p.Codes, d.rest = d.rest, nil
	return p
}

// decoder takes values off the front of a body. After the first error it only
// returns zeros.
type decoder struct {
	rest []byte
	err  error // *Error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

// take returns the next n bytes.
func (d *decoder) take(n int) []byte {
	if d.err == nil && len(d.rest) < n {
		d.fail(malformed("it is shorter than it says"))
	}
	if d.err != nil {
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// id is a packet identifier, which is never 0 (3.1.1, 2.3.1).
func (d *decoder) id() uint16 {
	id := d.uint16()
	if d.err == nil && id == 0 {
		d.fail(protocolError("packet identifier 0"))
	}
	return id
}

// varint is a variable byte integer in its shortest form (5.0, 1.5.5).
func (d *decoder) varint() int {
	n, shift := 0, 0
	for i := range 4 {
		b := d.byte()
		if d.err != nil {
			return 0
		}
		n |= int(b&0x7f) << shift
		shift += 7
		if b&0x80 == 0 {
			if b == 0 && i > 0 {
				d.fail(malformed("a number that is not in its shortest form"))
			}
			return n
		}
	}
	d.fail(malformed("a number of more than four bytes"))
	return 0
}

// data is binary data with its length before it.
func (d *decoder) data() []byte { return d.take(int(d.uint16())) }

// utf8 is text as the standard wants it: well-formed, without U+0000 (3.1.1, 1.5.3).
func (d *decoder) utf8() []byte {
	b := d.data()
	if d.err == nil && (!utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0) {
		d.fail(malformed("text that is not UTF-8, or with U+0000 in it"))
		return nil
	}
	return b
}

func (d *decoder) text() string { return string(d.utf8()) }
