package simulation

import (
	"fmt"
	"strings"
	"time"
)

// clocks measure how soon the daemon notices and how soon it is back.
//
// Detection runs from a fault that ends the session by itself until the session
// leaves online; an acknowledgement in between means that the fault did no harm,
// and stops the clock.
//
// Recovery runs from the last disturbance, which is the fault, what mends it, a late
// effect of it, or a restart, until the session is online. The time that the module
// takes to start, when it restarts after that, is told apart. Three kinds are kept
// apart from the usual ones, for their waits are policy: after an outage of more
// than 3 minutes the back-off has grown, up to backoff_max; after a refusal that only
// a person can end, or a kick, the session waits half to all of backoff_max at once;
// and a module that needs a hard reset is given its chances before.
type clocks struct {
	online    bool
	offAt     time.Time // when the session left online, or the process began
	struckAt  time.Time // when it was broken, if nobody has noticed yet
	struckBy  string
	disturbed time.Time
	disturber string   // what it was
	causes    []string // of the failures since the session left online
	resetAt   time.Time
	slow      bool
	booting   time.Time // when the module started last
	bootTime  time.Duration

	recoveries map[string][]time.Duration // by kind
	detections map[string][]time.Duration // by fault
}

// The kinds of recoveries.
const (
	usual     = "usual"
	longAfter = "after an outage of over 3 minutes"
	slowAfter = "after a refusal or a kick"
	byReset   = "by a hard reset"
)

const longOutage = 3 * time.Minute

// lateAfter is what a usual recovery should not take; those that do are listed.
const lateAfter = time.Minute

// recoveryBound is when a session that is not back counts as a wedge that does not
// end: two waits of backoff_max, the limit on connects, and a bearer that takes its
// time-outs in between. hourly is the same while the budget of resets is used up.
const (
	recoveryBound = 20 * time.Minute
	hourly        = 80 * time.Minute
)

func newClocks() clocks {
	return clocks{recoveries: map[string][]time.Duration{}, detections: map[string][]time.Duration{}, offAt: time.Now(), disturbed: time.Now()}
}

// struck starts the clocks; under the lock.
func (r *referee) struck(order string, breaks bool) {
	r.disturbed = time.Now()
	if order != "" {
		r.disturber = order
	}
	if breaks && r.online && r.struckAt.IsZero() {
		r.struckAt, r.struckBy = time.Now(), order
	}
}

// disturbedBy hears the simulator's notes: a fault that was ordered earlier took
// effect, or the module restarted.
func (r *referee) disturbedBy(note string) {
	if strings.HasPrefix(note, "power") {
		r.booting = time.Now()
		if time.Since(r.resetAt) < time.Minute {
			return // the daemon's own doing
		}
	}
	if !strings.HasPrefix(note, "do ") {
		r.disturbed, r.disturber = time.Now(), note
	}
}

// proved: the session works from end to end.
func (r *referee) proved() { r.struckAt = time.Time{} }

// transition hears every change of state.
func (r *referee) transition(from, to, cause string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := from + " -> " + to
	if cause != "" {
		text += ": " + cause
	}
	r.timeline.add(fromState, text)
	now := time.Now()
	switch {
	case to == "online":
		r.back(now)
	case r.online:
		r.online, r.offAt, r.slow, r.resetAt = false, now, false, time.Time{}
		if !r.struckAt.IsZero() {
			r.detections[r.struckBy] = append(r.detections[r.struckBy], now.Sub(r.struckAt))
			r.struckAt = time.Time{}
		}
	}
	if cause != "" {
		r.causes = append(r.causes, cause)
	}
	switch cause {
	case "kicked", "connack-refused", "signature-refused", "request-refused", "already-activated", "product-unknown", "registration-disabled", "throttled":
		r.slow = true
	}
}

// back books a recovery.
func (r *referee) back(now time.Time) {
	kind, since := usual, r.disturbed
	if since.Before(r.offAt) {
		since = r.offAt
	}
	switch {
	case r.slow:
		kind = slowAfter
	case !r.resetAt.IsZero():
		kind = byReset
	case since.Sub(r.offAt) > longOutage:
		kind = longAfter
	}
	took := now.Sub(since)
	if !r.booting.Before(since) { // the module's own time, as far as the log of a vendor shows it
		took -= min(took, r.bootTime)
	}
	r.recoveries[kind] = append(r.recoveries[kind], took)
	if kind == usual && took > lateAfter {
		r.Late = append(r.Late, fmt.Sprintf("%v after %s: %s", took.Round(time.Second), r.disturber, strings.Join(r.causes, ", ")))
	}
	r.online, r.causes = true, nil
}

// overdue says whether a wedge has not ended within its bound.
func (r *referee) overdue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.online {
		return
	}
	since, bound := r.disturbed, recoveryBound
	if since.Before(r.offAt) {
		since = r.offAt
	}
	if !r.resetAt.IsZero() {
		bound = hourly
	}
	if d := time.Since(since); d > bound {
		r.violated("not online %v after the last disturbance", d.Round(time.Second))
	}
}
