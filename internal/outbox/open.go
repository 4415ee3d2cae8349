package outbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"airbridged/internal/outbox/files"
)

// Open returns the queue that a directory holds; it makes the directory, mode
// 0700. What is damaged is set aside, counted and noted, and never a reason to
// fail. Append works once [Queue.Run] runs. Close it after Run has returned.
//
// Errors: ErrBusy, ErrVersion, or what the file system says.
func Open(dir string, l Limits, o Options) (*Queue, error) {
	if o.Files == nil {
		if err := os.MkdirAll(dir, files.DirMode); err != nil {
			return nil, &Error{Op: "open", Err: err, Hint: "outbox.dir must be a directory that the daemon may write to"}
		}
		o.Files = files.Dir(dir)
	}
	release, err := o.Files.Lock()
	if err != nil {
		e := &Error{Op: "open", Err: err}
		if errors.Is(err, files.ErrLocked) {
			e.Err, e.Hint = fmt.Errorf("%w: %w", ErrBusy, err), hintBusy
		}
		return nil, e
	}
	q := New(l)
	q.log = &segmentLog{
		files: o.Files, segmentSize: orDefault(o.SegmentSize, segmentSize), window: o.CommitWindow, flushed: o.Flushed, release: release,
		work: make(chan struct{}, 1), hurry: make(chan struct{}, 1), segments: map[uint32]*segment{}, flushDone: make(chan struct{}),
		notes: notes{drops: map[string]int{}, more: make(chan struct{}, 1)},
	}
	if err := q.load(); err != nil {
		return nil, errors.Join(err, release())
	}
	return q, nil
}

// loader reads the segments back.
type loader struct {
	q    *Queue
	l    *segmentLog
	now  time.Time
	buf  []byte
	last uint64 // sequence number of the last record
}

// load fills the index. Nobody else has the queue yet.
func (q *Queue) load() error {
	ld := &loader{q: q, l: q.log, now: time.Now()}
	names, err := ld.l.files.List(".")
	if err != nil {
		return &Error{Op: "open", Err: err}
	}
	slices.Sort(names)
	ld.l.steps.list = readSteps(ld.l.files)
	var found []*segment
	for _, name := range names {
		if seg, err := ld.look(name); err != nil {
			return err
		} else if seg != nil {
			found = append(found, seg)
		}
	}
	for i, seg := range found {
		given := -1 // how many records it has, as far as the next one knows
		if i+1 < len(found) && found[i+1].before == seg.number {
			given = int(found[i+1].recordsOfBefore)
		}
		ld.read(seg, given, i+1 == len(found))
	}
	q.ids.last = max(q.ids.last, ld.last)
	ld.l.steps.first = q.ids.last
	for _, seg := range q.log.segments {
		if seg.live == 0 && seg != q.log.newest {
			q.log.touch(seg)
		}
	}
	q.log.signal()
	q.wake()
	return nil
}

// look opens one file of the directory; nil if it is no segment with a header.
func (ld *loader) look(name string) (*segment, error) {
	l := ld.l
	switch name {
	case freshName:
		_ = l.files.Remove(name) // it was never finished
		return nil, nil
	case spareName:
		if size, err := l.sizeOf(name); err == nil && size == l.segmentSize {
			l.hasSpare = true
		} else {
			_ = l.files.Remove(name)
		}
		return nil, nil
	}
	number, ok := segmentNumber(name)
	if !ok {
		return nil, nil
	}
	head, size, err := l.readHead(name)
	if err != nil {
		ld.setAside(name, fmt.Sprintf("it cannot be read: %v", err))
		return nil, nil
	}
	h, newer, ok := header{}, uint32(0), false
	for _, at := range []int{0, headerCopy} {
		if got, v, sound := decodeHeader(head[at:]); sound {
			h, ok = got, true
			break
		} else if v > newer {
			newer = v
		}
	}
	switch {
	case ok && h.number != number:
		_ = l.files.Remove(name) // another segment's file under its last name
		return nil, nil
	case !ok && newer != 0:
		return nil, &Error{Op: "open", Err: fmt.Errorf("%w: %s has version %d, this program knows %d", ErrVersion, name, newer, formatVersion), Hint: hintVersion}
	case !ok:
		ld.setAside(name, "both copies of its header are damaged")
		return nil, nil
	}
	seg := newSegment(h)
	seg.size = size
	if n := seg.readSettled(head); n > 0 {
		ld.damage(seg, 0, fmt.Sprintf("%d sectors of its settled records are damaged, these are sent again", n))
	}
	return seg, nil
}

