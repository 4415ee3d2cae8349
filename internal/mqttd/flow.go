package mqttd

import (
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/intake"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
)

// errGone ends a reader whose connection is closed already.
var errGone = errors.New("the connection is to end")

// entry is a message up without its answer. Answers go out in the order of the
// messages (3.1.1, 4.6).
type entry struct {
	qos  byte
	id   uint16
	m    outbox.Message
	size int64

	begun *outbox.Appending // it is on its way to the disk; nil: it is not
	held  bool              // there is no room for it
	ready bool              // it can be answered, with
	code  packet.Code       // 5
	why   string
}

// flow is a connection's messages up without an answer. The reader adds, the
// writer answers.
type flow struct {
	mu      sync.Mutex
	list    []*entry
	begun   int // on their way to the disk
	held    int // waiting for room
	last    *outbox.Appending
	nextTry time.Time     // of what is held
	less    chan struct{} // closed and made anew when there is less, by who waits
}

// has says whether a QoS 2 message waits for its answer.
func (f *flow) has(id uint16) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.list {
		if e.qos == 2 && e.id == id {
			return true
		}
	}
	return false
}

// push adds what can be answered in its turn.
func (f *flow) push(c *conn, e *entry) {
	f.mu.Lock()
	f.list = append(f.list, e)
	f.mu.Unlock()
	poke(c.out.wake)
}

// keep hands a message to the outbox, behind what is held already. Over the bounds
// a connection that holds for want of room is closed; one whose messages are on
// their way to the disk is not read from for a moment.
func (c *conn) keep(e *entry) error {
	room := c.srv.places.hold(c, e.size)
	f := &c.flow
	f.mu.Lock()
	f.list = append(f.list, e)
	if f.held > 0 {
		f.hold(c, e, "others of it are held")
	} else {
		f.begin(c, e)
	}
	held := f.held > 0
	f.mu.Unlock()
	poke(c.out.wake)
	switch {
	case c.isGone():
		return errGone
	case room == fits:
		return nil
	case !held:
		return c.breathe()
	case room == overAll:
		if victim := c.srv.places.holder(); victim != nil && victim != c {
			victim.close(whyHolds)
			return nil
		}
	}
	c.close(whyHolds)
	return errGone
}

const whyHolds = "it holds more messages than mqtt.hold_bytes, and there is no room for them"

// breathe stops reading until messages are on disk.
func (c *conn) breathe() error {
	end := time.NewTimer(pauseTime)
	defer end.Stop()
	for {
		less, over := c.flow.awaitLess(c)
		if !over {
			return nil
		}
		select {
		case <-less:
		case <-c.gone:
			return errGone
		case <-end.C:
			c.close("its messages do not get to the disk")
			return errGone
		}
	}
}

// awaitLess says whether the connection still has more than it may, or holds for
// want of room, which is judged with the next message.
func (f *flow) awaitLess(c *conn) (less <-chan struct{}, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held > 0 || len(f.list) == 0 || c.srv.places.hold(c, 0) == fits {
		return nil, false
	}
	if f.less == nil {
		f.less = make(chan struct{})
	}
	return f.less, true
}

// begin hands an entry to the outbox, if its program does not publish faster than it may;
// under the lock.
func (f *flow) begin(c *conn, e *entry) {
	if err := c.srv.o.Access.Spend(c.rights()); err != nil {
		f.hold(c, e, err.Error())
		return
	}
	a, err := c.srv.o.Outbox.Begin(e.m, f.last)
	if err != nil {
		f.failed(c, e, err)
		return
	}
	e.begun, f.last = a, a
	f.begun++
}

// failed decides about an entry that the outbox did not keep; under the lock.
func (f *flow) failed(c *conn, e *entry, err error) {
	r := intake.Of(err)
	switch {
	case r.Cause == intake.Stopping:
		c.close(whyStopping)
	case r.Cause.Passes() && !c.srv.o.Refuse:
		f.hold(c, e, r.Detail)
	default:
		f.refuse(c, e, codes[r.Cause], r.Detail)
	}
}

