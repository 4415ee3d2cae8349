package mqttd

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
	"airbridged/internal/passwords"
)

// What CONNACK of 5 announces, and what it does not: Maximum QoS and Server Keep
// Alive are the client's own.
func TestConnackOf5(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.dial(uid(7), 5)
		c.send(&packet.Connect{Level: 5, KeepAlive: 30, Properties: packet.Properties(nil).WithNumber(packet.SessionExpiry, 1<<32-1)})
		a := expect[*packet.Connack](c)
		for id, want := range map[packet.Property]uint32{
			packet.ReceiveMaximum: 64, packet.RetainAvailable: 0, packet.SharedSubscriptions: 0, packet.MaximumPacketSize: 256 << 10,
			packet.SessionExpiry: 168 * 3600,
		} {
			if v, ok := a.Properties.Number(id); !ok || v != want {
				t.Errorf("property %#x: %d, %v; want %d", id, v, ok, want)
			}
		}
		for _, id := range []packet.Property{packet.MaximumQoS, packet.ServerKeepAlive, packet.TopicAliasMaximum, packet.WildcardSubscriptions} {
			if v, ok := a.Properties.Number(id); ok {
				t.Errorf("property %#x: %d", id, v)
			}
		}
		if id, ok := a.Properties.Data(packet.AssignedClientID); !ok || len(id) < 10 {
			t.Errorf("assigned client id %q", id)
		}
	})
}

// CONNECTs that are refused for good, each with the code of its level.
func TestConnectRefused(t *testing.T) {
	forbidden := &packet.Will{Topic: "/forbidden", QoS: 1}
	impossible := &packet.Will{Topic: "/a/#", QoS: 1}
	inBubble(t, outbox.Limits{}, func(o *Options) { o.Access = rules() }, func(r *rig) {
		for name, c := range map[string]struct {
			p    packet.Connect
			want packet.Code
		}{
			"a session without a client id":      {packet.Connect{Level: 4}, packet.IdentifierRejected},
			"a client id without end":            {packet.Connect{Level: 4, CleanStart: true, ClientID: strings.Repeat("x", 1025)}, packet.IdentifierRejected},
			"a client id without end, in 5":      {packet.Connect{Level: 5, ClientID: strings.Repeat("x", 1025)}, packet.BadClientID},
			"a will that is forbidden":           {packet.Connect{Level: 4, CleanStart: true, ClientID: "w", Will: forbidden}, packet.NotAuthorized311},
			"a will that is forbidden, in 5":     {packet.Connect{Level: 5, ClientID: "w", Will: forbidden}, packet.NotAuthorized},
			"a will that is impossible":          {packet.Connect{Level: 4, CleanStart: true, ClientID: "w", Will: impossible}, packet.NotAuthorized311},
			"a will that is impossible, in 5":    {packet.Connect{Level: 5, ClientID: "w", Will: impossible}, packet.TopicInvalid},
			"an authentication there is not":     {packet.Connect{Level: 5, ClientID: "a", Properties: packet.Properties(nil).WithData(packet.AuthMethod, []byte("x"))}, packet.BadAuthMethod},
			"(clean session, no client id)":      {packet.Connect{Level: 4, CleanStart: true}, packet.Accepted},
			"(a level with the bridge bit)":      {packet.Connect{Level: 4, Bridge: true, ClientID: "b"}, packet.Accepted},
			"(3.1 with the bridge bit)":          {packet.Connect{Level: 3, Bridge: true, ClientID: "b3"}, packet.Accepted},
			"(a name and password, on a socket)": {packet.Connect{Level: 5, ClientID: "p", Password: []byte("x")}, packet.Accepted},
		} {
			client := r.dial(uid(7), c.p.Level)
			client.send(&c.p)
			if a := expect[*packet.Connack](client); a.Code != c.want || a.SessionPresent {
				t.Errorf("%s: %#x, want %#x", name, a.Code, c.want)
			}
			if c.want != packet.Accepted {
				client.closed(time.Second)
			}
		}
	})
}

