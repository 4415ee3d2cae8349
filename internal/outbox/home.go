package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"airbridged/internal/outbox/files"
)

// home is a directory with segments. There is one, and another one for each time
// that it was taken away.
type home struct {
	files      files.FileSystem
	generation int

	// Guarded by Queue.mu.
	loaded bool      // what is in it is known, but for unread
	unread []string  // names of segments that could not be read yet
	since  time.Time // when that was tried first

	// The committer's own.
	next             uint64 // number of the next segment
	hasSpare         bool
	unsynced         bool // files were removed or renamed, and the directory not synced
	removedUnflushed int  // settlements that this makes durable
	retryAt          time.Time
}

// patience is how long what cannot be read is waited for, in order. Then others
// pass, and it is tried again now and then.
const (
	patience   = 10 * time.Minute
	retryLater = time.Hour
)

// hopeless says whether an error of opening the directory is one of the
// configuration: it does not go by waiting.
func hopeless(err error) bool {
	for _, e := range []error{
		files.ErrLocked, ErrVersion, fs.ErrPermission, fs.ErrInvalid, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// openDir makes the directory, mode 0700, and locks it.
func openDir(dir string) (files.FileSystem, error) {
	if st, err := os.Stat(dir); err == nil && !st.IsDir() {
		return nil, fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	}
	d, err := files.MakeDir(dir)
	if err != nil {
		return nil, err
	}
	if err := d.Lock(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// moveIn opens the directory for the first time, finds out where it is if it was
// taken away, and reads what is not read yet. Error: nothing can be kept, and why.
func (q *Queue) moveIn() error {
	l := q.log
	err := error(nil)
	switch {
	case l.home == nil:
		var d files.FileSystem
		if d, err = l.open(); err == nil {
			err = q.enter(&home{files: d})
		}
	case l.suspect:
		if err = q.moveOn(); err == nil {
			l.suspect = false
		}
	case !l.home.loaded:
		err = q.read(l.home)
	}
	if err == nil {
		if len(l.home.unread) > 0 && !time.Now().Before(l.home.retryAt) {
			q.readMore(l.home)
		}
		err = l.home.files.Writable()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.judge(&l.homeErr, err)
	return err
}

// enter makes a directory the one where new segments go.
func (q *Queue) enter(h *home) error {
	l := q.log
	q.mu.Lock()
	h.generation = len(l.homes)
	if l.home != nil {
		h.next = l.home.next // so that what is moved there keeps its number
	}
	l.homes = append(l.homes, h)
	l.home, l.newest, l.active = h, nil, nil
	q.mu.Unlock()
	if l.reserve == nil {
		q.restock()
	}
	if _, total, err := h.files.Space(); err == nil {
		q.mu.Lock()
		l.disk.Share = total / maxShare
		q.mu.Unlock()
	}
	return q.read(h)
}

// moveOn looks where the directory's path leads to, and goes there. What was
// accepted before is still sent, from what is open of it.
func (q *Queue) moveOn() error {
	l := q.log
	there, err := l.home.files.Again()
	switch {
	case errors.Is(err, files.ErrElsewhere) && there != nil && q.isOurs(there):
	case err != nil:
		if there != nil {
			_ = there.Close()
		}
		return err
	}
	if there == l.home.files {
		q.findAgain()
		return nil
	}
	for _, h := range l.homes {
		if h.files.Same(there) {
			_ = there.Close()
			return q.comeBack(h)
		}
	}
	if err := there.Lock(); err != nil {
		return errors.Join(err, there.Close())
	}
	q.leave()
	if err := q.enter(&home{files: there}); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l.steps.dirty = true
	q.devices.version++
	l.note(NoteMoved, "the outbox's directory was taken away; messages are kept in the one that is there now")
	return nil
}

// findAgain looks which segments are where they should be again.
func (q *Queue) findAgain() {
	q.mu.Lock()
	strays := slices.DeleteFunc(slices.Clone(q.log.order), func(seg *segment) bool { return !seg.stray || seg.fd == nil })
	q.mu.Unlock()
	for _, seg := range strays { // their descriptors stay
		if seg.home.files.Check(seg.name, seg.fd.File) == nil {
			q.mu.Lock()
			seg.stray = false
			q.mu.Unlock()
		}
	}
}

// comeBack makes a directory that was left the current one again.
func (q *Queue) comeBack(h *home) error {
	q.leave()
	q.findAgain()
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	l.home, l.newest = h, nil
	for _, seg := range l.order {
		if seg.home == h {
			l.newest = seg
		}
	}
	l.note(NoteMoved, "the outbox's directory is back")
	return nil
}

// leave ends appending in the current directory.
func (q *Queue) leave() {
	q.closeActive()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log.active = nil
}

// isOurs says whether a directory of another file system holds a segment of ours:
// then it is the store, mounted anew.
func (q *Queue) isOurs(there files.FileSystem) bool {
	q.mu.Lock()
	order := slices.Clone(q.log.order)
	q.mu.Unlock()
	for _, seg := range slices.Backward(order) {
		f, err := there.OpenRead(seg.name)
		if err != nil {
			continue
		}
		h, _, ok := readHeader(f)
		_ = f.Close()
		if ok && h.nonce == seg.nonce {
			return true
		}
	}
	return false
}

// rebind finds the segments that are known already in a directory that was mounted
// anew.
func (q *Queue) rebind(h *home, nonce uint64, name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	for _, seg := range l.order {
		if seg.nonce == nonce && seg.home != h {
			q.shut(seg)
			l.order = slices.DeleteFunc(l.order, func(other *segment) bool { return other == seg })
			seg.home, seg.name = h, name
			l.insert(seg)
			seg.dirtyAll()
			l.touch(seg)
			return true
		}
	}
	return false
}

// look asks a disk that is not used just now how it is.
func (q *Queue) look() {
	l := q.log
	err := error(nil)
	switch {
	case l.home == nil || q.unfinished():
		return // that is looked after every second
	case l.file != nil:
		q.mu.Lock()
		seg := l.active
		q.mu.Unlock()
		err = l.home.files.Check(seg.name, l.file.File)
		if errors.Is(err, files.ErrGone) {
			q.leave()
			seg.stray, l.suspect = true, true
		}
	}
	if err == nil {
		err = l.home.files.Writable()
	}
	if err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.judge(&l.homeErr, err)
	}
}

// create makes a file, and moves what else has its name out of the way.
func (h *home) create(name string) (files.File, error) {
	f, err := h.files.Create(name)
	if !errors.Is(err, files.ErrNotRegular) {
		return f, err
	}
	if err := h.setAside(name); err != nil {
		return nil, err
	}
	return h.files.Create(name)
}

// openOrCreate opens a file to write, and makes it if need be.
func (h *home) openOrCreate(name string) (files.File, error) {
	f, err := h.files.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, files.ErrNotRegular) {
		return h.create(name)
	}
	return f, err
}

var errNoHome = errors.New("the outbox's directory is not open yet")
