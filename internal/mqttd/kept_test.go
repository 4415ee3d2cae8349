package mqttd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/durable"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
	"airbridged/internal/outbox/simdisk"
)

// keptRig is a rig whose sessions are kept, on a disk of their own.
type keptRig struct {
	*rig
	dir   string
	disk  *simdisk.Disk
	store *downlink.Store
	end   func()
}

// open opens the store for a hub.
func (r *keptRig) open(hub *bus.Hub, board *bus.StatusBoard) {
	store, err := downlink.Open(downlink.Options{Hub: hub, Board: board, Cards: durable.OnDisk(r.dir), Queue: outbox.Options{Files: r.disk}})
	if err != nil {
		panic(err)
	}
	r.store = store
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = store.Run(ctx) })
	r.end = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		_ = store.Close()
	})
}

// keeping runs a test with sessions that are kept, in virtual time.
func keeping(t *testing.T, change func(*Options), f func(r *keptRig)) {
	t.Helper()
	kept := &keptRig{dir: t.TempDir(), disk: simdisk.New()}
	inBubble(t, outbox.Limits{}, func(o *Options) {
		kept.open(o.Hub, o.Board)
		o.Downlink = kept.store
		if change != nil {
			change(o)
		}
	}, func(r *rig) {
		kept.rig = r
		defer func() {
			r.stop()
			kept.end()
		}()
		f(kept)
	})
}

