// Package simdisk is a disk in memory, for tests only: a directory that knows what
// of it is on stable storage, so that it can make every image that a power cut may
// leave.
//
// Data since the last sync of a file is there or not, sector by sector, in any
// order; of a sector written several times any version may be there. Names since
// the last sync of a directory likewise. A call can be made to fail, to take
// (virtual) time, or to be the last one of the process that makes it. The disk can
// become read-only, the process can run out of descriptors, and the directory can
// be taken away from its path.
package simdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"airbridged/internal/outbox/files"
)

// ErrDead is what every call gets that a killed process still makes.
var ErrDead = errors.New("the process is dead")

// sector is what a power cut leaves whole or not at all, in bytes.
const sector = 512

// Disk is one directory, with subdirectories: it fulfils files.FileSystem. Set the
// exported fields before it is used. It is safe for concurrent use.
type Disk struct {
	// Latency, if not nil, says how long a change takes: it is slept before the
	// change happens, with no lock held.
	Latency    func(op string) time.Duration
	Capacity   int64 // bytes of the file system; 0: 1 TiB, and never full
	NoAllocate bool  // as on file systems without fallocate
	Lying      bool  // a sync says that it is done, and does nothing

	mu       sync.Mutex
	dead     bool
	readOnly bool
	fail     func(op, name string) error
	failRead func(name string, off, n int64) error
	garble   func(name string, b []byte)
	notify   func(op string)
	now      map[string]*content // what the program sees
	durable  map[string]*content // what a power cut leaves
	changes  []nameChange        // since the directory was synced, by age
	open     int                 // descriptors
	most     int                 // as many may be open; 0: no bound

	away *away // where the path leads instead; nil: here
}

type nameChange struct {
	dir, name string
	file      *content // nil: removed
	also      string   // renamed from
}

// content is what is in a file and how it came about since the last sync.
type content struct {
	odd     bool // a directory, a FIFO or a device: it can only be renamed
	data    []byte
	synced  []byte
	pending []dataChange
}

// dataChange is one sector's worth of a write, or a new size.
type dataChange struct {
	offset int64
	data   []byte // nil: truncated to offset
}

// New returns an empty disk.
func New() *Disk { return &Disk{now: map[string]*content{}, durable: map[string]*content{}} }

// Fail has decide say which calls fail from now on; nil: none. It is called with
// the disk's lock held.
func (d *Disk) Fail(decide func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = decide
}

