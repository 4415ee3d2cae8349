package outbox

import (
	"errors"
	"fmt"
	"time"
)

// maxPassed is how many records of a segment are tried one by one once it could
// not be read for long; then all that is left of it is passed over at once.
const maxPassed = 16

// reading is what is known of records that cannot be read. Guarded by Queue.mu.
type reading struct {
	from    Priority // kept messages from this level on are not tried before the next retry
	waiting bool     // a retry is due

	passed   map[uint64]bool // by sequence number: true is passed over, false was and is to be tried again
	segments map[uint32]bool // all that is left of these is passed over
	upTo     [levels]uint64  // of the level's own order all up to this one is passed over
	hourly   bool            // all are tried again in a while
}

func newReading() reading {
	return reading{from: levels, passed: map[uint64]bool{}, segments: map[uint32]bool{}}
}

// ErrDamaged: what is read is not what was written, of [Queue.Read].
var ErrDamaged = errors.New("record is damaged")

// load gets a record's payload. It is read from the disk once more before it
// counts as damaged; a failed read says nothing of the record.
func (q *Queue) load(where place) (body, error) {
	fd, err := q.acquire(where.segment)
	if err != nil {
		return body{}, err
	}
	defer q.letGo(fd)
	for range 2 {
		b, err := readRecord(fd, where)
		if err != nil {
			return body{}, err
		}
		if r, _, ok := decodeRecord(b, where.segment.seed); ok && r.seq == where.seq {
			return body{r.payload, r.ttl()}, nil
		}
		fd.Forget(where.offset, recordHead+where.size+maxExtra)
	}
	return body{}, ErrDamaged
}

// readRecord reads what a record takes, and not a byte more: what is behind it may
// not be readable.
func readRecord(fd *opened, where place) ([]byte, error) {
	b := make([]byte, recordHead+where.size, recordHead+where.size+maxExtra)
	n, err := fd.ReadAt(b, where.offset)
	if err != nil {
		if ended(err) {
			err = nil
		}
		return b[:n], err
	}
	if extra := int64(extraLength(b)); extra > 0 && extra <= maxExtra {
		b = b[:recordHead+where.size+extra]
		if n, err = fd.ReadAt(b, where.offset); ended(err) {
			return b[:n], nil
		}
	}
	return b, err
}

// moved says whether a message's record is elsewhere by now.
func (q *Queue) moved(where place) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, s := q.kept.find(where.seq)
	return s != nil && q.place(&q.kept, s) != where
}

// readable notes that a segment can be read.
func (q *Queue) readable(seg *segment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	seg.failing, seg.passed = time.Time{}, 0
}

// unreadable deals with the message in flight whose record cannot be read.
func (q *Queue) unreadable(id string, where place, err error) {
	seg := where.segment
	if errors.Is(err, ErrDamaged) {
		q.setAside(seg)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	r, gone := q.inFlight("take", id)
	if gone != nil {
		return
	}
	q.flight.remove(r)
	if errors.Is(err, ErrDamaged) {
		q.log.disk.Damaged++
		q.log.note(NoteDamage, fmt.Sprintf("message %s was lost: %v; see %s", id, err, quarantineDir))
		q.finish(r, drop, ReasonDamaged, ReasonDamaged)
		return
	}
	_, s := r.in.find(r.seq)
	r.in.tried(s.seq, -1) // it was not handed out
	if seg.failing.IsZero() {
		seg.failing = time.Now()
		q.log.note(NoteDiskFailing, fmt.Sprintf("message %s cannot be read at present: %v", id, err))
	}
	rd := &q.log.reading
	if _, before := rd.passed[s.seq]; before || seg.partial || time.Since(seg.failing) >= patience {
		q.passOver(seg, s, err)
		return
	}
	rd.from = min(rd.from, s.priority)
	q.retryReading(retryEvery)
}

// retryReading has reading tried again after a while, unless that is to come
// anyway. Under the lock.
func (q *Queue) retryReading(after time.Duration) {
	rd := &q.log.reading
	if rd.waiting {
		return
	}
	rd.waiting = true
	time.AfterFunc(after, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		rd.waiting, rd.from = false, levels
		q.wake()
	})
}

