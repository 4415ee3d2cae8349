package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Directory is what the users of small files need of the directory that holds
// them. Names are relative to it; those of files in a subdirectory have one slash.
// Tests put one in the place of the real one that fails and loses power on
// demand.
type Directory interface {
	Path(name string) string // what a file is called in messages
	// Read returns a regular file's content. fs.ErrNotExist means that there is
	// none, errors of which [Verdict] says so that it is not what was written, and
	// all others that it could not be read now.
	Read(name string) ([]byte, error)
	Create(name string) (File, error) // a new file of mode 0600; one of that name goes first
	Flush(name string) error          // the content of a file that is there already survives a power cut
	Rename(from, to string) error
	Remove(name string) error
	List(dir string) ([]string, error) // the regular files in "." or a subdirectory, by name; none if it does not exist
	Mkdir(dir string) error            // of mode 0700; fine if it exists
	ModTime(name string) (time.Time, error)
	SyncDir(dir string) error // what was created, renamed and removed in it before survives a power cut
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// MaxFile bounds what is read of a small file, in bytes. The largest that is
// written is the month's account of the data used, of less than 32 KiB.
const MaxFile = 256 << 10

// OnDisk is a directory of a real file system, by its path.
type OnDisk string

// Path is the path of a file.
func (d OnDisk) Path(name string) string { return filepath.Join(string(d), name) }

// Read reads a small file.
func (d OnDisk) Read(name string) ([]byte, error) { return Read(d.Path(name), MaxFile) }

// Create makes a file, in the place of whatever has its name.
func (d OnDisk) Create(name string) (File, error) {
	if err := os.Remove(d.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(d.Path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Flush syncs a file. Linux flushes it whoever wrote it.
func (d OnDisk) Flush(name string) error {
	f, _, err := Open(d.Path(name))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Rename gives a file another name, and replaces what has it.
func (d OnDisk) Rename(from, to string) error { return os.Rename(d.Path(from), d.Path(to)) }

// Remove removes a file.
func (d OnDisk) Remove(name string) error { return os.Remove(d.Path(name)) }

// List names the regular files of a directory.
func (d OnDisk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(d.Path(dir))
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
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

// Mkdir makes a subdirectory.
func (d OnDisk) Mkdir(dir string) error {
	err := os.Mkdir(d.Path(dir), 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(d.Path(dir))
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "mkdir", Path: d.Path(dir), Err: syscall.ENOTDIR}
	}
	return err
}

// ModTime tells when a file was last written, by the wall clock of then.
func (d OnDisk) ModTime(name string) (time.Time, error) {
	info, err := os.Lstat(d.Path(name))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// SyncDir syncs a directory.
func (d OnDisk) SyncDir(dir string) error { return SyncDir(d.Path(dir)) }

// SyncDir makes durable what was created, renamed and removed in a directory. One
// of a file system that cannot sync directories, and says so, is fine.
func SyncDir(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// Unfinished marks the name of a file that is being written.
const Unfinished = ".tmp"

// Replace writes a file beside the one of that name, syncs it, puts it into its
// place and syncs the directory. When it returns nil the new content survives a
// power cut; after an error either content may be there, whole. Two calls for one
// name must not run at once.
func Replace(d Directory, name string, data []byte) error {
	if err := write(d, name+Unfinished, data); err != nil {
		_ = d.Remove(name + Unfinished)
		return err
	}
	if err := d.Rename(name+Unfinished, name); err != nil {
		return err
	}
	return d.SyncDir(parent(name))
}

// write writes a new file. After a failed sync the kernel may forget what was not
// written: such a file is given up, never synced a second time.
func write(d Directory, name string, data []byte) error {
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// parent is the directory that a file is in.
func parent(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}
