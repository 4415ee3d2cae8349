package mqttd

import (
	"errors"
	"strconv"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/mqttd/packet"
)

// answerCall takes the answer to a request of the cloud. It is never stored, and one that
// nobody waits for any more is dropped and told: version 5 with a reason code, older ones
// by the log alone. Closing their connection would not bring it to anybody.
func (c *conn) answerCall(p *packet.Publish) error {
	err := c.srv.o.Hub.Calls().Answer(p.Topic, p.Payload, c.source)
	e := &entry{qos: p.QoS, id: p.ID, ready: true}
	if err != nil {
		e.code, e.why = packet.ImplementationSpecific, err.Error()
		c.srv.o.Recorder.MQTTPublish(Dropped)
		c.srv.o.Log.Warn("an answer came too late, and was dropped", c.fields(zap.String("topic", short(p.Topic)), zap.String("why", e.why))...)
		if !errors.Is(err, bus.ErrCallAnswered) {
			c.srv.o.Board.Emit(bus.Warned(bus.LateCall, "the answer of "+shown(c.clientID)+" on "+shown(p.Topic)+" came too late, and was dropped"))
		}
	}
	switch {
	case p.QoS > 0:
		if e.code.Failed() {
			c.forget(p.QoS, p.ID)
		}
		c.flow.push(c, e)
	}
	return nil
}

// deadlineProperty is the user property of version 5 that says how long the caller of a
// call still waits, in milliseconds.
const deadlineProperty = "deadline-ms"

// callFor gives a message that is a call its time left; false: nobody waits for its answer
// any more.
func (c *conn) callFor(p *packet.Publish, m *bus.Message) bool {
	_, left, ok := bus.CallOf(m)
	if !ok {
		return true
	}
	if left < time.Millisecond {
		return false
	}
	if c.level >= packet.Level5 {
		p.Properties = p.Properties.WithUser(deadlineProperty, strconv.FormatInt(left.Milliseconds(), 10))
	}
	return true
}
