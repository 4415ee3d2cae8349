package outbox

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"time"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// recordHead is the length of what precedes the topic.
const recordHead = 40

// padding is the multiple at which records begin.
const padding = 8

// Flags of a record.
const (
	flagLatest = 1
	flagExtra  = 2 // extras stand between topic and payload
	flagOwn    = 4 // with flagLatest: it replaces messages of its owner alone
)

// Extras of a record, by tag: one byte of tag, one of length, and so many bytes.
// What a reader does not know it passes over.
const (
	extraKey   = 1 // of four bytes of user, then the idempotency key
	extraID    = 2 // what the message's id ends with, where that is not the segment's nonce
	extraPlace = 3 // the sequence number in whose place the message is sent
	extraUID   = 4 // of the owner, where that is a user: four bytes
	extraOwner = 5 // the owner's name, else

	maxExtra = 2 + 4 + MaxKey + 2 + 8 + 2 + 8 + 2 + MaxOwner
)

// record is a record with its fields decoded; topic and payload point into the
// buffer it was read from.
type record struct {
	seq      uint64
	origin   int64 // nanoseconds since 1970, wall clock
	expiry   int64 // the same; 0: never
	ordinal  uint16
	priority Priority
	flags    byte
	topic    []byte
	payload  []byte

	user  uint32 // of the key
	key   string
	tail  uint64 // of the id; 0: the segment's nonce
	place uint64 // 0: its own
	owner string
}

// userOwner begins the name of an owner that is a user, and his number follows.
const userOwner = "uid "

// uidOf returns the number of an owner that is a user.
func uidOf(owner string) (uid uint32, ok bool) {
	text, ok := strings.CutPrefix(owner, userOwner)
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), ok && err == nil && strconv.FormatUint(n, 10) == text
}

// extra is what the record has besides topic and payload.
func (r *record) extra() (b []byte) {
	if r.key != "" {
		b = append(b, extraKey, byte(4+len(r.key)))
		b = append(le.AppendUint32(b, r.user), r.key...)
	}
	if r.tail != 0 {
		b = le.AppendUint64(append(b, extraID, 8), r.tail)
	}
	if r.place != 0 {
		b = le.AppendUint64(append(b, extraPlace, 8), r.place)
	}
	if uid, ok := uidOf(r.owner); ok {
		b = le.AppendUint32(append(b, extraUID, 4), uid)
	} else if r.owner != "" {
		b = append(append(b, extraOwner, byte(len(r.owner))), r.owner...)
	}
	return b
}

// takeExtra reads what extra wrote.
func (r *record) takeExtra(b []byte) (ok bool) {
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return false
		}
		tag, v := b[0], b[2:2+int(b[1])]
		b = b[2+len(v):]
		switch {
		case tag == extraKey && len(v) > 4:
			r.user, r.key = le.Uint32(v), string(v[4:])
		case tag == extraID && len(v) == 8:
			r.tail = le.Uint64(v)
		case tag == extraPlace && len(v) == 8:
			r.place = le.Uint64(v)
		case tag == extraUID && len(v) == 4:
			r.owner = userOwner + strconv.FormatUint(uint64(le.Uint32(v)), 10)
		case tag == extraOwner && len(v) <= MaxOwner:
			r.owner = string(v)
		}
	}
	return true
}

// padded rounds a length up to where the next record begins.
func padded(n int64) int64 { return (n + padding - 1) &^ (padding - 1) }

// recordSize is what topic and payload of so many bytes take in a segment, with a user
// who owns them, and without other extras.
func recordSize(size int64) int64 { return padded(recordHead + 2 + 4 + size) }

// seed is the checksum of a nonce, with which those of a segment begin.
func seed(nonce uint64) uint32 {
	return crc32.Update(0, castagnoli, le.AppendUint64(nil, nonce))
}

// appendRecord encodes a record with this topic and payload.
func appendRecord(buf []byte, seed uint32, r *record, topic string, payload []byte) []byte {
	start := len(buf)
	extra := r.extra()
	buf = append(buf, make([]byte, recordHead)...)
	buf = append(buf, topic...)
	buf = append(buf, extra...)
	buf = append(buf, payload...)
	b := buf[start:]
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint64(b[8:], r.seq)
	le.PutUint64(b[16:], uint64(r.origin))
	le.PutUint64(b[24:], uint64(r.expiry))
	le.PutUint16(b[32:], r.ordinal)
	b[34], b[35] = byte(r.priority), r.flags&^flagExtra
	if len(extra) > 0 {
		b[35] |= flagExtra
	}
	le.PutUint16(b[36:], uint16(len(topic)))
	le.PutUint16(b[38:], uint16(len(extra)))
	le.PutUint32(b, crc32.Update(seed, castagnoli, b[4:]))
	return append(buf, make([]byte, padded(int64(len(b)))-int64(len(b)))...)
}

// plausible reads a record's head and says whether there can be a record of
// that length, not whether its checksum is right.
func plausible(b []byte) (n int, ok bool) {
	if len(b) < recordHead {
		return 0, false
	}
	length := le.Uint32(b[4:])
	if length < recordHead || uint64(length) > uint64(len(b)) || recordHead+uint32(le.Uint16(b[36:]))+extraLength(b) > length {
		return 0, false
	}
	return int(length), true
}

// extraLength is how many bytes of extras a record's head tells of.
func extraLength(b []byte) uint32 {
	if b[35]&flagExtra == 0 {
		return 0
	}
	return uint32(le.Uint16(b[38:]))
}

// decodeRecord reads the record at the beginning of b.
func decodeRecord(b []byte, seed uint32) (r record, n int, ok bool) {
	n, ok = plausible(b)
	if !ok || crc32.Update(seed, castagnoli, b[4:n]) != le.Uint32(b) {
		return record{}, 0, false
	}
	topic := recordHead + int(le.Uint16(b[36:]))
	extra := topic + int(extraLength(b))
	r = record{
		seq: le.Uint64(b[8:]), origin: int64(le.Uint64(b[16:])), expiry: int64(le.Uint64(b[24:])), ordinal: le.Uint16(b[32:]),
		priority: min(Priority(b[34]), Low), flags: b[35], topic: b[recordHead:topic:topic], payload: b[extra:n:n],
	}
	return r, n, r.takeExtra(b[topic:extra])
}

// ttl is the time to live that the message was accepted with; 0: none.
func (r *record) ttl() time.Duration {
	if r.expiry == 0 {
		return 0
	}
	return time.Duration(r.expiry - r.origin)
}

// expiryOf is what a record says of a message accepted at origin.
func expiryOf(origin int64, ttl time.Duration) int64 {
	switch {
	case ttl == 0:
		return 0
	case int64(ttl) > math.MaxInt64-origin:
		return math.MaxInt64
	}
	return origin + int64(ttl)
}
