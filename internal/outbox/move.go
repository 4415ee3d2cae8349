package outbox

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// slack is how many segments the files may be longer than twice what is alive in
// them. Then what is left is moved out of segments of which little is left.
const slack = 4

// maxSegments bounds tries that each concern another segment.
const maxSegments = 64

// errUnmovable: not all that is left of a segment can be read, or it does not fit.
var errUnmovable = errors.New("not all of the segment can be read, or it does not fit into one")

// tidy moves what is left in segments of which little is left, so that a few
// messages that wait long do not hold the disk, and what is left in a directory
// that was taken away, so that the next process finds it. It moves one batch at a
// time. Under pressure it does so wherever that gives room.
func (q *Queue) tidy(pressed bool) {
	l := q.log
	if l.home == nil || !l.home.loaded || l.suspect || !pressed && time.Now().Before(l.tidyAgain) {
		return
	}
	run := q.toMove(pressed)
	if run == nil {
		return
	}
	if err := q.move(run); err != nil {
		l.tidyAgain = time.Now().Add(lookEvery)
		q.mu.Lock()
		defer q.mu.Unlock()
		if errors.Is(err, errUnmovable) {
			for _, seg := range run {
				seg.unmovable = true
			}
		}
		l.note(NoteDiskFailing, fmt.Sprintf("what is left in %d files could not be moved: %v", len(run), err))
		return
	}
	l.signal() // there may be more
}

// toMove returns segments in a row whose messages fit into one; nil: there are
// none that are worth it.
func (q *Queue) toMove(pressed bool) (best []*segment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	alive := int64(0)
	for _, seg := range l.order {
		alive += seg.liveBytes
		if seg.strayed(l.home) && seg.live > 0 && !seg.unmovable {
			return []*segment{seg}
		}
	}
	if !pressed && l.size() <= 2*alive+slack*l.segmentSize {
		return nil
	}
	var run []*segment
	gain, most, need, records := int64(0), l.segmentSize/4, int64(headSize), 0
	for _, seg := range l.order {
		if !q.sparse(seg) {
			run = nil
			continue
		}
		content := seg.liveBytes + int64(seg.live)*movedExtra
		if run == nil || need+content > l.segmentSize || records+seg.live > maxRecords {
			run, gain, need, records = nil, -headSize, headSize, 0
		}
		run = append(run, seg)
		gain, need, records = gain+seg.size-content, need+content, records+seg.live
		if gain >= most {
			best, most = slices.Clone(run), gain+1
		}
	}
	return best
}

// movedExtra is what a record may take more where it is moved to.
const movedExtra = 2*2 + 2*8 + padding

// sparse says whether little of a segment is left, and it can be moved. Under the
// lock.
func (q *Queue) sparse(seg *segment) bool {
	l := q.log
	return seg.home == l.home && seg != l.newest && seg != l.active && seg.live > 0 && 2*seg.liveBytes < seg.size &&
		!seg.partial && !seg.damaged && !seg.unmovable
}

// strayed says whether the next process does not find a segment.
func (s *segment) strayed(h *home) bool { return s.stray || s.home != h }

// survivor is a record that is moved.
type survivor struct {
	record
	from    *segment
	ordinal uint16 // there
	offset  int64  // where it goes
}

// move writes what is left of segments into a file that takes the place of the
// first of them. The header says which ones it stands for: should the others still
// be there after a crash, they are not read.
func (q *Queue) move(run []*segment) error {
	l := q.log
	var list []survivor
	for _, seg := range run {
		left, err := q.survivors(seg)
		if err != nil {
			return fmt.Errorf("segment %s: %w", seg.name, err)
		}
		list = append(list, left...)
	}
	if err := q.flushKeys(); err != nil { // of what is not moved, for it has ended
		return err
	}
	first, last := run[0], run[len(run)-1]
	h := header{
		version: formatVersion, number: first.number, nonce: random64(), base: first.base, before: first.before, recordsOfBefore: first.recordsOfBefore,
		upTo: max(last.number, last.upTo), records: uint64(len(list)),
	}
	seg := newSegment(h, l.home)
	content := segmentHead(&h)
	for i := range list {
		r := &list[i]
		r.tail, r.record.ordinal, r.offset = r.from.idTail(r.ordinal), uint16(i), int64(len(content))
		content = appendRecord(content, seg.seed, &r.record, string(r.topic), r.payload)
		seg.tails = append(seg.tails, r.tail)
	}
	if n := len(list); n > 0 && list[n-1].offset/padding > math.MaxUint16 {
		return errUnmovable // extras took more than was thought
	}
	seg.size = int64(len(content))
	seg.tail, seg.written, seg.records = seg.size, seg.size, len(list)
	if first.strayed(l.home) {
		if err := l.home.files.Stat(seg.name); err == nil { // whatever it is, it is not what we wrote
			if err := l.home.setAside(seg.name); err != nil {
				return err
			}
		}
	}
	if err := l.put(seg.name, content); err != nil {
		return err
	}
	q.mu.Lock()
	l.disk.Moved += uint64(len(content))
	q.mu.Unlock()
	q.swap(run, seg, list)
	for i, old := range run {
		if i > 0 || old.home != l.home {
			if !old.stray {
				_ = old.home.files.Remove(old.name) // else the next start does
			}
			old.home.unsynced = true
		}
	}
	return nil
}

