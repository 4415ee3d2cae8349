package outbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"airbridged/internal/outbox/files"
)

// loader reads segments back. It works beside the queue, without its lock; what it
// has found is then adopted.
type loader struct {
	q       *Queue
	l       *segmentLog
	home    *home
	first   bool // nothing else is in the queue yet
	more    bool // only what could not be read before is read
	salvage bool // what can be read of a segment is taken, even if that is not all
	now     time.Time
	buf     []byte

	steps   []clockStep
	devices devices
	keys    []keyEntry // whose messages have ended
	keyRoom int        // as many have room in their file
	found   []*segment // by number
	unread  []string   // what could not be read
	highest uint64     // number there is
	last    uint64     // sequence number of the last record
	x       index      // of the messages
	keyed   []keyedRecord

	notes                       []Note
	damagedRecords, quarantined uint64
}

// keyedRecord is the key of a message that was read.
type keyedRecord struct {
	keyID
	digest digest
	seq    uint64
	tail   uint64
}

func (q *Queue) newLoader(h *home) *loader {
	q.mu.Lock()
	defer q.mu.Unlock()
	return &loader{q: q, l: q.log, home: h, first: len(q.log.order) == 0 && q.kept.n == 0, now: time.Now(), x: newIndex()}
}

func (ld *loader) note(kind, format string, args ...any) {
	ld.notes = append(ld.notes, Note{Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// cannot notes a segment that cannot be read now.
func (ld *loader) cannot(name string, err error) {
	if ld.unread = append(ld.unread, name); !ld.more {
		ld.note(NoteUnreadable, "segment %s cannot be read at present, and is tried again: %v", name, err)
	}
}

// look opens the segments among the names. Error: ErrVersion.
func (ld *loader) look(names []string) error {
	files := ld.home.files
	slices.Sort(names)
	upTo := uint64(0)
	for _, name := range names {
		switch name {
		case freshName, clockFresh, devicesFresh:
			_ = files.Remove(name) // it was never finished
			continue
		case spareName:
			ld.lookAtSpare()
			continue
		}
		number, ok := segmentNumber(name)
		if !ok {
			continue
		}
		ld.highest = max(ld.highest, number)
		if number <= upTo { // it was moved into an older one
			_ = files.Remove(name)
			continue
		}
		seg, err := ld.lookAt(name, number)
		switch {
		case errors.Is(err, ErrVersion):
			return err
		case err != nil:
			ld.cannot(name, err)
		case seg != nil:
			ld.found = append(ld.found, seg)
			upTo = max(upTo, seg.upTo)
		}
	}
	return nil
}

func (ld *loader) lookAtSpare() {
	f, err := ld.home.files.OpenRead(spareName)
	if err != nil {
		return
	}
	size, err := f.Size()
	_ = f.Close()
	if err == nil && size == ld.l.segmentSize {
		ld.home.hasSpare = true
	} else if err == nil {
		_ = ld.home.files.Remove(spareName)
	}
}

// lookAt reads the head of a segment; nil without an error if it is none. The
// error is of the moment: the file may be sound.
func (ld *loader) lookAt(name string, number uint64) (*segment, error) {
	f, err := ld.home.files.OpenRead(name)
	switch {
	case errors.Is(err, files.ErrNotRegular), errors.Is(err, fs.ErrNotExist) && errors.Is(ld.home.files.Stat(name), fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	head, h, newer, err := ld.head(f, size)
	switch {
	case err != nil:
		return nil, err
	case newer != 0:
		return nil, fmt.Errorf("%w: %s has version %d, this program knows %d", ErrVersion, name, newer, formatVersion)
	case head == nil:
		ld.setAside(name, "both copies of its header are damaged")
		return nil, nil
	case h.number != number:
		_ = ld.home.files.Remove(name) // another segment's file under its last name
		return nil, nil
	}
	return ld.segment(name, h, head, size)
}

// head reads the header and the settled sectors; nothing if they are damaged, and
// are so again when they come from the disk anew.
func (ld *loader) head(f files.File, size int64) (head []byte, h header, newer uint32, err error) {
	for range 2 {
		head = make([]byte, headSize)
		if size < headSize {
			return nil, h, 0, nil
		}
		if n, err := f.ReadAt(head, 0); n < headSize {
			if ended(err) {
				err = nil
			}
			return nil, h, 0, err
		}
		ok := false
		if h, newer, ok = soundHeader(head); ok || newer != 0 {
			return head, h, newer, nil
		}
		f.Forget(0, headSize)
	}
	return nil, h, 0, nil
}

// soundHeader decodes the copy of the header that is sound.
func soundHeader(head []byte) (h header, newer uint32, ok bool) {
	for _, at := range []int{0, headerCopy} {
		got, v, sound := decodeHeader(head[at:])
		if sound {
			return got, 0, true
		}
		newer = max(newer, v)
	}
	return h, newer, false
}

// readHeader reads the header of an open segment.
func readHeader(f files.File) (h header, newer uint32, ok bool) {
	head := make([]byte, headSize)
	if n, _ := f.ReadAt(head, 0); n < headSize {
		return h, 0, false
	}
	return soundHeader(head)
}

// segment makes a segment of what its head says, unless it is known already.
func (ld *loader) segment(name string, h header, head []byte, size int64) (*segment, error) {
	if seg := ld.known(h.nonce); seg != nil {
		return seg, nil
	}
	if !ld.first && ld.q.rebind(ld.home, h.nonce, name) {
		return nil, nil
	}
	seg := newSegment(h, ld.home)
	ld.q.mu.Lock()
	seg.key = ld.l.newKey()
	ld.q.mu.Unlock()
	if seg.size = size; size > ld.longest() {
		ld.note(NoteDamage, "segment %s has %d bytes, no segment is longer than %d: it is cut to its content", name, size, ld.longest())
		seg.size, seg.cut = ld.longest(), true
	}
	if n := seg.readSettled(head); n > 0 {
		ld.damage(seg, 0, fmt.Sprintf("%d sectors of its settled records are damaged, these are sent again", n))
	}
	return seg, nil
}

// longest is how long a segment can be.
func (ld *loader) longest() int64 { return max(ld.l.segmentSize, headSize+maxRecord) }

// known returns the segment that was read in part before.
func (ld *loader) known(nonce uint64) *segment {
	ld.q.mu.Lock()
	defer ld.q.mu.Unlock()
	for _, seg := range ld.l.order {
		if seg.nonce == nonce && seg.home == ld.home {
			return seg
		}
	}
	return nil
}

// given is how many records a segment that was found has, as far as its header or
// the next one's tells; -1: that is not known.
func (ld *loader) given(i int) int {
	seg := ld.found[i]
	switch {
	case seg.upTo != 0:
		return int(seg.header.records)
	case i+1 < len(ld.found) && ld.found[i+1].before == seg.number:
		return int(ld.found[i+1].recordsOfBefore)
	}
	ld.q.mu.Lock()
	defer ld.q.mu.Unlock()
	for _, other := range ld.l.order {
		if other.home == ld.home && other.before == seg.number {
			return int(other.recordsOfBefore)
		}
	}
	return -1
}

// foundRecord is a record and where it is.
type foundRecord struct {
	record
	offset int64
}

// readAll takes in the records of all that was found.
func (ld *loader) readAll() {
	failed := map[*segment]bool{}
	for i, seg := range ld.found {
		failed[seg] = !ld.read(seg, ld.given(i))
	}
	ld.found = slices.DeleteFunc(ld.found, func(seg *segment) bool { return failed[seg] })
}

// read takes a segment's records in, and says whether that was possible.
func (ld *loader) read(seg *segment, given int) bool {
	records, s, lost, whole, err := ld.records(seg, given)
	if err != nil {
		ld.cannot(seg.name, err)
		return false
	}
	for i := range records {
		ld.record(seg, &records[i])
	}
	ld.last = max(ld.last, s.seq)
	if !whole {
		if ld.unread = append(ld.unread, seg.name); !seg.partial {
			ld.note(NoteUnreadable, "segment %s cannot be read whole: %d messages of it are there, the others are tried again every %d min", seg.name, seg.live, int(retryLater.Minutes()))
		}
		seg.partial = true
		lost, given = 0, max(given, maxRecords)
	} else {
		seg.partial = false
	}
	seg.records, seg.tail = max(s.ordinal+1, given), s.end
	if lost > 0 {
		ld.damage(seg, lost, fmt.Sprintf("%d records are damaged", lost))
	}
	return true
}

// records reads and checks a segment. Where something is damaged, it is read from
// the disk once more before that is believed. whole is false if not all could be
// read.
func (ld *loader) records(seg *segment, given int) (list []foundRecord, s scanner, lost int, whole bool, err error) {
	f, err := ld.home.files.OpenRead(seg.name)
	if err != nil {
		return nil, s, 0, false, err
	}
	defer f.Close()
	for range 2 {
		b, whole, err := ld.content(f, seg.size)
		if err != nil {
			return nil, s, 0, false, err
		}
		list = list[:0]
		s = scanner{seg: seg, b: b, seq: max(seg.base, 1) - 1, ordinal: -1, limit: given}
		lost = s.run(func(r *record, offset int64) { list = append(list, foundRecord{*r, offset}) })
		lost += max(0, given-s.ordinal-1)
		if lost == 0 || !whole {
			return list, s, lost, whole, nil
		}
		f.Forget(0, seg.size)
	}
	return list, s, lost, true, nil
}

// ended says whether a read came to the end of the file.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// block is what is read at once of a file that cannot be read as a whole.
const block = 4096

// content reads a segment's file. A file that ends early is whole; what is
// missing, its header's successor knows.
func (ld *loader) content(f files.File, size int64) (b []byte, whole bool, err error) {
	if int64(cap(ld.buf)) < size {
		ld.buf = make([]byte, size)
	}
	b = ld.buf[:size]
	n, err := f.ReadAt(b, 0)
	if err == nil || int64(n) == size || ended(err) {
		return b[:n], true, nil
	}
	if !ld.salvage {
		return nil, false, err
	}
	for at := int64(0); at < size; at += block {
		part := b[at:min(at+block, size)]
		if n, err := f.ReadAt(part, at); n < len(part) {
			clear(part[n:])
			if ended(err) {
				break
			}
		}
	}
	return b, false, nil
}

// record takes one record in.
func (ld *loader) record(seg *segment, r *foundRecord) {
	if r.tail != 0 {
		if missing := int(r.ordinal) + 1 - len(seg.tails); missing > 0 {
			seg.tails = append(seg.tails, make([]uint64, missing)...)
		}
		seg.tails[r.ordinal] = r.tail
	}
	if seg.isSettled(r.ordinal) {
		return
	}
	topic := r.topic
	if len(ld.devices.Retargets) > 0 {
		_, sent := ld.devices.resolve(r.seq, string(topic))
		topic = []byte(sent)
		ld.x.lengthen(r.seq, len(topic)-len(r.topic))
	}
	origin, now := originOf(ld.steps, &r.record), ld.now.UnixNano()
	s := slot{
		seq: r.seq, at: origin, due: never, segment: seg.key, size: uint32(len(r.topic) + len(r.payload)),
		offset: uint16(r.offset / padding), ordinal: r.ordinal, priority: r.priority, flags: slotOld,
	}
	if life := ld.q.life(r.ttl()); life > 0 {
		s.due = int64(left(origin, now, life))
	}
	seg.live++
	seg.liveBytes += recordSize(int64(s.size))
	if r.flags&flagLatest != 0 {
		s.flags |= slotLatest
		if r.flags&flagOwn != 0 {
			ld.x.own[r.seq] = true
		}
		if ld.first {
			ld.replace(string(topic), &r.record)
		}
	}
	if r.key != "" {
		id := keyID{r.user, r.key}
		ld.keyed = append(ld.keyed, keyedRecord{id, digestOfParts(r.topic, r.payload), r.seq, seg.idTail(r.ordinal)})
	}
	s.topic = ld.x.topics.internBytes(topic)
	s.owner = ld.x.owners.intern(r.owner)
	ld.x.put(s, r.place)
}

// replace settles what a Latest message has replaced, should the crash have
// come before that was durable. The process that crashed may have counted it or
// not; it is counted.
func (ld *loader) replace(topic string, by *record) {
	t := ld.x.topics.get(topic)
	if t == nil {
		return
	}
	for pos := t.head; pos != none; {
		s := ld.x.slot(pos)
		at := pos
		if pos = ld.x.nextInTopic(s); !ld.devices.same(s.seq, by.seq, topic) {
			continue // accepted while another device was here
		}
		if by.flags&flagOwn != 0 && ld.x.owners.list[s.owner].name != by.owner {
			continue
		}
		ld.settle(s)
		ld.q.mu.Lock()
		ld.q.dropped[ReasonReplaced]++
		ld.q.mu.Unlock()
		ld.x.remove(at)
	}
}

// settle marks a record that was read and is not to be sent.
func (ld *loader) settle(s *slot) {
	for _, seg := range ld.found {
		if seg.key == s.segment {
			seg.settle(s.ordinal, int64(s.size))
			ld.q.mu.Lock()
			ld.l.touch(seg)
			ld.l.unflushed++
			ld.q.mu.Unlock()
			return
		}
	}
}

// adoptRecords puts what was read into the index. Under Queue.mu.
func (q *Queue) adoptRecords(ld *loader) {
	if !ld.more {
		q.keys.load(ld.keys, ld.keyRoom)
	}
	if !ld.first {
		q.leaveOutKnown(ld)
	}
	for _, k := range ld.keyed {
		pos, s := ld.x.find(k.seq)
		switch e := (&keyEntry{keyID: k.keyID, digest: k.digest, seq: k.seq, tail: k.tail}); {
		case q.keys.ended(k.seq) && s != nil: // the crash came before its record was settled
			q.log.settle(s)
			ld.x.remove(pos)
		case q.keys.bySeq[k.seq] != nil:
		case s == nil: // replaced just now
			q.keys.insert(e)
			q.keys.end(k.seq, Dropped)
		default:
			q.keys.insert(e)
		}
	}
	ld.x.foreign = q.isForeign
	if ld.first {
		q.kept.index = ld.x
		return
	}
	topics := make([]string, 0, len(ld.x.topics.byName))
	for name := range ld.x.topics.byName {
		topics = append(topics, name)
	}
	q.kept.merge(&ld.x)
	for _, name := range topics {
		q.replaceOutdated(name)
	}
}

// leaveOutKnown takes out of what was read the messages that the queue has.
func (q *Queue) leaveOutKnown(ld *loader) {
	for pos, s := ld.x.next(ld.x.first); s != nil; pos, s = ld.x.next(pos + 1) {
		_, have := q.kept.find(s.seq)
		if have == nil {
			continue
		}
		switch seg, other := q.log.segments[s.segment], q.log.segments[have.segment]; {
		case seg == other:
			seg.live--
			seg.liveBytes -= recordSize(int64(s.size))
		case seg.idTail(s.ordinal) == other.idTail(have.ordinal):
			q.log.settle(s) // a copy that was moved since
		default: // the clock was set back by just so much: the next start finds it
			q.log.note(NoteUnreadable, fmt.Sprintf("a message of segment %s has the number of another one, and waits for the next start", seg.name))
		}
		ld.x.remove(pos)
	}
}

// replaceOutdated ends what a younger Latest message of the topic has replaced.
func (q *Queue) replaceOutdated(topic string) {
	t := q.kept.topics.get(topic)
	if t == nil {
		return
	}
	var old []uint64
	for pos := t.head; pos != none; pos = q.kept.nextInTopic(q.kept.slot(pos)) {
		if q.outdated(&q.kept, pos) {
			old = append(old, q.kept.slot(pos).seq)
		}
	}
	for _, seq := range old {
		if r := (ref{&q.kept, seq}); !q.flight.has(r) {
			q.finish(r, drop, ReasonReplaced, ReasonReplaced)
		}
	}
}

// damage counts what was lost of a segment and keeps a copy of it.
func (ld *loader) damage(seg *segment, records int, what string) {
	ld.damagedRecords += uint64(records)
	if !seg.damaged {
		seg.damaged = true
		if err := seg.home.keep(seg.name); err != nil {
			what += fmt.Sprintf("; no copy of it is in %s: %v", quarantineDir, err)
		}
		ld.quarantined++
	}
	ld.note(NoteDamage, "segment %s: %s; what can be read is kept, see %s", seg.name, what, quarantineDir)
}

// setAside moves a file out of the way of which nothing can be read.
func (ld *loader) setAside(name, why string) {
	ld.quarantined++
	if err := ld.home.setAside(name); err != nil {
		ld.note(NoteDiskFailing, "segment %s: %s; it could not be moved to %s: %v", name, why, quarantineDir, err)
		return
	}
	ld.note(NoteDamage, "segment %s: %s; moved to %s", name, why, quarantineDir)
}
