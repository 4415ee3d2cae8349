package session

import "time"

// up is what the session knows of the messages on their way to the cloud. One publish
// with QoS 1 is in flight at a time.
type up struct {
	queue Queue
	quota quota
	acked time.Time // when the last PUBACK was seen, while nothing else was written since

	refused  repeats // by a module whose link is up
	oversize oversize
	splits   splits  // readings that go one by one
	gathers  gathers // topics whose readings wait for more
}

func newUp(q Queue, limits [2]int) up {
	return up{queue: q, gathers: gathers{}, quota: newQuota(limits, time.Now())}
}

// newSession says that a new session begins.
func (u *up) newSession() {
	u.acked = time.Time{}
	u.oversize.newSession()
	u.quota.newSession(time.Now())
}

// repeats counts what happens to the same message again and again.
type repeats struct {
	id string
	n  int
}

// over forgets a message that it happens to no longer.
func (r *repeats) over(id string) {
	if r.id == id {
		*r = repeats{}
	}
}

// again counts, and returns how often it happened to this message in a row.
func (r *repeats) again(id string) int {
	if r.id != id {
		r.id, r.n = id, 0
	}
	r.n++
	return r.n
}
