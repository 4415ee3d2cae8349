package session

import (
	"slices"
	"time"
)

// The cloud takes so many messages of one device in any second, and drops what is more
// without a word (Aliyun IoT, limits: 10 of QoS 1, 30 of QoS 0; smaller instances take
// less). A dropped message costs the time-out of its PUBACK and a session, so the quota
// is kept to instead of found out.

const (
	quotaSecond = time.Second + 2*time.Millisecond // the cloud's second, and what clocks differ in one
	// quotaMost is where a number that was learned is forgotten, where none is configured.
	quotaMost = 30
	// signsWithin is how long one sign waits for the second.
	signsWithin = 15 * time.Minute
	// A number that was learned is tried for one more after probeFirst, then after
	// probeNext as long as that works, and after twice the time whenever it does not: a
	// probe that fails costs a session.
	probeFirst = 2 * time.Minute
	probeNext  = 10 * time.Second
	probeMost  = time.Hour
	// waysMost bounds what is believed of the least time there and back, and tripsLeast is
	// how many round trips that takes.
	waysMost   = 30 * time.Millisecond
	tripsLeast = 10
)

// quota says when the next message may go.
//
// A message that was written at w and acknowledged at a reached the cloud between w+f and
// a-b, where f and b are the least times that a message there and a PUBACK back take. So
// where each message is written no earlier than a second after a-(f+b) of the one that
// many before it, the cloud never counts more of them in a second, however long one of
// them was under way. f+b is taken for half of the session's shortest round trip, within a bound,
// once enough of them were seen.
type quota struct {
	limits [2]int      // by QoS; 0: none
	taken  [2][]moment // by QoS: the newest messages, which may be of the same second as the next

	shortest time.Duration // round trip of this session; 0: none was seen
	trips    int           // how many were seen
	session  int           // counts them
	flying   bool          // a QoS 1 message was written and not acknowledged
	level    int           // how many of the second the message in flight makes at most
	passed   int           // the most that were acknowledged of a second in this session
	proved   int           // the same of any session, for a while
	provedAt time.Time     // when it was seen last

	learned    int // of QoS 1 in a second; 0: nothing
	signs      []sign
	probing    bool // the message in flight is one more than was learned
	probeEvery time.Duration
	probeAt    time.Time
}

// moment is when a message was written, and by when the next many have to wait for it.
type moment struct {
	written, by time.Time
	session     int
}

// sign is a message that got no PUBACK, and was the first of its session to make so many
// of a second. Of those that a quota drops it is always that one; one that is lost on
// the line is so rarely, and then with another number the next time.
type sign struct {
	level   int
	session int
	at      time.Time
}

// newQuota returns one that was just used up: what another process sent before counts.
func newQuota(limits [2]int, now time.Time) quota {
	q := quota{limits: limits}
	for qos, n := range limits {
		q.taken[qos] = slices.Repeat([]moment{{written: now, by: now}}, n)
	}
	return q
}

// newSession says that a new session begins, and nothing of the one before can reach the
// cloud any more.
func (q *quota) newSession(now time.Time) {
	if q.flying {
		q.ended(1, now)
	}
	q.session++
	q.shortest, q.trips, q.passed, q.level, q.flying, q.probing = 0, 0, 0, 0, false, false
}

// most is how many messages may go in a second; 0: any number.
func (q *quota) most(qos int) int {
	if qos == 1 && q.learned > 0 {
		return q.learned
	}
	return q.limits[qos]
}

// ceiling is the number from which on nothing is learned any more.
func (q *quota) ceiling() int {
	if q.limits[1] > 0 {
		return q.limits[1]
	}
	return quotaMost
}

// left is how long to wait before the next message, whatever its QoS: they go in order.
func (q *quota) left(now time.Time) time.Duration {
	var wait time.Duration
	for qos := range q.taken {
		q.forget(qos, now)
		most, taken := q.most(qos), q.taken[qos]
		if most == 0 || len(taken) < most || qos == 1 && q.mayProbe(now) {
			continue
		}
		wait = max(wait, taken[len(taken)-most].by.Add(quotaSecond).Sub(now))
	}
	return wait
}

