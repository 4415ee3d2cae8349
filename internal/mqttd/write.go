package mqttd

import (
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/topic"
)

// batch is how many bytes are gathered before they are written.
const batch = 16 << 10

// write is the connection's other goroutine: it writes answers and messages down
// until the connection ends, and then what is left to answer.
func (c *conn) write() {
	c.repeat()
	var buf []byte
	var ending <-chan time.Time
	for {
		mute := c.isMute() // which comes after gone
		gone := c.isGone()
		done, at := c.flow.settle(c)
		if !gone {
			c.deliver()
		}
		if buf = c.out.take(buf); len(buf) > 0 {
			if !c.flush(buf) {
				return
			}
			continue
		}
		if gone && mute && done == nil {
			return
		}
		if gone && ending == nil {
			ending = time.After(graceTime)
		}
		if !c.rest(done, at, gone, mute, ending) {
			return
		}
	}
}

// flush writes bytes; false: the client takes none.
func (c *conn) flush(buf []byte) bool {
	if !c.isGone() {
		_ = c.nc.SetWriteDeadline(time.Now().Add(answerTime))
	}
	if c.isGone() { // it may have become so in between
		_ = c.nc.SetWriteDeadline(time.Now().Add(graceTime))
	}
	if _, err := c.nc.Write(buf); err != nil {
		c.close("it takes nothing of what is written")
		return false
	}
	return true
}

// rest waits until there is something to do; false: the time to end is over.
func (c *conn) rest(done <-chan struct{}, at time.Time, gone, mute bool, ending <-chan time.Time) bool {
	var due <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		due = timer.C
	}
	over, ready, kept, acks := c.gone, c.session.sub.Ready(), c.keptReady(), c.session.acks
	if gone {
		over, ready, kept, acks = c.mute, nil, nil, nil
	}
	if mute {
		over = nil
	}
	select {
	case <-c.out.wake:
	case <-done:
	case <-due:
	case <-ready:
	case <-kept:
	case <-acks:
	case <-over:
	case <-ending:
		return false
	}
	return true
}

// isMute says whether the reader has said its last word.
func (c *conn) isMute() bool {
	select {
	case <-c.mute:
		return true
	default:
		return false
	}
}

// repeat sends again what the client has not acknowledged on its last connection
// (3.1.1, 4.4).
func (c *conn) repeat() {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flight {
		again := *f.p
		again.Dup = true
		if c.level < packet.Level5 {
			again.Properties = nil
		}
		c.answer(&again)
	}
}

// deliver hands messages down to the client, as many as it takes.
func (c *conn) deliver() {
	for c.out.size() < batch && !c.full() {
		if it, ok := c.session.sub.TryNext(); ok {
			if it.Message != nil {
				c.send(it.Message, "", false)
			}
		} else if !c.sendKept() {
			return
		}
	}
}

// full says whether the client has as many messages as it takes.
func (c *conn) full() bool {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	return len(c.session.flight) >= c.window
}

// send writes one message down, once, with the highest QoS of the filters that it
// matches (3.1.1, 3.3.5). kept is what it is called in the session's box, and again that
// it may have been sent before. false: nothing waits for the client's answer to it.
func (c *conn) send(m *bus.Message, kept string, again bool) bool {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &packet.Publish{Topic: m.Topic, Payload: m.Payload}
	matched, own, asked := false, false, false
	for filter, w := range s.filters {
		if !topic.Match(filter, m.Topic) {
			continue
		}
		if w.noLocal || s.echo.all {
			if !asked {
				own, asked = s.echo.own(m.Topic, m.Payload), true
			}
			if own {
				continue
			}
		}
		matched = true
		p.QoS = max(p.QoS, w.qos)
		if w.id > 0 && c.level >= packet.Level5 {
			p.Properties = p.Properties.WithNumber(packet.SubscriptionID, w.id)
		}
	}
	if !matched || !c.callFor(p, m) || p.Size(c.level)+2 > c.maxPacket {
		return false
	}
	if p.QoS > 0 {
		p.Dup = again
		s.fly(p, kept)
	}
	c.answer(p)
	return p.QoS > 0
}
