package session_test

import (
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// near fails when an estimate is more than a bound off what the simulator
// counted on its side.
func near(t *testing.T, what string, estimate, counted uint64, bound float64) {
	t.Helper()
	if counted == 0 && estimate == 0 {
		return
	}
	off := float64(estimate)/float64(counted) - 1
	t.Logf("%-10s estimated %7d, counted %7d, %+.1f %%", what, estimate, counted, 100*off)
	if off < -bound || off > bound {
		t.Errorf("%s: estimated %d bytes, the simulator counted %d: %+.1f %%", what, estimate, counted, 100*off)
	}
}

// compare holds the estimates against the simulator's count, cause by cause. The
// simulator does not tell a repeat from the first time.
func (w *world) compare(t *testing.T, bound float64) {
	t.Helper()
	counted := w.module.OnAir()
	estimate := w.meter.cost()
	var sum, all uint64
	for cause, of := range map[string][]string{
		airsim.AirDNS: {"dns"}, airsim.AirHandshake: {"handshake"}, airsim.AirHTTP: {"http"},
		airsim.AirPublish: {"payload", "retry"}, airsim.AirDownlink: {"downlink"}, airsim.AirKeepalive: {"keepalive"},
	} {
		var n uint64
		for _, c := range of {
			n += estimate[c]
		}
		near(t, cause, n, counted[cause].Sum(), bound)
		sum, all = sum+n, all+counted[cause].Sum()
	}
	near(t, "all", sum, all, bound)
}

// A day of a gateway: a first start with registration, messages of all sizes and
// both QoS, downlinks, silence, and every usual way to lose a session.
func TestCostsAreWhatTheSimulatorCounted(t *testing.T) {
	inWorld(t, setup{session: func(o *session.Options) { o.Recovery.StatusPoll = 30 * time.Second }}, func(t *testing.T, w *world) {
		w.begin()
		listener, err := w.hub.Subscribe([]string{get})
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		w.reaches(5*time.Minute, recovery.Online, "")
		for i := range 120 {
			w.publish(update, byte(i%4)&1, strings.Repeat("x", 1+i*i%900))
			time.Sleep(time.Duration(i%7) * 20 * time.Second)
			if i%5 == 0 {
				w.cloud.Push(get, 1, []byte(strings.Repeat("d", 10*i)))
			}
		}
		for range 200 { // a backlog, as fast as it goes
			w.append(update, 1, strings.Repeat("b", 120))
		}
		w.settled(w.append(update, 1, "the last of them"))
		time.Sleep(6*time.Hour + 10*time.Second) // silence but for pings
		for _, fault := range []string{"closed", "reboot", "puback late 45s", "closed"} {
			w.order(fault)
			w.publish(update, 1, strings.Repeat("f", 300))
			w.reaches(30*time.Minute, recovery.Online, "")
			time.Sleep(20 * time.Minute)
		}
		w.halt()
		w.compare(t, .05)
	})
}

// Plain TCP, and the signature instead of HTTPS.
func TestCostsWithoutTLS(t *testing.T) {
	online(t, setup{session: func(o *session.Options) { o.Cloud.TLS, o.Cloud.HTTPSAuth = false, false }}, func(t *testing.T, w *world) {
		for i := range 50 {
			w.publish(update, byte(i)&1, strings.Repeat("x", 1+i*i%900))
			time.Sleep(30 * time.Second)
		}
		time.Sleep(time.Hour)
		w.halt()
		w.compare(t, .05)
	})
}

// A message whose acknowledgement is lost is sent twice: the first time counts
// as payload, the second as retry.
func TestCostsTellARepeat(t *testing.T) {
	online(t, setup{}, func(t *testing.T, w *world) {
		w.publish(update, 1, "once")
		if w.meter.cost()["retry"] != 0 {
			t.Error("a message that was sent once counts as a repeat")
		}
		w.order("drop PUBACK")
		w.publish(update, 1, "twice")
		cost := w.meter.cost()
		if cost["retry"] == 0 || cost["retry"] > cost["payload"] {
			t.Errorf("payload %d, retry %d", cost["payload"], cost["retry"])
		}
		w.publish(update, 1, "once more")
		if again := w.meter.cost()["retry"]; again != cost["retry"] {
			t.Errorf("retry grew from %d to %d for a message that was sent once", cost["retry"], again)
		}
	})
}
