package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// opened is a world whose sessions begin with two messages, of which the first waits for
// its reply.
func opened(w *setup, wait time.Duration) setup {
	w.session = func(o *session.Options) {
		o.OnConnect = []session.OnConnect{
			{Topic: "/${productKey}/${deviceName}/login", Payload: []byte("login"), WaitFor: "/${productKey}/${deviceName}/login_reply", Wait: wait},
			{Topic: "/${productKey}/${deviceName}/version", Payload: []byte("version")},
		}
	}
	return *w
}

func (w *world) failedOpenings() (n int) {
	for _, x := range w.board.Status().Warnings {
		if x.Code == string(bus.OnConnectFailed) {
			n++
		}
	}
	return n
}

// TestOpening: each session begins with what [[on_connect]] says, in order, before what
// waits in the outbox; the second message goes when the reply to the first has come. With
// the next session it is all repeated.
func TestOpening(t *testing.T) {
	t.Parallel()
	const own = "/" + simcloud.GuideProductKey + "/" + simcloud.GuideDeviceName
	inWorld(t, opened(&setup{}, 10*time.Second), func(t *testing.T, w *world) {
		id := w.append(update, 1, "waits")
		came := w.cloud.Watch(t.Context())
		go func() {
			for m := range came {
				if m.Topic == own+"/login" {
					time.Sleep(3 * time.Second)
					w.cloud.Push(own+"/login_reply", 1, []byte("welcome"))
				}
			}
		}()
		w.begin()
		w.settled(id)
		if got := w.payloads(); got != "login version waits" {
			t.Errorf("the cloud got %q", got)
		}
		got := w.cloud.Messages()
		if d := got[1].At.Sub(got[0].At); d < 3*time.Second || d > 9*time.Second {
			t.Errorf("the second message came %v behind the first", d)
		}
		if n := w.failedOpenings(); n != 0 {
			t.Errorf("%d warnings", n)
		}
		w.order("close")
		w.reaches(time.Minute, recovery.Recovering, "")
		w.reaches(5*time.Minute, recovery.Online, "")
		time.Sleep(30 * time.Second)
		if got := w.payloads(); got != "login version waits login version" {
			t.Errorf("after the next connect the cloud has %q", got)
		}
	})
}

// TestOpeningFails: no reply comes. That is told, and everything else goes on; when it
// comes in a later session the warning ends.
func TestOpeningFails(t *testing.T) {
	t.Parallel()
	inWorld(t, opened(&setup{}, 5*time.Second), func(t *testing.T, w *world) {
		w.begin()
		w.settled(w.append(update, 1, "goes"))
		if got := w.payloads(); got != "login version goes" {
			t.Errorf("the cloud got %q", got)
		}
		if n := w.failedOpenings(); n != 1 {
			t.Errorf("%d warnings", n)
		}
		if !strings.Contains(w.log.String(), "no reply came on /"+simcloud.GuideProductKey) {
			t.Error("it is not in the log why")
		}
	})
}

// TestOpeningThatEndsTheSession: the cloud closes the session over one of them, as over a
// topic that is not the device's. After two sessions it is passed over: everything else
// flows, and it is told.
func TestOpeningThatEndsTheSession(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{session: func(o *session.Options) {
		o.OnConnect = []session.OnConnect{{Topic: "/another/device/update", Payload: []byte("x"), Wait: time.Second}}
	}}, func(t *testing.T, w *world) {
		w.order("forbidden close")
		w.begin()
		w.settled(w.append(update, 1, "goes"))
		if n := w.failedOpenings(); n != 1 {
			t.Errorf("%d warnings", n)
		}
		if n := w.cloud.Counters().Connects; n > 4 {
			t.Errorf("%d connects", n)
		}
	})
}

// TestManyOpeningsKeepToTheQuota: thirty sub-devices log in at the begin of a session, on
// a fast network. What is over ten in a second the cloud drops, and the session would
// end over it, the next one as well.
func TestManyOpeningsKeepToTheQuota(t *testing.T) {
	t.Parallel()
	many := func(o *session.Options) {
		for n := range 30 {
			o.OnConnect = append(o.OnConnect, session.OnConnect{Topic: "/${productKey}/${deviceName}/login", Payload: fmt.Append(nil, n)})
		}
	}
	quota := func(o *simcloud.Options) { o.Quota = [2]int{30, 10} }
	fast := func(o *airsim.Options) { o.Latency, o.RTT = false, 20*time.Millisecond }
	inWorld(t, setup{session: many, cloud: quota, module: fast}, func(t *testing.T, w *world) {
		w.begin()
		w.settled(w.append(update, 1, "behind them"))
		if n, c := len(w.cloud.Messages()), w.cloud.Counters(); n != 31 || c.Throttled != 0 || c.Connects != 1 {
			t.Errorf("%d messages, %d dropped, %d sessions", n, c.Throttled, c.Connects)
		}
	})
}
