package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// A backlog goes out on a fast network, where the cloud takes ten messages a second of
// a device and drops more without a word. It was drained faster than that until a PUBACK
// was missing, and then at a third of the rate for ten minutes. And PUBACKs that are lost
// on the line were taken for the quota: the rate fell, and stayed low.
func TestTheQuotaIsKeptTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lost  int
		bound time.Duration
	}{{"no loss", 0, 43 * time.Second}, {"six PUBACKs are lost", 6, 43*time.Second + 6*70*time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			quota := func(o *simcloud.Options) { o.Quota = [2]int{30, 10} }
			online(t, setup{cloud: quota, module: func(o *airsim.Options) { o.Latency = false }}, func(t *testing.T, w *world) {
				begun := time.Now()
				var ids []string
				for n := range 400 {
					ids = append(ids, w.append(update, 1, fmt.Sprint(n)))
				}
				for n := range c.lost {
					w.order(fmt.Sprintf(`on ">AT+MPUB" skip=%d drop PUBACK count=1`, 20+n*61))
				}
				for _, id := range ids {
					if m := w.settled(id); m.State != outbox.Acked {
						t.Fatalf("message %s ended as %s", id, m.State)
					}
				}
				if took := time.Since(begun); took > c.bound {
					t.Errorf("400 messages took %v", took)
				}
				st := w.board.Status()
				if st.Cloud.PaceSeconds != nil || int(st.Counters.Unknown) != c.lost || w.cloud.Counters().Throttled != 0 {
					t.Errorf("pace %v, %d of unknown outcome, %d dropped by the cloud", st.Cloud.PaceSeconds, st.Counters.Unknown, w.cloud.Counters().Throttled)
				}
			})
		})
	}
}

// A smaller instance takes five messages a second. A daemon that only reconnects loses
// the same again, session after session; one that slows down delivers it all.
func TestThrottledDeviceSlowsDown(t *testing.T) {
	t.Parallel()
	online(t, setup{module: func(o *airsim.Options) { o.Latency, o.RTT = false, 20*time.Millisecond }}, func(t *testing.T, w *world) {
		w.order("throttle 5")
		before := w.cloud.Counters().Connects
		var ids []string
		for n := range 600 {
			ids = append(ids, w.append(update, 1, fmt.Sprint(n)))
		}
		w.reaches(2*time.Minute, recovery.Recovering, recovery.Throttled)
		for _, id := range ids {
			if m := w.settled(id); m.State != outbox.Acked {
				t.Fatalf("message %s ended as %s", id, m.State)
			}
		}
		if n := w.cloud.Counters().Connects - before; n > 6 {
			t.Errorf("%d sessions for a backlog of 600, want the pace found within 6", n)
		}
		for _, rung := range w.meter.climbed() {
			if rung != "session" {
				t.Errorf("climbed the %s rung for a device that is throttled", rung)
			}
		}
		st := w.board.Status()
		if st.Cloud.PaceSeconds == nil || *st.Cloud.PaceSeconds < 0.2 {
			t.Errorf("the status shows pace %v, want at least 0.2 s", st.Cloud.PaceSeconds)
		}
		if st.Counters.Unknown == 0 || int(st.Counters.Unknown) > 6 {
			t.Errorf("%d messages of unknown outcome", st.Counters.Unknown)
		}

		// The instance grows, and within minutes all of it is used.
		w.order("throttle 0")
		for n := range 5000 {
			w.append(update, 1, fmt.Sprint(n))
		}
		time.Sleep(8 * time.Minute)
		if st := w.board.Status(); st.Cloud.PaceSeconds != nil || st.Counters.Unknown > 6 {
			t.Errorf("still one message in %v s, minutes after the quota was lifted; %d of unknown outcome", *st.Cloud.PaceSeconds, st.Counters.Unknown)
		}
	})
}

