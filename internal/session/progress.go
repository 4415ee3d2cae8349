package session

import (
	"fmt"
	"sync"
	"time"

	"airbridged/internal/recovery"
)

// Healthy returns nil while the supervisor makes progress: every step it takes
// has a bound, and the bound of the present one is not over yet.
func (s *Session) Healthy() error { return s.progress.check() }

// progress knows where the procedure stands, what is in its way, and when it is
// expected to have moved on. Other goroutines ask it.
type progress struct {
	mu     sync.Mutex
	state  recovery.State
	advice string // what can be done about the failure that it comes from; empty: nothing failed
	until  time.Time
}

// slack is what a bounded step may take beyond its bound before the daemon
// counts as stuck.
const slack = 60 * time.Second

// enters says that another state begins. What is in the way stays until it is known
// that it is not any more.
func (p *progress) enters(c change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = c.to
	if c.failure != nil || c.to == recovery.Online || c.to == recovery.Stopping {
		_, p.advice = c.cause()
	}
}

// at is where the procedure stands, and what can be done about what is in its way.
func (p *progress) at() (recovery.State, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.advice
}

// expect says that the next step takes at most d.
func (p *progress) expect(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(d + slack)
}

func (p *progress) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := time.Since(p.until); !p.until.IsZero() && late > 0 {
		return fmt.Errorf("the supervisor has made no progress for %v longer than its step may take", late.Round(time.Second))
	}
	return nil
}