// survivors returns the records of a segment that are not settled.
func (q *Queue) survivors(seg *segment) (list []survivor, err error) {
	fd, err := q.acquire(seg)
	if err != nil {
		return nil, err
	}
	defer q.letGo(fd)
	b := make([]byte, seg.size)
	if n, err := fd.ReadAt(b, 0); err != nil && !ended(err) {
		return nil, err
	} else if n < len(b) {
		b = b[:n]
	}
	var all []record
	s := scanner{seg: seg, b: b, seq: max(seg.base, 1) - 1, ordinal: -1, limit: seg.records}
	s.run(func(r *record, _ int64) { all = append(all, *r) })
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range all {
		if _, m := q.kept.find(r.seq); m != nil && m.segment == seg.key && m.ordinal == r.ordinal {
			list = append(list, survivor{record: r, from: seg, ordinal: r.ordinal})
		}
	}
	if len(list) < seg.live {
		return nil, errUnmovable
	}
	return list, nil
}

// put makes a file durable under its name, in the place of one of that name.
func (l *segmentLog) put(name string, content []byte) error {
	d := l.home.files
	f, err := l.home.create(freshName)
	if err != nil {
		return err
	}
	err = errors.Join(l.write(f, []chunkOf{{0, content}}), f.Close())
	if err == nil {
		err = d.Rename(freshName, name)
	}
	if err != nil {
		_ = d.Remove(freshName)
		return err
	}
	return d.SyncDir(".")
}

// swap has the messages of segments found in the one that stands for them.
func (q *Queue) swap(run []*segment, seg *segment, list []survivor) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	for _, old := range run {
		l.unflushed -= old.unflushed
	}
	l.touched = slices.DeleteFunc(l.touched, func(old *segment) bool { return slices.Contains(run, old) })
	seg.key = l.newKey()
	for i := range list {
		r := &list[i]
		size := int64(len(r.topic) + len(r.payload))
		seg.live++
		seg.liveBytes += recordSize(size)
		_, s := q.kept.find(r.seq)
		if s != nil && s.segment == r.from.key && s.ordinal == r.ordinal {
			s.segment, s.offset, s.ordinal = seg.key, uint16(r.offset/padding), uint16(i)
			continue
		}
		seg.settle(uint16(i), size) // it ended meanwhile
		l.unflushed++
		l.touch(seg)
	}
	for _, old := range run {
		q.forget(old)
	}
	l.take(seg)
}

// dropForRoom drops the oldest messages that may go for the one that waits, about as
// many as fill a segment. It says whether there were any.
func (q *Queue) dropForRoom(need int64) bool {
	if !q.gaveWay(need) {
		return false
	}
	q.flushSettled(true)
	q.tidy(true)
	q.flushSettled(true)
	return true
}

func (q *Queue) gaveWay(need int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.dropOldest || len(q.log.pending) == 0 {
		return false
	}
	var victims []victim
	freed := int64(0)
	for s := range q.expendable(&q.log.pending[0].m) {
		victims = append(victims, victim{ref{&q.kept, s.seq}, ReasonFull})
		if freed += recordSize(int64(s.size)); freed >= max(need, q.log.segmentSize-headSize) {
			break
		}
	}
	q.give(victims)
	return len(victims) > 0
}