// A level that is not known is answered in the form of the nearest one; what is no
// CONNECT is closed without a word, and so is one that never ends.
func TestFirstPacket(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		raw := func(level byte, bytes ...byte) *client {
			c := r.dial(uid(7), level)
			_, _ = c.nc.Write(bytes)
			return c
		}
		c := raw(4, 0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 2, 2, 0, 60, 0, 0)
		if a := expect[*packet.Connack](c); a.Code != packet.BadLevel {
			t.Errorf("%#x", a.Code)
		}
		c.closed(time.Second)
		c = raw(5, 0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 6, 2, 0, 60, 0, 0)
		if a := expect[*packet.Connack](c); a.Code != packet.UnsupportedLevel {
			t.Errorf("%#x", a.Code)
		}
		c.closed(time.Second)
		raw(4, 0xc0, 0).closed(time.Second)
		raw(4, 'G', 'E', 'T', ' ', '/').closed(connectTime + time.Second)
		raw(4, 0x10, 12, 0, 4).closed(connectTime + time.Second)
		c = r.connect(uid(7), login(4, "twice"))
		c.send(login(4, "twice"))
		c.closed(time.Second)
		c = r.connect(uid(7), login(5, "twice"))
		c.send(login(5, "twice"))
		if d := expect[*packet.Disconnect](c); d.Code != packet.ProtocolError {
			t.Errorf("%#x", d.Code)
		}
	})
}

// On TCP a password file asks for name and password; a user there is not one on the
// socket, and another name is another user.
func TestPasswords(t *testing.T) {
	// Written by mosquitto_passwd -b.
	file, err := passwords.Parse([]byte(`ann:$7$101$3SW2XXtIRoGArp/G$qnlfiQIlUCN/0aofuvf9XTFWz6eUzFyAZ9EkZOLSFkS5GfVnwyNaR+bn2CwdQ9YW2EHNQBoVtvECIZbnfMwHag==
bob:$7$101$rL+/D15raDP92Trf$FKKgsWGIaNaquOvZPRg5o7q6dVHHqn4dHI13bjxjops94Zxa0geFFalBm2PDrTHfX5ocsAnBqEIGIuw9Z8WW4g==
`))
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, outbox.Limits{}, func(o *Options) { o.Passwords = func() *passwords.File { return file } }, func(r *rig) {
		try := func(who Who, level byte, name, password string) packet.Code {
			c := r.dial(who, level)
			p := &packet.Connect{Level: level, ClientID: "c of " + name, CleanStart: true}
			if name != "" {
				p.Username, p.Password = &name, []byte(password)
			}
			c.send(p)
			defer c.nc.Close()
			return expect[*packet.Connack](c).Code
		}
		for _, c := range []struct {
			who            Who
			level          byte
			name, password string
			want           packet.Code
		}{
			{uid(7), 4, "", "", packet.Accepted},
			{uid(7), 4, "ann", "wrong", packet.Accepted},
			{Who{}, 4, "", "", packet.NotAuthorized311},
			{Who{}, 5, "", "", packet.NotAuthorized},
			{Who{}, 4, "ann", "wrong", packet.BadUserOrPassword},
			{Who{}, 5, "ann", "wrong", packet.BadUser},
			{Who{}, 4, "ann", "geheim", packet.Accepted},
			{Who{}, 5, "bob", "x y", packet.Accepted},
		} {
			if got := try(c.who, c.level, c.name, c.password); got != c.want {
				t.Errorf("%+v: %#x, want %#x", c, got, c.want)
			}
		}
	})
}

