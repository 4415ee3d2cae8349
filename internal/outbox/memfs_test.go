package outbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// memFS is a file system in memory that knows what of it is on stable storage,
// so that it can make every image that a power cut may leave. Data since the
// last sync of a file is there or not, sector by sector, in any order; of a
// sector written several times any version may be there. Names since the last
// sync of a directory likewise.
type memFS struct {
	mu      sync.Mutex
	now     map[string]*memFile // what the program sees
	durable map[string]*memFile // what a power cut leaves
	changes []nameChange        // since the directory was synced, by age
	failing func(op, name string) error
	after   func(op string) // after every change
	size    int64           // 0: unlimited

	noAllocate bool // as on file systems without fallocate
}

type nameChange struct {
	dir, name string
	file      *memFile // nil: removed
	also      string   // renamed from
}

// memFile is a file's content and how it came about since the last sync.
type memFile struct {
	data    []byte
	synced  []byte
	pending []dataChange
}

// dataChange is one sector's worth of a write, or a new size.
type dataChange struct {
	offset int64
	data   []byte // nil: truncated to offset
}

func newMemFS() *memFS { return &memFS{now: map[string]*memFile{}, durable: map[string]*memFile{}} }

func dirOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// change runs a changing call, unless it is to fail.
func (m *memFS) change(op, name string, do func() error) error {
	m.mu.Lock()
	if m.failing != nil {
		if err := m.failing(op, name); err != nil {
			m.mu.Unlock()
			return fmt.Errorf("%s %s: %w", op, name, err)
		}
	}
	err := do()
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return m.changed(op, func() {})
}

// changed is a change that cannot fail any more.
func (m *memFS) changed(op string, do func()) error {
	m.mu.Lock()
	do()
	after := m.after
	m.mu.Unlock()
	if after != nil {
		after(op)
	}
	return nil
}

func (m *memFS) create(name string) (file, error) {
	f := &memFile{}
	return &memHandle{m, name, f}, m.change("create", name, func() error {
		m.now[name] = f
		m.changes = append(m.changes, nameChange{dirOf(name), name, f, ""})
		return nil
	})
}

func (m *memFS) open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing != nil {
		if err := m.failing("open", name); err != nil {
			return nil, fmt.Errorf("open %s: %w", name, err)
		}
	}
	f := m.now[name]
	if f == nil {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return &memHandle{m, name, f}, nil
}

func (m *memFS) rename(from, to string) error {
	return m.change("rename", from, func() error {
		f := m.now[from]
		if f == nil {
			return fmt.Errorf("rename %s: %w", from, fs.ErrNotExist)
		}
		delete(m.now, from)
		m.now[to] = f
		m.changes = append(m.changes, nameChange{dirOf(to), to, f, from})
		return nil
	})
}

func (m *memFS) link(from, to string) error {
	return m.change("link", from, func() error {
		if m.now[to] != nil {
			return fmt.Errorf("link %s: %w", to, fs.ErrExist)
		}
		f := m.now[from]
		m.now[to] = f
		m.changes = append(m.changes, nameChange{dirOf(to), to, f, ""})
		return nil
	})
}

func (m *memFS) remove(name string) error {
	return m.change("remove", name, func() error {
		if m.now[name] == nil {
			return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
		}
		delete(m.now, name)
		m.changes = append(m.changes, nameChange{dirOf(name), name, nil, ""})
		return nil
	})
}

func (m *memFS) list(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.now {
		if dirOf(name) == dir {
			names = append(names, name[strings.LastIndexByte(name, '/')+1:])
		}
	}
	return names, nil
}

func (m *memFS) mkdir(dir string) error { return m.change("mkdir", dir, func() error { return nil }) }

func (m *memFS) syncDir(dir string) error {
	return m.change("syncdir", dir, func() error {
		var left []nameChange
		for _, c := range m.changes {
			if c.dir == dir {
				c.apply(m.durable)
			} else {
				left = append(left, c)
			}
		}
		m.changes = left
		return nil
	})
}

func (c nameChange) apply(names map[string]*memFile) {
	if c.file == nil {
		delete(names, c.name)
		return
	}
	if c.also != "" && names[c.also] == c.file {
		delete(names, c.also)
	}
	names[c.name] = c.file
}

