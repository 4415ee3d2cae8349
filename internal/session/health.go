package session

import (
	"fmt"
	"sync"
	"time"
)

// Healthy returns nil while the supervisor makes progress: every step it takes
// has a bound, and the bound of the present one is not over yet.
func (s *Session) Healthy() error { return s.health.check() }

// health knows when the supervisor is expected to have moved on.
type health struct {
	mu    sync.Mutex
	until time.Time
}

// slack is what a bounded step may take beyond its bound before the daemon
// counts as stuck.
const slack = 60 * time.Second

// expect says that the next step takes at most d.
func (h *health) expect(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Now().Add(d + slack)
}

func (h *health) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if late := time.Since(h.until); !h.until.IsZero() && late > 0 {
		return fmt.Errorf("the supervisor has made no progress for %v longer than its step may take", late.Round(time.Second))
	}
	return nil
}
