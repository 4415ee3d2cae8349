package session

import "time"

// up is what the session knows of the messages on their way to the cloud. One publish
// with QoS 1 is in flight at a time.
type up struct {
	queue Queue
	pace  pace
	acked time.Time // when the last PUBACK was seen, while nothing else was written since

	refused  repeats // by a module whose link is up
	oversize oversize
	splits   splits  // readings that go one by one
	gathers  gathers // topics whose readings wait for more
}

func newUp(q Queue) up { return up{queue: q, gathers: gathers{}} }

// newSession says that a new session begins.
func (u *up) newSession() {
	u.acked = time.Time{}
	u.oversize.newSession()
	u.pace.newSession()
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

// A device that sends more than its quota is not told. The cloud drops what is
// too much without a word, so that PUBACKs are missing while link and signal are
// fine (Aliyun IoT, limits: 10 QoS 1 messages a second of one device). A new
// session helps nothing if it goes on as before: it has to go on slower.

// The bounds of the pace.
const (
	// A missing PUBACK of a message that followed the one before by less can be the
	// quota's doing. One that came after a longer rest has another reason.
	throttleSpan = 500 * time.Millisecond
	quotaSpan    = 120 * time.Millisecond // that fast is about the quota itself, and no second sign is needed
	paceMost     = 4 * time.Second
	paceLeast    = 50 * time.Millisecond // a shorter gap is none
	// How long a gap has to have sufficed before a shorter one is tried. Each time
	// that turns out wrong it is doubled, because finding out costs a session.
	easeFirst = 10 * time.Minute
	easeMost  = 4 * time.Hour
)

// pace keeps publishes apart once the cloud was seen to drop some.
type pace struct {
	gap    time.Duration // least time between two publishes; 0: as fast as they are acknowledged
	ease   time.Duration
	easeAt time.Time

	last    time.Time     // when the last publish began
	between time.Duration // how long after the one before it, in this session
	sent    int           // publishes in this session
	acked   bool          // one of them was acknowledged
}

// newSession says that a new session begins.
func (p *pace) newSession() { p.sent, p.acked, p.between = 0, false, 0 }

// left is how long to wait before the next publish.
func (p *pace) left(now time.Time) time.Duration {
	if p.gap == 0 || p.last.IsZero() {
		return 0
	}
	return p.gap - now.Sub(p.last)
}

// begin says that a publish begins.
func (p *pace) begin(now time.Time) {
	if p.sent++; p.sent > 1 {
		p.between = now.Sub(p.last)
	}
	p.last = now
}

// tooFast says whether the last publish may have been one too many: others of
// this session were acknowledged, and it followed at their heels, or as closely as
// the pace so far allows.
func (p *pace) tooFast() bool {
	return p.acked && p.between < max(throttleSpan, p.gap+p.gap/2)
}

// slower doubles the gap, or begins with a third of how fast it went: each try
// that is still too fast costs a session and the time-out of a PUBACK.
func (p *pace) slower(now time.Time) {
	p.gap = min(max(2*p.gap, 3*p.between, 2*paceLeast), paceMost)
	p.ease = min(max(2*p.ease, easeFirst), easeMost)
	p.easeAt = now.Add(p.ease)
}

// eased halves a gap that has sufficed for a while, and says whether it did.
func (p *pace) eased(now time.Time) bool {
	if p.gap == 0 || now.Before(p.easeAt) {
		return false
	}
	if p.gap /= 2; p.gap < paceLeast {
		p.gap = 0
	}
	p.easeAt = now.Add(p.ease)
	return true
}
