package packet

import (
	"encoding/binary"
	"iter"
	"strings"
)

// Property is the identifier of a property (5.0, 2.2.2.2).
type Property byte

// The properties.
const (
	PayloadFormat         Property = 0x01
	MessageExpiry         Property = 0x02
	ContentType           Property = 0x03
	ResponseTopic         Property = 0x08
	CorrelationData       Property = 0x09
	SubscriptionID        Property = 0x0B
	SessionExpiry         Property = 0x11
	AssignedClientID      Property = 0x12
	ServerKeepAlive       Property = 0x13
	AuthMethod            Property = 0x15
	AuthData              Property = 0x16
	RequestProblemInfo    Property = 0x17
	WillDelay             Property = 0x18
	RequestResponseInfo   Property = 0x19
	ResponseInfo          Property = 0x1A
	ServerReference       Property = 0x1C
	ReasonString          Property = 0x1F
	ReceiveMaximum        Property = 0x21
	TopicAliasMaximum     Property = 0x22
	TopicAlias            Property = 0x23
	MaximumQoS            Property = 0x24
	RetainAvailable       Property = 0x25
	UserProperty          Property = 0x26
	MaximumPacketSize     Property = 0x27
	WildcardSubscriptions Property = 0x28
	SubscriptionIDs       Property = 0x29
	SharedSubscriptions   Property = 0x2A
)

// form is how a property's value stands on the wire.
type form byte

const (
	none form = iota
	flag      // a byte, 0 or 1
	two       // bytes
	four      // bytes
	varint
	text
	data
	pair // of texts
)

// will is a place of its own for properties, beside the packet types.
const will Type = 0

// property is what the standard says of one.
type property struct {
	form    form
	nonzero bool
	in      []Type // where it may stand
}

var acks = []Type{PUBACK, PUBREC, PUBREL, PUBCOMP}

// properties is table 2-4 of 5.0.
var properties = map[Property]property{
	PayloadFormat:         {flag, false, []Type{PUBLISH, will}},
	MessageExpiry:         {four, false, []Type{PUBLISH, will}},
	ContentType:           {text, false, []Type{PUBLISH, will}},
	ResponseTopic:         {text, false, []Type{PUBLISH, will}},
	CorrelationData:       {data, false, []Type{PUBLISH, will}},
	SubscriptionID:        {varint, true, []Type{PUBLISH, SUBSCRIBE}},
	SessionExpiry:         {four, false, []Type{CONNECT, CONNACK, DISCONNECT}},
	AssignedClientID:      {text, false, []Type{CONNACK}},
	ServerKeepAlive:       {two, false, []Type{CONNACK}},
	AuthMethod:            {text, false, []Type{CONNECT, CONNACK, AUTH}},
	AuthData:              {data, false, []Type{CONNECT, CONNACK, AUTH}},
	RequestProblemInfo:    {flag, false, []Type{CONNECT}},
	WillDelay:             {four, false, []Type{will}},
	RequestResponseInfo:   {flag, false, []Type{CONNECT}},
	ResponseInfo:          {text, false, []Type{CONNACK}},
	ServerReference:       {text, false, []Type{CONNACK, DISCONNECT}},
	ReasonString:          {text, false, append([]Type{CONNACK, SUBACK, UNSUBACK, DISCONNECT, AUTH}, acks...)},
	ReceiveMaximum:        {two, true, []Type{CONNECT, CONNACK}},
	TopicAliasMaximum:     {two, false, []Type{CONNECT, CONNACK}},
	TopicAlias:            {two, false, []Type{PUBLISH}}, // 0 has a reason code of its own
	MaximumQoS:            {flag, false, []Type{CONNACK}},
	RetainAvailable:       {flag, false, []Type{CONNACK}},
	UserProperty:          {pair, false, append([]Type{CONNECT, CONNACK, PUBLISH, will, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT, AUTH}, acks...)},
	MaximumPacketSize:     {four, true, []Type{CONNECT, CONNACK}},
	WildcardSubscriptions: {flag, false, []Type{CONNACK}},
	SubscriptionIDs:       {flag, false, []Type{CONNACK}},
	SharedSubscriptions:   {flag, false, []Type{CONNACK}},
}

// allowed is the table by number, a bit for each place.
var allowed = func() (list [0x2B]struct {
	property
	places uint16
},
) {
	for id, p := range properties {
		list[id].property = p
		for _, t := range p.in {
			list[id].places |= 1 << t
		}
	}
	return list
}()

