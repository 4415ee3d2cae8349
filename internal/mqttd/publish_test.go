package mqttd

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
)

const update = "/a1/gw/update"

var levels = []byte{packet.Level31, packet.Level311, packet.Level5}

// PUBACK means on disk, with every level; QoS 0 is held in memory.
func TestPubackMeansOnDisk(t *testing.T) {
	for _, level := range levels {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			c := r.connect(uid(7), login(level, "p"))
			c.send(publish(1, 1, update, "one"))
			c.ack(packet.PUBACK, 1, 0)
			c.send(publish(0, 0, update, "loose"))
			synctest.Wait()
			if st := r.queue.Stats(); st.Messages != 1 || st.Held != 1 {
				t.Errorf("%+v", st)
			}
			back, err := outbox.Open("", outbox.Limits{}, outbox.Options{Files: r.disk.Survivor()})
			if err != nil {
				t.Fatal(err)
			}
			if m, ok := back.Take(); !ok || m.Topic != update || string(m.Payload) != "one" || m.Priority != outbox.Normal {
				t.Errorf("after a power cut %+v is there", m)
			}
			if r.of("kept") != 2 || r.of("accepted") != 1 {
				t.Errorf("%v", r.count.n)
			}
		})
	}
}

// The disk takes 20 s for a flush: publishes wait for it, all of them in one more
// flush and answered in their order, and pings are answered meanwhile.
func TestPingsAreAnsweredWhileTheDiskIsSlow(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(7), &packet.Connect{Level: 4, CleanStart: true, ClientID: "p", KeepAlive: 5})
		defer r.slow(20 * time.Second)()
		for id := range uint16(50) {
			c.send(publish(1, id+1, update, fmt.Sprint(id)))
		}
		for range 8 {
			c.send(&packet.Ping{Kind: packet.PINGREQ})
			if p := expect[*packet.Ping](c); p.Kind != packet.PINGRESP {
				t.Fatal(p.Kind)
			}
			time.Sleep(time.Second)
		}
		go func() {
			for c.send(&packet.Ping{Kind: packet.PINGREQ}) {
				time.Sleep(4 * time.Second)
			}
		}()
		for id := uint16(1); id <= 50; {
			switch p := c.next(10 * time.Second).(type) {
			case *packet.Ping:
			case *packet.Ack:
				if p.Kind != packet.PUBACK || p.ID != id {
					t.Fatalf("%+v, want PUBACK %d", p, id)
				}
				id++
			default:
				t.Fatalf("%+v, want PUBACK %d", p, id)
			}
		}
		_ = c.nc.Close()
		time.Sleep(5 * time.Second)
	})
}

// QoS 2: a packet identifier that is repeated before its PUBREL is stored once, a
// new handshake of the same identifier is a new message.
func TestQoS2IsStoredOnce(t *testing.T) {
	for _, level := range levels {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			c := r.connect(uid(7), &packet.Connect{Level: level, ClientID: "p", CleanStart: level == packet.Level5, Properties: fiveOnly(level, packet.SessionExpiry, 60)})
			c.send(publish(2, 9, update, "one"))
			c.ack(packet.PUBREC, 9, 0)
			c.send(&packet.Publish{Dup: true, QoS: 2, ID: 9, Topic: update, Payload: []byte("one")})
			c.ack(packet.PUBREC, 9, 0)
			_ = c.nc.Close() // and once more on another connection
			c = r.dial(uid(7), level)
			c.send(&packet.Connect{Level: level, ClientID: "p", Properties: fiveOnly(level, packet.SessionExpiry, 60)})
			if a := expect[*packet.Connack](c); !a.SessionPresent {
				t.Fatal("the session is gone")
			}
			c.send(&packet.Publish{Dup: true, QoS: 2, ID: 9, Topic: update, Payload: []byte("one")})
			c.ack(packet.PUBREC, 9, 0)
			c.send(&packet.Ack{Kind: packet.PUBREL, ID: 9})
			c.ack(packet.PUBCOMP, 9, 0)
			c.send(publish(2, 9, update, "two"))
			c.ack(packet.PUBREC, 9, 0)
			page, _ := r.queue.List("", 10)
			r.want(update+"=one", update+"=two")
			c.send(&packet.Ack{Kind: packet.PUBREL, ID: 10})
			code := packet.Success
			if level == packet.Level5 {
				code = packet.IDNotFound
			}
			c.ack(packet.PUBCOMP, 10, code)
			if page[0].QoS != 1 || r.of("kept") != 2 {
				t.Errorf("QoS %d, %v", page[0].QoS, r.count.n)
			}
		})
	}
}