// A client id belongs to the user who has it: the same user takes over, another is
// refused, also while the client is away and has a session.
func TestNobodyStealsAClientID(t *testing.T) {
	for _, level := range []byte{4, 5} {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			refused := packet.NotAuthorized311
			if level == 5 {
				refused = packet.NotAuthorized
			}
			thief := func() {
				t.Helper()
				c := r.dial(uid(8), level)
				c.send(login(level, "pump"))
				if a := expect[*packet.Connack](c); a.Code != refused {
					t.Errorf("another user got %#x, want %#x", a.Code, refused)
				}
				c.closed(time.Second)
			}
			session := &packet.Connect{Level: level, ClientID: "pump", Properties: fiveOnly(level, packet.SessionExpiry, 600)}
			first := r.connect(uid(7), session)
			thief()
			second := r.connect(uid(7), session)
			if level == 5 {
				if d := expect[*packet.Disconnect](first); d.Code != packet.SessionTakenOver {
					t.Errorf("the older connection was told %#x", d.Code)
				}
			}
			first.closed(time.Second)
			second.send(&packet.Disconnect{})
			second.closed(time.Second)
			thief()
			if level == 5 {
				time.Sleep(601 * time.Second)
			} else {
				time.Sleep(longestAway + time.Second)
			}
			if n := r.srv.Stats().Sessions; n != 0 {
				t.Errorf("%d sessions are left", n)
			}
			r.connect(uid(8), login(level, "pump"))
		})
	}
}

// The keep-alive is the client's own. Nothing for 1.5 times as long is allowed, for
// twice as long is not; 0 is none; packets count, whatever they are.
func TestKeepAlive(t *testing.T) {
	for _, level := range levels {
		inBubble(t, outbox.Limits{}, nil, func(r *rig) {
			c := r.connect(uid(7), &packet.Connect{Level: level, CleanStart: true, ClientID: "k", KeepAlive: 10})
			for range 5 {
				time.Sleep(14900 * time.Millisecond)
				c.send(&packet.Ping{Kind: packet.PINGREQ})
				expect[*packet.Ping](c)
			}
			begin := time.Now()
			c.closed(30 * time.Second)
			if d := time.Since(begin); d < 15*time.Second || d > 20*time.Second {
				t.Errorf("cut after %v", d)
			}
			c = r.connect(uid(7), &packet.Connect{Level: level, CleanStart: true, ClientID: "k"})
			c.silent(24 * time.Hour)
		})
	}
}

// Half a packet is given a minute, whatever the keep-alive.
func TestHalfAPacket(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(7), login(4, "slow"))
		_, _ = c.nc.Write([]byte{0x32, 20, 0})
		begin := time.Now()
		c.closed(2 * packetTime)
		if d := time.Since(begin); d != packetTime {
			t.Errorf("cut after %v", d)
		}
	})
}

// More connections than the bound: CONNACK 0 after 8 s, then closed, unless a place
// gets free meanwhile; beyond 64 that wait so, closed at once.
func TestNoPlace(t *testing.T) {
	inBubble(t, outbox.Limits{}, func(o *Options) { o.MaxConnections = 3 }, func(r *rig) {
		var all []*client
		for i := range 3 {
			all = append(all, r.connect(uid(7), login(4, fmt.Sprint(i))))
		}
		begin := time.Now()
		late := r.connect(uid(7), login(4, "late"))
		if d := time.Since(begin); d != connackTime {
			t.Errorf("CONNACK after %v", d)
		}
		late.closed(time.Second)
		if r.of("no-place") != 1 || r.of("accepted") != 3 {
			t.Errorf("%v", r.count.n)
		}
		lucky := r.dial(uid(7), 4)
		lucky.send(login(4, "lucky"))
		lucky.silent(5 * time.Second)
		_ = all[0].nc.Close()
		expect[*packet.Connack](lucky)
		lucky.silent(10 * time.Second)

		var waiting []*client
		for i := range waiters {
			c := r.dial(uid(7), 4)
			c.send(login(4, fmt.Sprint("waits", i)))
			waiting = append(waiting, c)
		}
		r.dial(uid(7), 4).closed(time.Second)
		for _, c := range waiting {
			expect[*packet.Connack](c)
		}
	})
}

// One user has all places, and all that may wait besides; another one gets a place
// all the same, the newest of the first one's.
func TestOneUserHasAllPlaces(t *testing.T) {
	inBubble(t, outbox.Limits{}, func(o *Options) { o.MaxConnections = 4 }, func(r *rig) {
		var all []*client
		for i := range 4 {
			all = append(all, r.connect(uid(7), login(4, fmt.Sprint(i))))
		}
		for range waiters {
			r.dial(uid(7), 4) // and says nothing
		}
		begin := time.Now()
		other := r.connect(uid(8), login(4, "other"))
		if d := time.Since(begin); d != 0 {
			t.Errorf("another user waited %v", d)
		}
		all[3].closed(time.Second)
		for _, c := range all[:3] {
			if c.isGone() {
				t.Error("an older connection was closed")
			}
		}
		other.silent(time.Second)
	})
}

