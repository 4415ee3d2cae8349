package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"airbridged/internal/outbox/files"
)

// MaxRepeats is how many messages at most are sent again after a kill or a power
// cut, while the disk works: the one in flight and what awaitFewUnflushed lets
// be outstanding.
const MaxRepeats = 1 + maxUnflushed

const (
	maxUnflushed = 16 // settlements that are not on disk; Done waits then
	hurryAt      = 8  // settlements at which the commit window ends early

	batchMessages = 512       // of one commit
	batchBytes    = 256 << 10 // of one commit, unless a single record is longer
	maxRecord     = 1 << 20   // bytes of one record

	retryEvery = time.Second // while the disk fails
	lookEvery  = time.Minute // at a disk that is not used
)

// Options is how a queue on disk works.
type Options struct {
	// CommitWindow is how long a commit waits for more messages to share it: for
	// each one more latency, for all fewer writes. 0: as soon as the commit
	// before has ended.
	CommitWindow time.Duration
	// Flushed, if not nil, is told after each flush to the disk how long it took.
	// It must not wait nor call the queue.
	Flushed func(d time.Duration)
	// Device is who was here before, as far as anybody knows. It counts for a
	// directory that does not say itself whose its messages are.
	Device Device
	// Forgetful: no final state is remembered, for whoever never asks for one.
	Forgetful bool

	Files       files.FileSystem // nil: the directory itself; tests put a simulated disk here
	SegmentSize int64            // bytes of a segment; 0: 512 KiB. Tests make them small, to have many
}

// segmentLog is the part of a queue that is on disk.
type segmentLog struct {
	dir         string                           // as the configuration names it
	open        func() (files.FileSystem, error) // the directory, made and locked
	segmentSize int64
	window      time.Duration
	flushed     func(time.Duration)
	work        chan struct{} // 1-buffered: something is to be committed
	hurry       chan struct{} // 1-buffered: now, not at the end of the window

	// Guarded by Queue.mu.
	home         *home               // where new segments are made; nil: there is none yet
	homes        []*home             // it, and those before it that were taken away
	order        []*segment          // by age
	segments     map[uint32]*segment // by key
	lastKey      uint32
	active       *segment // what is appended to; nil: the next commit makes one
	newest       *segment // of home the one with the greatest number; never removed
	pending      []*request
	waiting      int              // requests in pending or being written
	waitingBytes int64            // theirs
	waitingOf    map[string]owned // the same, by owner
	touched      []*segment       // in which something is to be written, cut or removed
	unflushed    int              // settlements that are not on disk
	running      bool
	closed       bool
	appendErr    error         // what the disk said to the last batch; nil: it works
	flushErr     error         // the same of settlements, cutting and removing
	homeErr      error         // the same of opening, reading or finding the directory
	wanted       int64         // what the record needed for which there was no segment
	captures     uint64        // how many times the settled bits were taken for writing
	rounds       uint64        // up to which of these it was tried
	flushedTo    uint64        // and up to which they are on disk
	flushWanted  bool          // somebody waits for a flush
	flushAgain   time.Time     // when it is tried again, after it failed
	flushDone    chan struct{} // closed and made anew when one of these changes
	reading      reading
	reserve      func() // gives a descriptor up; nil: there is none to give
	disk         DiskStats
	notes        notes
	steps        clockSteps
	before       Device // who was here, where devices does not say

	// The committer's own.
	file      *opened   // of active
	version   uint32    // of new segments
	suspect   bool      // home is not where it was, or a file of it
	tidyAgain time.Time // when moving is tried again, after it failed
	buf       []byte

	written, flushes atomic.Uint64
}

// request is a message that waits for its commit.
type request struct {
	m         Message
	digest    digest
	done      chan struct{} // closed when the following are set
	err       error
	abandoned bool // nobody waits any more: settle it at once. Guarded by Queue.mu
	taken     bool // it is being written. Guarded by Queue.mu
	slot      slot
	after     *request // what it must not overtake; nil once that is of no concern. Guarded by Queue.mu
	place     uint64   // as in index.add

	known  bool     // it is a repeat: m is what is known of the first one
	behind *request // of the same key, that waits for its commit
}