// setAside keeps a damaged segment for whoever wants to look at it.
func (q *Queue) setAside(seg *segment) {
	q.mu.Lock()
	first := !seg.damaged
	seg.damaged = true
	if first {
		q.log.disk.Quarantined++
	}
	q.mu.Unlock()
	if first {
		_ = seg.home.keep(seg.name) // else it goes there when nothing is left to send in it
	}
}

// passOver lets others pass a message whose record could not be read for long. Under
// the lock.
func (q *Queue) passOver(seg *segment, s *slot, err error) {
	rd := &q.log.reading
	if !rd.hourly {
		rd.hourly = true
		time.AfterFunc(retryLater, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.passAgain()
			q.wake()
		})
	}
	if _, before := rd.passed[s.seq]; !before && seg.passed == 0 {
		q.log.note(NoteUnreadable, fmt.Sprintf("what is in segment %s could not be read for %v: %v; other messages go first, and it is tried again every %v", seg.name, patience, err, retryLater))
	}
	rd.passed[s.seq] = true
	if seg.passed++; seg.passed >= maxPassed {
		rd.segments[seg.key] = true
	}
}

// passAgain has everything tried again that is passed over. Under the lock.
func (q *Queue) passAgain() {
	rd := &q.log.reading
	for seq := range rd.passed {
		if _, s := q.kept.find(seq); s != nil {
			rd.passed[seq] = false
			q.log.segments[s.segment].passed = 0
		} else {
			delete(rd.passed, seq)
		}
	}
	clear(rd.segments)
	rd.upTo, rd.hourly = [levels]uint64{}, false
}

// unreadableCount is how many messages are passed over. Under the lock.
func (q *Queue) unreadableCount() (n int) {
	rd := &q.log.reading
	for seq, over := range rd.passed {
		if _, s := q.kept.find(seq); over && s != nil && !rd.segments[s.segment] {
			n++
		}
	}
	for key := range rd.segments {
		if seg := q.log.segments[key]; seg != nil {
			n += seg.live
		}
	}
	return n
}

// nextKept returns the message of a level that is to be read next; nil: there is
// none that can be. Under the lock.
func (q *Queue) nextKept(p Priority) *slot {
	if q.log == nil {
		return q.kept.head(p)
	}
	rd := &q.log.reading
	if p >= rd.from {
		return nil
	}
	s := q.kept.head(p)
	if s != nil && len(rd.passed) > 0 {
		s = q.notPassed(p)
	}
	if s != nil && q.awaitsOlder(q.log.segments[s.segment]) {
		return nil
	}
	return s
}

// passedOver says whether a kept message is passed over because it cannot be read.
// Under the lock.
func (q *Queue) passedOver(s *slot) bool {
	return q.log != nil && (q.log.reading.passed[s.seq] || q.log.reading.segments[s.segment])
}

// unreadableFor says whether a kept message, and with it those behind it, waits for
// older ones that cannot be read at the moment, or for its own record. Under the lock.
func (q *Queue) unreadableFor(s *slot) bool {
	return q.log != nil && (s.priority >= q.log.reading.from || q.awaitsOlder(q.log.segments[s.segment]))
}

// notPassed returns the first message of a level that is not passed over.
func (q *Queue) notPassed(p Priority) *slot {
	rd := &q.log.reading
	after := none
	if seq := rd.upTo[p]; seq != 0 {
		if pos, s := q.kept.find(seq); s != nil {
			after = pos
		}
	}
	for s := range q.kept.inLevel(p, after) {
		if !rd.passed[s.seq] && !rd.segments[s.segment] {
			return s
		}
		if s.nextLevel != elsewhere {
			rd.upTo[p] = s.seq
		}
	}
	return nil
}

// awaitsOlder says whether a segment waits for older ones that could not be read
// yet; not for ever.
func (q *Queue) awaitsOlder(seg *segment) bool {
	h := seg.home
	if len(h.unread) == 0 || time.Since(h.since) >= patience {
		return false
	}
	for _, name := range h.unread {
		if name < seg.name {
			return true
		}
	}
	return false
}