func (l *segmentLog) sizeOf(name string) (int64, error) {
	f, err := l.files.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Size()
}

func (l *segmentLog) readHead(name string) (head []byte, size int64, err error) {
	f, err := l.files.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if size, err = f.Size(); err != nil {
		return nil, 0, err
	}
	head = make([]byte, headSize)
	if n, err := f.ReadAt(head, 0); n < headSize {
		return nil, 0, fmt.Errorf("%d bytes of %d: %w", n, headSize, err)
	}
	return head, size, nil
}

// read takes a segment's records into the index.
func (ld *loader) read(seg *segment, given int, isLast bool) {
	ld.l.segments[uint32(seg.number)] = seg
	ld.l.newest = seg
	b, err := ld.content(seg)
	if err != nil {
		ld.damage(seg, 0, fmt.Sprintf("it cannot be read to its end: %v", err))
	}
	s := scanner{seg: seg, b: b, seq: max(seg.base, 1) - 1, ordinal: -1, limit: given}
	lost := s.run(ld.record)
	seg.records, seg.tail = s.ordinal+1, s.end
	if given > seg.records {
		lost += given - seg.records
		seg.records = given
	}
	if lost > 0 {
		ld.damage(seg, lost, fmt.Sprintf("%d records are damaged", lost))
	}
	ld.last = max(ld.last, s.seq)
	if isLast && seg.size > seg.tail {
		seg.cut = true // the committer gives back what was preallocated
		ld.l.touch(seg)
	}
}

// content reads the segment's file, as far as that is possible.
func (ld *loader) content(seg *segment) ([]byte, error) {
	if int64(cap(ld.buf)) < seg.size {
		ld.buf = make([]byte, seg.size)
	}
	f, err := ld.l.files.Open(seg.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := ld.buf[:seg.size]
	n, err := f.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

// record takes one record in.
func (ld *loader) record(seg *segment, r *record, offset int64) {
	if seg.isSettled(r.ordinal) {
		return
	}
	in := &ld.q.kept
	origin, now := ld.l.steps.origin(r), ld.now.UnixNano()
	s := slot{
		seq: r.seq, at: origin, due: never, segment: uint32(seg.number), size: uint32(len(r.topic) + len(r.payload)),
		offset: uint16(offset / padding), ordinal: r.ordinal, priority: r.priority, flags: slotOld,
	}
	if life := ld.q.life(r.ttl()); life > 0 {
		s.due = int64(left(origin, now, life))
	}
	seg.live++
	if r.flags&flagLatest != 0 {
		s.flags |= slotLatest
		ld.replace(string(r.topic))
	}
	s.topic = in.topics.internBytes(r.topic)
	in.put(s)
}

// replace settles what a Latest message has replaced, should the crash have
// come before that was durable. The process that crashed may have counted it or
// not; it is counted.
func (ld *loader) replace(topic string) {
	in := &ld.q.kept
	for t := in.topics.get(topic); t != nil && t.n > 0; {
		pos := t.head
		s := in.slot(pos)
		ld.l.settle(s.segment, s.ordinal)
		ld.q.dropped[ReasonReplaced]++
		in.remove(pos)
	}
}

// damage counts what was lost of a segment and keeps a copy of it.
func (ld *loader) damage(seg *segment, records int, what string) {
	l := ld.l
	l.disk.Damaged += uint64(records)
	if !seg.damaged {
		seg.damaged = true
		err := l.quarantine(func(to string) error { return l.files.Link(seg.name, to) }, seg.name)
		if err != nil {
			what += fmt.Sprintf("; no copy of it is in %s: %v", quarantineDir, err)
		}
		l.disk.Quarantined++
	}
	l.note(NoteDamage, fmt.Sprintf("segment %s: %s; what can be read is kept, see %s", seg.name, what, quarantineDir))
}

// setAside moves a file out of the way of which nothing can be read.
func (ld *loader) setAside(name, why string) {
	l := ld.l
	l.disk.Quarantined++
	err := l.quarantine(func(to string) error { return l.files.Rename(name, to) }, name)
	l.note(NoteDamage, fmt.Sprintf("segment %s: %s; moved to %s", name, why, quarantineDir))
	if err != nil {
		l.note(NoteDiskFailing, fmt.Sprintf("segment %s could not be moved: %v", name, err))
	}
}
