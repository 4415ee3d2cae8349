package mqttd

import (
	"strings"
	"testing"
	"time"

	"airbridged/internal/access"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
	"airbridged/internal/peer"
)

// member is a user's process that is in one more group.
func member(n, group uint32) Who {
	w := uid(n)
	w.Cred = peer.Cred{PID: 1 << 30, UID: n, GID: n}
	w.Groups = []uint32{group}
	return w
}

// inForce is the rules of a daemon.
type inForce struct{ *access.Control }

// ruled is the options of a daemon with these rules, made in its bubble.
func ruled(set ...access.Rule) (*inForce, func(*Options)) {
	f := &inForce{}
	return f, func(o *Options) {
		f.Control = access.New(990, func() (string, string) { return "a1", "gw" })
		f.Set(set)
		o.Access = f.Control
	}
}

func number(n uint32) *uint32 { return &n }

// Who has no rule is told when it connects; root never needs one, and on TCP it is the
// name that was shown with its password.
func TestConnectByTheRules(t *testing.T) {
	_, with := ruled(access.Rule{Name: "seven", UID: number(7), Publish: []string{update}}, access.Rule{GID: number(50)}, access.Rule{Client: "nodered"})
	inBubble(t, outbox.Limits{}, with, func(r *rig) {
		for name, c := range map[string]struct {
			who  Who
			good bool
		}{
			"a user with a rule":         {uid(7), true},
			"a user without":             {uid(8), false},
			"a member of the group":      {member(8, 50), true},
			"root":                       {uid(0), true},
			"the daemon's user":          {uid(990), true},
			"a client with its password": {Who{Name: "nodered"}, true},
			"a client of another name":   {Who{Name: "telegraf"}, false},
			"a client without a name":    {Who{}, false},
			"a client called like root":  {Who{Name: "root"}, false},
		} {
			for level, want := range map[byte]packet.Code{4: packet.NotAuthorized311, 5: packet.NotAuthorized} {
				client := r.dial(c.who, level)
				client.send(login(level, "id of "+name))
				a := expect[*packet.Connack](client)
				if c.good {
					want = packet.Accepted
				}
				why, _ := a.Properties.Data(packet.ReasonString)
				if a.Code != want || !c.good && level == 5 && !strings.Contains(string(why), "no access rule is for") {
					t.Errorf("%s, level %d: %#x %q", name, level, a.Code, why)
				}
				_ = client.nc.Close()
			}
		}
	})
}

// Messages carry whose they are, the rule's priority and share; a rule's limits are named.
func TestPublishByTheRules(t *testing.T) {
	_, with := ruled(access.Rule{Name: "seven", UID: number(7), Publish: []string{update}, Priority: 2, MaxPayload: 4, Share: 10})
	inBubble(t, outbox.Limits{Messages: 20}, with, func(r *rig) {
		c := r.connect(uid(7), login(5, "s"))
		for id, m := range map[uint16]*packet.Publish{1: publish(1, 1, "/a1/gw/other", ""), 2: publish(1, 2, update, "12345")} {
			c.send(m)
			a := expect[*packet.Ack](c)
			why, _ := a.Properties.Data(packet.ReasonString)
			if want := map[uint16]packet.Code{1: packet.NotAuthorized, 2: packet.TooLarge}[id]; a.Code != want || !strings.Contains(string(why), `access rule "seven"`) {
				t.Errorf("%d: %#x %q", id, a.Code, why)
			}
		}
		for id := range uint16(2) {
			c.send(publish(1, 10+id, update, "1234"))
			c.ack(packet.PUBACK, 10+id, 0)
		}
		page, _ := r.queue.List("", 10)
		for _, m := range page {
			if m.Owner != "uid 7" || m.Priority != outbox.Low {
				t.Errorf("%+v", m)
			}
		}
		// Its share is full: held, as when the outbox is, while others go on.
		c.send(publish(1, 20, update, "1234"))
		c.send(&packet.Ping{Kind: packet.PINGREQ})
		expect[*packet.Ping](c)
		root := r.connect(uid(0), login(5, "root"))
		root.send(publish(1, 1, "/a1/gw/any", "12345"))
		root.ack(packet.PUBACK, 1, 0)
		c.silent(time.Second)
		r.drain(1) // root's goes first: it is more important
		c.silent(time.Second)
		r.drain(1)
		c.ack(packet.PUBACK, 20, 0)
		if r.logged("messages are held without an answer") != 1 {
			t.Error("it was not told")
		}
	})
}