func (m *memFS) space() (free, total int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return m.size - m.used(), m.size, nil
}

func (m *memFS) used() (n int64) {
	seen := map[*memFile]bool{}
	for _, f := range m.now {
		if !seen[f] {
			n += int64(len(f.data))
			seen[f] = true
		}
	}
	return n
}

func (m *memFS) lock() (func() error, error) { return func() error { return nil }, nil }

type memHandle struct {
	m    *memFS
	name string
	f    *memFile
}

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.failing != nil {
		if err := h.m.failing("read", h.name); err != nil {
			return 0, fmt.Errorf("read %s: %w", h.name, err)
		}
	}
	if off >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	err := h.m.change("write", h.name, func() error {
		for at := 0; at < len(p); {
			end := min(len(p), at+sector-int((off+int64(at))%sector))
			c := dataChange{off + int64(at), slices.Clone(p[at:end])}
			h.f.pending = append(h.f.pending, c)
			h.f.data = c.apply(h.f.data)
			at = end
		}
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

func (h *memHandle) Truncate(size int64) error {
	return h.m.change("truncate", h.name, func() error {
		c := dataChange{size, nil}
		h.f.pending = append(h.f.pending, c)
		h.f.data = c.apply(h.f.data)
		return nil
	})
}

func (h *memHandle) allocate(size int64) error {
	if h.m.noAllocate {
		return errors.ErrUnsupported
	}
	return h.Truncate(size)
}

func (h *memHandle) sync() error {
	h.m.mu.Lock()
	if h.m.failing != nil {
		if err := h.m.failing("sync", h.name); err != nil {
			// What Linux does: the pages count as clean now, written or not, and the
			// next sync reports success.
			for i, c := range h.f.pending {
				if i%2 == 0 {
					h.f.synced = c.apply(h.f.synced)
				}
			}
			h.f.pending = nil
			h.m.mu.Unlock()
			return fmt.Errorf("sync %s: %w", h.name, err)
		}
	}
	h.m.mu.Unlock()
	return h.m.changed("sync", func() {
		for _, c := range h.f.pending {
			h.f.synced = c.apply(h.f.synced)
		}
		h.f.pending = nil
	})
}

func (h *memHandle) Close() error { return nil }

func (h *memHandle) size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.f.data)), nil
}

// crash returns what a power cut now may leave: one image of many.
func (m *memFS) crash(r *rand.Rand) *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := maps.Clone(m.durable)
	style := r.IntN(4) // 0: nothing arrived, 1: everything, else a mixture
	for _, c := range m.changes {
		if style == 1 || style > 1 && r.IntN(2) == 0 {
			c.apply(names)
		}
	}
	image := newMemFS()
	copies := map[*memFile]*memFile{}
	for name, f := range names {
		if copies[f] == nil {
			copies[f] = f.crash(r, style)
		}
		image.now[name], image.durable[name] = copies[f], copies[f]
	}
	return image
}

// crash applies a legal part of the pending changes. The versions of a sector
// keep their order, so that one is the last; different sectors do not.
func (f *memFile) crash(r *rand.Rand, style int) *memFile {
	b := slices.Clone(f.synced)
	upTo := map[int64]int{} // by sector: how many of its changes arrived
	seen := map[int64]int{}
	total := map[int64]int{}
	for _, c := range f.pending {
		total[c.offset/sector]++
	}
	for s, n := range total {
		if upTo[s] = r.IntN(n + 1); style == 1 {
			upTo[s] = n
		} else if style == 0 {
			upTo[s] = 0
		}
	}
	for _, c := range f.pending {
		s := c.offset / sector
		if seen[s]++; seen[s] <= upTo[s] {
			b = c.apply(b)
		}
	}
	return &memFile{data: b, synced: slices.Clone(b)}
}

// damaged returns the files with one of them changed; the others are shared, for
// opening without Run writes into no file.
func (m *memFS) damaged(name string, change func(b []byte) []byte) *memFS {
	c := newMemFS()
	c.now = maps.Clone(m.now)
	c.now[name] = &memFile{data: change(slices.Clone(m.now[name].data))}
	return c
}
