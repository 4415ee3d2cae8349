package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"airbridged/internal/durable"
)

// DirMode is the mode of the directory, as fileMode is that of the files: the
// outbox holds other programs' data, so nobody else may read it.
const (
	DirMode  = 0o700
	fileMode = 0o600
)

// Dir is a directory of a real file system. Its methods are those of
// [FileSystem].
type Dir struct {
	path string
	root *os.Root
	self *os.File // the directory, to sync and to lock
	id   fileID

	// What Check was asked last; one goroutine asks at a time.
	checked, checkedPath string
	held                 *durable.Lock // nil: it is not locked
	beside               *os.File      // the file lock; nil: there is none
}

// fileID is what a file is known by in the whole system.
type fileID struct{ dev, ino uint64 }

func idOf(st *unix.Stat_t) fileID { return fileID{uint64(st.Dev), st.Ino} }

// OpenDir opens a directory that is there.
func OpenDir(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, root: root}
	if d.self, err = root.Open("."); err == nil {
		var st unix.Stat_t
		if err = unix.Fstat(int(d.self.Fd()), &st); err == nil {
			d.id = idOf(&st)
			return d, nil
		}
	}
	_ = d.Close()
	return nil, err
}

// MakeDir opens a directory and makes it if need be.
func MakeDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, DirMode); err != nil {
		return nil, err
	}
	return OpenDir(path)
}

// Close gives the directory up, and its locks.
func (d *Dir) Close() error {
	err := d.root.Close()
	for _, f := range []*os.File{d.self, d.beside} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if d.held != nil {
		err = errors.Join(err, d.held.Release())
	}
	return err
}

// open opens a regular file and nothing else: it waits for no FIFO's writer, and
// wakes no device.
func (d *Dir) open(name string, flags int) (File, error) {
	if err := d.Stat(name); err != nil && (flags&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	f, err := d.root.OpenFile(name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, fileMode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = durable.Regular(name, info) // it may have come in between
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return diskFile{f}, nil
}

func (d *Dir) Create(name string) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}
func (d *Dir) Open(name string) (File, error)     { return d.open(name, os.O_RDWR) }
func (d *Dir) OpenRead(name string) (File, error) { return d.open(name, os.O_RDONLY) }
func (d *Dir) Rename(from, to string) error       { return d.root.Rename(from, to) }
func (d *Dir) Link(from, to string) error         { return d.root.Link(from, to) }
func (d *Dir) Remove(name string) error           { return d.root.Remove(name) }

func (d *Dir) Stat(name string) error {
	info, err := d.root.Lstat(name)
	if err != nil {
		return err
	}
	return durable.Regular(name, info)
}

func (d *Dir) Mkdir(dir string) error {
	err := d.root.Mkdir(dir, DirMode)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := d.root.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	return err
}

func (d *Dir) List(dir string) ([]string, error) {
	f, err := d.root.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (d *Dir) SyncDir(dir string) error {
	f := d.self
	if dir != "." {
		var err error
		if f, err = d.root.Open(dir); err != nil {
			return err
		}
		defer f.Close()
	}
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) {
		return nil // a file system that cannot sync directories, and says so
	}
	return err
}

func (d *Dir) Space() (free, total int64, err error) {
	var st unix.Statfs_t
	if err := again(func() error { return unix.Fstatfs(int(d.self.Fd()), &st) }); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", d.path, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

// Lock locks the directory, and the file beside it that earlier versions of the
// program respect.
func (d *Dir) Lock() (err error) {
	if d.held, err = durable.TakeLock(d.path); err != nil {
		return err
	}
	f, err := d.root.OpenFile("lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, fileMode)
	if err != nil {
		f, err = d.root.OpenFile("lock", os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	}
	if err != nil { // a full, failing or read-only disk: the directory's own will do
		return nil
	}
	err = again(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if !errors.Is(err, unix.EWOULDBLOCK) {
		d.beside = f
		return nil
	}
	return errors.Join(fmt.Errorf("%s is %w", filepath.Join(d.path, "lock"), ErrLocked), f.Close(), d.held.Release())
}

// again repeats a call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (d *Dir) Check(name string, f File) error {
	var have, there unix.Stat_t
	if err := again(func() error { return unix.Fstat(int(f.(diskFile).Fd()), &have) }); err != nil {
		return fmt.Errorf("fstat %s: %w", name, err)
	}
	if d.checked != name {
		d.checked, d.checkedPath = name, filepath.Join(d.path, name)
	}
	path := d.checkedPath
	err := again(func() error { return unix.Lstat(path, &there) })
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: there is no %s any more", ErrGone, path)
	case err != nil:
		return fmt.Errorf("stat %s: %w", path, err)
	case have.Nlink == 0 || idOf(&have) != idOf(&there):
		return fmt.Errorf("%w: %s is another file than the one that is written", ErrGone, path)
	}
	return nil
}

func (d *Dir) Again() (FileSystem, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Stat(d.path, &st) })
	switch {
	case err == nil && idOf(&st) == d.id:
		return d, nil
	case err == nil:
		other, err := OpenDir(d.path)
		if err != nil {
			return nil, err
		}
		if other.id.dev != d.id.dev {
			return other, fmt.Errorf("%w: %s", ErrElsewhere, d.path)
		}
		return other, nil
	case !errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("stat %s: %w", d.path, err)
	}
	above := filepath.Dir(filepath.Clean(d.path))
	for ; ; above = filepath.Dir(above) {
		if err = again(func() error { return unix.Stat(above, &st) }); !errors.Is(err, unix.ENOENT) || above == "/" || above == "." {
			break
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("stat %s: %w", above, err)
	case uint64(st.Dev) != d.id.dev:
		return nil, fmt.Errorf("%w: %s", ErrElsewhere, above)
	}
	other, err := MakeDir(d.path)
	if err != nil {
		return nil, err
	}
	return other, nil
}

func (d *Dir) Same(other FileSystem) bool {
	o, ok := other.(*Dir)
	return ok && o.id == d.id
}

func (d *Dir) Writable() error {
	var st unix.Statfs_t
	err := again(func() error { return unix.Fstatfs(int(d.self.Fd()), &st) })
	if err == nil && st.Flags&unix.ST_RDONLY != 0 {
		err = &fs.PathError{Op: "write", Path: d.path, Err: unix.EROFS}
	}
	return err
}

func (d *Dir) Reserve() (release func(), err error) {
	fd, err := unix.FcntlInt(d.self.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("dup: %w", err)
	}
	return func() { _ = unix.Close(fd) }, nil
}

// diskFile is a file of a Dir.
type diskFile struct{ *os.File }

func (f diskFile) Sync() error {
	return again(func() error { return unix.Fdatasync(int(f.Fd())) })
}

func (f diskFile) Allocate(size int64) error {
	err := again(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}

func (f diskFile) Forget(off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED)
}

func (f diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
