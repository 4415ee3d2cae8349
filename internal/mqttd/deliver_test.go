package mqttd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
)

const get = "/a1/gw/get"

// down is a message of the cloud.
func (r *rig) down(topic, payload string) {
	r.hub.Publish(bus.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: time.Now()})
}

// subscribe asks for filters and returns the codes.
func (c *client) subscribe(filters ...packet.Subscription) []byte {
	c.r.t.Helper()
	c.send(packet.NewSubscribe(c.level, 77, nil, filters...))
	a := expect[*packet.Suback](c)
	if a.Kind != packet.SUBACK || a.ID != 77 {
		c.r.t.Fatalf("%+v", a)
	}
	return a.Codes
}

// SUBACK comes at once, whatever the cloud says later: QoS 1 at most; refused is
// what nobody can subscribe, and what would reach other devices.
func TestSuback(t *testing.T) {
	for _, c := range []struct {
		filter string
		five   byte
	}{
		{get, 1},
		{"/a1/gw/#", 1},
		{"/sys/a1/gw/rrpc/request/+", 1},
		{"/ext/rrpc/+/#", 1},
		{"$SYS/#", 1},
		{"$airbridge/state", 1},
		{"$airbridge/#", 1},
		{"TopicA/+", 1},
		{"#", 0x8f},
		{"/#", 0x8f},
		{"/+/gw/get", 0x8f},
		{"/a1/+/get", 0x8f},
		{"/sys/+/+/x", 0x8f},
		{"/a1/gw/a+", 0x8f},
		{"/a1/#/b", 0x8f},
		{"/a b", 0x8f},
		{"$other/x", 0x8f},
		{"$share/g/a1", 0x9e},
		{"/b1/gw/forbidden", 0x87},
	} {
		for _, level := range levels {
			inBubble(t, outbox.Limits{}, func(o *Options) { o.Access = rules() }, func(r *rig) {
				client := r.connect(uid(7), login(level, "s"))
				for qos := byte(0); qos <= 2; qos++ {
					want := min(qos, c.five)
					if c.five >= 0x80 {
						if want = c.five; level < 5 {
							want = 0x80
						}
					}
					if got := client.subscribe(packet.Subscription{Filter: c.filter, QoS: qos}); len(got) != 1 || got[0] != want {
						t.Errorf("%q, level %d, QoS %d: %x, want %x", c.filter, level, qos, got, want)
					}
					for client.next(time.Millisecond) != nil { // the daemon's own topics come at once
					}
				}
			})
		}
	}
}

// Messages come with the QoS of the filter, once however many filters match, with
// the identifiers of all that do; and no more after UNSUBSCRIBE.
func TestMessagesDown(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(7), login(5, "s"))
		c.send(packet.NewSubscribe(5, 1, packet.Properties(nil).WithNumber(packet.SubscriptionID, 11), packet.Subscription{Filter: get}))
		expect[*packet.Suback](c)
		r.down(get, "zero")
		if p := expect[*packet.Publish](c); p.QoS != 0 || p.Topic != get || string(p.Payload) != "zero" || p.Retain || p.Dup {
			t.Errorf("%+v", p)
		}
		c.send(packet.NewSubscribe(5, 2, packet.Properties(nil).WithNumber(packet.SubscriptionID, 22), packet.Subscription{Filter: "/a1/gw/#", QoS: 1, RetainAsPublished: true}))
		expect[*packet.Suback](c)
		r.down(get, "one")
		p := expect[*packet.Publish](c)
		ids := 0
		for id := range p.Properties.Numbers(packet.SubscriptionID) {
			ids += int(id)
		}
		if p.QoS != 1 || p.ID == 0 || ids != 33 {
			t.Errorf("%+v, identifiers add up to %d", p, ids)
		}
		c.send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
		c.send(packet.NewUnsubscribe(3, nil, "/a1/gw/#", get, "/never"))
		if a := expect[*packet.Suback](c); a.Kind != packet.UNSUBACK || string(a.Codes) != "\x00\x00\x11" {
			t.Errorf("%+v", a)
		}
		r.down(get, "gone")
		c.silent(time.Minute)
		old := r.connect(uid(7), login(4, "old"))
		old.send(packet.NewUnsubscribe(3, nil, "/never"))
		if a := expect[*packet.Suback](old); len(a.Codes) != 0 {
			t.Errorf("%+v", a)
		}
		if len(r.hub.Wanted()) != 0 {
			t.Errorf("wanted: %+v", r.hub.Wanted())
		}
	})
}

