// Package files is the directory that the outbox keeps its segments in: the few
// calls that it makes, and the real file system behind them.
//
// It promises that what a call says is true is true of the disk: Sync and SyncDir
// return after the data is there, Lock keeps every other process out, and Check
// tells whether what is written can be found again by the directory's path. What
// is no regular file is never opened. It knows nothing of segments or messages.
package files

import (
	"errors"

	"airbridged/internal/durable"
)

// FileSystem is what the outbox needs of its directory. Names are relative to it.
// The directory itself is meant, wherever it was moved meanwhile; only Check and
// Again go by the path.
type FileSystem interface {
	Create(name string) (File, error)   // new and empty, or made empty
	Open(name string) (File, error)     // to read and write
	OpenRead(name string) (File, error) // to read; works where nothing can be written, too
	Rename(from, to string) error       // replaces to
	Link(from, to string) error         // fails with fs.ErrExist if to exists
	Remove(name string) error
	List(dir string) ([]string, error) // names of regular files in "." or a subdirectory; none if it does not exist
	Stat(name string) error            // fs.ErrNotExist if there is nothing, ErrNotRegular if it is no regular file
	Mkdir(dir string) error            // fine if it exists
	SyncDir(dir string) error
	Space() (free, total int64, err error) // of the file system, for this user
	Lock() error                           // until Close
	Close() error                          // opens nothing any more; what is open stays so

	// Check says whether an open file is what the directory's path and the name
	// lead to. ErrGone: it is not, so what is written to it is lost to the next
	// process. Any other error: nobody knows at present.
	Check(name string, f File) error
	// Again returns what the directory's path leads to now: this directory, if it
	// is still there; another one, if this one was taken away; it makes one if there
	// is none. One of another file system comes with ErrElsewhere: that is something
	// mounted over it, or the bare mount point, unless it proves to be this very
	// store, mounted anew.
	Again() (FileSystem, error)
	// Same says whether other is this very directory.
	Same(other FileSystem) bool
	// Writable says whether anything can be written: syscall.EROFS where the file
	// system is mounted read-only, or has become so.
	Writable() error
	// Reserve takes a descriptor that nothing needs, to be given up by release when
	// there is no other.
	Reserve() (release func(), err error)
}

// File is an open file. Sync makes data, and what is needed to read it back,
// durable. Forget has the next read come from the disk, as far as the system lets
// it.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Allocate(size int64) error // makes it at least that long, of zeros, with the space reserved; or errors.ErrUnsupported
	Forget(off, n int64)
	Close() error
	Sync() error
	Size() (int64, error)
}

// Conditions for errors.Is.
var (
	// ErrLocked: another process has the directory.
	ErrLocked = durable.ErrLocked
	// ErrGone: a file or the directory was removed, moved, or mounted over.
	ErrGone = errors.New("taken away")
	// ErrElsewhere: the path leads to another file system.
	ErrElsewhere = errors.New("the path leads to another file system")
	// ErrNotRegular: a directory, a symbolic link, a FIFO, a socket or a device.
	ErrNotRegular = durable.ErrNotRegular
)