// Packets that never end take memory; when all together take too much, the user
// who has most of it loses a connection, and others go on.
func TestUnfinishedPackets(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		half := append([]byte{0x30, 0xf0, 0xff, 0x0f}, make([]byte, 200<<10)...) // 256 KiB are announced
		small := r.connect(uid(8), login(4, "small"))
		_, _ = small.nc.Write(half[:100<<10])
		closed := 0
		var all []*client
		for i := range 60 {
			c := r.connect(uid(7), login(4, fmt.Sprint(i)))
			_ = c.nc.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.nc.Write(half)
			all = append(all, c)
		}
		for _, c := range all {
			if c.isGone() {
				closed++
			}
		}
		if closed < 60-33 || small.isGone() {
			t.Errorf("%d of 60 are closed; the other user's is gone: %v", closed, small.isGone())
		}
		r.srv.places.mu.Lock()
		n := r.srv.places.unfinished
		r.srv.places.mu.Unlock()
		if n > maxUnfinished {
			t.Errorf("%d bytes are counted", n)
		}
	})
}

// Larger than max_packet: closed, and told in 5.
func TestTooLargeAPacket(t *testing.T) {
	inBubble(t, outbox.Limits{}, func(o *Options) { o.MaxPacket = 1000 }, func(r *rig) {
		c := r.connect(uid(7), login(5, "five"))
		go c.send(publish(1, 1, update, strings.Repeat("x", 1000)))
		if d := expect[*packet.Disconnect](c); d.Code != packet.TooLarge {
			t.Errorf("%#x", d.Code)
		}
		c.closed(time.Second)
		c = r.connect(uid(7), login(4, "three"))
		go c.send(publish(1, 1, update, strings.Repeat("x", 1000)))
		c.closed(time.Second)
	})
}

// The daemon stops: what is on its way to the disk is answered, then connections
// are closed without a DISCONNECT, and no will is published.
func TestAStopJustCloses(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		c := r.connect(uid(7), &packet.Connect{Level: 5, ClientID: "c", Will: &packet.Will{Topic: update, Payload: []byte("dead"), QoS: 1}})
		defer r.slow(time.Second)()
		c.send(publish(1, 1, update, "one"))
		time.Sleep(100 * time.Millisecond)
		begin := time.Now()
		r.stop()
		c.ack(packet.PUBACK, 1, 0)
		c.closed(time.Second)
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("it took %v", d)
		}
		r.want(update + "=one")
	})
}

// A client that takes nothing of what is written is closed, and one that sends and
// never takes an answer is not read from without end.
func TestAClientThatTakesNothing(t *testing.T) {
	inBubble(t, outbox.Limits{}, nil, func(r *rig) {
		near, far := net.Pipe()
		r.conns <- named{far, uid(7)}
		go func() { _, _ = near.Write(packet.Append(nil, login(4, "deaf"), 4)) }()
		_ = near.SetReadDeadline(time.Now().Add(time.Second))
		b := make([]byte, 4)
		if _, err := near.Read(b); err != nil {
			t.Fatal(err)
		}
		ping := packet.Append(nil, &packet.Ping{Kind: packet.PINGREQ}, 4)
		sent := 0
		_ = near.SetWriteDeadline(time.Now().Add(10 * time.Second))
		for sent < 1<<20 {
			if _, err := near.Write(ping); err != nil {
				break
			}
			sent++
		}
		if sent < 1000 || sent >= 1<<18 {
			t.Errorf("%d pings were read while nobody took an answer", sent)
		}
		time.Sleep(answerTime)
		if n := r.srv.Stats().Clients; n != 0 {
			t.Errorf("%d clients are connected", n)
		}
		_ = near.Close()
	})
}
