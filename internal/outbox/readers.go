package outbox

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"airbridged/internal/outbox/files"
)

// opened is a descriptor of a segment, shared by whoever reads or writes it, and
// closed by the last one.
type opened struct {
	files.File
	writable bool
	refs     int // guarded by Queue.mu
}

// acquire returns a descriptor of a segment, to be given back with letGo.
func (q *Queue) acquire(seg *segment) (*opened, error) {
	q.mu.Lock()
	if fd := seg.fd; fd != nil {
		fd.refs++
		q.mu.Unlock()
		return fd, nil
	}
	q.mu.Unlock()
	return q.open(seg)
}

// letGo gives a descriptor back.
func (q *Queue) letGo(fd *opened) {
	q.mu.Lock()
	fd.refs--
	last := fd.refs == 0
	q.mu.Unlock()
	if last {
		_ = fd.Close()
		q.restock()
	}
}

// open opens a segment, to write where that is possible. It needs no descriptor
// that others may have taken: there is one in reserve.
func (q *Queue) open(seg *segment) (*opened, error) {
	fd := &opened{refs: 1, writable: true}
	q.mu.Lock()
	dir := seg.home.files
	q.mu.Unlock()
	var err error
	for range 3 {
		if fd.File, err = dir.Open(seg.name); err != nil && !starved(err) {
			fd.writable = false
			fd.File, err = dir.OpenRead(seg.name)
		}
		if !starved(err) || !q.giveReserve() && !q.evict(seg) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if h, _, ok := readHeader(fd); ok && h.nonce != seg.nonce {
		q.letGo(fd)
		return nil, fmt.Errorf("%w: another file has the name of segment %s", files.ErrGone, seg.name)
	}
	return fd, nil
}

// starved says whether there was no descriptor.
func starved(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }

// giveReserve gives up a descriptor that is not needed just now, and says whether
// there was one.
func (q *Queue) giveReserve() bool {
	q.mu.Lock()
	give := q.log.reserve
	q.log.reserve = nil
	q.mu.Unlock()
	if give == nil {
		return false
	}
	give()
	return true
}

// evict closes the descriptor of another segment that nobody uses just now, rather
// of one of which nothing is left, else of the one that is sent last. It says whether
// there was one.
func (q *Queue) evict(but *segment) bool {
	q.mu.Lock()
	var last *segment
	for _, seg := range q.log.order {
		if seg == but || seg == q.log.active || seg.fd == nil || seg.fd.refs > 1 || seg.strayed(q.log.home) {
			continue
		}
		if last = seg; seg.live == 0 {
			break
		}
	}
	if last == nil {
		q.mu.Unlock()
		return false
	}
	fd := last.fd
	last.fd = nil
	q.mu.Unlock()
	_ = fd.Close()
	return true
}

// restock takes a descriptor into reserve, if there is none and one to be had.
func (q *Queue) restock() {
	q.mu.Lock()
	missing, h := q.log.reserve == nil, q.log.home
	q.mu.Unlock()
	if !missing || h == nil {
		return
	}
	give, err := h.files.Reserve()
	if err != nil {
		return
	}
	q.mu.Lock()
	if q.log.reserve == nil {
		q.log.reserve, give = give, nil
	}
	q.mu.Unlock()
	if give != nil {
		give()
	}
}

// shut gives up the descriptor that is kept of a segment. What is in use of it is
// closed by whoever uses it. Under Queue.mu; closing a descriptor waits for nothing
// that the segment's own flush did not wait for.
func (q *Queue) shut(seg *segment) {
	fd := seg.fd
	if fd == nil {
		return
	}
	seg.fd = nil
	if fd.refs--; fd.refs > 0 {
		return
	}
	if q.log.reserve == nil { // it may be the last to be had
		q.log.reserve = func() { _ = fd.Close() }
		return
	}
	_ = fd.Close()
}

// readAhead opens the segments that are sent next, and closes those that are not.
func (q *Queue) readAhead() {
	if q.log.home == nil {
		return
	}
	for _, seg := range q.toOpen() {
		fd, err := q.open(seg)
		if err != nil {
			continue // it is tried again with the next commit, and when it is its turn
		}
		q.mu.Lock()
		known := q.log.segments[seg.key] == seg && seg.fd == nil
		if known {
			seg.fd = fd // the reference is its
		}
		q.mu.Unlock()
		if !known {
			q.letGo(fd)
		}
	}
	q.restock()
}

// toOpen returns the segments with the next message of each level, and the one
// after the first of them, as far as they are not open.
func (q *Queue) toOpen() (list []*segment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	var next []*segment
	for p := range levels {
		if s := q.kept.head(p); s != nil {
			next = append(next, l.segments[s.segment])
		}
	}
	if len(next) > 0 {
		i := slices.Index(l.order, next[0])
		for _, seg := range l.order[i+1:] {
			if seg.live > 0 {
				next = append(next, seg)
				break
			}
		}
	}
	for _, seg := range l.order {
		switch wanted := slices.Contains(next, seg); {
		case wanted && seg.fd == nil && seg.home.loaded:
			list = append(list, seg)
		case !wanted && seg != l.active && !seg.strayed(l.home):
			q.shut(seg)
		}
	}
	return list
}
