package provision

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Directory is what the store needs of its directory. Names have no slash. Tests
// put one in the place of the real one that fails and loses power on demand.
type Directory interface {
	Read(name string) ([]byte, error)
	Create(name string) (File, error) // a new file of mode 0600; one of that name goes first
	Flush(name string) error          // the content of a file that is there already survives a power cut
	Rename(from, to string) error
	Remove(name string) error
	Sync() error // what was created, renamed and removed before survives a power cut
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// onDisk is a directory on a real file system.
type onDisk string

// maxFile bounds what is read of a file. The store writes less than 2 KiB.
const maxFile = 64 << 10

func (d onDisk) path(name string) string { return filepath.Join(string(d), name) }

func (d onDisk) Read(name string) ([]byte, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

func (d onDisk) Create(name string) (File, error) {
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d onDisk) Flush(name string) error { return syncPath(d.path(name)) }

func (d onDisk) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d onDisk) Remove(name string) error { return os.Remove(d.path(name)) }

func (d onDisk) Sync() error { return syncPath(string(d)) }

// syncPath syncs a file or a directory. Linux flushes a file whoever wrote it.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
