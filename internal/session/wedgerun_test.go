package session_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// measure brings the world online, strikes it, and takes the times.
func (w *wedged) measure(seed int) outcome {
	w.Helper()
	k := w.wedge
	if !k.cold {
		w.begin()
		w.reaches(10*time.Minute, recovery.Online, "")
		w.publish(update, 1, "before")
		// Long enough to be stable, and then any moment between two polls.
		time.Sleep(w.options.Recovery.StableAfter + time.Duration(seed*7919%30000)*time.Millisecond)
	}
	reboots := w.module.Counters().Reboots
	began := time.Now()
	for _, order := range k.strike {
		w.order(order)
	}
	if k.cold {
		w.begin()
	}
	if k.hook != nil {
		k.hook(w)
	}
	var ids []string
	if k.publish != "" {
		ids = append(ids, w.append(update, 1, k.publish))
	}
	over := began.Add(k.lasts)
	mended := time.AfterFunc(k.lasts, func() {
		for _, order := range k.mend {
			if _, err := w.module.Do(order); err != nil {
				w.Errorf("order %q: %v", order, err)
			}
		}
	})
	defer mended.Stop()
	o := outcome{detect: -1, rung: recovery.NoRung.String()}
	if k.kind != ridden {
		w.noticed(&o, began)
	}
	time.Sleep(time.Until(over))
	ids = append(ids, w.append(update, 1, "after"))
	recovered := w.allAcked(ids, over)
	if k.kind == ascent {
		over = w.lastFailure(began)
	}
	o.back = max(recovered.Sub(over), 0)
	if w.module.Counters().Reboots > reboots {
		o.boot = airsim.BootTime(w.personality)
	}
	w.checkBounds(o)
	w.checkPromises(began, recovered)
	return o
}

