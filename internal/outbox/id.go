package outbox

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// idSource makes ids that are unique for ever and sort by acceptance: 24
// characters of base32hex, which keeps the order of the bytes behind it:
//
//	8 bytes  microseconds since 1970, but always more than the one before
//	7 bytes  random, drawn once per process
//
// Inside a process the number alone is unique and ascending, whatever the wall
// clock does. Across restarts the order is as good as the clock; should a clock
// that was set back repeat a number, the random part still tells the two apart.
type idSource struct {
	last uint64
	tail [7]byte
}

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func newIDSource() idSource {
	var s idSource
	_, _ = rand.Read(s.tail[:]) // never fails (crypto/rand)
	return s
}

func (s *idSource) next(now time.Time) string {
	s.last = max(s.last+1, uint64(now.UnixMicro()))
	var b [15]byte
	binary.BigEndian.PutUint64(b[:8], s.last)
	copy(b[8:], s.tail[:])
	return idEncoding.EncodeToString(b[:])
}
