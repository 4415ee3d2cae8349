package session

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// cloudOf counts as the cloud does: messages in any second.
type cloudOf struct {
	most    int
	arrived []time.Time
}

func (c *cloudOf) takes(at time.Time) bool {
	c.arrived = slices.DeleteFunc(c.arrived, func(t time.Time) bool { return at.Sub(t) >= time.Second })
	if len(c.arrived) >= c.most {
		return false
	}
	c.arrived = append(c.arrived, at)
	return true
}

// However the ways there and back vary, the cloud never counts more than the quota in a
// second; and where they do not, the whole quota is used.
func TestQuotaIsNeverExceeded(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(0, 0)
		most := 1 + random.IntN(12)
		q := newQuota([2]int{0, most}, now)
		q.newSession(now)
		there, back := time.Duration(10+random.IntN(30))*time.Millisecond, time.Duration(10+random.IntN(30))*time.Millisecond
		steady := seed%2 == 0
		cloud := cloudOf{most: most}
		begun, sent := now, 0
		for ; sent < 300; sent++ {
			if wait := q.left(now); wait > 0 {
				now = now.Add(wait)
			}
			if !steady && random.IntN(20) == 0 {
				now = now.Add(time.Duration(random.IntN(3000)) * time.Millisecond) // nothing to send
			}
			q.begin(1, now)
			written := now
			f, b := there, back
			if !steady {
				f, b = f+time.Duration(random.ExpFloat64()*float64(80*time.Millisecond)), b+time.Duration(random.ExpFloat64()*float64(80*time.Millisecond))
			}
			if !cloud.takes(written.Add(f)) {
				t.Fatalf("seed %d: message %d is one too many of its second", seed, sent)
			}
			now = written.Add(f + b)
			q.acknowledged(written, now)
		}
		round := (there + back).Seconds()
		rate, want := float64(sent)/now.Sub(begun).Seconds(), min(float64(most), 1/round)
		if steady && rate < 0.97*want/(1+round/2)*300/(300+2*want) { // the first second is the process before's
			t.Errorf("seed %d: %.2f messages a second of %.2f", seed, rate, want)
		}
	}
}

// One in fifty PUBACKs is lost on the line: that is not the quota, and nothing is
// learned of it. Where the cloud takes less than is configured, the second session that
// shows it is enough, and what is learned is the cloud's number.
func TestWhatIsLearnedOfMissingPubAcks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		for _, c := range []struct {
			takes, most int
			lost        float64
		}{{10, 10, 0.02}, {5, 10, 0}, {1, 10, 0}, {5, 0, 0}, {5, 10, 0.01}} {
			random := rand.New(rand.NewPCG(seed, 2))
			now := time.Unix(0, 0)
			q := newQuota([2]int{0, c.most}, now)
			q.newSession(now)
			cloud := cloudOf{most: c.takes}
			if c.lost > 0 && c.takes == c.most {
				cloud.most = 1000
			}
			sessions := 1
			for range 600 {
				if wait := q.left(now); wait > 0 {
					now = now.Add(wait)
				}
				q.begin(1, now)
				written := now
				if cloud.takes(written.Add(20*time.Millisecond)) && random.Float64() >= c.lost {
					now = written.Add(50 * time.Millisecond)
					q.acknowledged(written, now)
					continue
				}
				now = written.Add(30 * time.Second)
				q.missing(now)
				sessions++
				now = now.Add(5 * time.Second)
				q.newSession(now)
			}
			switch {
			case c.takes == c.most && q.learned != 0:
				t.Errorf("seed %d, %+v: learned %d a second of PUBACKs that were lost", seed, c, q.learned)
			case c.takes < c.most && c.lost == 0 && q.learned != c.takes:
				t.Errorf("seed %d, %+v: learned %d a second", seed, c, q.learned)
			case c.lost == 0 && sessions > 12:
				t.Errorf("seed %d, %+v: %d sessions", seed, c, sessions)
			}
		}
	}
}

// A number that was learned is tried for more, one message at a time, until the whole
// quota is used again.
func TestALearnedNumberIsEased(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	q := newQuota([2]int{0, 10}, now)
	q.learned, q.probeEvery, q.probeAt = 5, probeFirst, now.Add(probeFirst)
	q.newSession(now)
	for q.learned != 0 && now.Before(time.Unix(0, 0).Add(time.Hour)) {
		now = now.Add(max(q.left(now), 0))
		before := q.learned
		q.begin(1, now)
		now = now.Add(30 * time.Millisecond)
		q.acknowledged(now.Add(-30*time.Millisecond), now)
		if q.learned > before+1 {
			t.Fatalf("from %d to %d at once", before, q.learned)
		}
	}
	if took := now.Sub(time.Unix(0, 0)); q.learned != 0 || took > 5*time.Minute {
		t.Errorf("still %d a second after %v", q.learned, took)
	}
}

// A message that was taken where one was missing before says that the line had lost that
// one: the next that is missing there begins anew.
func TestASignIsRefutedByAPubAck(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	q := newQuota([2]int{0, 10}, now)
	now = now.Add(2 * time.Second)
	session := func(acked int, missing bool) bool {
		now = now.Add(40 * time.Second)
		q.newSession(now)
		for range acked {
			q.begin(1, now)
			now = now.Add(10 * time.Millisecond)
			q.acknowledged(now.Add(-10*time.Millisecond), now)
		}
		if !missing {
			return false
		}
		q.begin(1, now)
		now = now.Add(30 * time.Second)
		return q.missing(now)
	}
	if session(4, true) || session(5, false) || session(4, true) {
		t.Errorf("%d a second were learned though more were taken between", q.learned)
	}
}
