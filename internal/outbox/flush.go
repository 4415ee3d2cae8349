package outbox

import (
	"errors"
	"io/fs"
)

// flushJob is what the committer does to one segment besides appending.
type flushJob struct {
	seg         *segment
	chunks      []chunkOf // settled sectors to write
	settlements int       // that this makes durable
	remove      bool      // nothing in it is to be sent any more
	cut         bool
}

// flushSettled makes settlements durable, cuts what was abandoned and removes
// segments of which nothing is left.
func (q *Queue) flushSettled() {
	l := q.log
	jobs, capture := q.takeTouched()
	var failed error
	for _, j := range jobs {
		err := q.do(j)
		if err != nil {
			failed = err
		}
		q.finishJob(j, err)
	}
	if err := q.syncRemoved(); err != nil {
		failed = err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if failed == nil {
		l.flushedTo = capture
	}
	q.judge(&l.flushErr, failed)
	q.tell()
}

// takeTouched lists the jobs. capture counts the calls.
func (q *Queue) takeTouched() (jobs []flushJob, capture uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	for _, seg := range l.touched {
		seg.touched = false
		j := flushJob{seg: seg, remove: seg.live == 0 && seg != l.newest, cut: seg.cut}
		if j.remove {
			j.settlements = seg.unflushed
		} else {
			j.chunks, j.settlements = seg.takeDirty()
		}
		jobs = append(jobs, j)
	}
	clear(l.touched)
	l.touched = l.touched[:0]
	l.captures++
	return jobs, l.captures
}

// do writes.
func (q *Queue) do(j flushJob) error {
	l := q.log
	switch {
	case j.remove:
		return l.retire(j.seg)
	case len(j.chunks) == 0 && !j.cut:
		return nil
	case q.isActive(j.seg):
		err := l.write(l.file, j.chunks)
		if err != nil {
			_ = l.file.Close()
			l.file = nil
			q.mu.Lock()
			defer q.mu.Unlock()
			q.abandonActive(j.seg)
		}
		return err
	}
	f, err := l.files.Open(j.seg.name)
	if err != nil {
		return err
	}
	if j.cut {
		err = f.Truncate(j.seg.tail)
	}
	if err == nil {
		err = l.write(f, j.chunks)
	}
	return errors.Join(err, f.Close())
}

func (q *Queue) isActive(seg *segment) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return seg == q.log.active
}

// finishJob books what came of a job.
func (q *Queue) finishJob(j flushJob, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	switch {
	case err != nil:
		if j.remove {
			l.touch(j.seg)
		} else {
			l.give(j.seg, j.chunks, j.settlements)
		}
	case j.remove:
		delete(l.segments, uint32(j.seg.number))
		l.removedUnflushed += j.settlements
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
// used again, or removed.
func (l *segmentLog) retire(seg *segment) error {
	if l.hasSpare || seg.damaged || seg.size != l.segmentSize || seg.cut {
		if err := l.files.Remove(seg.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else {
		if err := l.files.Rename(seg.name, spareName); err != nil {
			return err
		}
		l.hasSpare = true
	}
	l.removed = true
	return nil
}

// syncRemoved makes retirements durable.
func (q *Queue) syncRemoved() error {
	l := q.log
	if !l.removed {
		return nil
	}
	if err := l.files.SyncDir("."); err != nil {
		return err
	}
	l.removed = false
	q.mu.Lock()
	defer q.mu.Unlock()
	l.unflushed -= l.removedUnflushed
	l.removedUnflushed = 0
	return nil
}
