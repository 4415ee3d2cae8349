package outbox

import (
	"errors"
	"fmt"
	"time"

	"airbridged/internal/outbox/files"
)

// Open returns the queue that a directory holds; it makes the directory, mode
// 0700. What is damaged is set aside, counted and noted, and never a reason to
// fail. Nor is a disk that fails, is full or read-only at the moment: then the
// queue keeps nothing more, says so in [Queue.Warnings], and tries again by itself.
// Append works once [Queue.Run] runs. Close it after Run has returned.
//
// Errors: ErrBusy, ErrVersion, or what the file system says of a path that cannot
// be right.
func Open(dir string, l Limits, o Options) (*Queue, error) {
	open := func() (files.FileSystem, error) { return openDir(dir) }
	if o.Files != nil {
		open = func() (files.FileSystem, error) { return o.Files, o.Files.Lock() }
	}
	q := New(l)
	q.history.none = o.Forgetful
	q.log = &segmentLog{
		waitingOf: map[string]owned{},
		dir:       dir, open: open, segmentSize: orDefault(o.SegmentSize, segmentSize), window: o.CommitWindow, flushed: o.Flushed, version: plainVersion, before: o.Device,
		work: make(chan struct{}, 1), hurry: make(chan struct{}, 1), segments: map[uint32]*segment{}, flushDone: make(chan struct{}),
		reading: newReading(), notes: notes{drops: map[string]int{}, more: make(chan struct{}, 1)},
	}
	if err := q.moveIn(); hopeless(err) {
		e := &Error{Op: "open", Err: err, Hint: "outbox.dir must be a directory that the daemon may write to"}
		switch {
		case errors.Is(err, files.ErrLocked):
			e.Err, e.Hint = fmt.Errorf("%w: %w", ErrBusy, err), hintBusy
		case errors.Is(err, ErrVersion):
			e.Hint = hintVersion
		}
		_ = q.closeHomes()
		return nil, e
	}
	q.readAhead()
	q.log.signal()
	q.wake()
	return q, nil
}

// read takes in what a directory holds. Error: what it holds cannot be said yet.
func (q *Queue) read(h *home) error {
	ld := q.newLoader(h)
	names, err := h.files.List(".")
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if ld.steps, err = readSteps(h.files); err == nil || q.outOfPatience(h) {
		ld.devices, err = readDevices(h.files)
	}
	if err == nil || q.outOfPatience(h) {
		err = ld.readKeys()
	}
	if err != nil && !q.outOfPatience(h) {
		return err
	}
	if err := ld.look(names); err != nil {
		return err
	}
	ld.readAll()
	if n := len(ld.found); n > 0 {
		if last := ld.found[n-1]; last.size > last.tail {
			last.cut = true // the committer gives back what was preallocated
		}
	}
	q.adopt(ld)
	return nil
}

// outOfPatience says whether a directory could not be read for so long that what
// is not needed is done without.
func (q *Queue) outOfPatience(h *home) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if h.since.IsZero() {
		h.since = time.Now()
	}
	return time.Since(h.since) >= patience
}

// readMore tries again to read the segments that could not be read.
func (q *Queue) readMore(h *home) {
	patient := !q.outOfPatience(h)
	ld := q.newLoader(h)
	ld.steps, ld.salvage, ld.more, ld.first = q.log.steps.list, !patient, true, false
	ld.devices = q.devicesKnown()
	if err := ld.look(h.unread); err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.log.note(NoteDamage, fmt.Sprintf("a segment that could be read at last is none of ours: %v", err))
		return
	}
	ld.readAll()
	q.adopt(ld)
	if h.retryAt = time.Now().Add(retryEvery); !patient {
		h.retryAt = time.Now().Add(retryLater)
	}
}

// adopt takes in what a loader has read.
func (q *Queue) adopt(ld *loader) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, h := q.log, ld.home
	for _, n := range ld.notes {
		l.note(n.Kind, n.Text)
	}
	l.disk.Damaged += ld.damagedRecords
	l.disk.Quarantined += ld.quarantined
	if !h.loaded {
		l.steps.list = append(l.steps.list, ld.steps...)
		q.adoptDevices(ld.devices, l.before)
		h.next = max(h.next, ld.highest+1)
	}
	h.loaded = true
	for _, seg := range ld.found {
		if l.segments[seg.key] == nil {
			l.take(seg)
		}
	}
	q.ids.last = max(q.ids.last, ld.last)
	if !l.running && len(l.homes) == 1 {
		l.steps.first = q.ids.last
	}
	q.adoptRecords(ld)
	h.unread = ld.unread
	if len(h.unread) == 0 {
		h.since = time.Time{}
	} else if h.since.IsZero() {
		h.since = time.Now()
	}
	for _, seg := range ld.found {
		if seg.live == 0 && seg != l.newest || seg.cut {
			l.touch(seg)
		}
	}
	l.signal()
	q.wake()
}
