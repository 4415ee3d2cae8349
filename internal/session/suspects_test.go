package session_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

const (
	names = simcloud.GuideProductKey + "/" + simcloud.GuideDeviceName
	bad   = "/" + names + "/user/bad"
)

// granted says whether the cloud has a filter, as a program that listens is told.
func (w *world) granted(filter string) bool {
	w.Helper()
	s, err := w.hub.Subscribe([]string{filter})
	if err != nil {
		w.Fatal(err)
	}
	defer s.Close()
	return s.Granted()[filter]
}

// history is every change of state so far.
type history struct {
	w     *world
	watch *bus.Watch
	seen  []api.Event
}

func (w *world) history() *history {
	h := &history{w: w, watch: w.board.Watch()}
	w.Cleanup(h.watch.Close)
	return h
}

// ended counts the sessions that ended, by cause.
func (h *history) ended() map[string]int {
	for {
		ctx, stop := context.WithTimeout(h.w.Context(), time.Nanosecond)
		e, err := h.watch.Next(ctx)
		stop()
		if err != nil {
			break
		}
		h.seen = append(h.seen, e)
	}
	n := map[string]int{}
	for _, e := range h.seen {
		if e.Type == api.StateEvent && e.To == string(recovery.Recovering) {
			n[e.Cause]++
		}
	}
	return n
}

func (w *world) warned(code bus.WarningCode) bool {
	return slices.ContainsFunc(w.board.Status().Warnings, func(x api.Warning) bool { return x.Code == string(code) })
}

// A filter on which the cloud closes the connection kept the whole gateway offline, for
// ever where it stands in [[subscribe]], and was told as "kicked". Three sessions in a
// row end over it, whatever else is subscribed, and then everything but this one works;
// who asked for it is told, and it is asked for again after an hour, or a reload.
func TestFilterThatEndsSessionsIsSetAside(t *testing.T) {
	t.Parallel()
	for what, standing := range map[string][]string{
		"alone":     {bad},
		"first":     {bad, get, get + "/2"},
		"last":      {get, get + "/2", bad},
		"in a heap": {get, bad, get + "/2", get + "/3"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{session: func(o *session.Options) {
					for _, f := range standing {
						o.Subscribe = append(o.Subscribe, bus.Filter{Topic: f})
					}
				}})
				defer w.end()
				h := w.history()
				w.order(`on ">AT+MSUB=\"` + bad + `" count=all closed`)
				w.begin()
				listener, err := w.hub.Subscribe([]string{bad})
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
				time.Sleep(3 * time.Minute)
				if m := w.publish(update, 1, "one"); m.State != outbox.Acked {
					t.Errorf("a message ended as %s", m.State)
				}
				for _, f := range standing {
					if got := w.granted(f); got != (f != bad) {
						t.Errorf("%s: granted %v", f, got)
					}
				}
				if n := h.ended(); n["closed"] != 3 || len(n) != 1 {
					t.Errorf("sessions ended: %v, want 3 of closed", n)
				}
				if !w.warned(bus.FilterRefused) {
					t.Errorf("not told in status: %+v", w.board.Status().Warnings)
				}
				refused := false
				for it, ok := listener.TryNext(); ok; it, ok = listener.TryNext() {
					refused = refused || it.Refused == bad && strings.Contains(it.Reason, "closed the connection")
				}
				if !refused {
					t.Error("who listens is not told")
				}
				time.Sleep(2 * time.Hour)
				if n := h.ended(); n["closed"] < 4 || n["closed"] > 5 {
					t.Errorf("sessions ended in two hours more: %v", n)
				}
				w.order("clear")
				var reloaded []bus.Filter
				for _, f := range standing {
					reloaded = append(reloaded, bus.Filter{Topic: f})
				}
				w.session.Subscribe(reloaded)
				time.Sleep(time.Minute)
				if !w.granted(bad) || w.warned(bus.FilterRefused) {
					t.Errorf("after a reload: granted %v, warned %v", w.granted(bad), w.warned(bus.FilterRefused))
				}
			})
		})
	}
}

// A topic that only contains the device's names counted as its own, and a message to it
// over which the cloud closes was sent for ever, and everything behind it waited. Now
// the others pass it at once, and it is set aside after three sessions.
func TestMessageThatEndsSessionsIsSetAside(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{"/x/" + names + "/update", "/" + simcloud.GuideProductKey + "/x/" + names, names + "/update", "/sys/x/" + names, "/" + simcloud.GuideProductKey + "/another/update"} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				defer w.end()
				w.begin()
				w.reaches(time.Minute, recovery.Online, "")
				h := w.history()
				w.order(`on ">AT+MPUB=\"` + topic + `" count=all closed`)
				evil := w.append(topic, 1, "evil")
				begun := time.Now()
				for i := range 5 {
					if m := w.publish(update, 1, "good"); m.State != outbox.Acked {
						t.Errorf("good %d ended as %s", i, m.State)
					}
				}
				if took := time.Since(begun); took > time.Minute {
					t.Errorf("five good ones behind it took %v", took)
				}
				if m := w.settled(evil); m.State != outbox.Rejected || m.Attempts != 3 {
					t.Errorf("it ended as %s after %d attempts (%s)", m.State, m.Attempts, m.Reason)
				}
				time.Sleep(10 * time.Minute)
				if n := h.ended(); n["closed"] != 3 || len(n) != 1 {
					t.Errorf("sessions ended: %v, want 3 of closed", n)
				}
			})
		})
	}
}

// A message to the device's own topic is never given up for that, and holds nobody up.
func TestOwnMessageThatEndsSessionsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{update, "/sys/" + names + "/thing/event/property/post", "/shadow/update/" + names, "/ota/device/inform/" + names, "/ext/ntp/" + names + "/request"} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				defer w.end()
				w.begin()
				w.reaches(time.Minute, recovery.Online, "")
				w.order(`on ">AT+MPUB=\"` + topic + `\",1,0,\"unlucky" count=6 closed`)
				unlucky := w.append(topic, 1, "unlucky")
				worst := time.Duration(0)
				for range 100 {
					begun := time.Now()
					if m := w.publish(update, 1, "good"); m.State != outbox.Acked {
						t.Errorf("a good one ended as %s", m.State)
					}
					worst = max(worst, time.Since(begun))
					time.Sleep(30 * time.Second)
				}
				if worst > time.Minute {
					t.Errorf("a good one took %v", worst)
				}
				if m := w.settled(unlucky); m.State != outbox.Acked || m.Attempts != 7 {
					t.Errorf("it ended as %s after %d attempts (%s)", m.State, m.Attempts, m.Reason)
				}
			})
		})
	}
}

// A line that closes sessions at random is nobody's fault: nothing is set aside.
func TestBadLinkSetsNothingAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{session: func(o *session.Options) {
			for _, f := range []string{get, get + "/2", get + "/3"} {
				o.Subscribe = append(o.Subscribe, bus.Filter{Topic: f})
			}
		}})
		defer w.end()
		w.begin()
		w.reaches(time.Minute, recovery.Online, "")
		done := time.After(4 * time.Hour)
		for i := 0; ; i++ {
			if m := w.publish("/"+simcloud.GuideProductKey+"/another/update", 1, "x"); m.State != outbox.Acked {
				t.Errorf("one to a foreign topic ended as %s (%s)", m.State, m.Reason)
			}
			select {
			case <-done:
				if w.warned(bus.FilterRefused) {
					t.Errorf("%+v", w.board.Status().Warnings)
				}
				return
			case <-time.After(time.Duration(7+i*13%29) * time.Second):
				w.order("closed")
			}
		}
	})
}
