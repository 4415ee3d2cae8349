package outbox

import "time"

// maxPostponed bounds how many messages are passed over at once; beyond it the one
// whose time is over first is passed no longer.
const maxPostponed = 16

// Postpone takes the message in flight back, as [Queue.Release] does, and has the
// others pass it for a while, those behind it too. That Take does not count as an
// attempt. After a restart nothing is postponed.
// Errors: ErrNotInFlight, ErrUnknown.
func (q *Queue) Postpone(id string, d time.Duration) error {
	r, err := q.refInFlight(id)
	if err != nil {
		return err
	}
	q.postpone(r.seq, time.Now().Add(d))
	time.AfterFunc(d, q.wakeUp)
	return q.PutBack(id)
}

func (q *Queue) refInFlight(id string) (ref, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inFlight("postpone", id)
}

func (q *Queue) postpone(seq uint64, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.postponed == nil {
		q.postponed = make(map[uint64]time.Time)
	}
	q.postponed[seq] = until
	if len(q.postponed) <= maxPostponed {
		return
	}
	first := seq
	for other, t := range q.postponed {
		if t.Before(q.postponed[first]) {
			first = other
		}
	}
	delete(q.postponed, first)
}

func (q *Queue) wakeUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wake()
}

// passes says whether others pass a message now. Under the lock.
func (q *Queue) passes(seq uint64, now time.Time) bool {
	until, ok := q.postponed[seq]
	if ok && !now.Before(until) {
		delete(q.postponed, seq)
		return false
	}
	return ok
}

// notPostponed returns the first message of a level that can be read and is not
// passed over, neither postponed nor gathering; nil: there is none. Under the lock.
func (q *Queue) notPostponed(p Priority, now time.Time) *slot {
	for s := range q.kept.inLevel(p, none) {
		switch {
		case q.passes(s.seq, now), q.isGathering(s, now), q.passedOver(s):
		case q.unreadableFor(s):
			return nil
		default:
			return s
		}
	}
	return nil
}
