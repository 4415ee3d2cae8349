package outbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"
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
	retry := time.NewTimer(lookEvery)
	defer retry.Stop()
	for {
		failing := q.unfinished()
		if failing {
			retry.Reset(retryEvery)
		} else {
			retry.Reset(lookEvery)
		}
		select {
		case <-l.work:
			q.linger(ctx)
		case <-retry.C:
			if failing {
				q.probe()
			} else {
				q.look()
			}
		case <-ctx.Done():
			q.refuse()
			q.commit(true)
			return nil
		}
		q.commit(false)
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
	l := q.log
	return l.failing() != nil || l.home == nil || len(l.home.unread) > 0
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

// commit writes everything that waits by now. While settlements cannot be written,
// that is tried once a second; last tries it in any case.
func (q *Queue) commit(last bool) {
	for {
		more := q.commitMessages()
		q.flushSettled(last)
		q.flushSteps()
		q.flushDevices()
		if !more {
			break
		}
	}
	q.tidy(false)
	q.readAhead()
}

// commitMessages writes one batch into the active segment. It says whether there
// may be more.
func (q *Queue) commitMessages() bool {
	need, extra, waiting := q.firstPending()
	if !waiting {
		return false
	}
	l := q.log
	if err := q.makeReady(need, extra); err != nil {
		q.failAll(err)
		return false
	}
	keys := q.flushKeys() == nil
	batch, seg, records, dirty, settlements := q.gather(keys)
	err := l.write(l.file, append(records, dirty...))
	if err == nil {
		if err = seg.home.files.Check(seg.name, l.file.File); err != nil {
			_ = l.file.Truncate(seg.tail) // should it be found again, then with what was accepted, and no more
		}
	}
	if err != nil {
		q.suspect(err)
		q.closeActive() // nothing that it said is believed any more
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		seg.stray = seg.stray || errors.Is(err, files.ErrGone)
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

// makeReady sees to it that there is a segment with room for a record.
func (q *Queue) makeReady(need int64, extra bool) error {
	l := q.log
	if l.home == nil || !l.home.loaded || l.suspect {
		if err := q.moveIn(); err != nil && (l.home == nil || !l.home.loaded || l.suspect) {
			return err
		}
	}
	if err := q.makeKeyRoom(); err != nil {
		return err
	}
	if extra {
		l.version = formatVersion
	}
	if l.file != nil && q.fits(need) {
		return nil
	}
	err := q.roll(need)
	for tries := 0; err != nil && errors.Is(err, syscall.ENOSPC) && tries < maxSegments && q.dropForRoom(need); tries++ {
		err = q.roll(need)
	}
	if err != nil {
		q.suspect(err)
	}
	return err
}

// suspect has it looked where the directory is before anything more is written,
// unless what a write said has another reason.
func (q *Queue) suspect(err error) {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EROFS) {
		q.log.suspect = true
	}
}

// closeActive ends writing to the active segment. It is read all the same.
func (q *Queue) closeActive() {
	if l := q.log; l.file != nil {
		q.letGo(l.file)
		l.file = nil
	}
}

// firstPending returns what the first message that waits takes, and whether its
// record has extras.
func (q *Queue) firstPending() (need int64, extra, waiting bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.overtaking()
	if len(q.log.pending) == 0 {
		return 0, false, false
	}
	m := &q.log.pending[0].m
	return spaceFor(m), hasExtra(m), true
}

// hasExtra says whether a message's record may have extras.
func hasExtra(m *Message) bool { return m.Key != "" || m.Latest || m.Owner != "" }

// spaceFor is what a message takes in a segment at most.
func spaceFor(m *Message) int64 {
	if hasExtra(m) {
		return recordSize(m.size() + maxExtra)
	}
	return recordSize(m.size())
}

// fits says whether a record fits into the active segment.
func (q *Queue) fits(need int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	seg := q.log.active
	return seg.tail+need <= seg.size && seg.records < maxRecords && seg.tail/padding <= math.MaxUint16 && seg.version >= q.log.version
}

// gather takes the next batch, gives it its sequence numbers and encodes it.
// dirty are the settled sectors that go along, if the keys of what they settle are
// on disk.
func (q *Queue) gather(keys bool) (batch []*request, seg *segment, records, dirty []chunkOf, settlements int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	seg = l.active
	now := time.Now()
	l.buf = l.buf[:0]
	var places map[[2]string]uint64 // of Latest messages in this batch, by topic, and by owner where they replace his alone
	for len(l.pending) > 0 && len(batch) < batchMessages {
		if q.overtaking(); len(l.pending) == 0 {
			break
		}
		r := l.pending[0]
		end := seg.tail + int64(len(l.buf))
		size := spaceFor(&r.m)
		if end+size > seg.size || seg.records+len(batch) >= maxRecords || end/padding > math.MaxUint16 || hasExtra(&r.m) && seg.version < formatVersion ||
			len(batch) > 0 && int64(len(l.buf))+size > batchBytes {
			break
		}
		r.taken, r.after = true, nil
		r.slot = q.slotFor(&r.m, now)
		r.slot.seq = q.ids.next(now)
		r.slot.segment, r.slot.offset, r.slot.ordinal = seg.key, uint16(end/padding), uint16(seg.records+len(batch))
		if r.m.Latest {
			of := [2]string{r.m.Topic}
			if r.m.OwnOnly {
				of[1] = r.m.Owner
			}
			if r.place = places[of]; r.place == 0 {
				r.place = q.placeOf(q.replacedBy(&r.m))
			}
			if places == nil {
				places = map[[2]string]uint64{}
			}
			if places[of] = r.place; r.place == 0 {
				places[of] = r.slot.seq
			}
		}
		rec := recordOf(r, now)
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
	if keys && !q.keys.unwritten() {
		dirty, settlements = seg.takeDirty()
	}
	return batch, seg, records, dirty, settlements
}

// recordOf is the record of a request.
func recordOf(r *request, now time.Time) record {
	rec := record{
		seq: r.slot.seq, origin: now.UnixNano(), ordinal: r.slot.ordinal, priority: r.m.Priority, user: r.m.User, key: r.m.Key, place: r.place, owner: r.m.Owner,
	}
	rec.expiry = expiryOf(rec.origin, r.m.TTL)
	if r.m.Latest {
		rec.flags = flagLatest
		if r.m.OwnOnly {
			rec.flags |= flagOwn
		}
	}
	return rec
}

// applied makes a batch that is on disk visible; under the lock.
func (q *Queue) applied(batch []*request, seg *segment) {
	l := q.log
	seg.tail += int64(len(l.buf))
	for _, r := range batch {
		l.wait(&r.m, -1)
		q.keys.waitsNot(r)
		seg.records++
		seg.live++
		seg.liveBytes += recordSize(r.m.size())
		if r.abandoned {
			l.settle(&r.slot)
		} else {
			// It was let in, so it stays; at worst the bound is exceeded by what went
			// in flight meanwhile.
			victims, _ := q.makeRoom(&r.m, 0, 0)
			q.give(victims)
			q.keys.add(&r.m, r.digest, r.slot.seq, seg.nonce)
			accepted := q.accept(&r.m, r.slot, r.place)
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
		q.log.wait(&r.m, -1)
		q.keys.waitsNot(r)
		r.m, r.err = Message{}, &Error{Op: "append", Err: diskError(err), Hint: q.log.warning(err).Hint}
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
		q.log.note(NoteDiskFailing, fmt.Sprintf("%v; %s", after, q.log.warning(after).Hint))
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
