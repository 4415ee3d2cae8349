package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// clocks measure how soon the daemon notices and how soon it is back.
//
// Detection runs from a fault, or from the late effect of one that was ordered
// earlier, until the session leaves its state for recovering; an acknowledgement or
// a login in between means that it did no harm, and stops the clock.
//
// Recovery runs from the last moment at which something was still wrong until the
// session is online: the detection of the last fault, what mended one that lasts, or
// a restart of the daemon. The time that the module takes to start, when it restarts
// after that, is taken off. Four kinds are kept apart from the usual ones, for their
// waits are policy: a gateway that was just switched on waits for its turn, because
// its neighbours were too; after an outage of more than 3 minutes the back-off has grown, up
// to backoff_max, and a session that was not online for stable_after does not end an
// outage; after a refusal that only a person can end, or a kick, the session waits
// half to all of backoff_max at once; and a module that needs a hard reset is given
// its chances before.
type clocks struct {
	online    bool
	onAt      time.Time // when it came online last
	offAt     time.Time // when the outage began
	struckAt  time.Time // when it was broken, if nobody has noticed yet
	struckBy  string
	disturbed time.Time
	disturber string   // what it was
	causes    []string // of the failures since the session left online
	resetAt   time.Time
	slow      bool

	justBooted bool      // the process was told so
	booting    time.Time // when the module started last
	bootTime   time.Duration

	recoveries map[string][]time.Duration // by kind
	detections map[string][]time.Duration // by fault
}

// The kinds of recoveries.
const (
	usual     = "usual"
	longAfter = "after an outage of over 3 minutes"
	slowAfter = "after a refusal or a kick"
	byReset   = "by a hard reset"
	switched  = "after the machine was switched on"
)

const longOutage = 3 * time.Minute

// What takes longer is listed for whoever asks for it with LATE=1.
const (
	lateAfter   = time.Minute      // a usual recovery
	lateNoticed = 36 * time.Second // a fault that ends the session
)

func (r *referee) late(what string, took time.Duration, by string) {
	r.Late = append(r.Late, fmt.Sprintf("%s %s %v after %s: %s",
		clockOf(time.Since(r.timeline.begun)), what, took.Round(time.Second), by, strings.Join(r.causes, ", ")))
}

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
	if strings.HasPrefix(note, "fault: ") && r.struckAt.IsZero() {
		by := note
		if i := strings.Index(by, "+MSUB"); i >= 0 {
			by = by[:i] + "+MSUB" // of a message, only that it is one
		}
		r.struckAt, r.struckBy = time.Now(), strings.TrimLeft(strings.TrimPrefix(by, "fault: "), "0123456789 ")
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
		r.left(now)
	}
	if to == "recovering" && !r.struckAt.IsZero() {
		took := now.Sub(r.struckAt)
		r.detections[r.struckBy] = append(r.detections[r.struckBy], took)
		if took > lateNoticed && endsSession(r.struckBy) {
			r.late("noticed", took, r.struckBy)
		}
		r.struckAt, r.disturbed = time.Time{}, now
	}
	if cause != "" {
		r.causes = append(r.causes, cause)
	}
	switch cause {
	case "kicked", "connack-refused", "signature-refused", "device-secret-refused", "request-refused", "already-activated", "product-unknown", "registration-disabled", "throttled":
		r.slow = true
	}
}

// left books the end of being online.
func (r *referee) left(now time.Time) {
	r.online = false
	if now.Sub(r.onAt) >= time.Minute { // stable_after
		r.offAt, r.slow, r.resetAt = now, false, time.Time{}
	}
}

// back books a recovery.
func (r *referee) back(now time.Time) {
	kind, since := usual, r.disturbed
	if since.Before(r.offAt) {
		since = r.offAt
	}
	switch {
	case r.justBooted:
		kind, r.justBooted = switched, false
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
		r.late("back", took, r.disturber)
	}
	r.online, r.causes, r.onAt = true, nil, now
	r.proved()
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
	// A module that is mute, or was switched off, and has used its resets up before this
	// outage began gets the next one when the first of them is an hour ago.
	if n := len(r.resets) - resetsAnHour; n >= 0 && slices.Contains(r.causes, "no-answer") {
		if again := r.resets[n].Add(time.Hour); since.Before(again) {
			since = again
		}
	}
	if d := time.Since(since); d > bound {
		r.violated("not online %v after the last disturbance", d.Round(time.Second))
	}
}