// A client takes so many messages without a PUBACK and no more; larger than it
// takes, they are left out.
func TestWhatAClientTakes(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		props := packet.Properties(nil).WithNumber(packet.ReceiveMaximum, 2).WithNumber(packet.MaximumPacketSize, 40)
		c := r.connect(uid(7), &packet.Connect{Level: 5, ClientID: "s", Properties: props})
		c.subscribe(packet.Subscription{Filter: get, QoS: 1})
		r.down(get, strings.Repeat("x", 30))
		for i := range 4 {
			r.down(get, fmt.Sprint(i))
		}
		first, second := expect[*packet.Publish](c), expect[*packet.Publish](c)
		if string(first.Payload) != "0" || string(second.Payload) != "1" {
			t.Errorf("%q, %q", first.Payload, second.Payload)
		}
		c.silent(time.Minute)
		c.send(&packet.Ack{Kind: packet.PUBACK, ID: second.ID})
		if p := expect[*packet.Publish](c); string(p.Payload) != "2" || p.ID == first.ID {
			t.Errorf("%+v", p)
		}
		c.silent(time.Minute)
	})
}

// A session outlives its connection: filters, what came meanwhile, and what was not
// acknowledged, which comes first and with DUP. A clean start forgets it.
func TestSessionOutlivesItsConnection(t *testing.T) {
	for _, level := range levels {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			session := &packet.Connect{Level: level, ClientID: "s", Properties: fiveOnly(level, packet.SessionExpiry, 3600)}
			c := r.connect(uid(7), session)
			c.subscribe(packet.Subscription{Filter: get, QoS: 1})
			r.down(get, "unacknowledged")
			first := expect[*packet.Publish](c)
			_ = c.nc.Close()
			time.Sleep(time.Second)
			r.down(get, "meanwhile")
			if st := r.srv.Stats(); st.Clients != 0 || st.Sessions != 1 {
				t.Errorf("%+v", st)
			}
			c = r.dial(uid(7), level)
			c.send(session)
			if a := expect[*packet.Connack](c); !a.SessionPresent {
				t.Error("the session is gone")
			}
			again, next := expect[*packet.Publish](c), expect[*packet.Publish](c)
			if !again.Dup || again.ID != first.ID || string(again.Payload) != "unacknowledged" || next.Dup || string(next.Payload) != "meanwhile" {
				t.Errorf("%+v, %+v", again, next)
			}
			c.send(&packet.Ack{Kind: packet.PUBACK, ID: again.ID})
			c.send(&packet.Ack{Kind: packet.PUBACK, ID: next.ID})
			c.send(&packet.Disconnect{})
			c.closed(time.Second)
			clean := *session
			clean.CleanStart = true
			c = r.dial(uid(7), level)
			c.send(&clean)
			if a := expect[*packet.Connack](c); a.SessionPresent {
				t.Error("a clean start has a session")
			}
			r.down(get, "unwanted")
			c.silent(time.Minute)
		})
	}
}

// No local: what the client published itself does not come back to it, each message
// as often as it was published; what others published does. In 5 it is an option of
// the filter, before it is the bridge bit's, for all filters.
func TestNoLocal(t *testing.T) {
	for _, p := range []*packet.Connect{
		{Level: 5, ClientID: "s"}, {Level: 4, Bridge: true, ClientID: "s", CleanStart: true}, {Level: 3, Bridge: true, ClientID: "s", CleanStart: true},
	} {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			c := r.connect(uid(7), p)
			c.subscribe(packet.Subscription{Filter: get, QoS: 1, NoLocal: p.Level == 5})
			c.send(publish(1, 1, get, "mine"))
			c.ack(packet.PUBACK, 1, 0)
			r.down(get, "mine")
			r.down(get, "theirs")
			if got := expect[*packet.Publish](c); string(got.Payload) != "theirs" {
				t.Errorf("%q came back", got.Payload)
			}
			r.down(get, "mine")
			if got := expect[*packet.Publish](c); string(got.Payload) != "mine" {
				t.Errorf("%q", got.Payload)
			}
			plain := r.connect(uid(7), login(4, "plain"))
			plain.subscribe(packet.Subscription{Filter: get})
			plain.send(publish(0, 0, get, "own"))
			r.down(get, "own")
			expect[*packet.Publish](plain)
		})
	}
}

