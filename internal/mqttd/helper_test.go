package mqttd

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"airbridged/internal/bus"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
	"airbridged/internal/outbox/simdisk"
	"airbridged/internal/peer"
)

// rig is a listener in memory, in a bubble of virtual time, with the real queue on
// a simulated disk and the real hub.
type rig struct {
	t     *testing.T
	srv   *Server
	disk  *simdisk.Disk
	queue *outbox.Queue
	hub   *bus.Hub
	board *bus.StatusBoard
	log   *observer.ObservedLogs
	count *counter

	conns chan net.Conn
	stop  func()
}

// inBubble runs a test in virtual time.
func inBubble(t *testing.T, limits outbox.Limits, change func(*Options), f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, disk: simdisk.New(), hub: bus.NewHub(), board: bus.NewStatusBoard(), conns: make(chan net.Conn), count: &counter{n: map[string]int{}}}
		queue, err := outbox.Open("", limits, outbox.Options{Files: r.disk})
		if err != nil {
			t.Fatal(err)
		}
		r.queue = queue
		core, logs := observer.New(zap.DebugLevel)
		r.log = logs
		o := Options{Outbox: queue, Hub: r.hub, Board: r.board, Recorder: r.count, Log: zap.New(core)}
		if change != nil {
			change(&o)
		}
		r.srv = New(o)
		r.srv.whoIs = whoNamed
		ctx, cancel := context.WithCancel(context.Background())
		committing, end := context.WithCancel(context.Background())
		var all, committer sync.WaitGroup
		committer.Go(func() { _ = queue.Run(committing) })
		all.Go(func() { _ = r.srv.Run(ctx) })
		all.Go(func() {
			if err := r.srv.Serve(ctx, &pipes{r.conns, make(chan struct{}), sync.Once{}}); err != nil {
				t.Error(err)
			}
		})
		r.stop = sync.OnceFunc(func() {
			cancel()
			all.Wait()
		})
		defer func() {
			r.stop()
			end()
			committer.Wait()
			_ = queue.Close()
		}()
		f(r)
	})
}

// counter is a Recorder.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[what]++
}

func (c *counter) MQTTPublish(outcome string) { c.add(outcome) }
func (c *counter) MQTTConnect(result string)  { c.add(result) }
func (c *counter) MQTTRetain()                { c.add("retain") }

// of is how often something was counted.
func (r *rig) of(what string) int {
	r.count.mu.Lock()
	defer r.count.mu.Unlock()
	return r.count.n[what]
}

// named is a connection of somebody.
type named struct {
	net.Conn
	who Who
}

func whoNamed(nc net.Conn) Who { return nc.(named).who }

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "mqtt.sock", Net: "unix"} }

// uid is somebody on the Unix socket.
func uid(n uint32) Who { return Who{Cred: peer.Cred{PID: 1 << 30, UID: n, GID: n}, Local: true} }

// client is a program: it reads all the time and keeps what came.
type client struct {
	r     *rig
	nc    net.Conn
	level byte

	mu   sync.Mutex
	got  []packet.Packet
	gone bool
	more chan struct{}
}

// dial opens a connection of somebody.
func (r *rig) dial(who Who, level byte) *client {
	r.t.Helper()
	near, far := net.Pipe()
	c := &client{r: r, nc: near, level: level, more: make(chan struct{}, 1)}
	r.conns <- named{far, who}
	go c.read()
	r.t.Cleanup(func() { _ = near.Close() })
	return c
}

func (c *client) read() {
	in := packet.NewReader(c.nc, 1<<20)
	for {
		first, body, err := in.Next()
		var p packet.Packet
		if err == nil {
			p, err = packet.Decode(first, body, c.level)
		}
		c.mu.Lock()
		if err != nil {
			c.gone = true
		} else {
			c.got = append(c.got, p)
		}
		c.mu.Unlock()
		poke(c.more)
		if err != nil {
			return
		}
	}
}

// send writes a packet; false: the connection is gone.
func (c *client) send(p packet.Packet) bool {
	_ = c.nc.SetWriteDeadline(time.Now().Add(time.Minute))
	_, err := c.nc.Write(packet.Append(nil, p, c.level))
	return err == nil
}

// next waits for the next packet, at most d of virtual time; nil: none came, or the
// connection is gone.
func (c *client) next(d time.Duration) packet.Packet {
	end := time.After(d)
	for {
		c.mu.Lock()
		if len(c.got) > 0 {
			p := c.got[0]
			c.got = c.got[1:]
			c.mu.Unlock()
			return p
		}
		gone := c.gone
		c.mu.Unlock()
		if gone {
			return nil
		}
		select {
		case <-c.more:
		case <-end:
			return nil
		}
	}
}