// fiveOnly is a property for level 5, and none for the others.
func fiveOnly(level byte, id packet.Property, v uint32) packet.Properties {
	if level < packet.Level5 {
		return nil
	}
	return packet.Properties(nil).WithNumber(id, v)
}

// Retain is taken as a plain message, counted each time and told once.
func TestRetainIsAPlainMessage(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(7), login(4, "p"))
		for id := range uint16(3) {
			c.send(&packet.Publish{QoS: 1, ID: id + 1, Retain: true, Topic: update, Payload: []byte("x")})
			c.ack(packet.PUBACK, id+1, 0)
		}
		r.want(update+"=x", update+"=x", update+"=x")
		if n := r.logged("retain is not kept"); r.of("retain") != 3 || n != 1 {
			t.Errorf("counted %d times, told %d times", r.of("retain"), n)
		}
	})
}

// What can never go: in 5 its reason code, with the reason in words unless the
// client wants none, in the order of the messages; the connection stays.
func TestWhatCanNeverGoIn5(t *testing.T) {
	carry := func(_ string, payload []byte) error {
		switch {
		case len(payload) > 10:
			return &bus.CarryError{Reason: "too much", TooLarge: true, Size: len(payload), Limit: 10}
		case strings.ContainsRune(string(payload), 0):
			return &bus.CarryError{Reason: "NUL"}
		case string(payload) == "no JSON":
			return &bus.CarryError{Reason: "not JSON", Unfit: true}
		}
		return nil
	}
	inBubble(t, outbox.Limits{}, func(o *Options) { o.Carry = carry; o.Access = rules() }, func(r *rig) {
		c := r.connect(uid(7), login(5, "p"))
		for i, want := range []struct {
			topic, payload string
			code           packet.Code
		}{
			{update, "fits", packet.Success},
			{update, "eleven bytes", packet.TooLarge},
			{update, "a\x00b", packet.PayloadFormatInvalid},
			{update, "no JSON", packet.PayloadFormatInvalid},
			{"/a/+", "", packet.TopicInvalid},
			{"/a b", "", packet.TopicInvalid},
			{"", "", packet.TopicInvalid},
			{"$airbridge/state", "", packet.NotAuthorized},
			{"$SYS/uptime", "", packet.NotAuthorized},
			{"/forbidden", "", packet.NotAuthorized},
		} {
			for qos := byte(1); qos <= 2; qos++ {
				id := uint16(10*i) + uint16(qos)
				c.send(publish(qos, id, want.topic, want.payload))
				a := expect[*packet.Ack](c)
				if a.ID != id || a.Code != want.code || (a.Kind == packet.PUBREC) != (qos == 2) {
					t.Errorf("%q to %q: %+v, want %#x", want.payload, want.topic, a, want.code)
				}
				if why, _ := a.Properties.Data(packet.ReasonString); (len(why) > 0) != want.code.Failed() {
					t.Errorf("%q to %q: reason %q", want.payload, want.topic, why)
				}
			}
			c.send(publish(0, 0, want.topic, want.payload))
		}
		r.want(update+"=fits", update+"=fits", update+"=fits")
		if r.of("refused") != 18 || r.of("dropped") != 9 {
			t.Errorf("%v", r.count.n)
		}
		// A QoS 2 message that was refused is over: its identifier is free.
		c.send(publish(2, 12, update, "again"))
		c.ack(packet.PUBREC, 12, 0)

		quiet := r.connect(uid(7), &packet.Connect{Level: 5, ClientID: "q", Properties: packet.Properties(nil).WithNumber(packet.RequestProblemInfo, 0)})
		quiet.send(publish(1, 1, "/forbidden", ""))
		if a := expect[*packet.Ack](quiet); len(a.Properties) > 0 {
			t.Errorf("%q was told to a client that wants no reasons", a.Properties)
		}
	})
}

