package batch

import (
	"time"

	"airbridged/internal/topic"
)

// Bounds of a batch that are not a rule's.
const (
	// MaxUnpacked is how many bytes the envelope of a batch has at most, before
	// compression: a receiver may stop there.
	MaxUnpacked = 64 << 10
	// MaxMessages is the most readings that a rule may allow in one publish: the most
	// that arrive twice after one unknown outcome.
	MaxMessages = 1000
	// MaxWait is the longest that a rule may let a reading wait for others.
	MaxWait = time.Hour
)

// Rule is how the readings of some topics travel, and how many together.
type Rule struct {
	Topic string // filter, with the device's names in it
	Form
	MaxBytes    int           // of the payload as it goes to the module; 0: what the module carries
	MaxMessages int           // 1 to [MaxMessages]
	MaxWait     time.Duration // how long a reading waits for others while nothing is in flight; 0: not at all
}

// Rules are a daemon's rules. No two apply to the same topic.
type Rules []Rule

// Of returns the rule of a topic; nil: it has none.
func (r Rules) Of(name string) *Rule {
	for i := range r {
		if topic.Match(r[i].Topic, name) {
			return &r[i]
		}
	}
	return nil
}

// Room says whether one more reading, behind others of so many bytes in all, may go
// into the same batch as far as the rule alone can say.
func (r *Rule) Room(readings, bytes, more int) bool {
	const frame = prefix + 1 // no envelope adds more to a reading
	return readings < r.MaxMessages && bytes+more+frame*(readings+1) <= MaxUnpacked
}

// Pack makes a payload of as many readings as fit, from the first on, and returns how
// many that are; 0: not even the first does, and payload is what it would be alone.
// carries says whether the module at hand carries a payload of so many readings.
func (r *Rule) Pack(readings [][]byte, carries func(payload []byte, readings int) bool) (payload []byte, n int) {
	try := func(n int) ([]byte, bool) {
		b := r.Encode(readings[:n])
		return b, r.Envelope.size(readings[:n]) <= MaxUnpacked && (r.MaxBytes == 0 || len(b) <= r.MaxBytes) && carries(b, n)
	}
	payload, fits := try(len(readings))
	if fits {
		return payload, len(readings)
	}
	// n fit, and over do not. Compressed, one more reading now and then takes less; the
	// result fits all the same.
	for over := len(readings); over-n > 1; {
		mid := n + (over-n)/2
		if b, fits := try(mid); fits {
			payload, n = b, mid
		} else {
			over = mid
		}
	}
	if n == 0 {
		payload, _ = try(1)
	}
	return payload, n
}
