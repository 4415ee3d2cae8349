package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	maxRecord     = 64 << 20  // bytes of one record

	retryEvery = time.Second // while the disk fails
	maxReads   = 10          // tries to read a message, that far apart
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

	Files       files.FileSystem // nil: the directory itself; tests put a simulated disk here
	SegmentSize int64            // bytes of a segment; 0: 512 KiB. Tests make them small, to have many
}

// segmentLog is the part of a queue that is on disk.
type segmentLog struct {
	files       files.FileSystem
	segmentSize int64
	window      time.Duration
	flushed     func(time.Duration)
	release     func() error  // the lock
	work        chan struct{} // 1-buffered: something is to be committed
	hurry       chan struct{} // 1-buffered: now, not at the end of the window

	// Guarded by Queue.mu.
	segments     map[uint32]*segment // by number
	active       *segment            // what is appended to; nil: the next commit makes one
	newest       *segment            // the one with the greatest number; never removed
	pending      []*request
	waiting      int        // requests in pending or being written
	waitingBytes int64      // theirs
	touched      []*segment // in which something is to be written, cut or removed
	unflushed    int        // settlements that are not on disk
	running      bool
	closed       bool
	appendErr    error         // what the disk said to the last batch; nil: it works
	flushErr     error         // the same of settlements, cutting and removing
	wanted       int64         // what the record needed for which there was no segment
	captures     uint64        // how many times the settled bits were taken for writing
	flushedTo    uint64        // up to which of these they are on disk
	flushDone    chan struct{} // closed and made anew when flushedTo or failing changes
	unreadSeq    uint64        // the message that could not be read, and
	unreadTries  int           // how often in a row
	disk         DiskStats
	notes        notes
	steps        steps

	// The committer's own.
	file             files.File // of active
	hasSpare         bool
	removed          bool // files were removed or renamed, and the directory not synced
	removedUnflushed int  // settlements that this makes durable
	buf              []byte

	written, flushes atomic.Uint64
}

// request is a message that waits for its commit.
type request struct {
	m         Message
	done      chan struct{} // closed when the following are set
	err       error
	abandoned bool // nobody waits any more: settle it at once. Guarded by Queue.mu
	taken     bool // it is being written. Guarded by Queue.mu
	slot      slot
	after     *request // what it must not overtake; nil once that is of no concern. Guarded by Queue.mu
}

// DiskStats is a queue's use of the disk, in numbers.
type DiskStats struct {
	Segments    int    // files
	Bytes       int64  // their size, with what is preallocated
	Written     uint64 // bytes written since the start
	Flushes     uint64 // since the start
	Failing     bool   // the last write or flush failed
	Damaged     uint64 // records that were lost to damage, found since the start
	Quarantined uint64 // segments set aside since the start
}

// Disk returns the present numbers; all are 0 for a queue in memory.
func (q *Queue) Disk() DiskStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.log == nil {
		return DiskStats{}
	}
	s := q.log.disk
	s.Segments, s.Failing, s.Bytes = len(q.log.segments), q.log.failing() != nil, 0
	s.Written, s.Flushes = q.log.written.Load(), q.log.flushes.Load()
	for _, seg := range q.log.segments {
		s.Bytes += seg.size
	}
	return s
}

// signal wakes the committer.
func (l *segmentLog) signal() { poke(l.work) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one waits already
	}
}

