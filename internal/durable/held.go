package durable

import (
	"errors"
	"io/fs"
	"sync"
	"syscall"
)

// Held is a directory of a real file system that this process has for itself. It
// knows how the directory is, so that somebody can be told.
type Held struct {
	*Counted
	lock *Lock

	mu     sync.Mutex
	moved  bool             // another directory took its place since the last Look
	change error            // why the last change could not be made; nil: it could
	unread map[string]error // files that could not be read at the last try, at most maxUnread
}

// maxUnread bounds the files that are remembered as unreadable.
const maxUnread = 16

// Hold locks a directory until Release or the end of the process. Errors:
// ErrLocked, with who has it where the kernel tells, or what the file system says.
func Hold(path string) (*Held, error) {
	lock, err := TakeLock(path)
	if err != nil {
		return nil, err
	}
	return &Held{Counted: Count(OnDisk(path)), lock: lock, unread: make(map[string]error)}, nil
}

// Release lets the next one in.
func (h *Held) Release() error { return h.lock.Release() }

// Condition is how a directory is.
type Condition int

// The conditions, the worst last.
const (
	Sound    Condition = iota
	Failing            // something could not be read or written at the last try
	ReadOnly           // its file system is mounted read-only
	Gone               // there is none, or it is another process's now
)

// Look says how the directory is, and with which error; and whether another one
// has taken its place since the last look, which is this process's then.
func (h *Held) Look() (c Condition, moved bool, err error) {
	err = h.keep()
	h.mu.Lock()
	moved, h.moved = h.moved, false
	h.mu.Unlock()
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, ErrLocked):
		return Gone, moved, err
	case err != nil:
		return Failing, moved, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var st syscall.Statfs_t
	const readOnly = 1 // ST_RDONLY, statfs(2)
	if syscall.Statfs(h.Path("."), &st) == nil && st.Flags&readOnly != 0 || errors.Is(h.change, syscall.EROFS) {
		return ReadOnly, moved, &fs.PathError{Op: "write", Path: h.Path("."), Err: syscall.EROFS}
	}
	if h.change != nil {
		return Failing, moved, h.change
	}
	for _, err := range h.unread {
		return Failing, moved, err
	}
	return Sound, moved, nil
}

// keep makes sure that the directory is this process's.
func (h *Held) keep() error {
	moved, err := h.lock.Keep()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moved = h.moved || moved
	return err
}

// changed notes what became of a change. One that is synced is one that was made.
func (h *Held) changed(err error, synced bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || synced {
		h.change = err
	}
	return err
}

// Read notes whether a file can be read.
func (h *Held) Read(name string) ([]byte, error) {
	data, err := h.Counted.Read(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), Verdict(err):
		delete(h.unread, name)
	case len(h.unread) < maxUnread:
		h.unread[name] = err
	}
	return data, err
}

// Create refuses to write into a directory that is not this process's any more.
func (h *Held) Create(name string) (File, error) {
	if err := h.keep(); err != nil {
		return nil, h.changed(err, false)
	}
	f, err := h.Counted.Create(name)
	if err != nil {
		return nil, h.changed(err, false)
	}
	return heldFile{f, h}, nil
}

type heldFile struct {
	File
	in *Held
}

func (f heldFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.in.changed(err, false)
}

func (f heldFile) Sync() error { return f.in.changed(f.File.Sync(), false) }

func (f heldFile) Close() error { return f.in.changed(f.File.Close(), false) }

// Flush syncs a file.
func (h *Held) Flush(name string) error { return h.changed(h.Counted.Flush(name), false) }

// Rename gives a file another name.
func (h *Held) Rename(from, to string) error { return h.changed(h.Counted.Rename(from, to), false) }

// Remove removes a file.
func (h *Held) Remove(name string) error {
	err := h.Counted.Remove(name)
	if !errors.Is(err, fs.ErrNotExist) {
		_ = h.changed(err, false)
	}
	return err
}

// Mkdir makes a subdirectory.
func (h *Held) Mkdir(dir string) error { return h.changed(h.Counted.Mkdir(dir), false) }

// SyncDir ends a change.
func (h *Held) SyncDir(dir string) error { return h.changed(h.Counted.SyncDir(dir), true) }

var _ Directory = (*Held)(nil)
