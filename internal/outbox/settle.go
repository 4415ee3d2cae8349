package outbox

// Settle ends messages that somebody delivered who does not use Take: they wait no
// more, and count as dropped by nobody. Ids that are not there are passed over. It
// waits for nothing, not even for the disk: [Queue.Flush] does.
func (q *Queue) Settle(ids ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		if r, s := q.lookUp(id); s != nil && !q.flight.has(r) {
			q.finish(r, drop, ReasonRemoved, "")
		}
	}
}

// Flush waits until everything that was settled is on disk. Error: ErrDisk, and it may
// be back after a restart.
func (q *Queue) Flush() error {
	if err := q.awaitFlush(); err != nil {
		return &Error{Op: "settle", Err: err, Hint: hintDropped}
	}
	return nil
}
