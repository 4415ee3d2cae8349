// Package files is the directory that the outbox keeps its segments in: the few
// calls that it makes, and the real file system behind them.
//
// It promises that what a call says is true is true of the disk: Sync and SyncDir
// return after the data is there, and Lock keeps every other process out. It
// knows nothing of segments or messages.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// FileSystem is what the outbox needs of its directory. Names are relative to it.
type FileSystem interface {
	Create(name string) (File, error) // new and empty, or made empty
	Open(name string) (File, error)   // to read and write
	Rename(from, to string) error     // replaces to
	Link(from, to string) error       // fails with fs.ErrExist if to exists
	Remove(name string) error
	List(dir string) ([]string, error) // names of files in "." or a subdirectory; none if it does not exist
	Mkdir(dir string) error            // fine if it exists
	SyncDir(dir string) error
	Space() (free, total int64, err error) // of the file system, for this user
	Lock() (release func() error, err error)
}

// File is an open file. Sync makes data, and what is needed to read it back,
// durable.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Allocate(size int64) error // makes it that long, of zeros, with the space reserved; or errors.ErrUnsupported
	Close() error
	Sync() error
	Size() (int64, error)
}

// Dir is a directory of a real file system, by its path. Its methods are those of
// [FileSystem].
type Dir string

// diskFile is a file of a Dir.
type diskFile struct{ *os.File }

// ErrLocked: another process has the directory.
var ErrLocked = errors.New("locked")

// DirMode is the mode of the directory, as fileMode is that of the files: the
// outbox holds other programs' data, so nobody else may read it.
const (
	DirMode  = 0o700
	fileMode = 0o600
)

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

func (d Dir) Create(name string) (File, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	return diskFile{f}, err
}

func (d Dir) Open(name string) (File, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR, 0)
	return diskFile{f}, err
}

func (d Dir) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }
func (d Dir) Link(from, to string) error   { return os.Link(d.path(from), d.path(to)) }
func (d Dir) Remove(name string) error     { return os.Remove(d.path(name)) }
func (d Dir) Mkdir(dir string) error       { return os.MkdirAll(d.path(dir), DirMode) }

func (d Dir) List(dir string) ([]string, error) {
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

func (d Dir) SyncDir(dir string) error {
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

func (d Dir) Space() (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(string(d), &st); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", string(d), err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

func (d Dir) Lock() (release func() error, err error) {
	f, err := os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is %w", d.path("lock"), ErrLocked)
		}
		return nil, fmt.Errorf("flock %s: %w", d.path("lock"), err)
	}
	return f.Close, nil
}

func (f diskFile) Sync() error { return unix.Fdatasync(int(f.Fd())) }

func (f diskFile) Allocate(size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}

func (f diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
