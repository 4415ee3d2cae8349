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
// refused the form of the message. Any other error leaves the outcome unknown:
// [atengine.ErrRefused], which after any other number than 50 proves nothing;
// [ErrDoubtful]; [ErrLinkLost]; a time-out. docs/at-least-once.md has the whole list.
func (m *Modem) Publish(ctx context.Context, topic string, qos byte, payload []byte) (Receipt, error) {
	c, err := m.publication(topic, qos, payload)
	if err != nil {
		return Receipt{}, err
	}
	if err := m.eng.Settle(ctx); err != nil {
		return Receipt{}, err
	}
	if c.Prompt != "" && m.o.DataPhase != nil {
		m.o.DataPhase()
	}
	r := Receipt{WireBytes: len(c.Line) + len("\r") + len(c.Data)}
	begun := m.eng.Mark()
	reply, err := m.eng.Do(ctx, c)
	r.WrittenAt = reply.WrittenAt
	if code, no := refusal(err); no {
		return r, m.refused(ctx, begun, code, err)
	}
	if err != nil || qos == 0 {
		return r, err
	}
	urc, err := m.acknowledgement(ctx, begun, reply)
	if err != nil {
		return r, err
	}
	r.AckedAt = urc.At
	return r, nil
}

// badParameters is the number with which a module says that it could not read a
// command (AT manual 1.6.3, section 3.15).
const badParameters = 50

// refused finds out what a refusal is worth. It may have been the answer to something
// else, and the message is on its way; so the engine keeps silent for a moment, and
// sees whether another answer comes, or a prompt. None came, and the number is that of
// a command which was not even read: nothing was sent. Every other number, and ERROR
// without one, can stand for a message that has left.
func (m *Modem) refused(ctx context.Context, begun atengine.Mark, code int, refusal error) error {
	if err := m.eng.Resync(ctx); err != nil {
		return fmt.Errorf("after a refused publish: %w", err)
	}
	switch {
	case m.doubted(begun):
		return fmt.Errorf("%w (%w)", ErrDoubtful, refusal)
	case code == badParameters:
		return fmt.Errorf("%w: %w", ErrNotSent, refusal)
	}
	return refusal
}

// surely is the error of a command that is no publish, or [ErrDoubtful] where a refusal
// of it was followed by another answer: one of the two was the answer to something else.
func (m *Modem) surely(ctx context.Context, begun atengine.Mark, err error) error {
	_, no := refusal(err)
	if err != nil && !no {
		return err
	}
	if no {
		if failed := m.eng.Listen(ctx); failed != nil {
			return failed
		}
	}
	switch {
	case !m.doubted(begun):
		return err
	case err == nil:
		return ErrDoubtful
	}
	return fmt.Errorf("%w (%w)", ErrDoubtful, err)
}

// doubted says whether there was reason to doubt the module's answers since a mark.
func (m *Modem) doubted(since atengine.Mark) bool {
	urcs, _ := m.eng.Since(since)
	return slices.ContainsFunc(urcs, func(u atengine.URC) bool { return u.Text == atengine.Doubt })
}

// acknowledgement awaits the PUBACK of the publish that was just accepted. One
// that came before the OK cannot be this message's: a module that prints one
// twice would otherwise acknowledge what was still on the wire. One that came in a
// doubtful moment may be a payload.
func (m *Modem) acknowledgement(ctx context.Context, begun atengine.Mark, accepted atengine.Reply) (atengine.URC, error) {
	between, _ := m.eng.Since(accepted.Mark)
	for _, u := range between {
		if kind := Classify([]byte(u.Text)); u.Mark <= accepted.Ended && slices.Contains(linkEnds, kind) {
			return u, linkEnd("PUBACK", kind)
		}
	}
	if m.doubted(begun) {
		return atengine.URC{}, ErrDoubtful
	}
	urc, _, err := m.completion(ctx, accepted.Ended, m.o.Timeouts.PubAck, "PUBACK", PubAck, Doubtful)
	if err == nil && m.doubted(begun) {
		err = ErrDoubtful
	}
	return urc, err
}

// Carries returns a [*PayloadError] if the module cannot carry a message.
func (m *Modem) Carries(topic string, payload []byte) error {
	_, err := m.form(topic, payload)
	return err
}

func (m *Modem) form(topic string, payload []byte) (form, error) {
	if err := CheckTopic(topic); err != nil {
		return 0, err
	}
	caps := m.caps
	if caps.hexSession() && !m.hexOut.Load() {
		caps.Hex = false // MQTTMODE=1 was refused
	}
	return caps.form(payload)
}

// publication writes the command for a message, in the form that carries it.
func (m *Modem) publication(topic string, qos byte, payload []byte) (atengine.Command, error) {
	how, err := m.form(topic, payload)
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