// settle marks a record; under Queue.mu.
func (l *segmentLog) settle(number uint32, ordinal uint16) {
	seg := l.segments[number]
	seg.settle(ordinal)
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

// failing is what the disk says at present; under Queue.mu.
func (l *segmentLog) failing() error {
	if l.appendErr != nil {
		return l.appendErr
	}
	return l.flushErr
}

// appendDurably hands a message to the committer and waits.
func (q *Queue) appendDurably(ctx context.Context, m Message) (Message, error) {
	r := &request{m: m, done: make(chan struct{})}
	if err := q.begin(r); err != nil {
		return Message{}, err
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
	if _, err := q.makeRoom(&r.m, l.waiting, l.waitingBytes); err != nil {
		return err
	}
	l.pending = append(l.pending, r)
	l.waiting++
	l.waitingBytes += r.m.size()
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
	}
	return true
}

// drop takes a request out that will not be written; under Queue.mu.
func (l *segmentLog) drop(i int) {
	l.waiting--
	l.waitingBytes -= l.pending[i].m.size()
	l.pending = append(l.pending[:i], l.pending[i+1:]...)
}

// awaitFewUnflushed waits while more than maxUnflushed settlements are not on
// disk, unless the disk fails: the queue drains all the same.
func (q *Queue) awaitFewUnflushed() {
	q.await(func(l *segmentLog) bool { return l.unflushed <= maxUnflushed })
}

// awaitFlush waits until every settlement so far is on disk. Error: ErrDisk.
func (q *Queue) awaitFlush() error {
	target := uint64(0)
	q.await(func(l *segmentLog) bool {
		if l.unflushed == 0 && l.captures == l.flushedTo {
			return true
		}
		if target == 0 {
			target = l.captures + 1 // the one that begins after this
			poke(l.hurry)
			l.signal()
		}
		return l.flushedTo >= target
	})
	if q.log == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.log.flushErr; err != nil && q.log.unflushed > 0 {
		return diskError(err)
	}
	return nil
}

// await waits for a condition that the committer brings about; not when there is
// none, or while it cannot write settlements.
func (q *Queue) await(met func(*segmentLog) bool) {
	for q.log != nil {
		q.mu.Lock()
		l := q.log
		ok, changed := met(l) || l.flushErr != nil || !l.running, l.flushDone
		q.mu.Unlock()
		if ok {
			return
		}
		<-changed
	}
}

// diskError makes an error of the file layer one of the outbox.
func diskError(err error) error { return fmt.Errorf("%w: %w", ErrDisk, err) }

// place says where a message's record is; no segment: it is in memory.
type place struct {
	segment *segment
	offset  int64
	size    int64 // of topic and payload
	seq     uint64
}

func (q *Queue) place(in *population, s *slot) place {
	if q.log == nil || in != &q.kept {
		return place{}
	}
	return place{q.log.segments[s.segment], int64(s.offset) * padding, int64(s.size), s.seq}
}

// errDamaged: what is read is not what was written.
var errDamaged = errors.New("record is damaged")

// read gets a record's payload; no lock is held, so the segment may be gone by
// now, or used anew: then the checksum does not fit.
func (l *segmentLog) read(where place) (body, error) {
	b := make([]byte, recordHead+where.size)
	if err := l.readAt(where, b); err != nil {
		return body{}, err
	}
	r, _, ok := decodeRecord(b, where.segment.seed)
	if !ok || r.seq != where.seq {
		return body{}, errDamaged
	}
	return body{r.payload, r.ttl()}, nil
}

func (l *segmentLog) readAt(where place, b []byte) error {
	f, err := l.files.Open(where.segment.name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.ReadAt(b, where.offset); errors.Is(err, io.EOF) {
		return errDamaged
	}
	return err
}

// hopeless counts failed reads of a message in a row. One spot of flash that
// cannot be read must not hold up the rest for ever, and a disk that is gone for
// a moment must not cost a message: so only after a while, and only while the
// disk can be written. Under Queue.mu.
func (l *segmentLog) hopeless(seq uint64) bool {
	if l.unreadSeq != seq {
		l.unreadSeq, l.unreadTries = seq, 0
	}
	l.unreadTries++
	return l.unreadTries > maxReads && l.failing() == nil
}

// unreadable deals with the message in flight whose record cannot be read. It
// says whether to go on with the next message.
func (q *Queue) unreadable(id string, err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, gone := q.inFlight("take", id); gone != nil {
		return true
	}
	r := q.flight
	q.flight = ref{}
	if errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist) || q.log.hopeless(r.seq) {
		q.log.disk.Damaged++
		q.log.note(NoteDamage, fmt.Sprintf("message %s was lost: %v", id, err))
		q.finish(r, drop, ReasonDamaged, ReasonDamaged)
		return true
	}
	if q.log.unreadTries == 1 {
		q.log.note(NoteDiskFailing, fmt.Sprintf("message %s cannot be read at present: %v", id, err))
	}
	time.AfterFunc(retryEvery, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.wake()
	})
	return false
}