// silent says that nothing comes and the connection stays, for d of virtual time.
func (c *client) silent(d time.Duration) {
	c.r.t.Helper()
	if p := c.next(d); p != nil || c.isGone() {
		c.r.t.Fatalf("%s %+v came, gone: %v; want silence", kind(p), p, c.isGone())
	}
}

func (c *client) isGone() bool {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// closed waits until the server has closed the connection, without another word.
func (c *client) closed(d time.Duration) {
	c.r.t.Helper()
	if p := c.next(d); p != nil || !c.isGone() {
		c.r.t.Fatalf("%s %+v came, gone: %v; want the end of the connection", kind(p), p, c.isGone())
	}
}

func kind(p packet.Packet) string {
	if p == nil {
		return "nothing"
	}
	return p.Type().String()
}

// expect waits for one packet of a type.
func expect[P packet.Packet](c *client) P {
	c.r.t.Helper()
	p := c.next(20 * time.Second)
	got, ok := p.(P)
	if !ok {
		var want P
		c.r.t.Fatalf("%s %+v came, gone: %v; want %T", kind(p), p, c.isGone(), want)
	}
	return got
}

// ack waits for one acknowledgement.
func (c *client) ack(kind packet.Type, id uint16, code packet.Code) {
	c.r.t.Helper()
	if a := expect[*packet.Ack](c); a.Kind != kind || a.ID != id || a.Code != code {
		c.r.t.Fatalf("%s %d with %#x, want %s %d with %#x", a.Kind, a.ID, a.Code, kind, id, code)
	}
}

// login is a CONNECT with a clean session.
func login(level byte, id string) *packet.Connect {
	return &packet.Connect{Level: level, CleanStart: true, ClientID: id}
}

// connect dials and logs in.
func (r *rig) connect(who Who, p *packet.Connect) *client {
	r.t.Helper()
	c := r.dial(who, p.Level)
	c.send(p)
	if a := expect[*packet.Connack](c); a.Code != packet.Accepted {
		r.t.Fatalf("CONNACK %#x", a.Code)
	}
	return c
}

// publish makes a PUBLISH.
func publish(qos byte, id uint16, topic, payload string) *packet.Publish {
	return &packet.Publish{QoS: qos, ID: id, Topic: topic, Payload: []byte(payload)}
}

// want takes everything out of the queue, as the session does, and compares it:
// "topic=payload" each.
func (r *rig) want(list ...string) {
	r.t.Helper()
	synctest.Wait()
	var got []string
	for {
		m, ok := r.queue.Take()
		if !ok {
			break
		}
		r.done(m)
		got = append(got, m.Topic+"="+string(m.Payload))
	}
	if !slices.Equal(got, list) {
		r.t.Fatalf("%q were in the queue, want %q", got, list)
	}
}

// logged says how many lines of the log have a text in them.
func (r *rig) logged(text string) (n int) {
	for _, e := range r.log.All() {
		if strings.Contains(e.Message, text) {
			n++
		}
	}
	return n
}

// failing has the disk fail until mend is called.
func (r *rig) failing(err error) (mend func()) {
	r.disk.Fail(func(op, _ string) error {
		if op == "write" || op == "sync" || op == "create" {
			return err
		}
		return nil
	})
	return func() { r.disk.Fail(nil) }
}

// slow has every flush of the disk take d, until quick is called.
func (r *rig) slow(d time.Duration) (quick func()) {
	var over atomic.Bool
	r.disk.Fail(func(op, _ string) error {
		if op == "sync" && !over.Load() {
			time.Sleep(d)
		}
		return nil
	})
	return func() { over.Store(true) }
}

// drain takes n messages out of the queue, as the session does.
func (r *rig) drain(n int) {
	r.t.Helper()
	for range n {
		m, ok := r.queue.Take()
		if !ok {
			r.t.Fatal("the queue is empty")
		}
		r.done(m)
	}
}

// done settles the message in flight.
func (r *rig) done(m outbox.Message) {
	r.t.Helper()
	state := outbox.Acked
	if m.QoS == 0 {
		state = outbox.Sent
	}
	if err := r.queue.Done(m.ID, state, ""); err != nil {
		r.t.Fatal(err)
	}
}