// rules forbid two topics.
func rules() *access.Control {
	c := access.New(990, func() (string, string) { return "a1", "gw" })
	seven, nine := uint32(7), uint32(9)
	topics := []string{"/a1/gw/update", "/a1/gw/+", "/a1/other/#", "/a/#", "/a b/#"}
	c.Set([]access.Rule{
		{UID: &seven, Publish: topics, Subscribe: []string{"/a1/#", "/sys/#", "/ext/#", "TopicA/#"}, Priority: 1, See: access.Status | access.Events},
		{UID: &nine, Publish: topics, Subscribe: []string{"/a1/#"}, Priority: 1},
	})
	return c
}

// What can never go up to 3.1.1: the connection is closed without an answer, and
// since most programs come back at once and send the same, the next CONNECT of that
// client is answered after 1 s, doubling to 8 s. It is told in the log once, and
// lasts as a warning until the program has been quiet for a while. Other clients,
// of the same user too, are not delayed.
func TestWhatCanNeverGoBefore5(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		for i, want := range []time.Duration{0, 1, 2, 4, 8, 8} {
			begin := time.Now()
			c := r.connect(uid(7), login(4, "sensor"))
			if d := time.Since(begin); d != want*time.Second {
				t.Errorf("CONNACK %d came after %v, want %d s", i, d, want)
			}
			c.send(publish(1, 1, update, "good"))
			c.ack(packet.PUBACK, 1, 0)
			c.send(publish(1, 2, "/a1/gw/not here", "bad"))
			c.closed(time.Second)
			begin = time.Now()
			other := r.connect(uid(7), login(4, "other"))
			if d := time.Since(begin); d != 0 {
				t.Errorf("another client waited %v", d)
			}
			_ = other.nc.Close()
		}
		if n := r.logged("can never go"); n != 1 {
			t.Errorf("told %d times", n)
		}
		list := r.board.Status().Warnings
		if len(list) != 1 || list[0].Code != "program-repeats" || !strings.Contains(list[0].Detail, "(uid 7)") ||
			!strings.Contains(list[0].Detail, "/a1/gw/not here") || !strings.Contains(list[0].Detail, "blank") {
			t.Errorf("%+v", list)
		}
		time.Sleep(poisonFor + time.Second)
		if list := r.board.Status().Warnings; len(list) != 0 {
			t.Errorf("it lasts: %+v", list)
		}
		begin := time.Now()
		r.connect(uid(7), login(4, "sensor"))
		if d := time.Since(begin); d != 0 {
			t.Errorf("it waits for ever: %v", d)
		}
		// QoS 0 has no answer: dropped, counted, told once, and the connection stays.
		c := r.connect(uid(7), login(4, "loose"))
		c.send(publish(0, 0, "/a b", ""))
		c.send(publish(0, 0, "/a b", ""))
		c.send(&packet.Ping{Kind: packet.PINGREQ})
		expect[*packet.Ping](c)
		if n := r.logged("QoS 0 are dropped"); n != 1 || r.of("dropped") != 2 {
			t.Errorf("told %d times, %v", n, r.count.n)
		}
	})
}

