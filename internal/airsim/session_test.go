package airsim

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim/simcloud"
)

// Five logins in any minute, the sixth is refused, and refused ones count too.
func TestFiveConnectsAMinute(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		for range 4 {
			r.wait(time.Second)
			r.reconnect()
		}
		r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r" + guideStart + "\r")
		r.expect("AT+MCONNECT=1,300\r", "\r\nERROR\r\n")
		r.wait(time.Minute)
		r.reconnect()
		c := r.c.Counters()
		if c.Connects != 6 || c.Refused != 1 || c.OverRate != 1 {
			t.Errorf("counters %+v", c)
		}
	})
}

// Two modules with one identity: the second takes the session, the first is told
// and closed.
func TestTheSecondConnectionKicksTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := start(t, simcloud.GuideOptions(), Options{Personality: "air780ep"})
		defer first.stop()
		first.mqttOn()
		m, err := New(first.c, Options{Personality: "2g"})
		if err != nil {
			t.Fatal(err)
		}
		twin := &rig{t: t, m: m, c: first.c}
		twin.open()
		twin.resume()
		defer twin.stop()
		twin.mqttOn()
		first.expect("", "\r\n"+`+MSUB: "/ext/notify",54 byte,{"title":"kick","content":"Kicked by the same device"}`+"\r\n\r\nCLOSED\r\n")
		twin.expect(pubOne, acked)
		if n := first.c.Counters().Kicks; n != 1 {
			t.Errorf("%d kicks", n)
		}
	})
}

// A session with clean_session 0 keeps filters and QoS 1 messages; a clean one
// keeps nothing.
func TestCleanSession(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		login := func(clean int) string {
			t.Helper()
			r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r" + guideStart + "\r")
			return r.ask(fmt.Sprintf("AT+MCONNECT=%d,300\r", clean))
		}
		login(0)
		r.ask(subOne)
		r.ask("AT+MDISCONNECT\rAT+MIPCLOSE\r")
		if n := r.c.Push(guideGet, 1, []byte("kept")) + r.c.Push(guideGet, 0, []byte("not kept")); n != 0 {
			t.Errorf("an absent device was given %d messages", n)
		}
		want := okay + "\r\nCONNACK OK\r\n"
		if got := login(0); got != want+"\r\n"+`+MSUB: "`+guideGet+`",4 byte,kept`+"\r\n" {
			t.Errorf("got %q", got)
		}
		if n := r.c.Push(guideGet, 0, []byte("x")); n != 1 {
			t.Error("the filter was forgotten")
		}
		if got := login(1); !strings.HasSuffix(got, want) {
			t.Errorf("got %q", got)
		}
		if n := r.c.Push(guideGet, 1, []byte("x")); n != 0 {
			t.Error("a clean session has the old filter")
		}
	})
}

// A module that lost its power leaves a session behind, which ends after one and
// a half keep-alive periods or with the next login.
func TestTheGhostOfARestartedModule(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		r.mqttOn()
		r.ask(subOne)
		r.do("reboot")
		if n := r.c.Push(guideGet, 0, []byte("x")); n != 0 {
			t.Errorf("a message was delivered to a ghost: %d", n)
		}
		r.input.take()
		r.mqttOn()
		r.expect(pubOne, acked)
		if c := r.c.Counters(); c.Ghosts != 1 || c.Kicks != 0 {
			t.Errorf("%d ghosts and %d kicks, want one ghost", c.Ghosts, c.Kicks)
		}
	})
}

func TestWatch(t *testing.T) {
	simulate(t, simcloud.GuideOptions(), Options{Personality: "air780ep"}, func(r *rig) {
		ctx, cancel := context.WithCancel(context.Background())
		seen := r.c.Watch(ctx)
		slow := r.c.Watch(ctx)
		r.mqttOn()
		r.ask(pubOne)
		got := <-seen
		want := simcloud.Received{At: time.Now(), ProductKey: simcloud.GuideProductKey, DeviceName: simcloud.GuideDeviceName, Topic: guideUpdate, QoS: 1, Payload: []byte("one")}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for range simcloud.WatchQueue {
			r.ask(pubOne)
			<-seen
		}
		if n := r.c.Counters().WatchDropped; n != 1 {
			t.Errorf("%d messages lost to the slow watch, want 1", n)
		}
		cancel()
		synctest.Wait()
		if _, more := <-seen; more {
			t.Error("the channel is open after the context ended")
		}
		for range slow { // drained until closed
		}
	})
}

// What the module keeps is bounded.
func TestWhatIsKeptIsBounded(t *testing.T) {
	var log transcript
	for i := range maxTranscript + 10 {
		log.add(Entry{Text: fmt.Sprint(i)})
	}
	if n := len(log.entries); n > maxTranscript || log.dropped != maxTranscript/4 || log.entries[n-1].Text != fmt.Sprint(maxTranscript+9) {
		t.Errorf("%d entries, %d dropped", n, log.dropped)
	}
}
