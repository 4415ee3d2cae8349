package downlink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/outbox/simdisk"
)

var (
	pumps  = Who{"uid 1000", "pumps"}
	others = Who{"uid 1001", "others"}
)

// rig is a store on a simulated disk; the files of its subscriptions are real ones.
type rig struct {
	t     *testing.T
	dir   string
	disk  *simdisk.Disk
	hub   *bus.Hub
	board *bus.StatusBoard
	store *Store
	stop  func()
}

func newRig(t *testing.T, l Limits) *rig {
	r := &rig{t: t, dir: t.TempDir(), disk: simdisk.New()}
	r.start(l)
	return r
}

// start opens what the disk holds, as a daemon that begins.
func (r *rig) start(l Limits) {
	r.t.Helper()
	r.hub, r.board = bus.NewHub(), bus.NewStatusBoard()
	s, err := Open(Options{Limits: l, Hub: r.hub, Board: r.board, Cards: durable.OnDisk(r.dir), Queue: outbox.Options{Files: r.disk}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = s
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = s.Run(ctx) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		_ = s.Close()
	})
}

// kill ends the process in the middle of whatever it does, and starts the next one.
func (r *rig) kill(l Limits) {
	image := r.disk.Survivor()
	r.stop()
	r.disk = image
	r.start(l)
}

func (r *rig) publish(topic string, payloads ...string) {
	for _, p := range payloads {
		r.hub.Publish(bus.Message{Topic: topic, Payload: []byte(p), ReceivedAt: time.Now()})
	}
}

func (r *rig) open(name string, filters ...string) *Reader {
	r.t.Helper()
	reader, err := r.store.Subscribe(pumps, name, filters)
	if err != nil {
		r.t.Fatal(err)
	}
	return reader
}

// drain is what a reader gets until there is nothing more, gaps as "gap n"; and the ids.
func (r *rig) drain(reader *Reader) (got, ids []string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		it, err := reader.Next(ctx)
		switch {
		case err != nil:
			return got, ids
		case it.Message != nil:
			got, ids = append(got, string(it.Message.Payload)), append(ids, it.Message.ID)
		case it.Gap > 0:
			got = append(got, fmt.Sprint("gap ", it.Gap))
		}
	}
}

func (r *rig) want(got []string, want string) {
	r.t.Helper()
	if s := strings.Join(got, " "); s != want {
		r.t.Errorf("got %q, want %q", s, want)
	}
}

// TestKeptUntilAcknowledged: a program reads by name, goes away without a word, and the
// daemon is killed twice. It gets everything that it has not acknowledged, in its order,
// and again until it does; what it has acknowledged it gets no more.
func TestKeptUntilAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		defer func() { r.stop() }()
		reader := r.open("pump", "/pk/dn/get", "/pk/dn/cmd")
		r.publish("/pk/dn/get", "a", "b")
		got, ids := r.drain(reader)
		r.want(got, "a b")
		if n, err := r.store.Ack(pumps, "pump", ids[0]); n != 1 || err != nil {
			t.Errorf("%d acknowledged, %v", n, err)
		}
		reader.Close()
		r.publish("/pk/dn/cmd", "c")
		r.publish("/pk/dn/other", "not asked for")
		synctest.Wait()
		r.kill(Limits{})
		r.publish("/pk/dn/get", "d")
		reader = r.open("pump")
		got, ids = r.drain(reader)
		r.want(got, "b c d")
		reader.Close()
		if list := r.store.List(); len(list) != 1 || list[0].Waiting != 3 || list[0].Bytes != 33 || list[0].User != "pumps" || !slices.Equal(list[0].Filters, []string{"/pk/dn/get", "/pk/dn/cmd"}) {
			t.Errorf("%+v", list)
		}
		if n, err := r.store.Ack(pumps, "pump", ids[1]); n != 2 || err != nil {
			t.Errorf("%d acknowledged, %v", n, err)
		}
		if n, err := r.store.Ack(pumps, "pump", ids[1]); n != 0 || err != nil {
			t.Errorf("a repeated acknowledgement: %d, %v", n, err)
		}
		r.kill(Limits{})
		got, _ = r.drain(r.open("pump"))
		r.want(got, "d")
		if w := r.hub.Wanted(); len(w) != 2 {
			t.Errorf("wanted at the cloud: %+v", w)
		}
	})
}

