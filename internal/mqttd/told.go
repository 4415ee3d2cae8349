package mqttd

import (
	"hash/maphash"
	"sync"
)

// maxTold bounds what is remembered of what the log was told.
const maxTold = 1024

// told says what the log has been told already, by digests: what clients send can be
// long. Beyond its bound it forgets, and something is told twice.
type told struct {
	mu   sync.Mutex
	seed maphash.Seed
	what map[uint64]struct{}
}

func (t *told) init() { t.seed, t.what = maphash.MakeSeed(), map[uint64]struct{}{} }

// first says whether something is told for the first time.
func (t *told) first(what string) bool {
	digest := maphash.String(t.seed, what)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.what[digest]; known {
		return false
	}
	for old := range t.what {
		if len(t.what) < maxTold {
			break
		}
		delete(t.what, old)
	}
	t.what[digest] = struct{}{}
	return true
}