// Over its rate a program's messages are held, in their order, while it is read from and
// pinged; best effort is dropped. With when_full = "refuse", too: it is not full.
func TestRateOverMQTT(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		_, with := ruled(access.Rule{Name: "seven", UID: number(7), Publish: []string{update}, Priority: 1, Rate: 1})
		inBubble(t, outbox.Limits{}, func(o *Options) { with(o); o.Refuse = refuse }, func(r *rig) {
			c := r.connect(uid(7), login(4, "s"))
			begin := time.Now()
			for id := range uint16(6) {
				c.send(publish(1, 1+id, update, ""))
			}
			c.send(&packet.Ping{Kind: packet.PINGREQ})
			for id := uint16(1); id <= 2; {
				switch p := c.next(time.Second).(type) {
				case *packet.Ack:
					if p.ID != id {
						t.Fatalf("%d before %d", p.ID, id)
					}
					id++
				case nil:
					t.Fatal("silent")
				}
			}
			for id := uint16(3); id <= 6; {
				if p, ok := c.next(3 * time.Second).(*packet.Ack); ok {
					if p.ID != id {
						t.Fatalf("%d before %d", p.ID, id)
					}
					id++
				}
			}
			if d := time.Since(begin); d < 4*time.Second || d > 5500*time.Millisecond {
				t.Errorf("six messages at one a second, two at once, took %v", d)
			}
			for range 3 {
				c.send(publish(0, 0, update, ""))
			}
			time.Sleep(time.Second)
			if n := r.of(Dropped); n != 3 && n != 2 {
				t.Errorf("%d of best effort were dropped", n)
			}
		})
	}
}

// A reload ends what is no longer allowed: who has a filter too many is disconnected, told
// why, and comes back to a session without it; others go on. What was held when the rules
// changed is judged again.
func TestConnectionsFollowTheRules(t *testing.T) {
	all := []access.Rule{
		{Name: "seven", UID: number(7), Publish: []string{"#"}, Subscribe: []string{"/a1/gw/#"}, Priority: 1},
		{UID: number(8), Publish: []string{"#"}, Subscribe: []string{"/a1/gw/#"}, Priority: 1},
		{UID: number(9), Publish: []string{"#"}, Priority: 1, Rate: 0.001},
	}
	control, with := ruled(all...)
	inBubble(t, outbox.Limits{}, with, func(r *rig) {
		kept := login(5, "kept")
		kept.CleanStart = false
		kept.Properties = packet.Properties(nil).WithNumber(packet.SessionExpiry, 3600)
		gone := r.connect(uid(7), kept)
		gone.subscribe(packet.Subscription{Filter: get, QoS: 1}, packet.Subscription{Filter: "/a1/gw/user/+", QoS: 1})
		old := r.connect(uid(7), login(4, "old"))
		old.subscribe(packet.Subscription{Filter: get, QoS: 1})
		other := r.connect(uid(7), login(5, "other"))
		other.subscribe(packet.Subscription{Filter: "/a1/gw/user/x", QoS: 0})
		stays := r.connect(uid(8), login(5, "stays"))
		stays.subscribe(packet.Subscription{Filter: get, QoS: 0})
		slow := r.connect(uid(9), login(5, "slow"))
		slow.send(publish(1, 1, update, "in time"))
		slow.ack(packet.PUBACK, 1, 0)
		slow.send(publish(1, 2, update, "held"))
		slow.silent(time.Second)

		fewer := append([]access.Rule{}, all...)
		fewer[0].Subscribe = []string{"/a1/gw/user/#"}
		fewer[2].Publish, fewer[2].Rate = []string{get}, 0
		control.Set(fewer)
		d := expect[*packet.Disconnect](gone)
		if why, _ := d.Properties.Data(packet.ReasonString); d.Code != packet.NotAuthorized || !strings.Contains(string(why), `access rule "seven" does not let it subscribe`) {
			t.Errorf("%#x %q", d.Code, why)
		}
		gone.closed(time.Second)
		old.closed(time.Second)
		r.down("/a1/gw/user/x", "one")
		r.down(get, "two")
		expect[*packet.Publish](other)
		expect[*packet.Publish](stays)
		a := expect[*packet.Ack](slow)
		if why, _ := a.Properties.Data(packet.ReasonString); a.ID != 2 || a.Code != packet.NotAuthorized || !strings.Contains(string(why), "access rule 3") {
			t.Errorf("what was held: %+v %q", a, why)
		}

		again := r.dial(uid(7), 5)
		again.send(kept)
		if a := expect[*packet.Connack](again); a.Code != 0 || a.SessionPresent {
			t.Errorf("%#x, session present %v", a.Code, a.SessionPresent)
		}
		if got := again.subscribe(packet.Subscription{Filter: get, QoS: 1}); got[0] != byte(packet.NotAuthorized) {
			t.Errorf("%x", got)
		}
		control.Set(fewer[:1])
		expect[*packet.Disconnect](stays)
		stays.closed(time.Second)
		again.silent(time.Second)
	})
}