// Properties are the properties of a packet as they stand on the wire, without
// their length. Those that were decoded are valid; nil has none.
type Properties []byte

// Number returns the value of a property of one, two or four bytes, or of a
// variable length. Of several it is the first.
func (p Properties) Number(id Property) (value uint32, there bool) {
	for found, v := range p.all() {
		if found == id {
			return v.number, true
		}
	}
	return 0, false
}

// Numbers walks over the values of a property that may stand more than once.
func (p Properties) Numbers(id Property) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for found, v := range p.all() {
			if found == id && !yield(v.number) {
				return
			}
		}
	}
}

// Data returns the value of a property that is text or bytes.
func (p Properties) Data(id Property) (value []byte, there bool) {
	for found, v := range p.all() {
		if found == id {
			return v.data, true
		}
	}
	return nil, false
}

// User walks over the user properties.
func (p Properties) User() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for found, v := range p.all() {
			if found == UserProperty && !yield(string(v.data), string(v.second)) {
				return
			}
		}
	}
}

// WithNumber returns p with one more property, in the form that the standard
// gives it.
func (p Properties) WithNumber(id Property, v uint32) Properties {
	p = append(p, byte(id))
	switch allowed[id].form {
	case flag:
		return append(p, byte(v))
	case two:
		return binary.BigEndian.AppendUint16(p, uint16(v))
	case four:
		return binary.BigEndian.AppendUint32(p, v)
	default:
		return appendVarint(p, int(v))
	}
}

// WithData returns p with one more property of text or bytes, at most 65,535 long.
func (p Properties) WithData(id Property, v []byte) Properties {
	return appendData(append(p, byte(id)), v)
}

// WithUser returns p with one more user property.
func (p Properties) WithUser(name, value string) Properties {
	return appendData(appendData(append(p, byte(UserProperty)), []byte(name)), []byte(value))
}

// value is what one property holds, by its form.
type value struct {
	number       uint32
	data, second []byte
}

// all walks over properties that are valid.
func (p Properties) all() iter.Seq2[Property, value] {
	return func(yield func(Property, value) bool) {
		for d := (decoder{rest: p}); len(d.rest) > 0; {
			id, v := d.property()
			if d.err != nil || !yield(id, v) {
				return
			}
		}
	}
}

// property reads one property.
func (d *decoder) property() (Property, value) {
	id := Property(d.byte())
	var v value
	if d.err != nil {
		return id, v
	}
	if int(id) >= len(allowed) || allowed[id].form == none {
		d.fail(malformed("a property that is not known"))
		return id, v
	}
	switch allowed[id].form {
	case flag:
		v.number = uint32(d.byte())
	case two:
		v.number = uint32(d.uint16())
	case four:
		v.number = d.uint32()
	case varint:
		v.number = uint32(d.varint())
	case text:
		v.data = d.utf8()
	case data:
		v.data = d.data()
	case pair:
		v.data, v.second = d.utf8(), d.utf8()
	}
	return id, v
}

// properties reads the properties of a packet and judges them.
func (d *decoder) properties(where Type) Properties {
	n := d.varint()
	raw := d.take(n)
	if d.err != nil || len(raw) == 0 {
		return nil
	}
	var seen uint64
	for in := (decoder{rest: raw}); len(in.rest) > 0; {
		id, v := in.property()
		switch {
		case in.err != nil:
			d.fail(in.err)
		case allowed[id].places&(1<<where) == 0:
			d.fail(protocolError("a property that does not belong there"))
		case seen&(1<<id) != 0 && id != UserProperty && (id != SubscriptionID || where != PUBLISH):
			d.fail(protocolError("a property twice"))
		case allowed[id].form == flag && v.number > 1, allowed[id].nonzero && v.number == 0:
			d.fail(protocolError("a property with a value that it cannot have"))
		case id == ResponseTopic && (len(v.data) == 0 || strings.ContainsAny(string(v.data), "+#")):
			d.fail(protocolError("a response topic with a wildcard"))
		}
		if d.err != nil {
			return nil
		}
		seen |= 1 << id
	}
	if seen&(1<<AuthData) != 0 && seen&(1<<AuthMethod) == 0 {
		d.fail(protocolError("authentication data without a method"))
	}
	return Properties(raw)
}
