package outbox

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// idSource gives the sequence numbers, see the package comment: the time in
// microseconds, but always more than the one before.
type idSource struct {
	last uint64
	tail uint64 // what ids of messages in memory end with: drawn once per process
}

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func newIDSource() idSource { return idSource{tail: random64()} }

func (s *idSource) next(now time.Time) uint64 {
	s.last = max(s.last+1, uint64(max(now.UnixMicro(), 0)))
	return s.last
}

func random64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return binary.LittleEndian.Uint64(b[:])
}

// encodeID makes 24 characters of base32hex, which keeps the order of the bytes
// behind it: the number, and the last seven bytes of a random tail, which tell
// two numbers apart should the clock be set back over a restart.
func encodeID(seq, tail uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[8:], tail)
	copy(b[1:], b[9:])
	var id [15]byte
	binary.BigEndian.PutUint64(id[:8], seq)
	copy(id[8:], b[1:8])
	return idEncoding.EncodeToString(id[:])
}

// decodeID returns the number of an id; false if it is no id.
func decodeID(id string) (seq uint64, ok bool) {
	b, err := idEncoding.DecodeString(id)
	if err != nil || len(b) != 15 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// id returns the id of a live message.
func (q *Queue) id(in *population, s *slot) string {
	tail := q.ids.tail
	if q.log != nil && in == &q.kept {
		tail = q.log.segments[s.segment].idTail(s.ordinal)
	}
	return encodeID(s.seq, tail)
}

// lookUp finds a live message by its id.
func (q *Queue) lookUp(id string) (ref, *slot) {
	seq, ok := decodeID(id)
	if !ok {
		return ref{}, nil
	}
	for _, in := range []*population{&q.kept, &q.held} {
		if _, s := in.find(seq); s != nil && q.id(in, s) == id {
			return ref{in, seq}, s
		}
	}
	return ref{}, nil
}