// A full outbox, and a disk that fails: no refusal, no PUBACK; reading goes on,
// pings are answered; when there is room all that was held is kept, in order, once.
func TestHeldUntilThereIsRoom(t *testing.T) {
	t.Run("full", func(t *testing.T) {
		inBubble(t, outbox.Limits{Messages: 2}, nil, func(r *rig) {
			c := r.connect(uid(7), login(4, "p"))
			for id := uint16(1); id <= 6; id++ {
				c.send(publish(1+byte(id%2), id, update, fmt.Sprint(id)))
			}
			c.ack(packet.PUBREC, 1, 0)
			c.ack(packet.PUBACK, 2, 0)
			for range 30 {
				c.send(&packet.Ping{Kind: packet.PINGREQ})
				expect[*packet.Ping](c)
				c.silent(time.Second)
			}
			if st := r.srv.Stats(); st.Held != 4 || st.HeldBytes == 0 {
				t.Errorf("%+v", st)
			}
			r.drain(2)
			c.ack(packet.PUBREC, 3, 0)
			c.ack(packet.PUBACK, 4, 0)
			r.want(update+"=3", update+"=4")
			c.ack(packet.PUBREC, 5, 0)
			c.ack(packet.PUBACK, 6, 0)
			r.want(update+"=5", update+"=6")
			if st := r.srv.Stats(); st.Held != 0 || st.HeldBytes != 0 {
				t.Errorf("%+v", st)
			}
			if n := r.logged("held without an answer"); n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	})
	t.Run("disk", func(t *testing.T) {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			c := r.connect(uid(7), login(5, "p"))
			mend := r.failing(syscall.ENOSPC)
			for id := uint16(1); id <= 6; id++ {
				c.send(publish(1, id, update, fmt.Sprint(id)))
			}
			c.silent(30 * time.Second)
			mend()
			for id := uint16(1); id <= 6; id++ {
				c.ack(packet.PUBACK, id, 0)
			}
			r.want(update+"=1", update+"=2", update+"=3", update+"=4", update+"=5", update+"=6")
		})
	})
}

// when_full = "refuse": 5 gets 0x97, 3.1.1 is closed, and it is no poison.
func TestRefuseWhenFull(t *testing.T) {
	inBubble(t, outbox.Limits{Messages: 1}, func(o *Options) { o.Refuse = true }, func(r *rig) {
		c := r.connect(uid(7), login(5, "five"))
		c.send(publish(1, 1, update, "1"))
		c.ack(packet.PUBACK, 1, 0)
		c.send(publish(1, 2, update, "2"))
		c.ack(packet.PUBACK, 2, packet.QuotaExceeded)
		c.send(publish(2, 3, update, "3"))
		c.ack(packet.PUBREC, 3, packet.QuotaExceeded)
		old := r.connect(uid(7), login(4, "three"))
		old.send(publish(1, 1, update, "4"))
		old.closed(time.Second)
		begin := time.Now()
		old = r.connect(uid(7), login(4, "three"))
		if d := time.Since(begin); d != 0 {
			t.Errorf("CONNACK after %v", d)
		}
		r.drain(1)
		mend := r.failing(syscall.EIO)
		c.send(publish(1, 4, update, "5"))
		c.ack(packet.PUBACK, 4, packet.QuotaExceeded)
		mend()
		old.send(publish(1, 1, update, "6"))
		old.ack(packet.PUBACK, 1, 0)
		r.want(update + "=6")
	})
}

// A connection that holds more than hold_bytes is closed; so are, when all hold too
// much, the connections of the user who holds most.
func TestHoldingIsBounded(t *testing.T) {
	const hold = 4000
	inBubble(t, outbox.Limits{Messages: 1}, func(o *Options) { o.HoldBytes = hold }, func(r *rig) {
		fill := r.connect(uid(1), login(4, "fill"))
		fill.send(publish(1, 1, update, "1"))
		fill.ack(packet.PUBACK, 1, 0)
		c := r.connect(uid(7), login(4, "p"))
		sent := 0
		for id := uint16(1); c.send(publish(1, id, update, strings.Repeat("x", 500))) && id < 100; id++ {
			sent++
			if c.isGone() {
				break
			}
		}
		if sent < 6 || sent > 9 || !c.isGone() {
			t.Errorf("closed after %d messages of 500 bytes, the bound is %d", sent, hold)
		}
		// One user may have half of 32 times that.
		var mine []*client
		for i := range 20 {
			m := r.connect(uid(7), login(4, fmt.Sprint("mine", i)))
			m.send(publish(1, 1, update, strings.Repeat("x", hold-200)))
			mine = append(mine, m)
		}
		other := r.connect(uid(8), login(4, "other"))
		other.send(publish(1, 1, update, strings.Repeat("x", hold-200)))
		other.silent(time.Second)
		open := 0
		for _, m := range mine {
			if !m.isGone() {
				open++
			}
		}
		if open < 15 || open > 17 {
			t.Errorf("%d connections of one user hold %d bytes each, the bound is half of 32 times that", open, hold)
		}
		if st := r.srv.Stats(); st.HeldBytes > 17*hold {
			t.Errorf("%+v", st)
		}
	})
}

