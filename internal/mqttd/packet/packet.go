package packet

import "iter"

// Levels of the protocol, as CONNECT names them.
const (
	Level31  = 3 // MQTT 3.1, "MQIsdp"
	Level311 = 4
	Level5   = 5

	// bridgeBit is added to the level by bridges of mosquitto and others
	// (try_private): what the client published does not come back to it.
	bridgeBit = 0x80
)

// Type is the kind of a packet, the upper half of its first byte.
type Type byte

// The kinds (5.0, 2.1.2).
const (
	CONNECT Type = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH // level 5
)

var typeNames = [...]string{
	"reserved", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "reserved"
}

// Packet is one of *Connect, *Connack, *Publish, *Ack, *Subscribe, *Suback,
// *Unsubscribe, *Ping, *Disconnect and *Auth.
type Packet interface{ Type() Type }

// Connect is what a client begins with.
type Connect struct {
	Level      byte // without the bridge bit
	Bridge     bool // the bridge bit was set
	CleanStart bool // clean session of 3.1.1
	KeepAlive  uint16
	Properties Properties
	ClientID   string
	Will       *Will
	Username   *string
	Password   []byte // nil: none
}

// Will is what is published when a connection ends without a word.
type Will struct {
	Topic      string
	Payload    []byte
	QoS        byte
	Retain     bool
	Properties Properties
}

// Connack answers a Connect. Code is a return code up to 3.1.1, a reason code in 5.
type Connack struct {
	SessionPresent bool
	Code           Code
	Properties     Properties
}

// Publish is a message, either way.
type Publish struct {
	Dup        bool
	QoS        byte
	Retain     bool
	Topic      string // may be empty in 5, where an alias stands for it
	ID         uint16 // 0 with QoS 0
	Properties Properties
	Payload    []byte
}

// Ack is one of PUBACK, PUBREC, PUBREL and PUBCOMP.
type Ack struct {
	Kind       Type
	ID         uint16
	Code       Code // 5
	Properties Properties
}

// Subscribe asks for filters.
type Subscribe struct {
	ID         uint16
	Properties Properties
	raw        []byte
	level      byte
}

// Subscription is one filter of a Subscribe.
type Subscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool // 5
	RetainAsPublished bool // 5
	RetainHandling    byte // 5: 0 to 2
}

// Filters walks over the filters in their order.
func (s *Subscribe) Filters() iter.Seq[Subscription] {
	return func(yield func(Subscription) bool) {
		for d := (decoder{rest: s.raw}); len(d.rest) > 0; {
			if f := d.subscription(s.level); d.err != nil || !yield(f) {
				return
			}
		}
	}
}

// Unsubscribe gives filters up.
type Unsubscribe struct {
	ID         uint16
	Properties Properties
	raw        []byte
}

// Filters walks over the filters in their order.
func (u *Unsubscribe) Filters() iter.Seq[string] {
	return func(yield func(string) bool) {
		for d := (decoder{rest: u.raw}); len(d.rest) > 0; {
			if f := d.text(); d.err != nil || !yield(f) {
				return
			}
		}
	}
}

// Suback answers a Subscribe or, with Kind UNSUBACK, an Unsubscribe. Codes are one
// for each filter; up to 3.1.1 an UNSUBACK has none.
type Suback struct {
	Kind       Type
	ID         uint16
	Properties Properties
	Codes      []byte
}

// Ping is PINGREQ or PINGRESP.
type Ping struct{ Kind Type }

// Disconnect ends a connection on purpose.
type Disconnect struct {
	Code       Code // 5
	Properties Properties
}

// Auth goes on with an authentication of level 5.
type Auth struct {
	Code       Code
	Properties Properties
}

// Type is CONNECT.
func (*Connect) Type() Type { return CONNECT }

// Type is CONNACK.
func (*Connack) Type() Type { return CONNACK }

// Type is PUBLISH.
func (*Publish) Type() Type { return PUBLISH }

// Type is Kind.
func (a *Ack) Type() Type { return a.Kind }

// Type is SUBSCRIBE.
func (*Subscribe) Type() Type { return SUBSCRIBE }

// Type is Kind.
func (s *Suback) Type() Type { return s.Kind }

// Type is UNSUBSCRIBE.
func (*Unsubscribe) Type() Type { return UNSUBSCRIBE }

// Type is Kind.
func (p *Ping) Type() Type { return p.Kind }

// Type is DISCONNECT.
func (*Disconnect) Type() Type { return DISCONNECT }

// Type is AUTH.
func (*Auth) Type() Type { return AUTH }