// noticed waits until the daemon says that something is wrong, and takes down
// what it says.
func (w *wedged) noticed(o *outcome, began time.Time) {
	w.Helper()
	k := w.wedge
	n, at := w.find(began, began.Add(k.lasts+15*time.Minute), func(n noted) bool {
		failure := n.To == string(recovery.Recovering)
		step := n.From != string(recovery.Online) && slices.Contains(k.causes, recovery.Cause(n.Cause))
		return failure && (k.kind != ascent || step)
	})
	if at < 0 {
		w.Fatalf("was not noticed; status %+v", w.board.Status())
	}
	if !slices.Contains(k.causes, recovery.Cause(n.Cause)) {
		w.Errorf("was called %s, want one of %s", n.Cause, k.causes)
	}
	if n.hint == "" {
		w.Errorf("%s came without a hint", n.Cause)
	}
	o.cause, o.detect = n.Cause, n.At.Sub(began)
	o.hint = strings.ReplaceAll(n.hint, w.state, "/var/lib/airbridged")
	if k.kind == ascent {
		w.mu.Lock()
		o.detect = n.At.Sub(w.events[at-1].At) // how long the step took that failed
		w.mu.Unlock()
	}
	// Every change but this one is a later attempt's.
	after, _ := w.find(n.At, n.At.Add(20*time.Minute), func(m noted) bool { return m.From == string(recovery.Recovering) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.rungs, func(c climbed) bool { return !c.at.Before(n.At) && !c.at.After(after.At) }); i >= 0 {
		o.rung = w.rungs[i].rung
	}
}

// allAcked waits until every message is acknowledged, and returns when that was.
func (w *wedged) allAcked(ids []string, over time.Time) time.Time {
	w.Helper()
	limit := 2 * time.Hour
	ctx, cancel := context.WithDeadline(w.Context(), over.Add(limit))
	defer cancel()
	for _, id := range ids {
		m, err := w.queue.Wait(ctx, id)
		if err != nil {
			w.Fatalf("message %s is not acknowledged %v after the end; status %+v", id, limit, w.board.Status())
		}
		if m.State != outbox.Acked {
			w.Errorf("message %s ended as %s (%s)", id, m.State, m.Reason)
		}
	}
	return time.Now()
}

// lastFailure is when the last failure of the wedge's own causes was noticed: the
// fault is over then.
func (w *wedged) lastFailure(began time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := began
	for _, n := range w.events {
		if n.To == string(recovery.Recovering) && slices.Contains(w.wedge.causes, recovery.Cause(n.Cause)) && n.At.After(last) {
			last = n.At
		}
	}
	return last
}

// checkBounds holds the times against the row's.
func (w *wedged) checkBounds(o outcome) {
	w.Helper()
	k := w.wedge
	if most := cmp.Or(k.detect, aimDetect); k.kind != ridden && o.detect > most {
		w.Errorf("noticed after %v, want at most %v", o.detect, most)
	}
	if most := cmp.Or(k.recover, aimRecover) + o.boot; o.back > most {
		w.Errorf("recovered after %v (the module's boot is %v of it), want at most %v", o.back, o.boot, most)
	}
}

// checkPromises looks from both ends at what must hold whatever happened.
func (w *wedged) checkPromises(began, recovered time.Time) {
	w.Helper()
	k := w.wedge
	calm := recovered.Add(90 * time.Second)
	again := map[time.Time]bool{}
	n, at := w.find(began, calm, func(n noted) bool {
		lost := n.To == string(recovery.Recovering) && (k.kind == ridden || n.At.After(recovered))
		if lost && slices.Contains(k.causes, recovery.Cause(n.Cause)) {
			again[n.At] = true
		}
		return lost && len(again) > k.again
	})
	if at >= 0 {
		w.Errorf("the session was lost %v after the blow: %s", n.At.Sub(began), n.Cause)
	}
	got := map[string]int{}
	for _, m := range w.cloud.Messages() {
		got[string(m.Payload)]++
	}
	total := 0
	for _, payload := range []string{"before", k.publish, "after"} {
		if got[payload] == 0 && payload != "" && (payload != "before" || !k.cold) {
			w.Errorf("%.20q is acked, and the cloud never got it", payload)
		}
		total += max(got[payload]-1, 0)
	}
	st, counters := w.board.Status(), w.cloud.Counters()
	if total > int(st.Counters.Unknown) {
		w.Errorf("%d duplicates from %d publishes of unknown outcome", total, st.Counters.Unknown)
	}
	if counters.Registrations != 1 || counters.RegistrationsRefused > 0 && !k.cold {
		w.Errorf("%d registrations, %d refused; want one", counters.Registrations, counters.RegistrationsRefused)
	}
	if counters.OverRate > 0 {
		w.Errorf("%d connects over the cloud's limit", counters.OverRate)
	}
	if resets := w.resets() + w.hardResets; resets > k.resets {
		w.Errorf("%d resets of the module, want at most %d", resets, k.resets)
	}
	if w.cloud.Push(get, 0, []byte("down")) != 1 && w.board.Status().State == string(recovery.Online) {
		w.Error("online again, and the subscription is not there")
	}
}

// checkCatalogue finds rows that could not be told apart in a report, and those
// that are not whole.
func checkCatalogue(t *testing.T, chapters []chapter) {
	t.Helper()
	seen := map[string]bool{}
	var rows []measured
	for _, c := range chapters {
		rows = append(rows, c.rows...)
	}
	for _, k := range rows {
		if seen[k.name] {
			t.Errorf("two wedges are called %q", k.name)
		}
		seen[k.name] = true
		if k.name == "" || k.field == "" || k.noticed == "" || (len(k.causes) == 0) != (k.kind == ridden) {
			t.Errorf("the row of %q is not whole", k.name)
		}
		if strings.ContainsAny(k.name+k.field+k.noticed, "|\n") {
			t.Errorf("the words of %q do not fit into a table", k.name)
		}
	}
}