// A PUBACK gets lost on the serial line now and then. A device that sent a message
// a second was slowed down for it, below what its programs published, and its
// queue grew.
func TestOneLostPubAckSlowsNothingDown(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{0, time.Second} {
		t.Run(every.String(), func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				for n := range 300 {
					if n == 100 {
						w.order("drop PUBACK count=1")
					}
					w.append(update, 1, fmt.Sprint(n))
					time.Sleep(every)
				}
				time.Sleep(5 * time.Minute)
				st := w.board.Status()
				if st.Counters.Unknown != 1 {
					t.Errorf("%d messages of unknown outcome, want the one whose PUBACK was lost", st.Counters.Unknown)
				}
				if st.Cloud.PaceSeconds != nil {
					t.Errorf("one message in %v s after a single lost PUBACK", *st.Cloud.PaceSeconds)
				}
				if n := w.queue.Stats().Messages; n > 0 {
					t.Errorf("%d messages still wait", n)
				}
			})
		})
	}
}

// The cloud takes logins and subscriptions and acknowledges no message, for a
// day. One reset is worth trying; after that it is the cloud's doing, and the
// device must neither reset on nor hurry.
func TestCloudThatAcknowledgesNothingIsNotHammered(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("puback never count=all")
		id := w.append(update, 1, "kept")
		time.Sleep(24 * time.Hour)
		if n := w.resets(); n < 1 || n > 2 {
			t.Errorf("%d resets on a day without PUBACK, want one or two", n)
		}
		if n := w.cloud.Counters().Connects; n > 24*30 {
			t.Errorf("%d connects on a day without PUBACK", n)
		}
		w.order("clear")
		if m := w.settled(id); m.State != outbox.Acked {
			t.Errorf("the message ended as %s", m.State)
		}
	})
}

// Two faults that take turns: each began its ladder at the bottom whenever the
// other had struck, and nothing was ever reset.
func TestAlternatingCausesStillClimb(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		w.begin()
		for n := 0; w.resets() == 0; n++ {
			if n == 20 {
				t.Fatalf("no reset after %d failures by turns; rungs: %v", n, w.meter.climbed())
			}
			w.reaches(time.Hour, recovery.Online, "")
			if n%2 == 0 {
				time.Sleep(20 * time.Second)
				w.order("closed")
				w.reaches(time.Minute, recovery.Recovering, recovery.Closed)
				continue
			}
			w.order("puback never count=1")
			w.append(update, 1, "again")
			w.reaches(time.Minute, recovery.Recovering, recovery.PubAckTimeout)
		}
	})
}

// Nobody reads a log that says the same 700 times. In a long outage a daemon
// writes fewer than 10 lines an hour, whatever it is that is wrong.
func TestLongOutageIsQuietInTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, order string }{
		{"cloud away", "outage on"},
		{"no SIM", "sim removed"},
		{"no network", "service lost"},
		{"dead module", "hang"},
		{"unplugged", "unplug 24h"},
		{"device disabled", "disable"},
		{"no data left on the SIM", "bearer fail count=all"},
		{"no PUBACK at all", "puback never count=all"},
		{"reboots all day", "every 20s reboot"},
		{"a twin", "every 30s kick"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				w.append(update, 1, "waits")
				time.Sleep(2 * time.Minute)
				w.order(c.order)
				if c.name == "no data left on the SIM" {
					w.order("pdp-deact plain")
				}
				for hour := range 5 { // after 6 a dead module ends the process
					before := w.log.lines()
					time.Sleep(time.Hour)
					if lines := w.log.lines()[len(before):]; len(lines) >= 10 {
						t.Errorf("%d lines in hour %d:\n%s", len(lines), hour+1, strings.Join(lines, "\n"))
					}
				}
				if w.log.lines()[0] == "" || len(w.log.lines()) < 5 {
					t.Error("the log says nothing at all")
				}
			})
		})
	}
}

