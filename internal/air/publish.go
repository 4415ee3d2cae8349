package air

import (
	"context"
	"fmt"
	"slices"
	"time"

	"airbridged/internal/atengine"
)

// Receipt is what became of a publish.
type Receipt struct {
	WrittenAt time.Time // when its last byte was handed to the port
	AckedAt   time.Time // when PUBACK was seen; zero for QoS 0
	WireBytes int       // bytes written for it, command and payload
}

// Publish sends one message. For QoS 1 it returns after its PUBACK, which has no
// id: the caller never has two in flight, and after any error but those below
// hangs up before it publishes again.
//
// A [*PayloadError] or [*ArgumentError] means that nothing was written; [ErrNotSent] that the module
// refused the message; any other error leaves the outcome unknown.
func (m *Modem) Publish(ctx context.Context, topic string, qos byte, payload []byte) (Receipt, error) {
	c, err := m.publication(topic, qos, payload)
	if err != nil {
		return Receipt{}, err
	}
	if c.Prompt != "" && m.o.DataPhase != nil {
		m.o.DataPhase()
	}
	r := Receipt{WireBytes: len(c.Line) + len("\r") + len(c.Data)}
	reply, err := m.eng.Do(ctx, c)
	r.WrittenAt = reply.WrittenAt
	if _, no := refusal(err); no {
		return r, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	if err != nil || qos == 0 {
		return r, err
	}
	urc, err := m.acknowledgement(ctx, reply)
	if err != nil {
		return r, err
	}
	r.AckedAt = urc.At
	return r, nil
}

// acknowledgement awaits the PUBACK of the publish that was just accepted. One
// that came before the OK cannot be this message's: a module that prints one
// twice would otherwise acknowledge what was still on the wire.
func (m *Modem) acknowledgement(ctx context.Context, accepted atengine.Reply) (atengine.URC, error) {
	between, _ := m.eng.Since(accepted.Mark)
	for _, u := range between {
		if kind := Classify([]byte(u.Text)); u.Mark <= accepted.Ended && slices.Contains(linkEnds, kind) {
			return u, linkEnd("PUBACK", kind)
		}
	}
	urc, _, err := m.completion(ctx, accepted.Ended, m.o.Timeouts.PubAck, "PUBACK", PubAck)
	return urc, err
}

// publication writes the command for a message, in the form that carries it.
func (m *Modem) publication(topic string, qos byte, payload []byte) (atengine.Command, error) {
	if err := CheckTopic(topic); err != nil {
		return atengine.Command{}, err
	}
	caps := m.caps
	if caps.hexSession() && !m.hexOut.Load() {
		caps.Hex = false // MQTTMODE=1 was refused
	}
	how, err := caps.form(payload)
	if err != nil {
		return atengine.Command{}, err
	}
	var c atengine.Command
	switch how {
	case raw:
		c.Line, err = mpubexLine(topic, qos, len(payload))
		c.Prompt, c.Data = ">", payload
	case inHex:
		c.Line, err = mpubLine(topic, qos, hexadecimal(payload))
	case escaped:
		var wire []byte
		if wire, err = escape(payload); err == nil {
			c.Line, err = mpubLine(topic, qos, wire)
		}
	}
	c.Timeout = m.o.Timeouts.Command + m.wireTime(len(c.Line)+len(c.Data))
	return c, err
}
