package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

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

// fineSignal is from where on a missing answer is not the radio's fault (AT
// manual, CSQ: 3; below it modules lose the network now and then).
const fineSignal = -107 // dBm

// throttle keeps publishes apart once the cloud was seen to drop some.
type throttle struct {
	gap    time.Duration // least time between two publishes; 0: as fast as they are acknowledged
	ease   time.Duration
	easeAt time.Time

	last    time.Time     // when the last publish began
	between time.Duration // how long after the one before it, in this session
	sent    int           // publishes in this session
	acked   bool          // one of them was acknowledged
}

// session says that a new session begins.
func (t *throttle) session() { t.sent, t.acked, t.between = 0, false, 0 }

// left is how long to wait before the next publish.
func (t *throttle) left(now time.Time) time.Duration {
	if t.gap == 0 || t.last.IsZero() {
		return 0
	}
	return t.gap - now.Sub(t.last)
}

// begin says that a publish begins.
func (t *throttle) begin(now time.Time) {
	if t.sent++; t.sent > 1 {
		t.between = now.Sub(t.last)
	}
	t.last = now
}

// tooFast says whether the last publish may have been one too many: others of
// this session were acknowledged, and it followed at their heels, or as closely as
// the pace so far allows.
func (t *throttle) tooFast() bool {
	return t.acked && t.between < max(throttleSpan, t.gap+t.gap/2)
}

// slower doubles the gap, or begins with a third of how fast it went: each try
// that is still too fast costs a session and the time-out of a PUBACK.
func (t *throttle) slower(now time.Time) {
	t.gap = min(max(2*t.gap, 3*t.between, 2*paceLeast), paceMost)
	t.ease = min(max(2*t.ease, easeFirst), easeMost)
	t.easeAt = now.Add(t.ease)
}

// eased halves a gap that has sufficed for a while, and says whether it did.
func (t *throttle) eased(now time.Time) bool {
	if t.gap == 0 || now.Before(t.easeAt) {
		return false
	}
	if t.gap /= 2; t.gap < paceLeast {
		t.gap = 0
	}
	t.easeAt = now.Add(t.ease)
	return true
}

// unacknowledged finds out more about a PUBACK that did not come. It is the
// cloud holding back, and not a wedge, when link and signal are fine, and either
// messages followed each other fast, or a reset of the module has changed nothing.
// A single PUBACK can get lost on any line, so where they were slower than the
// quota it has to happen again, which it does within seconds.
func (s *Session) unacknowledged(ctx context.Context, err error) error {
	why := s.unanswered(recovery.PubAckTimeout, err)
	var f *recovery.Failure
	if !errors.As(why, &f) || f.Cause != recovery.PubAckTimeout || ctx.Err() != nil {
		return why
	}
	likely := s.past.Failed(recovery.PubAckTimeout) || s.throttle.gap > 0 || s.throttle.between < quotaSpan
	tooFast := likely && s.throttle.tooFast()
	if !tooFast && !s.past.ResetInVain() {
		return why
	}
	if gone := s.linkGone(ctx, err); gone != nil {
		return gone
	}
	s.readSignal(ctx)
	if dbm := s.Board.Status().Modem.SignalDBm; dbm == nil || *dbm < fineSignal {
		return why
	}
	if tooFast {
		s.throttle.slower(time.Now())
		s.showPace()
		s.warn("throttled", fmt.Sprintf("the cloud drops messages that come too fast: from now on one in %v at most", s.throttle.gap.Round(time.Millisecond)))
	}
	return &recovery.Failure{Cause: recovery.Throttled, Err: err}
}

// easePace tries a shorter gap when it is time to.
func (s *Session) easePace() {
	if s.throttle.eased(time.Now()) {
		s.Log.Info("sending faster again", zap.Duration("gap", s.throttle.gap))
		s.showPace()
	}
}

func (s *Session) showPace() {
	s.Board.Update(func(st *bus.Status) {
		st.Cloud.PaceSeconds = nil
		if gap := s.throttle.gap.Seconds(); gap > 0 {
			st.Cloud.PaceSeconds = &gap
		}
	})
}