// refuse answers an entry that is not kept: by a reason code in 5, and up to 3.1.1 by
// closing; under the lock.
func (f *flow) refuse(c *conn, e *entry, code packet.Code, why string) {
	c.srv.o.Recorder.MQTTPublish(Refused)
	c.forget(e.qos, e.id)
	if c.level < packet.Level5 {
		c.close(why)
		return
	}
	e.ready, e.code, e.why = true, code, why
}

// hold keeps an entry without an answer; under the lock.
func (f *flow) hold(c *conn, e *entry, why string) {
	if f.held == 0 {
		f.nextTry = time.Now().Add(retryTime)
		if c.srv.told.first("held " + c.key()) {
			c.srv.o.Log.Warn("messages are held without an answer until there is room for them", c.fields(zap.String("topic", short(e.m.Topic)), zap.String("why", why))...)
		}
	}
	f.held++
	e.held = true
	c.srv.places.noRoom(c, 1, e.size)
}

// unhold takes an entry out of what is held; under the lock.
func (f *flow) unhold(c *conn, e *entry) {
	if !e.held {
		return
	}
	f.held--
	e.held = false
	c.srv.places.noRoom(c, -1, -e.size)
}

// settle answers what can be answered, and tries again what is held when that is
// due. It is to be called again when done is closed, and at the time at.
func (f *flow) settle(c *conn) (done <-chan struct{}, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.learn(c)
	if f.held > 0 && f.begun == 0 && !time.Now().Before(f.nextTry) {
		f.retry(c)
	}
	n := 0
	for n < len(f.list) && f.list[n].ready && c.out.size() < maxAnswers {
		c.reply(f.list[n])
		n++
	}
	if n > 0 {
		clear(f.list[:n])
		if f.list = f.list[n:]; len(f.list) == 0 {
			f.list, f.last = nil, nil
		}
		if f.less != nil {
			close(f.less)
			f.less = nil
		}
	}
	for _, e := range f.list {
		if e.begun != nil {
			return e.begun.Done(), time.Time{}
		}
	}
	if f.held > 0 {
		return nil, f.nextTry
	}
	return nil, time.Time{}
}

// learn takes in what the outbox has done; under the lock.
func (f *flow) learn(c *conn) {
	for _, e := range f.list {
		if e.begun == nil {
			continue
		}
		select {
		case <-e.begun.Done():
		default:
			return // those behind are not done either
		}
		_, err := e.begun.Result()
		e.begun = nil
		f.begun--
		if err != nil {
			f.failed(c, e, err)
			continue
		}
		c.published(e.m)
		e.m.Payload = nil
		e.ready = true
	}
}

// retry hands over again what is held, in its order, as far as there is room;
// under the lock.
func (f *flow) retry(c *conn) {
	f.last = nil
	for _, e := range f.list {
		if !e.held {
			continue
		}
		f.unhold(c, e)
		if err := c.rights().Publish(e.m.Topic); err != nil { // the rules have changed
			f.refuse(c, e, packet.NotAuthorized, err.Error())
			continue
		}
		if f.begin(c, e); e.held || c.isGone() {
			break
		}
	}
	f.nextTry = time.Now().Add(retryTime)
}

// reply answers one entry; under the lock.
func (c *conn) reply(e *entry) {
	kind := packet.PUBACK
	if e.qos == 2 {
		kind = packet.PUBREC
	}
	a := &packet.Ack{Kind: kind, ID: e.id}
	if c.level >= packet.Level5 {
		a.Code = e.code
		if e.why != "" && c.problems && len(e.why)+32 < c.maxPacket {
			a.Properties = a.Properties.WithData(packet.ReasonString, []byte(e.why))
		}
	}
	c.answer(a)
	if e.size > 0 {
		c.srv.places.hold(c, -e.size)
	}
}

// abandon ends a flow whose connection is gone. What is on its way to the disk gets
// there; of QoS 2 it is remembered whether it did. What is held is the client's to
// repeat.
func (f *flow) abandon(c *conn) {
	late := time.NewTimer(graceTime)
	defer late.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.list {
		switch {
		case e.ready:
			continue
		case e.begun == nil:
			f.unhold(c, e)
			c.forget(e.qos, e.id)
			continue
		}
		select {
		case <-e.begun.Done():
			if _, err := e.begun.Result(); err != nil {
				c.forget(e.qos, e.id)
				continue
			}
			c.published(e.m)
		case <-late.C:
			return
		}
	}
}