// Notify has tell called after every change from now on, with no lock held.
func (d *Disk) Notify(tell func(op string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notify = tell
}

func dirOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// change runs a changing call: it takes its time, and happens unless it is to fail
// or the process was killed meanwhile.
func (d *Disk) change(op, name string, do func() error) error {
	if d.Latency != nil {
		time.Sleep(d.Latency(op))
	}
	var notify func(string)
	err := d.locked(op, name, func() error {
		switch inside := op != "sync" && op != "syncdir"; {
		case d.readOnly && inside:
			return fmt.Errorf("%s %s: %w", op, name, syscall.EROFS)
		case d.away != nil && d.away.removed && (op == "create" || op == "mkdir"):
			return fmt.Errorf("%s %s: %w", op, name, fs.ErrNotExist)
		}
		notify = d.notify
		return do()
	})
	if err == nil && notify != nil {
		notify(op)
	}
	return err
}

// locked runs a call that takes no time.
func (d *Disk) locked(op, name string, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := error(nil)
	switch {
	case d.dead:
		err = ErrDead
	case d.fail != nil:
		err = d.fail(op, name)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return do()
}

// Survivor ends the process that uses the disk, in the middle of whatever it
// does: all its further calls fail and change nothing. It returns the disk for the
// next process, which finds all that was written, synced or not, as after a
// SIGKILL. The exported fields are not taken over.
func (d *Disk) Survivor() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	s := &Disk{now: d.now, durable: d.durable, changes: d.changes, Capacity: d.Capacity, NoAllocate: d.NoAllocate, Lying: d.Lying}
	d.now, d.durable, d.changes = nil, nil, nil
	return s
}

func (d *Disk) Create(name string) (files.File, error) {
	f := &content{}
	h := &handle{d: d, name: name, f: f}
	return h, d.change("create", name, func() error {
		if old := d.now[name]; old != nil && old.odd {
			return fmt.Errorf("create %s: %w", name, files.ErrNotRegular)
		}
		if err := d.descriptor(); err != nil {
			return err
		}
		d.now[name] = f
		d.changes = append(d.changes, nameChange{dirOf(name), name, f, ""})
		return nil
	})
}

func (d *Disk) Open(name string) (f files.File, err error) { return d.opened(name, true) }

func (d *Disk) OpenRead(name string) (f files.File, err error) { return d.opened(name, false) }

func (d *Disk) opened(name string, write bool) (f files.File, err error) {
	err = d.locked("open", name, func() error {
		if err := d.there(name); err != nil {
			return err
		}
		if write && d.readOnly {
			return fmt.Errorf("open %s: %w", name, syscall.EROFS)
		}
		if err := d.descriptor(); err != nil {
			return err
		}
		f = &handle{d: d, name: name, f: d.now[name]}
		return nil
	})
	return f, err
}

func (d *Disk) Stat(name string) error {
	return d.locked("stat", name, func() error { return d.there(name) })
}

// there says whether a regular file has the name; under the lock.
func (d *Disk) there(name string) error {
	switch c := d.now[name]; {
	case c == nil:
		return fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	case c.odd:
		return fmt.Errorf("open %s: %w", name, files.ErrNotRegular)
	}
	return nil
}

func (d *Disk) Rename(from, to string) error {
	return d.change("rename", from, func() error {
		f := d.now[from]
		if f == nil {
			return fmt.Errorf("rename %s: %w", from, fs.ErrNotExist)
		}
		if old := d.now[to]; old != nil && old.odd {
			return fmt.Errorf("rename %s: %w", from, syscall.EISDIR)
		}
		delete(d.now, from)
		d.now[to] = f
		d.changes = append(d.changes, nameChange{dirOf(to), to, f, from})
		return nil
	})
}

func (d *Disk) Link(from, to string) error {
	return d.change("link", from, func() error {
		if d.now[to] != nil {
			return fmt.Errorf("link %s: %w", to, fs.ErrExist)
		}
		f := d.now[from]
		if f == nil {
			return fmt.Errorf("link %s: %w", from, fs.ErrNotExist)
		}
		d.now[to] = f
		d.changes = append(d.changes, nameChange{dirOf(to), to, f, ""})
		return nil
	})
}

func (d *Disk) Remove(name string) error {
	return d.change("remove", name, func() error {
		switch f := d.now[name]; {
		case f == nil:
			return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
		case f.odd:
			return fmt.Errorf("remove %s: %w", name, syscall.ENOTEMPTY)
		}
		delete(d.now, name)
		d.changes = append(d.changes, nameChange{dirOf(name), name, nil, ""})
		return nil
	})
}

func (d *Disk) List(dir string) (names []string, err error) {
	err = d.locked("list", dir, func() error {
		for name, f := range d.now {
			if dirOf(name) == dir && !f.odd {
				names = append(names, name[strings.LastIndexByte(name, '/')+1:])
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

func (d *Disk) Mkdir(dir string) error { return d.change("mkdir", dir, func() error { return nil }) }

func (d *Disk) SyncDir(dir string) error {
	return d.change("syncdir", dir, func() error {
		if d.Lying {
			return nil
		}
		var left []nameChange
		for _, c := range d.changes {
			if c.dir == dir {
				c.apply(d.durable)
			} else {
				left = append(left, c)
			}
		}
		d.changes = left
		return nil
	})
}

func (c nameChange) apply(names map[string]*content) {
	if c.file == nil {
		delete(names, c.name)
		return
	}
	if c.also != "" && names[c.also] == c.file {
		delete(names, c.also)
	}
	names[c.name] = c.file
}

// Space is 1 TiB without a Capacity, all of it free.
func (d *Disk) Space() (free, total int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Capacity == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return d.Capacity - d.used(), d.Capacity, nil
}

func (d *Disk) used() (n int64) {
	seen := map[*content]bool{}
	for _, f := range d.now {
		if !seen[f] {
			n += int64(len(f.data))
			seen[f] = true
		}
	}
	return n
}

func (d *Disk) Lock() error {
	return d.locked("lock", ".", func() error { return nil })
}

func (d *Disk) Close() error { return nil }

type handle struct {
	d      *Disk
	name   string
	f      *content
	closed bool
}

func (h *handle) ReadAt(p []byte, off int64) (n int, err error) {
	err = h.d.locked("read", h.name, func() error {
		if h.closed {
			return fs.ErrClosed
		}
		if h.d.failRead != nil {
			if err := h.d.failRead(h.name, off, int64(len(p))); err != nil {
				return fmt.Errorf("read %s: %w", h.name, err)
			}
		}
		if off < int64(len(h.f.data)) {
			n = copy(p, h.f.data[off:])
		}
		if h.d.garble != nil {
			h.d.garble(h.name, p[:n])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	err := h.d.change("write", h.name, func() error {
		c := dataChange{off, slices.Clone(p)}
		h.f.pending = append(h.f.pending, c)
		h.f.data = c.apply(h.f.data)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c dataChange) apply(b []byte) []byte {
	if c.data == nil {
		if int64(len(b)) > c.offset {
			return b[:c.offset]
		}
		return append(b, make([]byte, c.offset-int64(len(b)))...)
	}
	if end := c.offset + int64(len(c.data)); int64(len(b)) < end {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[c.offset:], c.data)
	return b
}

func (h *handle) Truncate(size int64) error {
	return h.d.change("truncate", h.name, func() error {
		c := dataChange{size, nil}
		h.f.pending = append(h.f.pending, c)
		h.f.data = c.apply(h.f.data)
		return nil
	})
}

func (h *handle) Allocate(size int64) error {
	if h.d.NoAllocate {
		return errors.ErrUnsupported
	}
	return h.Truncate(size)
}

func (h *handle) Sync() error {
	err := h.d.change("sync", h.name, func() error {
		if h.d.Lying {
			return nil
		}
		for _, c := range h.f.pending {
			h.f.synced = c.apply(h.f.synced)
		}
		h.f.pending = nil
		return nil
	})
	if err != nil && !errors.Is(err, ErrDead) {
		h.d.mu.Lock()
		defer h.d.mu.Unlock()
		h.f.forget()
	}
	return err
}

// forget is what Linux does when a sync fails: the pages count as clean from now
// on, written or not, and the next sync reports success.
func (c *content) forget() {
	for i, change := range split(c.pending) {
		if i%2 == 0 {
			c.synced = change.apply(c.synced)
		}
	}
	c.pending = nil
}

// Close gives the descriptor back. Closing twice is a fault of the program that
// would close somebody else's.
func (h *handle) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.closed {
		return fmt.Errorf("close %s: %w", h.name, fs.ErrClosed)
	}
	h.closed = true
	h.d.open--
	return nil
}

func (h *handle) Forget(int64, int64) {}

func (h *handle) Size() (n int64, err error) {
	err = h.d.locked("stat", h.name, func() error {
		n = int64(len(h.f.data))
		return nil
	})
	return n, err
}

// Names returns the names of all files, sorted.
func (d *Disk) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.now))
}

// Bytes returns what is in a file, itself, so that writing to it damages the file;
// nil if there is none.
func (d *Disk) Bytes(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.now[name]; f != nil {
		return f.data
	}
	return nil
}

// Put makes a durable file, in the place of one of that name.
func (d *Disk) Put(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &content{data: data, synced: slices.Clone(data)}
	d.now[name], d.durable[name] = f, f
}

// Damaged returns the files with one of them changed; the others are shared, so
// only for those who write into no file.
func (d *Disk) Damaged(name string, change func(b []byte) []byte) *Disk {
	c := New()
	c.now = maps.Clone(d.now)
	c.Put(name, change(slices.Clone(d.now[name].data)))
	return c
}
