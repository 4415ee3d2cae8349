package simdisk

import (
	"fmt"
	"syscall"

	"airbridged/internal/outbox/files"
)

// away is where the path of a directory leads that was taken away.
type away struct {
	next      *Disk // nil: nowhere yet
	elsewhere bool  // to another file system
	removed   bool  // nothing has a name in the directory any more; what is open stays so
}

// FailReads has decide say which reads fail, by what they read; nil: none.
func (d *Disk) FailReads(decide func(name string, off, n int64) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failRead = decide
}

// Garble has change what is read, not what is on the disk; nil: nothing does.
func (d *Disk) Garble(change func(name string, b []byte)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.garble = change
}

// ReadOnly makes every change fail with EROFS, as after an error of ext4, or ends
// that.
func (d *Disk) ReadOnly(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readOnly = on
}

// Descriptors bounds how many may be open, those now open included; 0: no bound.
func (d *Disk) Descriptors(most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.most = most
}

// Opened returns how many descriptors are open.
func (d *Disk) Opened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// descriptor takes one; under the lock.
func (d *Disk) descriptor() error {
	if d.most > 0 && d.open >= d.most {
		return syscall.EMFILE
	}
	d.open++
	return nil
}

// Reserve takes a descriptor.
func (d *Disk) Reserve() (release func(), err error) {
	err = d.locked("reserve", ".", d.descriptor)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.open--
	}, err
}

// Odd puts something that is no file under a name.
func (d *Disk) Odd(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &content{odd: true}
	d.now[name], d.durable[name] = f, f
}

// MoveAway renames the directory: its path leads nowhere, until the program makes
// another one there. What is in it stays in it.
func (d *Disk) MoveAway() { d.takeAway(&away{}) }

// RemoveAll removes the directory: only what is open can be read any more.
func (d *Disk) RemoveAll() {
	d.takeAway(&away{removed: true})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now, d.durable, d.changes = map[string]*content{}, map[string]*content{}, nil
}

// MountOver has the path lead to another file system.
func (d *Disk) MountOver(other *Disk) { d.takeAway(&away{next: other, elsewhere: true}) }

// Return has the path lead to this directory again.
func (d *Disk) Return() { d.takeAway(nil) }

func (d *Disk) takeAway(to *away) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = to
}

// Revive has calls answered again, of a disk of which nothing is left, after
// Survivor: as a file system does that was unplugged.
func (d *Disk) Revive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead, d.now, d.durable = false, map[string]*content{}, map[string]*content{}
	d.fail = func(string, string) error { return syscall.EIO }
}

// AtPath returns the directory that the path leads to, which is what the next
// process finds.
func (d *Disk) AtPath() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.away == nil:
		return d
	case d.away.next == nil:
		d.away.next = d.another()
	}
	return d.away.next
}

// another is an empty directory with this one's troubles; under the lock.
func (d *Disk) another() *Disk {
	n := New()
	n.Latency, n.Capacity, n.NoAllocate, n.Lying = d.Latency, d.Capacity, d.NoAllocate, d.Lying
	n.fail, n.notify, n.readOnly, n.most = d.fail, d.notify, d.readOnly, d.most
	return n
}

// Check says whether the path leads to an open file.
func (d *Disk) Check(name string, f files.File) error {
	return d.locked("stat", name, func() error {
		if h := f.(*handle); d.away != nil || d.now[name] != h.f {
			return fmt.Errorf("%w: %s", files.ErrGone, name)
		}
		return nil
	})
}

// Again opens what the path leads to.
func (d *Disk) Again() (files.FileSystem, error) {
	if d.elsewhere() { // the path is not of this disk
		return d.AtPath(), fmt.Errorf("%w: %s", files.ErrElsewhere, "the disk")
	}
	err := d.locked("stat", ".", func() error {
		if d.away != nil && d.away.removed && d.away.next == nil && d.readOnly {
			return fmt.Errorf("mkdir: %w", syscall.EROFS)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return d.AtPath(), nil
}

func (d *Disk) elsewhere() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.away != nil && d.away.elsewhere
}

// Same says whether other is this disk.
func (d *Disk) Same(other files.FileSystem) bool { return other == files.FileSystem(d) }

// Writable says whether the disk is read-only.
func (d *Disk) Writable() error {
	return d.locked("stat", ".", func() error {
		if d.readOnly {
			return syscall.EROFS
		}
		return nil
	})
}
