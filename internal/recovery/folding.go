package recovery

import (
	"time"

	"airbridged/internal/fold"
)

// folding decides which changes of state an operator is shown: all of a start;
// after a failure, the failure and the return; and while one attempt after the
// other fails, the failures that package fold tells, a cause that was not seen
// before, and one line an hour. The rest is counted, and written at debug
// level.
type folding struct {
	folded int // lines since the last one that was shown
	at     time.Time
	causes map[Cause]bool
}

func (l *folding) shows(attempt int, to State, c Cause, now time.Time) bool {
	if l.causes == nil {
		l.causes = make(map[Cause]bool)
	}
	fresh := c != None && !l.causes[c]
	l.causes[c] = true
	switch {
	case attempt == 0, to == Stopping, fresh:
		return true
	case to == Recovering && fold.Milestone(attempt), to == Online && attempt <= 2:
		return true
	case now.Sub(l.at) >= fold.Quiet:
		return true
	}
	l.folded++
	return false
}

// unfold says that a line is shown, and returns how many were not since the last.
func (l *folding) unfold(now time.Time) int {
	n := l.folded
	l.folded, l.at = 0, now
	return n
}

// settled ends the outage: the next one is told from its beginning.
func (l *folding) settled() { clear(l.causes) }