// TestNames: a name belongs to who used it first; a second reader takes over and gets
// everything from the first unacknowledged message on; what makes no sense is refused.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		defer func() { r.stop() }()
		if _, err := r.store.Subscribe(pumps, "pump", nil); !errors.Is(err, ErrNoFilter) {
			t.Errorf("a new name without a filter: %v", err)
		}
		first := r.open("pump", "/a")
		r.publish("/a", "1", "2")
		got, ids := r.drain(first)
		r.want(got, "1 2")
		if _, err := r.store.Subscribe(others, "pump", []string{"/b"}); !errors.Is(err, ErrOther) {
			t.Errorf("another user: %v", err)
		}
		if _, err := r.store.Ack(others, "pump", ids[0]); !errors.Is(err, ErrOther) {
			t.Errorf("another user acknowledges: %v", err)
		}
		second := r.open("pump", "/b")
		if _, err := first.Next(t.Context()); !errors.Is(err, ErrTakenOver) {
			t.Errorf("the first reader: %v", err)
		}
		first.Close() // must not end the second one
		r.publish("/a", "not asked for any more")
		r.publish("/b", "3")
		got, ids = r.drain(second)
		r.want(got, "1 2 3")
		for _, id := range []string{"", "zzz", "v" + ids[2][1:]} {
			if _, err := r.store.Ack(pumps, "pump", id); !errors.Is(err, ErrUnknownID) {
				t.Errorf("id %q: %v", id, err)
			}
		}
		if _, err := r.store.Ack(pumps, "nobody", ids[0]); !errors.Is(err, ErrUnknown) {
			t.Errorf("a name that is not there: %v", err)
		}
		if err := r.store.Drop(HTTP, "pump"); err != nil {
			t.Error(err)
		}
		if _, err := second.Next(t.Context()); !errors.Is(err, ErrDropped) {
			t.Errorf("its reader: %v", err)
		}
		if err := r.store.Drop(HTTP, "pump"); !errors.Is(err, ErrUnknown) {
			t.Errorf("dropped twice: %v", err)
		}
		r.kill(Limits{})
		if list := r.store.List(); len(list) != 0 {
			t.Errorf("after a SIGKILL: %+v", list)
		}
		if n := r.store.queue.Stats().Messages; n != 0 {
			t.Errorf("%d messages are left of it", n)
		}
	})
}

// TestBounds: one program never comes back, another one reads. The bound is the first
// one's alone: it loses its oldest, is told so, and the other one loses nothing.
func TestBounds(t *testing.T) {
	for name, l := range map[string]Limits{"messages": {Messages: 10}, "bytes": {Bytes: 10 * 4}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, l)
				defer func() { r.stop() }()
				events := r.board.Watch()
				defer events.Close()
				r.open("away", "/a", "/b").Close()
				reader := r.open("pump", "/b")
				for i := range 30 {
					r.publish("/a", fmt.Sprintf("%02d", i))
				}
				r.publish("/b", "b1", "b2")
				got, ids := r.drain(reader)
				r.want(got, "b1 b2")
				if w := r.board.Status().Warnings; len(w) != 1 || w[0].Code != string(bus.DownlinkFull) || !strings.Contains(w[0].Detail, "http away of pumps") {
					t.Errorf("warnings: %+v", w)
				}
				if n := r.store.queue.Stats().Messages; n != 10 {
					t.Errorf("%d are kept", n)
				}
				if _, err := r.store.Ack(pumps, "pump", ids[1]); err != nil {
					t.Error(err)
				}
				got, ids = r.drain(r.open("away"))
				r.want(got, "gap 24 24 25 26 27 28 29 b1 b2")
				if _, err := r.store.Ack(pumps, "away", ids[len(ids)-1]); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				if w := r.board.Status().Warnings; len(w) != 0 {
					t.Errorf("it has come back, and the warning lasts: %+v", w)
				}
			})
		})
	}
}

