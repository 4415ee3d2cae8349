package mqttd

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
)

// withWill logs in with a will.
func withWill(level byte, id string, delay, expiry uint32) *packet.Connect {
	w := &packet.Will{Topic: update, Payload: []byte("dead " + id), QoS: 1, Properties: fiveOnly(level, packet.WillDelay, delay)}
	return &packet.Connect{Level: level, CleanStart: true, ClientID: id, Will: w, KeepAlive: 10, Properties: fiveOnly(level, packet.SessionExpiry, expiry)}
}

// A will is published when the connection ends without DISCONNECT: hung up, silent,
// against the protocol, taken over; and not after one, unless it asks for it.
func TestWills(t *testing.T) {
	for _, level := range levels {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			c := r.connect(uid(7), withWill(level, "hung up", 0, 0))
			_ = c.nc.Close()
			r.want(update + "=dead hung up")
			c = r.connect(uid(7), withWill(level, "silent", 0, 0))
			c.closed(time.Minute)
			r.want(update + "=dead silent")
			c = r.connect(uid(7), withWill(level, "wrong", 0, 0))
			c.send(&packet.Connack{})
			c.next(time.Second)
			r.want(update + "=dead wrong")
			r.connect(uid(7), withWill(level, "twice", 0, 0))
			second := r.connect(uid(7), withWill(level, "twice", 0, 0))
			r.want(update + "=dead twice")
			second.send(&packet.Disconnect{})
			second.closed(time.Second)
			r.want()
			if level == 5 {
				c = r.connect(uid(7), withWill(level, "asks", 0, 0))
				c.send(&packet.Disconnect{Code: packet.DisconnectWithWill})
				c.closed(time.Second)
				r.want(update + "=dead asks")
			}
		})
	}
}

// The delay of 5: the will waits, at most as long as the session; a client that
// comes back to its session takes it back, one with a clean start does not.
func TestWillDelay(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		hangUp := func(delay, expiry uint32) {
			c := r.connect(uid(7), withWill(5, "c", delay, expiry))
			_ = c.nc.Close()
		}
		hangUp(30, 60)
		time.Sleep(29 * time.Second)
		r.want()
		time.Sleep(2 * time.Second)
		r.want(update + "=dead c")

		hangUp(30, 10)
		time.Sleep(9 * time.Second)
		r.want()
		time.Sleep(2 * time.Second)
		r.want(update + "=dead c")

		hangUp(30, 60)
		time.Sleep(5 * time.Second)
		back := r.connect(uid(7), &packet.Connect{Level: 5, ClientID: "c", Properties: fiveOnly(5, packet.SessionExpiry, 60)})
		time.Sleep(time.Minute)
		r.want()
		back.send(&packet.Disconnect{})

		hangUp(30, 60)
		time.Sleep(5 * time.Second)
		r.connect(uid(7), login(5, "c"))
		r.want(update + "=dead c")
	})
}

// Wills that wait are bounded, however many clients somebody makes up; another
// user's is not lost for that.
func TestWillsAreBounded(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(8), withWill(5, "other", 3600, 3600))
		_ = c.nc.Close()
		for i := range 150 {
			p := withWill(5, fmt.Sprint(i), 1800, 1800)
			p.Will.Payload = make([]byte, 10_000)
			c := r.connect(uid(7), p)
			_ = c.nc.Close()
		}
		synctest.Wait()
		r.srv.wills.mu.Lock()
		n, bytes, other := len(r.srv.wills.list), r.srv.wills.bytes, r.srv.wills.list["uid 8 other"]
		r.srv.wills.mu.Unlock()
		if bytes > maxWillBytes || n < 50 || n > 110 || other == nil {
			t.Errorf("%d wills with %d bytes wait; the other user's: %v", n, bytes, other)
		}
	})
}

// A will that finds no room is tried again until there is.
func TestAWillWaitsForRoom(t *testing.T) {
	inBubble(t, outbox.Limits{Messages: 1}, nil, func(r *rig) {
		c := r.connect(uid(7), withWill(4, "c", 0, 0))
		c.send(publish(1, 1, update, "full"))
		c.ack(packet.PUBACK, 1, 0)
		_ = c.nc.Close()
		time.Sleep(time.Minute)
		if st := r.queue.Stats(); st.Messages != 1 {
			t.Errorf("%+v", st)
		}
		r.want(update + "=full")
		time.Sleep(2 * time.Second)
		r.want(update + "=dead c")
	})
}
