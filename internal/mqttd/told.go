package mqttd

import "sync"

// maxTold bounds what is remembered of what the log was told.
const maxTold = 1024

// told says what the log has been told already. Beyond its bound it forgets, and
// something is told twice.
type told struct {
	mu   sync.Mutex
	what map[string]struct{}
}

func (t *told) init() { t.what = map[string]struct{}{} }

// first says whether something is told for the first time.
func (t *told) first(what string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.what[what]; known {
		return false
	}
	for old := range t.what {
		if len(t.what) < maxTold {
			break
		}
		delete(t.what, old)
	}
	t.what[what] = struct{}{}
	return true
}