// restart ends the daemon and starts the next one. killed: as a SIGKILL does, which
// leaves what was on the disk at that moment.
func (r *keptRig) restart(killed bool) {
	synctest.Wait()
	image := r.disk
	if killed {
		image = r.disk.Survivor()
	}
	r.stop()
	r.end()
	r.disk = image
	r.hub = bus.NewHub()
	r.open(r.hub, r.board)
	r.srv = New(Options{Outbox: r.queue, Hub: r.hub, Board: r.board, Downlink: r.store, Recorder: r.count, Log: zap.NewNop()})
	r.srv.whoIs = whoNamed
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = r.srv.Run(ctx) })
	all.Go(func() { _ = r.srv.Serve(ctx, &pipes{r.conns, make(chan struct{}), sync.Once{}}) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
}

// resume connects without a clean session, and says whether one was there.
func (r *rig) resume(who Who, level byte, id string, expiry uint32) (*client, bool) {
	r.t.Helper()
	c := r.dial(who, level)
	c.send(&packet.Connect{Level: level, ClientID: id, Properties: fiveOnly(level, packet.SessionExpiry, expiry)})
	a := expect[*packet.Connack](c)
	if a.Code != packet.Accepted {
		r.t.Fatalf("CONNACK %#x", a.Code)
	}
	return c, a.SessionPresent
}

// takes waits for messages down, as payload, with "dup" where that flag is set, and
// returns their packet identifiers.
func (c *client) takes(list ...string) (ids []uint16) {
	c.r.t.Helper()
	for _, want := range list {
		p := expect[*packet.Publish](c)
		got := string(p.Payload)
		if p.Dup {
			got += " dup"
		}
		if got != want || p.QoS != 1 {
			c.r.t.Fatalf("got %q with QoS %d, want %q", got, p.QoS, want)
		}
		ids = append(ids, p.ID)
	}
	return ids
}

func (c *client) puback(ids ...uint16) {
	for _, id := range ids {
		c.send(&packet.Ack{Kind: packet.PUBACK, ID: id})
	}
}

// TestSessionOutlivesTheDaemon: a program with a session is away while the daemon is
// restarted, or killed. It finds its session in CONNACK, its filters at the cloud, and
// everything that it has not acknowledged, in its order and marked; what it has
// acknowledged does not come again.
func TestSessionOutlivesTheDaemon(t *testing.T) {
	for _, level := range levels {
		for _, killed := range []bool{false, true} {
			keeping(t, nil, func(r *keptRig) {
				c, present := r.resume(uid(7), level, "pump", 3600)
				if present {
					t.Error("a session that never was is present")
				}
				c.subscribe(packet.Subscription{Filter: get, QoS: 1}, packet.Subscription{Filter: "/a1/gw/#", QoS: 0})
				r.down(get, "one")
				r.down(get, "two")
				ids := c.takes("one", "two")
				c.puback(ids[0])
				synctest.Wait()
				_ = c.nc.Close()
				synctest.Wait()
				r.down(get, "three")
				r.restart(killed)
				r.down(get, "four")
				if w := r.hub.Wanted(); len(w) != 2 {
					t.Errorf("wanted at the cloud: %+v", w)
				}
				c, present = r.resume(uid(7), level, "pump", 3600)
				if !present {
					t.Error("the session is not present")
				}
				ids = c.takes("two dup", "three dup", "four")
				c.puback(ids...)
				r.down("/a1/gw/other", "not kept") // by the filter of QoS 0
				if p := expect[*packet.Publish](c); p.QoS != 0 || string(p.Payload) != "not kept" {
					t.Errorf("%+v", p)
				}
				synctest.Wait()
				r.restart(killed)
				c, _ = r.resume(uid(7), level, "pump", 3600)
				c.silent(time.Second)
			})
		}
	}
}

// TestKilledBeforeItsPuback: the daemon is killed while a program holds messages without
// having acknowledged them. They come again, after the program has reconnected.
func TestKilledBeforeItsPuback(t *testing.T) {
	keeping(t, nil, func(r *keptRig) {
		c, _ := r.resume(uid(7), packet.Level311, "pump", 0)
		c.subscribe(packet.Subscription{Filter: get, QoS: 1})
		r.down(get, "one")
		c.takes("one")
		r.restart(true)
		c, present := r.resume(uid(7), packet.Level311, "pump", 0)
		if !present {
			t.Error("the session is not present")
		}
		c.takes("one dup")
		_ = c.nc.Close()
		c, _ = r.resume(uid(7), packet.Level311, "pump", 0) // without a restart, too
		c.takes("one dup")
	})
}

// TestSessionOptionsAreKept: subscription identifier, no local and QoS are those that the
// program gave before the restart; what it has unsubscribed stays so.
func TestSessionOptionsAreKept(t *testing.T) {
	keeping(t, nil, func(r *keptRig) {
		c, _ := r.resume(uid(7), packet.Level5, "pump", 3600)
		c.send(packet.NewSubscribe(5, 77, packet.Properties(nil).WithNumber(packet.SubscriptionID, 9), packet.Subscription{Filter: get, QoS: 2, NoLocal: true}))
		expect[*packet.Suback](c)
		c.subscribe(packet.Subscription{Filter: "/a1/gw/gone", QoS: 1})
		c.send(packet.NewUnsubscribe(78, nil, "/a1/gw/gone"))
		expect[*packet.Suback](c)
		_ = c.nc.Close()
		r.restart(true)
		r.down("/a1/gw/gone", "not wanted")
		r.down(get, "kept")
		c, _ = r.resume(uid(7), packet.Level5, "pump", 3600)
		p := expect[*packet.Publish](c)
		if id, _ := p.Properties.Number(packet.SubscriptionID); id != 9 || string(p.Payload) != "kept" || p.QoS != 1 {
			t.Errorf("%+v", p)
		}
		c.send(publish(1, 5, get, "mine"))
		c.ack(packet.PUBACK, 5, 0)
		r.down(get, "mine")
		c.puback(p.ID)
		c.silent(time.Second)
		if l := r.store.List(); len(l) != 1 || l[0].Waiting != 0 || !slices.Equal(l[0].Filters, []string{get}) {
			t.Errorf("%+v", l)
		}
	})
}

// TestCleanStartEndsWhatWasKept: with a clean session everything before is gone, also
// after a SIGKILL right behind CONNACK; a session ends with its expiry, which counts over
// a restart, and not before.
func TestCleanStartEndsWhatWasKept(t *testing.T) {
	keeping(t, nil, func(r *keptRig) {
		for _, expiry := range []uint32{0, 3600} {
			c, _ := r.resume(uid(7), packet.Level5, "pump", 3600)
			c.subscribe(packet.Subscription{Filter: get, QoS: 1})
			_ = c.nc.Close()
			synctest.Wait()
			r.down(get, "old")
			r.connect(uid(7), &packet.Connect{Level: 5, ClientID: "pump", CleanStart: true, Properties: fiveOnly(5, packet.SessionExpiry, expiry)})
			r.restart(true)
			c, present := r.resume(uid(7), packet.Level5, "pump", 0)
			if present != (expiry > 0) {
				t.Errorf("expiry %d: present %v", expiry, present)
			}
			c.silent(time.Second)
			c.send(&packet.Disconnect{})
			c.closed(time.Second)
			if l := r.store.List(); len(l) != 0 {
				t.Errorf("%+v", l)
			}
		}
		for _, c := range []struct {
			wait time.Duration
			want bool
		}{{200 * time.Second, true}, {350 * time.Second, false}} {
			client, _ := r.resume(uid(7), packet.Level5, "tank", 600)
			time.Sleep(time.Minute) // until its file says that it is there
			_ = client.nc.Close()
			time.Sleep(300 * time.Second)
			r.restart(true)
			time.Sleep(c.wait)
			client, present := r.resume(uid(7), packet.Level5, "tank", 600)
			if present != c.want {
				t.Errorf("after 300 s and %v: present %v", c.wait, present)
			}
			client.send(&packet.Disconnect{Properties: packet.Properties(nil).WithNumber(packet.SessionExpiry, 0)})
			client.closed(time.Second)
		}
	})
}

// TestSessionBelongsToItsUser after a restart, too; and somebody who looks after the
// gateway can drop it, with or without its program.
func TestSessionBelongsToItsUser(t *testing.T) {
	keeping(t, nil, func(r *keptRig) {
		c, _ := r.resume(uid(7), packet.Level311, "pump", 0)
		c.subscribe(packet.Subscription{Filter: get, QoS: 1})
		_ = c.nc.Close()
		r.restart(true)
		thief := r.dial(uid(8), packet.Level311)
		thief.send(&packet.Connect{Level: packet.Level311, ClientID: "pump"})
		if a := expect[*packet.Connack](thief); a.Code != packet.NotAuthorized311 {
			t.Errorf("another user: %#x", a.Code)
		}
		c, _ = r.resume(uid(7), packet.Level311, "pump", 0)
		r.down(get, "one")
		c.takes("one")
		if err := r.store.Drop(downlink.MQTT, "pump"); err != nil {
			t.Error(err)
		}
		c.closed(time.Second)
		c, present := r.resume(uid(7), packet.Level311, "pump", 0)
		if present {
			t.Error("a dropped session is present")
		}
		_ = c.nc.Close()
		synctest.Wait()
		if err := r.store.Drop(downlink.MQTT, "pump"); err != nil {
			t.Error(err)
		}
		r.restart(true)
		if _, present = r.resume(uid(7), packet.Level311, "pump", 0); present {
			t.Error("a dropped session is present")
		}
	})
}

// TestReceiveMaximumOfWhatIsKept: of a hundred kept messages a program gets as many as it
// takes without an answer, and the next with each answer, in order.
func TestReceiveMaximumOfWhatIsKept(t *testing.T) {
	keeping(t, nil, func(r *keptRig) {
		c, _ := r.resume(uid(7), packet.Level5, "pump", 3600)
		c.subscribe(packet.Subscription{Filter: get, QoS: 1})
		_ = c.nc.Close()
		synctest.Wait()
		var all []string
		for i := range 100 {
			all = append(all, fmt.Sprint(i, strings.Repeat("x", i)))
			r.down(get, all[i])
		}
		synctest.Wait()
		c = r.dial(uid(7), packet.Level5)
		c.send(&packet.Connect{Level: 5, ClientID: "pump", Properties: packet.Properties(nil).WithNumber(packet.SessionExpiry, 3600).WithNumber(packet.ReceiveMaximum, 5)})
		expect[*packet.Connack](c)
		ids := c.takes(all[:5]...)
		c.silent(time.Second)
		for i := 5; i < 100; i++ {
			c.puback(ids[i-5])
			ids = append(ids, c.takes(all[i])...)
		}
		c.puback(ids[95:]...)
		synctest.Wait()
		if l := r.store.List(); l[0].Waiting != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestCallsOfTheCloud: a call reaches a program with the time left, in version 5 as a user
// property, and is not kept for one that is away. The answer goes past the outbox; one
// that is too late is dropped and told.
func TestCallsOfTheCloud(t *testing.T) {
	const request, response = "/sys/a1/gw/rrpc/request/", "/sys/a1/gw/rrpc/response/"
	for _, level := range levels {
		keeping(t, nil, func(r *keptRig) {
			c, _ := r.resume(uid(7), level, "pump", 3600)
			c.subscribe(packet.Subscription{Filter: request + "+", QoS: 1})
			r.down(request+"1", "question")
			p := expect[*packet.Publish](c)
			left := ""
			for name, value := range p.Properties.User() {
				if name == "deadline-ms" {
					left = value
				}
			}
			if want := map[bool]string{true: "8000", false: ""}[level == 5]; left != want || string(p.Payload) != "question" {
				t.Errorf("level %d: %+v, %q left", level, p, left)
			}
			c.puback(p.ID)
			c.send(publish(1, 5, response+"1", "answer"))
			c.ack(packet.PUBACK, 5, 0)
			if a, late, ok := r.hub.Calls().Take(); !ok || late || a.Topic != response+"1" || string(a.Payload) != "answer" {
				t.Errorf("%+v, %v, %v", a, late, ok)
			}
			r.down(request+"2", "question")
			expect[*packet.Publish](c)
			time.Sleep(8 * time.Second)
			code := map[bool]packet.Code{true: packet.ImplementationSpecific}[level == 5]
			c.send(publish(1, 6, response+"2", "late"))
			if a := expect[*packet.Ack](c); a.ID != 6 || a.Code != code {
				t.Errorf("a late answer: %+v", a)
			}
			c.send(publish(2, 7, response+"never", "late"))
			if a := expect[*packet.Ack](c); a.Kind != packet.PUBREC || a.ID != 7 || a.Code != code {
				t.Errorf("an answer that nobody asked for: %+v", a)
			}
			r.want() // nothing of it is in the outbox
			if n := r.logged("too late"); n != 2 {
				t.Errorf("told %d times", n)
			}
			_ = c.nc.Close()
			synctest.Wait()
			r.down(request+"3", "question")
			synctest.Wait()
			if l := r.store.List(); l[0].Waiting != 0 {
				t.Errorf("a call is kept: %+v", l)
			}
		})
	}
}