// A session is its user's, but a filter is for who is in the group: another process of the
// same user, in fewer groups, does not get at it by its client id.
func TestSessionOfAMoreTrustedProcess(t *testing.T) {
	_, with := ruled(
		access.Rule{Name: "ops", GID: number(50), Subscribe: []string{"/a1/gw/#"}},
		access.Rule{Name: "seven", UID: number(7), Subscribe: []string{"/a1/gw/user/#"}},
	)
	inBubble(t, outbox.Limits{}, with, func(r *rig) {
		session := login(4, "s")
		session.CleanStart = false
		trusted := r.connect(member(7, 50), session)
		trusted.subscribe(packet.Subscription{Filter: get, QoS: 1})
		_ = trusted.nc.Close()
		time.Sleep(time.Second)
		r.down(get, "for ops")
		c := r.dial(uid(7), 4)
		c.send(session)
		if a := expect[*packet.Connack](c); a.Code != 0 || a.SessionPresent {
			t.Errorf("%#x, session present %v", a.Code, a.SessionPresent)
		}
		c.silent(time.Second)
	})
}

// Wills are under the same rules: when the client connects, and again when it has died.
func TestWillsByTheRules(t *testing.T) {
	rule := access.Rule{Name: "seven", UID: number(7), Publish: []string{update}, Priority: 1, Rate: 0.1}
	control, with := ruled(rule)
	inBubble(t, outbox.Limits{}, with, func(r *rig) {
		with := func(id, topic string) *packet.Connect {
			p := login(5, id)
			p.Will = &packet.Will{Topic: topic, Payload: []byte(id), QoS: 1}
			return p
		}
		c := r.dial(uid(7), 5)
		c.send(with("w", "/a1/gw/other"))
		if a := expect[*packet.Connack](c); a.Code != packet.NotAuthorized {
			t.Errorf("%#x", a.Code)
		}
		// Dying is no way around the rate.
		for _, id := range []string{"one", "two", "three"} {
			_ = r.connect(uid(7), with(id, update)).nc.Close()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if _, n := r.queue.List("", 10); n != 1 {
			t.Errorf("%d wills at once", n)
		}
		time.Sleep(30 * time.Second)
		if page, n := r.queue.List("", 10); n != 3 || page[0].Owner != "uid 7" {
			t.Errorf("%d wills, %+v", n, page)
		}
		last := r.connect(uid(7), with("four", update))
		rule.Publish = []string{get}
		control.Set([]access.Rule{rule})
		_ = last.nc.Close()
		time.Sleep(time.Minute)
		if _, n := r.queue.List("", 10); n != 3 {
			t.Errorf("%d wills: one was published that is not allowed any more", n)
		}
	})
}

// The daemon's own topics are for who may see them, whatever wildcard asks.
func TestOwnTopicsByTheRules(t *testing.T) {
	_, with := ruled(access.Rule{Name: "seven", UID: number(7), Subscribe: []string{"#", "/a1/#"}, See: access.Status})
	inBubble(t, outbox.Limits{}, with, func(r *rig) {
		c := r.connect(uid(7), login(5, "s"))
		for filter, want := range map[string]byte{"$airbridge/events": 0x87, "$airbridge/#": 0x87, "$airbridge/+": 0x87, "$SYS/#": 0, "$airbridge/state": 0} {
			if got := c.subscribe(packet.Subscription{Filter: filter}); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %x, want %x", filter, got, want)
			}
			for c.next(time.Millisecond) != nil {
			}
		}
	})
}
