package outbox

import "context"

// Answers waits until the committer has come around: it has ended what it was
// writing when it was asked, well or badly, and looked for more. Nothing is
// written for that. The error is the context's: the committer hangs in a write or
// a flush, or Run is not running.
func (q *Queue) Answers(ctx context.Context) error {
	if q.log == nil {
		return nil
	}
	l := q.log
	q.mu.Lock()
	next := l.captures + 1
	q.mu.Unlock()
	poke(l.hurry)
	l.signal()
	for {
		q.mu.Lock()
		around, changed := l.captures >= next, l.flushDone
		q.mu.Unlock()
		if around {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
