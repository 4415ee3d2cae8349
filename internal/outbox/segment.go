package outbox

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// The measures of a segment; see the package comment.
const (
	segmentSize  = 512 << 10
	sector       = 512
	headSize     = 8 * sector
	headerCopy   = 7 * sector
	firstSettled = 1
	settledCount = 6
	settledBytes = sector - 4
	settledBits  = settledBytes * 8
	maxRecords   = settledCount * settledBits

	formatVersion = 2 // what is read
	plainVersion  = 1 // what is written as long as it does

	spareName = "spare" // a segment to be used again
	freshName = "new"   // a segment that is being made
	suffix    = ".seg"
)

var magic = []byte("ABOUTBOX")

// header is sector 0 of a segment, and sector 7.
type header struct {
	version                 uint32
	number, nonce, base     uint64
	before, recordsOfBefore uint64
	upTo, records           uint64 // of one that stands for several: up to which number, and how many records it has
}

func (h *header) fields() []*uint64 {
	return []*uint64{&h.number, &h.nonce, &h.base, &h.before, &h.recordsOfBefore, &h.upTo, &h.records}
}

func (h *header) encode() []byte {
	b := make([]byte, sector)
	copy(b, magic)
	le.PutUint32(b[8:], h.version)
	for i, v := range h.fields() {
		le.PutUint64(b[16+8*i:], *v)
	}
	le.PutUint32(b[12:], crc32.Checksum(b, castagnoli))
	return b
}

// decodeHeader reads one copy of the header. ok is false for a damaged one, and
// newer the version of one that is sound but of a later format.
func decodeHeader(b []byte) (h header, newer uint32, ok bool) {
	if !bytes.Equal(b[:8], magic) {
		return h, 0, false
	}
	plain := bytes.Clone(b[:sector])
	clear(plain[12:16])
	if crc32.Checksum(plain, castagnoli) != le.Uint32(b[12:]) {
		return h, 0, false
	}
	if h.version = le.Uint32(b[8:]); h.version > formatVersion {
		return h, h.version, false
	}
	for i, v := range h.fields() {
		*v = le.Uint64(b[16+8*i:])
	}
	return h, 0, true
}

// segment is what is known of one segment file. The header, key, home, name and
// seed never change; the rest is guarded by Queue.mu, but written, which is the
// committer's.
type segment struct {
	header
	key       uint32 // what slots call it
	home      *home
	name      string
	seed      uint32
	records   int   // how many have been accepted or given up: the next ordinal
	live      int   // how many are not settled
	liveBytes int64 // theirs, without extras
	tail      int64 // where the next record begins
	size      int64 // of the file
	written   int64 // up to where the file's blocks were ever written
	settled   []byte
	tails     []uint64 // by ordinal, where ids do not end with the nonce; nil: all do
	dirty     uint8    // settled sectors that changed since they were written
	unflushed int      // how many records were settled since
	touched   bool     // the committer is to look at it
	damaged   bool     // it stays, in quarantine
	cut       bool     // the file is to be cut to tail
	partial   bool     // not all of it could be read yet
	stray     bool     // its name does not lead to it any more
	unmovable bool     // not all that is left of it could be read
	fd        *opened  // kept open; nil: it is not

	failing time.Time // since when it cannot be read; zero: it can
	passed  int       // how many of its records were passed over since
}

func newSegment(h header, home *home) *segment {
	return &segment{header: h, home: home, seed: seed(h.nonce), tail: headSize, name: segmentName(h.number)}
}

// idTail is what the id of a record's message ends with.
func (s *segment) idTail(ordinal uint16) uint64 {
	if int(ordinal) < len(s.tails) && s.tails[ordinal] != 0 {
		return s.tails[ordinal]
	}
	return s.nonce
}

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, suffix) }

// segmentNumber returns the number in a file name.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	return n, err == nil
}

// isSettled says whether a record's message is not to be sent any more.
func (s *segment) isSettled(ordinal uint16) bool {
	i, bit := settledAt(ordinal)
	return i < len(s.settled) && s.settled[i]&bit != 0
}

// settle sets the bit of a live record, of so many bytes of topic and payload.
func (s *segment) settle(ordinal uint16, size int64) {
	i, bit := settledAt(ordinal)
	if missing := (i/settledBytes+1)*settledBytes - len(s.settled); missing > 0 {
		s.settled = append(s.settled, make([]byte, missing)...)
	}
	s.settled[i] |= bit
	s.dirty |= 1 << (i / settledBytes)
	s.unflushed++
	s.live--
	s.liveBytes -= recordSize(size)
}

func settledAt(ordinal uint16) (index int, bit byte) { return int(ordinal / 8), 1 << (ordinal % 8) }

// chunkOf is bytes that belong at an offset of a file.
type chunkOf struct {
	offset int64
	data   []byte
}

// takeDirty returns the settled sectors to write, and how many settlements that
// makes durable. Until giveBack they count as written.
func (s *segment) takeDirty() (chunks []chunkOf, settlements int) {
	for i := range settledCount {
		if s.dirty&(1<<i) == 0 {
			continue
		}
		b := make([]byte, sector)
		copy(b, s.settled[i*settledBytes:(i+1)*settledBytes])
		le.PutUint32(b[settledBytes:], s.settledSum(i, b))
		chunks = append(chunks, chunkOf{int64(firstSettled+i) * sector, b})
	}
	settlements = s.unflushed
	s.dirty, s.unflushed = 0, 0
	return chunks, settlements
}

// giveBack undoes takeDirty.
func (s *segment) giveBack(chunks []chunkOf, settlements int) {
	for _, c := range chunks {
		s.dirty |= 1 << (c.offset/sector - firstSettled)
	}
	s.unflushed += settlements
}

// dirtyAll has all settled sectors written again.
func (s *segment) dirtyAll() {
	for i := 0; i*settledBytes < len(s.settled); i++ {
		s.dirty |= 1 << i
	}
}

func (s *segment) settledSum(i int, b []byte) uint32 {
	sum := crc32.Update(s.seed, castagnoli, le.AppendUint64(nil, uint64(firstSettled+i)))
	return crc32.Update(sum, castagnoli, b[:settledBytes])
}

// readSettled takes the bits from the first sectors of the file, and returns how
// many of them are damaged.
func (s *segment) readSettled(head []byte) (damaged int) {
	for i := range settledCount {
		b := head[(firstSettled+i)*sector:][:sector]
		switch {
		case s.settledSum(i, b) == le.Uint32(b[settledBytes:]):
			if missing := (i+1)*settledBytes - len(s.settled); missing > 0 {
				s.settled = append(s.settled, make([]byte, missing)...)
			}
			copy(s.settled[i*settledBytes:], b[:settledBytes])
		case len(bytes.Trim(b, "\x00")) != 0:
			damaged++
		}
	}
	return damaged
}
