package outbox

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"airbridged/internal/outbox/files"
)

// Run is the committer: it writes what Append and Done hand over, until ctx
// ends. Then it commits what waits, and Append refuses with ErrClosed; Done,
// Release and the looks go on working, and Close writes the last settlements.
// It fails never: what the disk says goes to those who wait, and to Notes. A
// queue in memory needs no Run.
func (q *Queue) Run(ctx context.Context) error {
	if q.log == nil {
		<-ctx.Done()
		return nil
	}
	l := q.log
	q.setRunning(true)
	defer q.setRunning(false)
	for {
		var retry <-chan time.Time
		if q.unfinished() {
			retry = time.After(retryEvery)
		}
		select {
		case <-l.work:
			q.linger(ctx)
		case <-retry:
			q.probe()
		case <-ctx.Done():
			q.refuse()
			q.commit()
			return nil
		}
		q.commit()
	}
}

func (q *Queue) setRunning(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log.running = on
	q.tell()
}

// tell wakes everybody in await; under the lock.
func (q *Queue) tell() {
	close(q.log.flushDone)
	q.log.flushDone = make(chan struct{})
}

func (q *Queue) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log.closed = true
}

// unfinished says whether something is left that failed before.
func (q *Queue) unfinished() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.log.failing() != nil
}

// linger waits for the commit window to end.
func (q *Queue) linger(ctx context.Context) {
	l := q.log
	if l.window <= 0 {
		runtime.Gosched() // those whom the last commit woke may have more
		return
	}
	timer := time.NewTimer(l.window)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.hurry:
	case <-ctx.Done():
	}
}

// commit writes everything that waits by now.
func (q *Queue) commit() {
	for {
		more := q.commitMessages()
		q.flushSettled()
		q.flushSteps()
		if !more {
			return
		}
	}
}

// commitMessages writes one batch into the active segment. It says whether there
// may be more.
func (q *Queue) commitMessages() bool {
	need, waiting := q.firstPending()
	if !waiting {
		return false
	}
	l := q.log
	if l.file == nil || !q.fits(need) {
		if err := q.roll(need); err != nil {
			q.failAll(err)
			return false
		}
	}
	batch, seg, records, dirty, settlements := q.gather()
	err := l.write(l.file, append(records, dirty...))
	if err != nil {
		_ = l.file.Close() // nothing that it said is believed any more
		l.file = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		l.give(seg, dirty, settlements)
		q.abandonActive(seg)
		q.fail(batch, err)
		return len(l.pending) > 0
	}
	q.applied(batch, seg)
	l.unflushed -= settlements
	q.judge(&l.appendErr, nil)
	return len(l.pending) > 0
}

// firstPending returns what the first message that waits takes.
func (q *Queue) firstPending() (need int64, waiting bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.overtaking()
	if len(q.log.pending) == 0 {
		return 0, false
	}
	return recordSize(&q.log.pending[0].m), true
}

// fits says whether a record fits into the active segment.
func (q *Queue) fits(need int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	seg := q.log.active
	return seg.tail+need <= seg.size && seg.records < maxRecords && seg.tail/padding <= math.MaxUint16
}

// gather takes the next batch, gives it its sequence numbers and encodes it.
// dirty are the settled sectors that go along.
func (q *Queue) gather() (batch []*request, seg *segment, records, dirty []chunkOf, settlements int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	seg = l.active
	now := time.Now()
	l.buf = l.buf[:0]
	for len(l.pending) > 0 && len(batch) < batchMessages {
		if q.overtaking(); len(l.pending) == 0 {
			break
		}
		r := l.pending[0]
		end := seg.tail + int64(len(l.buf))
		size := recordSize(&r.m)
		if end+size > seg.size || seg.records+len(batch) >= maxRecords || end/padding > math.MaxUint16 ||
			len(batch) > 0 && int64(len(l.buf))+size > batchBytes {
			break
		}
		r.taken, r.after = true, nil
		r.slot = q.slotFor(&r.m, now)
		r.slot.seq = q.ids.next(now)
		r.slot.segment, r.slot.offset, r.slot.ordinal = uint32(seg.number), uint16(end/padding), uint16(seg.records+len(batch))
		rec := record{seq: r.slot.seq, origin: now.UnixNano(), ordinal: r.slot.ordinal, priority: r.m.Priority}
		rec.expiry = expiryOf(rec.origin, r.m.TTL)
		if r.m.Latest {
			rec.flags = flagLatest
		}
		l.buf = appendRecord(l.buf, seg.seed, &rec, r.m.Topic, r.m.Payload)
		batch = append(batch, r)
		l.pending[0] = nil
		l.pending = l.pending[1:]
	}
	records = []chunkOf{{seg.tail, l.buf}}
	if end := seg.tail + int64(len(l.buf)); end > seg.written {
		if seg.written = end; len(l.buf) < smallCommit {
			ahead := zeros(end, seg.size)
			seg.written += int64(len(ahead.data))
			records = append(records, ahead)
		}
	}
	dirty, settlements = seg.takeDirty()
	return batch, seg, records, dirty, settlements
}

// applied makes a batch that is on disk visible; under the lock.
func (q *Queue) applied(batch []*request, seg *segment) {
	l := q.log
	seg.tail += int64(len(l.buf))
	for _, r := range batch {
		l.waiting--
		l.waitingBytes -= r.m.size()
		seg.records++
		seg.live++
		if r.abandoned {
			l.settle(r.slot.segment, r.slot.ordinal)
		} else {
			// It was let in, so it stays; at worst the bound is exceeded by what went
			// in flight meanwhile.
			victims, _ := q.makeRoom(&r.m, 0, 0)
			q.give(victims)
			accepted := q.accept(&r.m, r.slot)
			accepted.Payload, accepted.TTL = r.m.Payload, r.m.TTL
			r.m = accepted
		}
		close(r.done)
	}
	q.wake()
}

// fail tells those who wait that their messages are not kept; under the lock.
func (q *Queue) fail(batch []*request, err error) {
	for _, r := range batch {
		q.log.waiting--
		q.log.waitingBytes -= r.m.size()
		r.m, r.err = Message{}, &Error{Op: "append", Err: diskError(err), Hint: hintDisk}
		close(r.done)
	}
	q.judge(&q.log.appendErr, err)
}

// failAll fails everything that waits.
func (q *Queue) failAll(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.log.pending
	q.log.pending = nil
	q.fail(batch, err)
}

// judge keeps what the disk said, in one of appendErr and flushErr, and tells
// when that begins and ends; under the lock.
func (q *Queue) judge(place *error, err error) {
	before := q.log.failing()
	*place = err
	switch after := q.log.failing(); {
	case before == nil && after != nil:
		q.log.note(NoteDiskFailing, fmt.Sprintf("%v; %s", after, hintDisk))
		q.tell()
	case before != nil && after == nil:
		q.log.note(NoteDiskRecovered, "the outbox can be written again")
		q.tell()
	}
}

// write puts chunks into a file and flushes it.
func (l *segmentLog) write(f files.File, chunks []chunkOf) error {
	for _, c := range chunks {
		if len(c.data) == 0 {
			continue
		}
		if _, err := f.WriteAt(c.data, c.offset); err != nil {
			return err
		}
		l.written.Add(uint64(len(c.data)))
	}
	return l.sync(f)
}

// sync flushes a file and measures that.
func (l *segmentLog) sync(f files.File) error {
	begin := time.Now()
	err := f.Sync()
	l.flushes.Add(1)
	if l.flushed != nil {
		l.flushed(time.Since(begin))
	}
	return err
}
