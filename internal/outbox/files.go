package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// fileSystem is what the log needs of its directory. Names are relative to it.
type fileSystem interface {
	create(name string) (file, error) // new and empty, or made empty
	open(name string) (file, error)   // to read and write
	rename(from, to string) error     // replaces to
	link(from, to string) error       // fails with fs.ErrExist if to exists
	remove(name string) error
	list(dir string) ([]string, error) // names of files in "." or a subdirectory; none if it does not exist
	mkdir(dir string) error            // fine if it exists
	syncDir(dir string) error
	space() (free, total int64, err error) // of the file system, for this user
	lock() (release func() error, err error)
}

// file is an open file. sync makes data, and what is needed to read it back,
// durable.
type file interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	allocate(size int64) error // makes it that long, of zeros, with the space reserved; or errors.ErrUnsupported
	Close() error
	sync() error
	size() (int64, error)
}

// disk is the real thing.
type disk struct{ dir string }

type diskFile struct{ *os.File }

// The outbox holds other programs' data: nobody else may read it.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

func (d disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d disk) create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	return diskFile{f}, err
}

func (d disk) open(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR, 0)
	return diskFile{f}, err
}

func (d disk) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d disk) link(from, to string) error   { return os.Link(d.path(from), d.path(to)) }
func (d disk) remove(name string) error     { return os.Remove(d.path(name)) }
func (d disk) mkdir(dir string) error       { return os.MkdirAll(d.path(dir), dirMode) }

func (d disk) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(d.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (d disk) syncDir(dir string) error {
	f, err := os.Open(d.path(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) {
		return nil // a file system that cannot sync directories, and says so
	}
	return err
}

func (d disk) space() (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.dir, &st); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", d.dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

func (d disk) lock() (release func() error, err error) {
	f, err := os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is locked", ErrBusy, d.path("lock"))
		}
		return nil, fmt.Errorf("flock %s: %w", d.path("lock"), err)
	}
	return f.Close, nil
}

func (f diskFile) sync() error { return unix.Fdatasync(int(f.Fd())) }

func (f diskFile) allocate(size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}

func (f diskFile) size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