// The cloud acknowledges a message to a topic that is not the device's, and drops
// it. The program believes it delivered; only the topic gives it away.
func TestForeignTopicIsTold(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		for range 3 {
			if m := w.publish("/b1KCi45LcCP/somebody-else/update", 1, "lost"); m.State != outbox.Acked {
				t.Errorf("the message ended as %s", m.State)
			}
		}
		w.publish(update, 1, "fine")
		w.publish("/sys/b1KCi45LcCP/"+simcloud.GuideDeviceName+"/thing/event/property/post", 1, "fine")
		if n := w.cloud.Counters().Forbidden; n != 3 {
			t.Fatalf("the cloud dropped %d messages, want 3", n)
		}
		var told []string
		for _, line := range w.log.lines() {
			if strings.Contains(line, "topic-foreign") {
				told = append(told, line)
			}
		}
		if len(told) != 1 || !strings.Contains(told[0], "somebody-else") {
			t.Errorf("told %d times, want once:\n%s", len(told), strings.Join(told, "\n"))
		}
	})
}

// A module that no reset brings back leaves one thing that was not tried: a new
// process. It comes after hours, so that the local programs keep their
// connections meanwhile.
func TestDeadModuleEndsTheProcessAtLast(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("hang")
		begun := time.Now()
		err := <-w.done
		w.stop = nil
		if !errors.Is(err, session.ErrExit) {
			t.Fatalf("the session ended with %v, want ErrExit", err)
		}
		if d := time.Since(begun); d < 6*time.Hour || d > 8*time.Hour {
			t.Errorf("it ended after %v, want 6 hours and a bit", d)
		}
	})
}

// The power comes back to a district: gateways that have logged in before come to
// the cloud at random moments, a new one and a daemon that is only restarted at
// once.
func TestAfterAPowerCutEachWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{session: func(o *session.Options) { o.Recovery.StartSpread = 150 * time.Second }}, func(t *testing.T, w *world) {
		start := func(justBooted bool) time.Duration {
			w.options.JustBooted = justBooted
			begun := time.Now()
			w.begin()
			w.reaches(10*time.Minute, recovery.Online, "")
			w.halt()
			return time.Since(begun)
		}
		if took := start(true); took > 30*time.Second {
			t.Errorf("a new device was online after %v", took)
		}
		if took := start(false); took > 30*time.Second {
			t.Errorf("a restarted daemon was online after %v", took)
		}
		var least, most time.Duration = time.Hour, 0
		for seed := range uint64(20) {
			w.options.Seed = seed + 1
			took := start(true)
			least, most = min(least, took), max(most, took)
		}
		spread := w.options.Recovery.StartSpread
		if least > spread/3 || most < spread*2/3 || most > spread+30*time.Second {
			t.Errorf("20 starts took from %v to %v, want them spread over %v", least, most, spread)
		}
		if strings.Count(w.log.String(), "waiting for its turn") != 20 {
			t.Error("the log does not say what is waited for")
		}
	})
}

// One user report has the cloud end the session over a message to a topic that is
// not the device's, where others see it acknowledged and dropped. Such a message
// would be sent again for ever, and everything behind it would wait; one to the
// device's own topic is never given up for that.
func TestForeignTopicThatEndsSessionsIsSetAside(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("forbidden close")
		foreign := w.append("/"+simcloud.GuideProductKey+"/another/update", 1, "not ours")
		own := w.append(update, 1, "ours")
		if m := w.settled(foreign); m.State != outbox.Rejected || m.Attempts != 3 || !strings.Contains(m.Reason, "topic") {
			t.Errorf("the foreign one ended as %s after %d attempts (%q)", m.State, m.Attempts, m.Reason)
		}
		if m := w.settled(own); m.State != outbox.Acked {
			t.Errorf("the one behind it ended as %s", m.State)
		}
		w.order("forbidden ack")
		w.order(`on ">AT+MPUB" count=6 closed`)
		if m := w.publish(update, 1, "unlucky"); m.State != outbox.Acked {
			t.Errorf("one to the device's own topic ended as %s (%s)", m.State, m.Reason)
		}
	})
}