// A burst that is larger than hold_bytes is no reason to close while the disk works:
// it is read as fast as it gets to the disk.
func TestABurstIsNotClosed(t *testing.T) {
	inBubble(t, outbox.Limits{}, func(o *Options) { o.HoldBytes = 2000 }, func(r *rig) {
		defer r.slow(50 * time.Millisecond)()
		c := r.connect(uid(7), login(4, "p"))
		go func() {
			for id := uint16(1); id <= 200; id++ {
				c.send(publish(1, id, update, strings.Repeat("x", 200)))
			}
		}()
		for id := uint16(1); id <= 200; id++ {
			c.ack(packet.PUBACK, id, 0)
		}
	})
}

// The disk hangs altogether: a connection over its bound is closed after a while.
func TestAHangingDiskEndsWhoHasTooMuch(t *testing.T) {
	inBubble(t, outbox.Limits{}, func(o *Options) { o.HoldBytes = 2000 }, func(r *rig) {
		defer r.slow(time.Minute)()
		c := r.connect(uid(7), login(4, "p"))
		go func() {
			for id := uint16(1); id <= 20; id++ {
				c.send(publish(1, id, update, strings.Repeat("x", 200)))
			}
		}()
		begin := time.Now()
		c.closed(20 * time.Second)
		if d := time.Since(begin); d < pauseTime || d > pauseTime+2*graceTime {
			t.Errorf("closed after %v", d)
		}
	})
}

// Message Expiry is the message's time to live; 0 is over at once.
func TestExpiryIsTimeToLive(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(7), login(5, "p"))
		for i, seconds := range []uint32{60, 0} {
			p := publish(1, uint16(i)+1, update, "x")
			p.Properties = p.Properties.WithNumber(packet.MessageExpiry, seconds)
			c.send(p)
			c.ack(packet.PUBACK, uint16(i)+1, 0)
		}
		time.Sleep(time.Second)
		page, n := r.queue.List("", 10)
		if n != 1 || page[0].ExpiresAt.Sub(page[0].AcceptedAt) != time.Minute {
			t.Errorf("%d messages, %+v", n, page)
		}
	})
}

// A bridge of mosquitto tells whether it is connected, retained, to a topic of a
// broker; that is acknowledged in its turn and goes nowhere.
func TestBridgeTopicsStayLocal(t *testing.T) {
	inBubble(t, outbox.Limits{}, func(o *Options) { o.Access = rules() }, func(r *rig) {
		c := r.connect(uid(7), &packet.Connect{
			Level: 4, Bridge: true, ClientID: "gw.bridge",
			Will: &packet.Will{Topic: "$SYS/broker/connection/gw.bridge/state", Payload: []byte("0"), QoS: 1, Retain: true},
		})
		for qos := byte(0); qos <= 2; qos++ {
			c.send(&packet.Publish{QoS: qos, ID: uint16(qos), Retain: true, Topic: "$SYS/broker/connection/gw.bridge/state", Payload: []byte("1")})
		}
		c.ack(packet.PUBACK, 1, 0)
		c.ack(packet.PUBREC, 2, 0)
		_ = c.nc.Close()
		time.Sleep(time.Second)
		r.want()
	})
}