// DiskStats is a queue's use of the disk, in numbers.
type DiskStats struct {
	Segments    int    // files
	Bytes       int64  // their size, with what is preallocated
	Share       int64  // as many it may have of its file system; 0: not known
	Written     uint64 // bytes written since the start
	Flushes     uint64 // since the start
	Failing     bool   // the last write or flush failed
	Unreadable  int    // messages that are passed over, for their records could not be read for ten minutes
	Damaged     uint64 // records that were lost to damage, found since the start
	Quarantined uint64 // segments set aside since the start
	Moved       uint64 // bytes of records that were moved out of segments of which little was left
}

// Disk returns the present numbers; all are 0 for a queue in memory.
func (q *Queue) Disk() DiskStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	if l == nil {
		return DiskStats{}
	}
	s := l.disk
	s.Segments, s.Failing, s.Unreadable = len(l.order), l.failing() != nil, q.unreadableCount()
	s.Written, s.Flushes = l.written.Load(), l.flushes.Load()
	s.Bytes = l.size()
	return s
}

// size is what all segments take; under Queue.mu.
func (l *segmentLog) size() (n int64) {
	for _, seg := range l.order {
		n += seg.size
	}
	return n
}

// take makes a segment known; under Queue.mu.
func (l *segmentLog) take(seg *segment) {
	if seg.key == 0 {
		seg.key = l.newKey()
	}
	l.segments[seg.key] = seg
	l.insert(seg)
}

// newKey returns what slots may call a segment; under Queue.mu.
func (l *segmentLog) newKey() uint32 {
	l.lastKey++
	return l.lastKey
}

// insert puts a segment in its order; under Queue.mu.
func (l *segmentLog) insert(seg *segment) {
	i, _ := slices.BinarySearchFunc(l.order, seg, func(a, b *segment) int {
		if a.home != b.home {
			return a.home.generation - b.home.generation
		}
		return int(int64(a.number) - int64(b.number))
	})
	l.order = slices.Insert(l.order, i, seg)
	if seg.home == l.home && (l.newest == nil || l.newest.home != l.home || seg.number > l.newest.number) {
		l.newest = seg
	}
}

// forget is the end of a segment; under Queue.mu.
func (q *Queue) forget(seg *segment) {
	l := q.log
	delete(l.segments, seg.key)
	if i := slices.Index(l.order, seg); i >= 0 {
		l.order = slices.Delete(l.order, i, i+1)
	}
	q.shut(seg)
}

// signal wakes the committer.
func (l *segmentLog) signal() { poke(l.work) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one waits already
	}
}

// settle marks the record of a message; under Queue.mu.
func (l *segmentLog) settle(s *slot) {
	seg := l.segments[s.segment]
	seg.settle(s.ordinal, int64(s.size))
	l.touch(seg)
	if l.unflushed++; l.unflushed >= hurryAt {
		poke(l.hurry)
	}
	l.signal()
}

// touch has the committer look at a segment; under Queue.mu.
func (l *segmentLog) touch(seg *segment) {
	if !seg.touched {
		seg.touched = true
		l.touched = append(l.touched, seg)
	}
}

// failing is what the disk says at present to who writes; under Queue.mu.
func (l *segmentLog) failing() error {
	for _, err := range []error{l.homeErr, l.appendErr, l.flushErr} {
		if err != nil {
			return err
		}
	}
	return nil
}

// appendDurably hands a message to the committer and waits.
func (q *Queue) appendDurably(ctx context.Context, m Message) (Message, error) {
	digest := digestOf(&m)
	for {
		r := &request{m: m, digest: digest, done: make(chan struct{})}
		if err := q.begin(r); err != nil {
			return Message{}, err
		}
		switch {
		case r.known:
			return r.m, nil
		case r.behind != nil: // until that is kept or refused
			select {
			case <-r.behind.done:
				continue
			case <-ctx.Done():
				return Message{}, ctx.Err()
			}
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			if q.abandon(r) {
				return Message{}, ctx.Err()
			}
			<-r.done // it was settled in between
		}
		return r.m, r.err
	}
}

