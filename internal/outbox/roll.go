package outbox

import (
	"errors"
	"fmt"
	"syscall"

	"airbridged/internal/outbox/files"
)

const (
	// maxShare: all segments together take at most one part in this many of the
	// file system.
	maxShare = 2
	// reserveShare: one part in this many of the file system stays free, but no
	// more than maxReserve. A gateway whose disk is full to the last byte can
	// neither log nor be logged into.
	reserveShare = 20
	maxReserve   = 64 << 20

	// maxSlack is how much of a segment may stay unused behind its last record.
	maxSlack = 16 << 10

	// zeroAhead is how much is written with zeros beyond a small commit that
	// leaves what was written before, so that the next ones change no metadata. A
	// large commit does not: for it the journal costs less than writing twice.
	zeroAhead   = 64 << 10
	smallCommit = 8 << 10
)

// roll begins a new segment that has room for a record. The old one is not
// appended to again, whatever becomes of the new one, which says how many
// records the old one has.
func (q *Queue) roll(need int64) error {
	l := q.log
	q.closeActive() // all that counts was flushed before
	size := max(l.segmentSize, headSize+need)
	h, used := q.sealActive(need)
	l.home.skipTaken(&h)
	f, written, err := l.makeSegment(&h, size, used)
	if err != nil {
		return err
	}
	fd := &opened{File: f, writable: true, refs: 2}
	l.file = fd
	l.home.next = h.number + 1
	seg := newSegment(h, l.home)
	seg.size, seg.written, seg.fd = size, written, fd
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.newest != nil {
		l.touch(l.newest) // perhaps it can go now
	}
	l.take(seg)
	l.active = seg
	return nil
}

// skipTaken passes over numbers whose names something else has.
func (h *home) skipTaken(head *header) {
	for range maxSegments {
		if err := h.files.Stat(segmentName(head.number)); err != nil && !errors.Is(err, files.ErrNotRegular) {
			return // there is nothing, or nobody knows: making the segment will tell
		}
		head.number++
	}
}

// sealActive ends appending to the active segment and makes the header of the
// next. used is the size of all segments.
func (q *Queue) sealActive(need int64) (h header, used int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	l.wanted = need
	if seg := l.active; seg != nil {
		if seg.size-seg.tail > maxSlack {
			seg.cut = true
			l.touch(seg)
		}
		l.active = nil
	}
	h = header{version: l.version, number: max(l.home.next, 1), nonce: random64(), base: q.ids.last + 1}
	if l.newest != nil && !l.newest.partial {
		h.before, h.recordsOfBefore = l.newest.number, uint64(l.newest.records)
	}
	return h, l.size()
}

// probe looks whether things are as they should be again.
func (q *Queue) probe() {
	if q.moveIn() != nil {
		return
	}
	q.mu.Lock()
	l := q.log
	try, need := l.appendErr != nil && l.active == nil, l.wanted
	q.mu.Unlock()
	if !try {
		return
	}
	err := q.roll(max(need, 1))
	q.mu.Lock()
	defer q.mu.Unlock()
	q.judge(&l.appendErr, err)
}

// makeSegment makes a segment file durable under its name. written is up to
// where its blocks were written.
func (l *segmentLog) makeSegment(h *header, size, used int64) (f files.File, written int64, err error) {
	home := l.home
	from, make := freshName, l.fresh
	if home.hasSpare && size == l.segmentSize {
		if home.unsynced { // the spare must have lost its old name before it is written
			if err := home.files.SyncDir("."); err != nil {
				return nil, 0, err
			}
		}
		from, make, home.hasSpare = spareName, l.reuse, false
	} else if err := l.checkSpace(size, used); err != nil {
		return nil, 0, err
	}
	f, written, err = make(h, size)
	name := from
	if err == nil {
		if err = home.files.Rename(from, segmentName(h.number)); err == nil {
			name = segmentName(h.number)
			err = home.files.SyncDir(".")
		}
	}
	if err != nil {
		if f != nil {
			_ = f.Close()
		}
		_ = home.files.Remove(name) // else the next try or start does
		return nil, 0, err
	}
	return f, written, nil
}

// checkSpace refuses to take more of the file system than is the outbox's.
func (l *segmentLog) checkSpace(size, used int64) error {
	free, total, err := l.home.files.Space()
	if err != nil {
		return err
	}
	if keep := min(total/reserveShare, maxReserve); free-size < keep {
		return fmt.Errorf("%w: %d KiB of the file system are free, of which %d KiB are kept free", syscall.ENOSPC, free>>10, keep>>10)
	}
	if used+size > total/maxShare {
		return fmt.Errorf("%w: the outbox has %d KiB, which is its share of a file system of %d KiB", syscall.ENOSPC, used>>10, total>>10)
	}
	return nil
}

// segmentHead is the first sectors of a segment without settled records.
func segmentHead(h *header) []byte {
	b := make([]byte, headSize)
	copy(b, h.encode())
	copy(b[headerCopy:], h.encode())
	return b
}

// reuse makes the spare file a new segment. The old records in it do not check
// under the new nonce.
func (l *segmentLog) reuse(h *header, size int64) (f files.File, written int64, err error) {
	if f, err = l.home.files.Open(spareName); err != nil {
		return nil, 0, err
	}
	return f, size, l.write(f, []chunkOf{{0, segmentHead(h)}})
}

// fresh makes a new file of zeros.
func (l *segmentLog) fresh(h *header, size int64) (f files.File, written int64, err error) {
	if f, err = l.home.create(freshName); err != nil {
		return nil, 0, err
	}
	chunks, written := []chunkOf{{0, segmentHead(h)}}, int64(headSize)
	switch err = f.Allocate(size); {
	case errors.Is(err, errors.ErrUnsupported):
		for ; written < size; written += zeroAhead {
			chunks = append(chunks, zeros(written, size))
		}
		written = size
	case err != nil:
		return f, 0, err
	}
	return f, written, l.write(f, chunks)
}

var zeroPage [zeroAhead]byte

// zeros is what to write ahead of an offset.
func zeros(from, size int64) chunkOf { return chunkOf{from, zeroPage[:min(zeroAhead, size-from)]} }

// Close ends the queue after Run has returned: it makes the last settlements
// durable and releases the directory. Error: ErrDisk, when that failed: as many
// messages repeat.
func (q *Queue) Close() error {
	if q.log == nil {
		return nil
	}
	l := q.log
	q.refuse()
	q.flushSettled(true)
	q.mu.Lock()
	err, left := l.flushErr, l.unflushed
	q.mu.Unlock()
	q.closeActive()
	err = errors.Join(err, q.closeHomes())
	if err != nil {
		return &Error{Op: "close", Err: diskError(err), Hint: fmt.Sprintf("%d settled messages may be sent again", left)}
	}
	return nil
}

// closeHomes closes all that is open.
func (q *Queue) closeHomes() (err error) {
	q.mu.Lock()
	for _, seg := range q.log.order {
		q.shut(seg)
	}
	q.mu.Unlock()
	q.giveReserve()
	for _, h := range q.log.homes {
		err = errors.Join(err, h.files.Close())
	}
	return err
}