// TestAge: what is too old is gone, and told as a gap; it takes no room any more.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{MaxAge: time.Hour})
		defer func() { r.stop() }()
		r.open("pump", "/a").Close()
		r.publish("/a", "old", "older")
		time.Sleep(30 * time.Minute)
		r.publish("/a", "new")
		time.Sleep(31 * time.Minute)
		if list := r.store.List(); list[0].Waiting != 1 {
			t.Errorf("%+v", list)
		}
		got, _ := r.drain(r.open("pump"))
		r.want(got, "gap 2 new")
	})
}

// TestDiskFails: the disk takes nothing. Who is connected loses nothing, in its order; it
// is a warning; and when the disk works again everything is kept again.
func TestDiskFails(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
		t.Run(errno.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Limits{})
				defer func() { r.stop() }()
				reader := r.open("pump", "/a")
				r.publish("/a", "before")
				synctest.Wait()
				r.disk.Fail(func(op, name string) error {
					if op == "write" || op == "sync" || op == "create" {
						return errno
					}
					return nil
				})
				r.publish("/a", "1", "2")
				got, ids := r.drain(reader)
				r.want(got, "before 1 2")
				if ids[0] == "" || ids[1] != "" || ids[2] != "" {
					t.Errorf("ids %q", ids)
				}
				if w := r.board.Status().Warnings; len(w) != 1 || !strings.HasPrefix(w[0].Detail, "downlink.dir") {
					t.Errorf("warnings: %+v", w)
				}
				if _, err := r.store.Ack(pumps, "pump", ids[0]); !errors.Is(err, outbox.ErrDisk) {
					t.Errorf("an acknowledgement that is not on disk: %v", err)
				}
				for i := range 300 {
					r.publish("/a", fmt.Sprint(i))
				}
				synctest.Wait()
				if n := r.store.List()[0].Waiting; n != looseItems {
					t.Errorf("%d wait in memory", n)
				}
				got, _ = r.drain(reader)
				if len(got) != looseItems+1 || got[0] != "gap 44" || got[1] != "0" || got[looseItems] != "255" {
					t.Errorf("%d: %q ... %q", len(got), got[:2], got[len(got)-1])
				}
				r.disk.Fail(nil)
				time.Sleep(time.Minute)
				r.publish("/a", "after")
				got, ids = r.drain(reader)
				r.want(got, "after")
				if len(ids) != 1 || ids[0] == "" {
					t.Errorf("ids %q", ids)
				}
				if w := r.board.Status().Warnings; len(w) != 0 {
					t.Errorf("warnings: %+v", w)
				}
			})
		})
	}
}

// TestUnreadable: what is kept cannot be read for a while, and is then. Nothing behind it
// overtakes it; a damaged record is given up, and told.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		defer func() { r.stop() }()
		reader := r.open("pump", "/a")
		r.publish("/a", "one", "two", "three")
		synctest.Wait()
		r.disk.FailReads(func(string, int64, int64) error { return syscall.EIO })
		got, _ := r.drain(reader)
		r.want(got, "")
		r.disk.FailReads(nil)
		r.disk.Garble(func(_ string, b []byte) {
			if i := strings.Index(string(b), "two"); i >= 0 {
				b[i] = 'T'
			}
		})
		got, _ = r.drain(reader)
		r.want(got, "one gap 1 three")
	})
}