// begin lets a message in, if there will be room for it.
func (q *Queue) begin(r *request) error {
	r.m.State, r.m.Reason, r.m.Attempts = Queued, "", 0
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.log
	if l.closed {
		return &Error{Op: "append", Err: ErrClosed}
	}
	q.sweep(time.Now())
	first, known, err := q.repeat(&r.m, r.digest)
	if known {
		r.m, r.known = first, true
		return err
	}
	if r.m.Key != "" {
		if r.behind = q.keys.waiting[keyOf(&r.m)]; r.behind != nil {
			return nil
		}
	}
	if _, err := q.makeRoom(&r.m, l.waiting, l.waitingBytes); err != nil {
		return err
	}
	if r.m.Key != "" {
		q.keys.waiting[keyOf(&r.m)] = r
	}
	l.pending = append(l.pending, r)
	l.wait(&r.m, 1)
	if l.waiting >= batchMessages || l.waitingBytes >= batchBytes {
		poke(l.hurry)
	}
	l.signal()
	return nil
}

// abandon gives a request up. One that is being written already will be settled
// when it is. It says false if the request has ended.
func (q *Queue) abandon(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-r.done:
		return false
	default:
	}
	r.abandoned = true
	if !r.taken {
		for i, other := range q.log.pending {
			if other == r {
				q.log.drop(i)
				break
			}
		}
		q.keys.waitsNot(r)
		close(r.done) // for repeats of it
	}
	return true
}

// wait books a message that waits for its commit, or with -1 one that does no longer;
// under Queue.mu.
func (l *segmentLog) wait(m *Message, n int) {
	size := int64(n) * m.size()
	l.waiting += n
	l.waitingBytes += size
	own := l.waitingOf[m.Owner]
	if own = (owned{own.n + n, own.bytes + size}); own.n == 0 {
		delete(l.waitingOf, m.Owner)
	} else {
		l.waitingOf[m.Owner] = own
	}
}

// drop takes a request out that will not be written; under Queue.mu.
func (l *segmentLog) drop(i int) {
	l.wait(&l.pending[i].m, -1)
	l.pending = append(l.pending[:i], l.pending[i+1:]...)
}

// awaitFewUnflushed waits while more than maxUnflushed settlements are not on
// disk, unless the disk fails: the queue drains all the same.
func (q *Queue) awaitFewUnflushed() {
	q.await(func(l *segmentLog) bool { return l.unflushed <= maxUnflushed || l.flushErr != nil })
}

// awaitFlush waits until every settlement so far is on disk, or that was tried in
// vain. Error: ErrDisk.
func (q *Queue) awaitFlush() error {
	if q.log == nil {
		return nil
	}
	target := uint64(0)
	q.await(func(l *segmentLog) bool {
		if target == 0 {
			if l.unflushed == 0 && l.captures == l.flushedTo {
				return true
			}
			target = l.captures + 1 // the one that begins after this
			l.flushWanted = true
			poke(l.hurry)
			l.signal()
		}
		return l.rounds >= target
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.log.flushErr; err != nil && q.log.unflushed > 0 && (target == 0 || q.log.flushedTo < target) {
		return diskError(err)
	}
	return nil
}

// await waits for a condition that the committer brings about; not when there is
// none.
func (q *Queue) await(met func(*segmentLog) bool) {
	for q.log != nil {
		q.mu.Lock()
		l := q.log
		ok, changed := met(l) || !l.running, l.flushDone
		q.mu.Unlock()
		if ok {
			return
		}
		<-changed
	}
}

// diskError makes an error of the file layer one of the outbox.
func diskError(err error) error {
	if errors.Is(err, ErrDisk) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDisk, err)
}

// place says where a message's record is; no segment: it is in memory.
type place struct {
	segment *segment
	offset  int64
	ordinal uint16
	size    int64 // of topic and payload
	seq     uint64
}

func (q *Queue) place(in *population, s *slot) place {
	if q.log == nil || in != &q.kept {
		return place{}
	}
	return place{q.log.segments[s.segment], int64(s.offset) * padding, s.ordinal, int64(s.size), s.seq}
}