// It is no broker: a publish comes back to a local program only as the cloud sends
// it.
func TestNoBroker(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		listener := r.connect(uid(7), login(4, "l"))
		listener.subscribe(packet.Subscription{Filter: get, QoS: 1})
		c := r.connect(uid(7), login(4, "p"))
		c.send(publish(1, 1, get, "x"))
		c.ack(packet.PUBACK, 1, 0)
		listener.silent(time.Minute)
	})
}

// A subscriber that takes nothing delays nobody: others get everything, it is
// closed, and its queue is bounded.
func TestAStoppedSubscriberDelaysNobody(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		stopped := r.connect(uid(7), login(4, "stopped"))
		stopped.subscribe(packet.Subscription{Filter: get})
		_ = stopped.nc.SetReadDeadline(time.Now()) // its reader ends; the pipe stays
		time.Sleep(time.Millisecond)
		c := r.connect(uid(7), login(4, "awake"))
		c.subscribe(packet.Subscription{Filter: get})
		begin := time.Now()
		for i := range 1000 {
			r.down(get, fmt.Sprint(i))
			if p := expect[*packet.Publish](c); string(p.Payload) != fmt.Sprint(i) {
				t.Fatalf("%q, want %d", p.Payload, i)
			}
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("it took %v", d)
		}
		if n := r.hub.Stats().Dropped; n < 500 {
			t.Errorf("%d messages are counted as missed", n)
		}
		time.Sleep(answerTime + time.Second)
		if n := r.srv.Stats().Clients; n != 1 {
			t.Errorf("%d clients are connected", n)
		}
	})
}

// $airbridge/state comes on SUBSCRIBE and on change, $airbridge/events as they
// happen; neither leaves the gateway.
func TestOwnTopics(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(7), login(4, "s"))
		c.subscribe(packet.Subscription{Filter: "$airbridge/#", QoS: 1})
		var st api.Status
		read := func(topic string, v any) {
			t.Helper()
			p := expect[*packet.Publish](c)
			if p.Topic != topic {
				t.Fatalf("%s %s, want %s", p.Topic, p.Payload, topic)
			}
			if err := json.Unmarshal(p.Payload, v); err != nil {
				t.Fatal(err)
			}
			c.send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
		}
		var e struct{ Type, To, Code string }
		read("$airbridge/state", &st)
		read("$airbridge/events", &e)
		if st.State != "probing" || e.To != "probing" {
			t.Errorf("%+v, %+v", st, e)
		}
		c.silent(time.Hour)
		r.board.Update(func(st *bus.Status) { st.State = "online" })
		read("$airbridge/state", &st)
		if st.State != "online" {
			t.Errorf("%+v", st)
		}
		r.board.Emit(bus.Warned("x", ""))
		read("$airbridge/events", &e)
		if e.Code != "x" {
			t.Errorf("%+v", e)
		}
		if len(r.hub.Wanted()) != 0 || r.hub.Stats().Messages != 0 {
			t.Errorf("%+v, %+v", r.hub.Wanted(), r.hub.Stats())
		}
		c.send(packet.NewUnsubscribe(1, nil, "$airbridge/#"))
		expect[*packet.Suback](c)
		if n := r.srv.sessions.watching.Load(); n != 0 {
			t.Errorf("%d still watch", n)
		}
	})
}

// Sessions of clients that are away are bounded: the user with most loses the one
// that is away for longest.
func TestSessionsAreBounded(t *testing.T) {
	inBubble(t, outbox.Limits{}, func(o *Options) { o.MaxConnections = 5 }, func(r *rig) {
		leave := func(who Who, id string) {
			c := r.connect(who, &packet.Connect{Level: 4, ClientID: id})
			c.send(&packet.Disconnect{})
			c.closed(time.Second)
			time.Sleep(time.Second)
		}
		leave(uid(8), "other")
		for i := range 10 {
			leave(uid(7), fmt.Sprint(i))
		}
		if n := r.srv.Stats().Sessions; n != 5 {
			t.Errorf("%d sessions", n)
		}
		for id, want := range map[string]bool{"9": true, "6": true, "5": false} {
			c := r.dial(uid(7), 4)
			c.send(&packet.Connect{Level: 4, ClientID: id})
			if a := expect[*packet.Connack](c); a.SessionPresent != want {
				t.Errorf("client %s: session %v, want %v", id, a.SessionPresent, want)
			}
		}
		c := r.dial(uid(8), 4)
		c.send(&packet.Connect{Level: 4, ClientID: "other"})
		if a := expect[*packet.Connack](c); !a.SessionPresent {
			t.Error("another user's session is gone")
		}
	})
}
