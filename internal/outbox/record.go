package outbox

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// recordHead is the length of what precedes topic and payload.
const recordHead = 40

// padding is the multiple at which records begin.
const padding = 8

const flagLatest = 1

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
}

// padded rounds a length up to where the next record begins.
func padded(n int64) int64 { return (n + padding - 1) &^ (padding - 1) }

// recordSize is what a message takes in a segment.
func recordSize(m *Message) int64 { return padded(recordHead + m.size()) }

// seed is the checksum of a nonce, with which those of a segment begin.
func seed(nonce uint64) uint32 {
	return crc32.Update(0, castagnoli, le.AppendUint64(nil, nonce))
}

// appendRecord encodes a message.
func appendRecord(buf []byte, seed uint32, r *record, topic string, payload []byte) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, recordHead)...)
	buf = append(buf, topic...)
	buf = append(buf, payload...)
	b := buf[start:]
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint64(b[8:], r.seq)
	le.PutUint64(b[16:], uint64(r.origin))
	le.PutUint64(b[24:], uint64(r.expiry))
	le.PutUint16(b[32:], r.ordinal)
	b[34], b[35] = byte(r.priority), r.flags
	le.PutUint16(b[36:], uint16(len(topic)))
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
	if length < recordHead || uint64(length) > uint64(len(b)) || recordHead+uint32(le.Uint16(b[36:])) > length {
		return 0, false
	}
	return int(length), true
}

// decodeRecord reads the record at the beginning of b.
func decodeRecord(b []byte, seed uint32) (r record, n int, ok bool) {
	n, ok = plausible(b)
	if !ok || crc32.Update(seed, castagnoli, b[4:n]) != le.Uint32(b) {
		return record{}, 0, false
	}
	topic := recordHead + int(le.Uint16(b[36:]))
	return record{
		seq: le.Uint64(b[8:]), origin: int64(le.Uint64(b[16:])), expiry: int64(le.Uint64(b[24:])), ordinal: le.Uint16(b[32:]),
		priority: min(Priority(b[34]), Low), flags: b[35], topic: b[recordHead:topic:topic], payload: b[topic:n:n],
	}, n, true
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
