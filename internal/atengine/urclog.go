package atengine

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Mark is a moment in the order of commands and URCs.
type Mark uint64

// URC is a line that the module sent of its own accord and the hook kept.
type URC struct {
	Mark Mark
	Text string
	At   time.Time // when it was scanned
}

// keptURCs bounds the log; the oldest is overwritten and counted as lost. What
// is kept are completions and losses, never messages, so that a burst of
// messages cannot push a PUBACK out.
const keptURCs = 256

// urcLog is the order of commands and kept URCs. It is safe for concurrent use.
type urcLog struct {
	changed chan struct{}   // woken for the owner's select
	gone    <-chan struct{} // closed when no more URC can come

	mu      sync.Mutex
	last    Mark
	kept    []URC
	fresh   []URC // added since tell: nobody has seen them
	renewed bool  // a doubt in kept was, since tell
	lost    uint64
	waiting chan struct{} // closed and replaced when a URC is told; nil: nobody waits
}

// mark returns the present moment: URCs from now on come after it.
func (l *urcLog) mark() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// add keeps a line; tell shows it.
func (l *urcLog) add(text string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.fresh = append(l.fresh, URC{Mark: l.last, Text: text, At: at})
}

// doubt keeps a doubt. One right behind another takes its place, so that however
// many there are, they push nothing out.
func (l *urcLog) doubt(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	u := URC{Mark: l.last, Text: Doubt, At: at}
	for _, list := range [...][]URC{l.fresh, l.kept} {
		if n := len(list); n > 0 {
			if list[n-1].Text != Doubt {
				break
			}
			list[n-1], l.renewed = u, true
			return
		}
	}
	l.fresh = append(l.fresh, u)
}

// tell shows all that was added.
func (l *urcLog) tell() {
	l.mu.Lock()
	told := len(l.fresh) > 0 || l.renewed
	l.renewed = false
	for _, u := range l.fresh {
		if len(l.kept) == keptURCs {
			l.kept = append(l.kept[:0], l.kept[1:]...)
			l.lost++
		}
		l.kept = append(l.kept, u)
	}
	l.fresh = l.fresh[:0]
	if told && l.waiting != nil {
		close(l.waiting)
		l.waiting = nil
	}
	l.mu.Unlock()
	if told {
		signal(l.changed)
	}
}

// after returns the kept URCs after m, the mark up to which all are shown, and a
// channel that is closed when another one is. What was added and is not shown yet
// lies behind that mark: who looks again from there finds it.
func (l *urcLog) after(m Mark) ([]URC, Mark, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shown := l.last
	if len(l.fresh) > 0 {
		shown = l.fresh[0].Mark - 1
	}
	first := len(l.kept)
	for first > 0 && l.kept[first-1].Mark > m {
		first--
	}
	if l.waiting == nil {
		l.waiting = make(chan struct{})
	}
	return append([]URC(nil), l.kept[first:]...), shown, l.waiting
}

// await returns the first kept URC after m that matches.
func (l *urcLog) await(ctx context.Context, m Mark, timeout time.Duration, what string, match func(string) bool) (URC, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var over error // why the wait is over; what came in the same moment still counts
	for {
		found, now, more := l.after(m)
		for _, u := range found {
			if match(u.Text) {
				return u, nil
			}
		}
		if over != nil {
			return URC{}, over
		}
		m = now
		select {
		case <-more:
		case <-timer.C:
			over = fmt.Errorf("%s: %w (%v)", what, ErrTimeout, timeout)
		case <-ctx.Done():
			over = fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case <-l.gone:
			over = fmt.Errorf("%s: %w", what, ErrClosed)
		}
	}
}
