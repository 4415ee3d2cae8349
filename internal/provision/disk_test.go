package provision

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"airbridged/internal/durable"
)

// disk is a directory that loses power. It keeps apart what programs see and
// what would still be there after a power cut: the content of a file is safe
// only once it was synced, a name only once the directory was. Until then any
// part of it may or may not have reached the disk.
type disk struct {
	seen    map[string]*inode
	safe    map[string]*inode
	pending []nameChange // since their directory was synced
	calls   int
	cut     int         // lose power at this call; 0: never
	half    bool        // a write at the cut gets halfway
	fail    func() bool // fail this call
	failure error
}

type nameChange struct {
	dir string
	do  func(names map[string]*inode)
}

type inode struct {
	data   []byte
	synced []byte
	dirty  bool
}

// powerCut is what a call panics with when the power goes.
type powerCut struct{}

func newDisk(files map[string][]byte) *disk {
	d := &disk{seen: map[string]*inode{}, safe: map[string]*inode{}}
	for name, data := range files {
		n := &inode{data: data, synced: data}
		d.seen[name], d.safe[name] = n, n
	}
	return d
}

// call counts, and cuts or fails the call if it is its turn.
func (d *disk) call() error {
	d.calls++
	if d.calls == d.cut && !d.half {
		panic(powerCut{})
	}
	if d.fail != nil && d.fail() {
		return d.failure
	}
	return nil
}

func (d *disk) change(name string, f func(map[string]*inode)) {
	f(d.seen)
	dir, _ := split(name)
	d.pending = append(d.pending, nameChange{dir, f})
}

func (d *disk) Read(name string) ([]byte, error) {
	if err := d.call(); err != nil {
		return nil, err
	}
	n, ok := d.seen[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(n.data), nil
}

func (d *disk) Create(name string) (durable.File, error) {
	if err := d.call(); err != nil {
		return nil, err
	}
	n := &inode{}
	d.change(name, func(names map[string]*inode) { names[name] = n })
	return &openFile{d, n}, nil
}

func (d *disk) Flush(name string) error {
	if err := d.call(); err != nil {
		return err
	}
	n, ok := d.seen[name]
	if !ok {
		return fs.ErrNotExist
	}
	n.synced, n.dirty = slices.Clone(n.data), false
	return nil
}

func (d *disk) Rename(from, to string) error {
	if err := d.call(); err != nil {
		return err
	}
	n, ok := d.seen[from]
	if !ok {
		return fs.ErrNotExist
	}
	d.change(to, func(names map[string]*inode) {
		names[to] = n
		delete(names, from)
	})
	return nil
}

func (d *disk) Remove(name string) error {
	if err := d.call(); err != nil {
		return err
	}
	if _, ok := d.seen[name]; !ok {
		return fs.ErrNotExist
	}
	d.change(name, func(names map[string]*inode) { delete(names, name) })
	return nil
}

func (d *disk) SyncDir(dir string) error {
	if err := d.call(); err != nil {
		return err
	}
	var left []nameChange
	for _, c := range d.pending {
		if c.dir == dir {
			c.do(d.safe)
		} else {
			left = append(left, c)
		}
	}
	d.pending = left
	return nil
}

func (d *disk) Path(name string) string { return "/state/" + name }

func (d *disk) List(dir string) (names []string, err error) {
	if err := d.call(); err != nil {
		return nil, err
	}
	for name := range d.seen {
		if in, base := path.Split(name); path.Clean(in) == dir {
			names = append(names, base)
		}
	}
	return names, nil
}

func (d *disk) Mkdir(string) error { return d.call() }

func (d *disk) ModTime(string) (time.Time, error) { return time.Time{}, d.call() }

type openFile struct {
	d *disk
	n *inode
}

func (f *openFile) Write(data []byte) (int, error) {
	half := data[:len(data)/2]
	if err := f.d.call(); err != nil {
		f.n.data, f.n.dirty = append(f.n.data, half...), true
		return len(half), err
	}
	if f.d.calls == f.d.cut {
		f.n.data, f.n.dirty = append(f.n.data, half...), true
		panic(powerCut{})
	}
	f.n.data, f.n.dirty = append(f.n.data, data...), true
	return len(data), nil
}

// Sync that fails leaves the content dirty but, as on Linux, nobody will ever
// write it: a later one of the same file would claim success.
func (f *openFile) Sync() error {
	if err := f.d.call(); err != nil {
		return err
	}
	f.n.synced, f.n.dirty = slices.Clone(f.n.data), false
	return nil
}

func (f *openFile) Close() error { return f.d.call() }

// images returns every state in which the disk can come back after a power cut
// now: each pending change of a name done or not, each content that was not
// synced whole, halved, zeroed, empty or old.
func (d *disk) images() []map[string][]byte {
	var all []map[string][]byte
	for chosen := range 1 << len(d.pending) {
		names := maps.Clone(d.safe)
		for i, c := range d.pending {
			if chosen>>i&1 == 1 {
				c.do(names)
			}
		}
		images := []map[string][]byte{{}}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			var next []map[string][]byte
			for _, content := range names[name].contents() {
				for _, image := range images {
					image = maps.Clone(image)
					image[name] = content
					next = append(next, image)
				}
			}
			images = next
		}
		all = append(all, images...)
	}
	return all
}

func (n *inode) contents() [][]byte {
	if !n.dirty {
		return [][]byte{n.synced}
	}
	return [][]byte{n.synced, n.data, n.data[:len(n.data)/2], make([]byte, len(n.data)), {}}
}

// run calls f on the disk and says whether the power went.
func run(f func() error) (err error, cut bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != (powerCut{}) {
				panic(r)
			}
			cut = true
		}
	}()
	return f(), false
}
