package packet

import "encoding/binary"

// Append appends a packet in the form of a level, which must be able to carry
// what is in it: texts and data of at most 65,535 bytes.
func Append(dst []byte, p Packet, level byte) []byte {
	switch p := p.(type) {
	case *Publish:
		return appendPublish(dst, p, level)
	case *Ack:
		dst = append(dst, byte(p.Kind)<<4|wantedFlags(p.Kind))
		return appendReason(dst, p.Kind, p.ID, p.Code, p.Properties, level)
	case *Ping:
		return append(dst, byte(p.Kind)<<4, 0)
	case *Disconnect:
		dst = append(dst, byte(DISCONNECT)<<4)
		return appendReason(dst, DISCONNECT, 0, p.Code, p.Properties, level)
	case *Auth:
		dst = append(dst, byte(AUTH)<<4)
		return appendReason(dst, AUTH, 0, p.Code, p.Properties, level)
	}
	var body []byte
	switch p := p.(type) {
	case *Connect:
		body = p.body()
	case *Connack:
		body = []byte{0, byte(p.Code)}
		if p.SessionPresent {
			body[0] = 1
		}
		body = appendProperties(body, p.Properties, level)
	case *Subscribe:
		body = binary.BigEndian.AppendUint16(nil, p.ID)
		body = append(appendProperties(body, p.Properties, level), p.raw...)
	case *Unsubscribe:
		body = binary.BigEndian.AppendUint16(nil, p.ID)
		body = append(appendProperties(body, p.Properties, level), p.raw...)
	case *Suback:
		body = binary.BigEndian.AppendUint16(nil, p.ID)
		body = append(appendProperties(body, p.Properties, level), p.Codes...)
	}
	dst = append(dst, byte(p.Type())<<4|wantedFlags(p.Type()))
	return append(appendVarint(dst, len(body)), body...)
}

// Size is how many bytes a Publish takes in a level.
func (p *Publish) Size(level byte) int {
	n := p.bodySize(level)
	return 1 + varintSize(n) + n
}

func (p *Publish) bodySize(level byte) int {
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if level >= Level5 {
		n += varintSize(len(p.Properties)) + len(p.Properties)
	}
	return n
}

func appendPublish(dst []byte, p *Publish, level byte) []byte {
	first := byte(PUBLISH)<<4 | p.QoS<<1
	if p.Dup {
		first |= 8
	}
	if p.Retain {
		first |= 1
	}
	dst = appendVarint(append(dst, first), p.bodySize(level))
	dst = appendData(dst, []byte(p.Topic))
	if p.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.ID)
	}
	return append(appendProperties(dst, p.Properties, level), p.Payload...)
}

// appendReason appends length, identifier, reason code and properties, in the
// shortest form.
func appendReason(dst []byte, t Type, id uint16, code Code, props Properties, level byte) []byte {
	size := 0
	if t != DISCONNECT && t != AUTH {
		size = 2
	}
	coded := level >= Level5 && (code != Success || len(props) > 0)
	told := coded && len(props) > 0
	if coded {
		size++
	}
	if told {
		size += varintSize(len(props)) + len(props)
	}
	dst = appendVarint(dst, size)
	if t != DISCONNECT && t != AUTH {
		dst = binary.BigEndian.AppendUint16(dst, id)
	}
	if coded {
		dst = append(dst, byte(code))
	}
	if told {
		dst = appendProperties(dst, props, level)
	}
	return dst
}

func (p *Connect) body() []byte {
	name := "MQTT"
	if p.Level == Level31 {
		name = "MQIsdp"
	}
	b := appendData(nil, []byte(name))
	level, flags := p.Level, byte(0)
	if p.Bridge {
		level |= bridgeBit
	}
	if p.CleanStart {
		flags |= 2
	}
	if w := p.Will; w != nil {
		flags |= 4 | w.QoS<<3
		if w.Retain {
			flags |= 0x20
		}
	}
	if p.Username != nil {
		flags |= 0x80
	}
	if p.Password != nil {
		flags |= 0x40
	}
	b = binary.BigEndian.AppendUint16(append(b, level, flags), p.KeepAlive)
	b = appendProperties(b, p.Properties, p.Level)
	b = appendData(b, []byte(p.ClientID))
	if w := p.Will; w != nil {
		b = appendProperties(b, w.Properties, p.Level)
		b = appendData(appendData(b, []byte(w.Topic)), w.Payload)
	}
	if p.Username != nil {
		b = appendData(b, []byte(*p.Username))
	}
	if p.Password != nil {
		b = appendData(b, p.Password)
	}
	return b
}

// NewSubscribe makes a SUBSCRIBE.
func NewSubscribe(level byte, id uint16, props Properties, filters ...Subscription) *Subscribe {
	s := &Subscribe{ID: id, Properties: props, level: level}
	for _, f := range filters {
		o := f.QoS | f.RetainHandling<<4
		if f.NoLocal {
			o |= 4
		}
		if f.RetainAsPublished {
			o |= 8
		}
		s.raw = append(appendData(s.raw, []byte(f.Filter)), o)
	}
	return s
}

// NewUnsubscribe makes an UNSUBSCRIBE.
func NewUnsubscribe(id uint16, props Properties, filters ...string) *Unsubscribe {
	u := &Unsubscribe{ID: id, Properties: props}
	for _, f := range filters {
		u.raw = appendData(u.raw, []byte(f))
	}
	return u
}

func appendProperties(dst []byte, p Properties, level byte) []byte {
	if level < Level5 {
		return dst
	}
	return append(appendVarint(dst, len(p)), p...)
}

func appendData(dst, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(b))), b...)
}

func appendVarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func varintSize(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}
