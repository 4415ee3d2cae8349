package outbox

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"airbridged/internal/outbox/files"
)

// flushJob is what the committer does to one segment besides appending.
type flushJob struct {
	seg         *segment
	chunks      []chunkOf // settled sectors to write
	settlements int       // that this makes durable
	remove      bool      // nothing in it is to be sent any more
	cut         bool
	err         error // why it was not done
}

// flushSettled makes settlements durable, cuts what was abandoned and removes
// segments of which nothing is left. While that fails it is tried once a second, or
// when somebody waits for it.
func (q *Queue) flushSettled(force bool) {
	l := q.log
	jobs, capture, due := q.takeTouched(force)
	if !due {
		return
	}
	// The keys first: what is settled on disk is not read again for its key.
	failed := q.flushKeys()
	for i := range jobs {
		j, err := &jobs[i], failed
		if err == nil {
			err = q.do(j)
		}
		q.finishJob(j, err)
		if err != nil && failed == nil && errors.Is(err, syscall.EROFS) {
			failed = err // it is the same for all of them
		}
	}
	for _, h := range l.homes {
		if err := q.syncRemoved(h); err != nil && failed == nil {
			failed = err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if failed == nil {
		failed = leftOver(jobs)
	}
	if failed == nil {
		l.flushedTo = capture
	} else {
		l.flushAgain = time.Now().Add(retryEvery)
	}
	l.rounds = capture
	q.judge(&l.flushErr, failed)
	q.tell()
}

// leftOver returns why a job was not done.
func leftOver(jobs []flushJob) error {
	for _, j := range jobs {
		if j.err != nil {
			return j.err
		}
	}
	return nil
}

// takeTouched lists the jobs. capture counts the calls.
func (q *Queue) takeTouched(force bool) (jobs []flushJob, capture uint64, due bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	l.captures++
	if l.flushErr != nil && !force && !l.flushWanted && time.Now().Before(l.flushAgain) {
		q.tell()
		return nil, l.captures, false
	}
	l.flushWanted = false
	for _, seg := range l.touched {
		seg.touched = false
		j := flushJob{seg: seg, remove: seg.live == 0 && seg != l.newest && seg != l.active && !seg.partial, cut: seg.cut && !seg.partial && !seg.damaged}
		if j.remove {
			j.settlements = seg.unflushed
		} else {
			j.chunks, j.settlements = seg.takeDirty()
		}
		jobs = append(jobs, j)
	}
	clear(l.touched)
	l.touched = l.touched[:0]
	return jobs, l.captures, true
}

// do writes.
func (q *Queue) do(j *flushJob) error {
	l := q.log
	switch {
	case j.remove:
		return q.retire(j.seg)
	case len(j.chunks) == 0 && !j.cut:
		return nil
	case l.file != nil && q.isActive(j.seg):
		err := l.write(l.file, j.chunks)
		if err != nil {
			q.closeActive()
			q.mu.Lock()
			defer q.mu.Unlock()
			q.abandonActive(j.seg)
		}
		return err
	}
	fd, err := q.acquire(j.seg)
	if err != nil {
		return err
	}
	defer q.letGo(fd)
	if !fd.writable { // it was opened when nothing could be written
		f, err := j.seg.home.files.Open(j.seg.name)
		if err != nil {
			return err
		}
		defer f.Close()
		return l.amend(f, j)
	}
	return l.amend(fd, j)
}

// amend changes a segment that is not appended to any more.
func (l *segmentLog) amend(f files.File, j *flushJob) error {
	if j.cut {
		if err := f.Truncate(j.seg.tail); err != nil {
			return err
		}
	}
	return l.write(f, j.chunks)
}

func (q *Queue) isActive(seg *segment) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return seg == q.log.active
}

// finishJob books what came of a job.
func (q *Queue) finishJob(j *flushJob, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	j.err = err
	switch {
	case err != nil:
		if j.remove {
			l.touch(j.seg)
		} else {
			l.give(j.seg, j.chunks, j.settlements)
		}
	case j.remove:
		q.forget(j.seg)
		j.seg.home.removedUnflushed += j.settlements
	default:
		if j.cut {
			j.seg.cut, j.seg.size = false, j.seg.tail
		}
		l.unflushed -= j.settlements
	}
}

// give returns settlements that could not be written; under Queue.mu.
func (l *segmentLog) give(seg *segment, chunks []chunkOf, settlements int) {
	seg.giveBack(chunks, settlements)
	l.touch(seg)
}

// abandonActive ends appending to the active segment after a failure: what it
// holds beyond the accepted is to be cut off. Under Queue.mu.
func (q *Queue) abandonActive(seg *segment) {
	seg.cut = true
	q.log.active = nil
	q.log.touch(seg)
}

// retire gives up a segment of which nothing is left: the file is kept to be
// used again, or removed. A damaged one stays in quarantine.
func (q *Queue) retire(seg *segment) error {
	h := seg.home
	if seg.stray { // another file may have its name
		return nil
	}
	if seg.damaged {
		if err := h.setAside(seg.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if h.hasSpare || h != q.log.home || seg.damaged || seg.size != q.log.segmentSize || seg.cut || seg.upTo != 0 || h.files.Rename(seg.name, spareName) != nil {
		if err := h.files.Remove(seg.name); err != nil && (!errors.Is(err, fs.ErrNotExist) || h.files.Stat(seg.name) == nil) {
			return err
		}
	} else {
		h.hasSpare = true
	}
	h.unsynced = true
	return nil
}

// syncRemoved makes retirements durable.
func (q *Queue) syncRemoved(h *home) error {
	if !h.unsynced {
		return nil
	}
	if err := h.files.SyncDir("."); err != nil {
		return err
	}
	h.unsynced = false
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log.unflushed -= h.removedUnflushed
	h.removedUnflushed = 0
	return nil
}