// mayProbe says whether the next message may be one more than was learned, and is it for
// certain, wherever in their round trips the others were counted.
func (q *quota) mayProbe(now time.Time) bool {
	if q.learned == 0 || now.Before(q.probeAt) || q.shortest == 0 {
		return false
	}
	same := now.Add(2 * q.shortest).Add(-time.Second)
	surely := 0
	for _, m := range q.taken[1] {
		if m.written.After(same) {
			surely++
		}
	}
	return surely == q.learned
}

// forget drops what cannot be of the same second, and bounds the rest.
func (q *quota) forget(qos int, now time.Time) {
	q.taken[qos] = slices.DeleteFunc(q.taken[qos], func(m moment) bool { return now.Sub(m.by) >= quotaSecond })
	const most = 1000
	q.taken[qos] = q.taken[qos][max(len(q.taken[qos])-most, 0):]
}

// begin says that a message is being written.
func (q *quota) begin(qos int, now time.Time) {
	if q.forget(qos, now); qos == 1 {
		q.probing = q.mayProbe(now)
	}
	q.taken[qos] = append(q.taken[qos], moment{now, now, q.session})
	if qos == 1 {
		q.level, q.flying = 0, true
		for _, m := range q.taken[1] { // what was missing in the session before may not count
			if m.session == q.session {
				q.level++
			}
		}
	}
}

// acknowledged says when the PUBACK came of the message that was written then, and
// whether one more in a second is known to be taken now.
func (q *quota) acknowledged(written, at time.Time) (more bool) {
	if trip := at.Sub(written); trip > 0 && (q.shortest == 0 || trip < q.shortest) {
		q.shortest = trip
	}
	var ways time.Duration
	if q.trips++; q.trips >= tripsLeast {
		ways = min(q.shortest/2, waysMost)
	}
	q.ended(1, at.Add(-ways))
	q.flying = false
	q.passed = max(q.passed, q.level)
	q.signs = slices.DeleteFunc(q.signs, func(s sign) bool { return s.level <= q.level }) // that many are taken
	if q.level >= q.proved || at.Sub(q.provedAt) > signsWithin {
		q.proved, q.provedAt = q.level, at
	}
	if !q.probing {
		return false
	}
	q.probing = false
	q.probeAt, q.probeEvery = at.Add(probeNext), probeFirst
	if q.learned++; q.learned >= q.ceiling() {
		q.learned = 0
	}
	return true
}

// ended says when at the latest the message in hand has reached the cloud.
func (q *quota) ended(qos int, at time.Time) {
	if n := len(q.taken[qos]); n > 0 {
		q.taken[qos][n-1].by = at
	}
}

// unusual says whether the message in flight is the first of its session to make so many
// of a second.
func (q *quota) unusual() bool { return q.probing || q.level > 1 && q.level > q.passed }

// missing says that the PUBACK of the message in flight does not come though link and
// signal are fine, and whether the quota is the reason. It takes the same number in two
// sessions in a row, in three where more was taken a while ago; or a probe.
func (q *quota) missing(now time.Time) (throttled bool) {
	switch {
	case !q.unusual():
		q.signs = nil
		return false
	case q.probing:
		q.probeEvery = min(2*q.probeEvery, probeMost)
		q.probeAt = now.Add(q.probeEvery)
		return true
	}
	least := q.level
	q.signs = slices.DeleteFunc(q.signs, func(s sign) bool {
		return s.session == q.session || now.Sub(s.at) > signsWithin || s.level < q.level-1 || s.level > q.level+1
	})
	for _, s := range q.signs {
		least = min(least, s.level)
	}
	q.signs = append(q.signs, sign{q.level, q.session, now})
	needed := 2
	if q.proved >= least && now.Sub(q.provedAt) <= signsWithin {
		needed = 3
	}
	if len(q.signs) < needed {
		return false
	}
	q.learned, q.signs, q.proved = max(least-1, 1), nil, 0
	q.probeEvery = probeFirst
	q.probeAt = now.Add(q.probeEvery)
	return true
}

// gap is the least time between two messages on average, while a number is learned.
func (q *quota) gap() time.Duration {
	if q.learned == 0 {
		return 0
	}
	return time.Second / time.Duration(q.learned)
}