// TestUnreadableAtTheStart: neither the queue nor the subscription's file can be read
// when the daemon starts. Nothing is given up for that.
func TestUnreadableAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		defer func() { r.stop() }()
		r.open("pump", "/a").Close()
		r.publish("/a", "one", "two")
		synctest.Wait()
		image := r.disk.Survivor()
		r.stop()
		r.disk = image
		r.disk.FailReads(func(string, int64, int64) error { return syscall.EIO })
		r.start(Limits{})
		time.Sleep(time.Minute)
		r.disk.FailReads(nil)
		time.Sleep(time.Minute)
		got, _ := r.drain(r.open("pump"))
		r.want(got, "one two")
	})
}

// crash is what a workload knows of its messages, to judge an image by.
type crash struct {
	mu     sync.Mutex
	handed map[string]bool // on disk, as it was handed out
	acked  map[string]bool // an acknowledgement was begun
	all    []string
}

// check opens an image, and says what is wrong with it.
func (c *crash) check(dir string, image *simdisk.Disk) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := Open(Options{Hub: bus.NewHub(), Cards: durable.OnDisk(dir), Queue: outbox.Options{Files: image, SegmentSize: 8 << 10}})
	if err != nil {
		return err
	}
	reader, err := s.Subscribe(pumps, "pump", nil)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	last := -1
	for {
		k, ok := reader.box.nextFor(reader)
		if !ok {
			break
		}
		i := slices.Index(c.all, string(k.Payload))
		switch {
		case i < 0:
			return fmt.Errorf("invented: %q", k.Payload)
		case i <= last:
			return fmt.Errorf("%q comes behind %q", k.Payload, c.all[last])
		case !k.Again:
			return fmt.Errorf("%q is not marked", k.Payload)
		}
		last = i
		there[c.all[i]] = true
	}
	for text := range c.handed {
		if !there[text] && !c.acked[text] {
			return fmt.Errorf("lost: %q", text)
		}
	}
	return nil
}

// TestPowerCuts cuts the power after every change of the disk, in every way that may
// leave sectors unwritten: what was handed out and not acknowledged is there, in order.
func TestPowerCuts(t *testing.T) {
	images := 0
	for seed := uint64(1); seed <= 12; seed++ {
		synctest.Test(t, func(t *testing.T) {
			luck, chaos := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			dir, disk, hub := t.TempDir(), simdisk.New(), bus.NewHub()
			c := &crash{handed: map[string]bool{}, acked: map[string]bool{}}
			s, err := Open(Options{Hub: hub, Cards: durable.OnDisk(dir), Queue: outbox.Options{Files: disk, SegmentSize: 8 << 10}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() { _ = s.Run(ctx) })
			reader, err := s.Subscribe(pumps, "pump", []string{"/a"})
			if err != nil {
				t.Fatal(err)
			}
			disk.Notify(func(op string) {
				for range 3 {
					if t.Failed() {
						return
					}
					images++
					if err := c.check(dir, disk.Cut(chaos)); err != nil {
						t.Errorf("seed %d, after %s: %v", seed, op, err)
					}
				}
			})
			for range 40 {
				for range luck.IntN(4) {
					c.mu.Lock()
					text := fmt.Sprintf("%d %s", len(c.all), strings.Repeat("x", luck.IntN(600)))
					c.all = append(c.all, text)
					c.mu.Unlock()
					hub.Publish(bus.Message{Topic: "/a", Payload: []byte(text)})
				}
				synctest.Wait()
				id := ""
				for range luck.IntN(5) {
					k, ok := reader.box.nextFor(reader)
					if !ok {
						break
					}
					id = k.ID
					c.mu.Lock()
					c.handed[string(k.Payload)] = true
					c.mu.Unlock()
				}
				if id == "" {
					continue
				}
				c.mu.Lock()
				for text := range c.handed {
					c.acked[text] = true
				}
				c.mu.Unlock()
				if _, err := s.Ack(pumps, "pump", id); err != nil {
					t.Error(err)
				}
			}
			cancel()
			all.Wait()
			_ = s.Close()
		})
	}
	t.Logf("%d images", images)
	if images < 500 {
		t.Error("too few images to say anything")
	}
}
