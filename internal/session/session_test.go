package session_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/cloudtime"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
	"airbridged/internal/session"
)

// The vendor's guide, command by command: this is the sequence that its reader
// would type, from AT to the PUBACK of a QoS 1 message, with the guide's own
// values and lengths: bodies of 120 and 112 bytes, answers of 149 and 128. The
// file shows the whole dialogue but for the plain OKs.
func TestGuideSequenceIsGolden(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{
		module: func(o *airsim.Options) { o.Personality, o.Latency = "2g", false },
		cloud:  func(o *simcloud.Options) { *o = simcloud.GuideOptions() },
		session: func(o *session.Options) {
			o.Random = func() string { return "123456" }
			o.Subscribe = []bus.Filter{{Topic: "/${productKey}/${deviceName}/get", QoS: 0}}
		},
	}, func(t *testing.T, w *world) {
		w.begin()
		seen := w.reaches(2*time.Minute, recovery.Online, "")
		want := "probing attaching registering authenticating connecting online"
		if got := strings.Join(eventStates(seen), " "); got != want {
			t.Fatalf("states %s, want %s", got, want)
		}
		if m := w.publish(update, 0, "test0"); m.State != outbox.Sent {
			t.Fatalf("QoS 0 ended as %s", m.State)
		}
		if m := w.publish(update, 1, "test1"); m.State != outbox.Acked {
			t.Fatalf("QoS 1 ended as %s", m.State)
		}
		var b strings.Builder
		for _, e := range w.module.Transcript() {
			switch e.Dir {
			case airsim.DirCommand:
				fmt.Fprintf(&b, "> %s\n", e.Text)
			case airsim.DirData:
				fmt.Fprintf(&b, ">> %s\n", e.Text)
			case airsim.DirLine:
				if e.Text != "OK" {
					fmt.Fprintf(&b, "< %s\n", e.Text)
				}
			}
		}
		golden(t, "guide-sequence.golden", b.String())
	})
}

// Whatever is wrong with configuration, credentials, SIM or account has its own
// cause and a hint, is tried again at a pace the cloud can bear, and never
// resets the module; and the day it is put right, the session comes up by itself.
func TestFaultsOfConfigurationAreSlowVisibleAndHarmless(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		setup   setup
		do      []string // orders to module or cloud before the start
		cause   recovery.Cause
		mend    []string // orders that put it right; none: a person would change the configuration
		perHour int      // the most requests or connects that the cloud may see in an hour
	}{
		{
			name:  "unsupported firmware",
			setup: setup{module: func(o *airsim.Options) { o.Personality = "unsupported" }},
			cause: recovery.FirmwareUnsupported,
		},
		{
			name:  "IMEI of zeros",
			do:    []string{"imei 000000000000000"},
			cause: recovery.IMEIUnreadable, mend: []string{"clear"},
		},
		{
			name:  "IMEI not told",
			do:    []string{"imei nothing"},
			cause: recovery.IMEIUnreadable, mend: []string{"imei nothing plain"},
		},
		{
			name:  "no SIM",
			setup: setup{module: func(o *airsim.Options) { o.NoSIM = true }},
			cause: recovery.SIMMissing, mend: []string{"sim inserted"},
		},
		{
			name:  "SIM with a PIN",
			do:    []string{"sim pin"},
			cause: recovery.SIMMissing,
		},
		{
			name:  "wrong APN",
			setup: setup{module: func(o *airsim.Options) { o.APN = "cmnet" }},
			cause: recovery.BearerFailed,
		},
		{
			name:  "no network",
			do:    []string{"service lost"},
			cause: recovery.NotRegistered, mend: []string{"service back"},
		},
		{
			name:  "registration switched off",
			do:    []string{"registration off"},
			cause: recovery.RegistrationDisabled, mend: []string{"registration on"}, perHour: 30,
		},
		{
			name:  "activated before",
			do:    []string{"register 6289 count=all"},
			cause: recovery.AlreadyActivated, perHour: 30,
		},
		{
			name:  "wrong product secret",
			setup: setup{session: func(o *session.Options) { o.Device.ProductSecret = secret.New("AnotherSecret123") }},
			cause: recovery.SignatureRefused, perHour: 30,
		},
		{
			name:  "wrong product key",
			setup: setup{session: func(o *session.Options) { o.Device.ProductKey = "b1KCi45LcCp" }},
			cause: recovery.ProductUnknown, perHour: 30,
		},
		{
			name:  "wrong device secret",
			setup: setup{session: func(o *session.Options) { o.Device.DeviceSecret = secret.New("mRMyB50qafv74A5FofvhxZ2h9iTL9wX8") }},
			cause: recovery.DeviceSecretRefused, perHour: 30,
		},
		{
			name: "wrong device secret, direct",
			setup: setup{session: func(o *session.Options) {
				o.Cloud.HTTPSAuth = false
				o.Device.DeviceSecret = secret.New("mRMyB50qafv74A5FofvhxZ2h9iTL9wX8")
			}},
			cause: recovery.ConnAckRefused, perHour: 30,
		},
		{
			name:  "device disabled",
			setup: setup{},
			do:    []string{"connack refuse count=all"},
			cause: recovery.ConnAckRefused, perHour: 60,
		},
		{
			name:  "cloud asks to slow down",
			do:    []string{"register 429 count=all"},
			cause: recovery.CloudError, perHour: 60,
		},
		{
			name:  "no DNS",
			do:    []string{"http-status 603 count=all"},
			cause: recovery.HTTPFailed,
		},
		{
			name:  "no way to the server",
			do:    []string{"connect fail count=all"},
			cause: recovery.ConnectFailed,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, c.setup, func(t *testing.T, w *world) {
				for _, order := range c.do {
					w.order(order)
				}
				w.begin()
				begun := time.Now()
				w.reaches(10*time.Minute, recovery.Recovering, c.cause)
				st := w.board.Status()
				if st.Cause != string(c.cause) || st.Hint == "" || st.NextAttemptAt == nil {
					t.Errorf("status %+v does not say what is wrong, what to do, and when it is tried again", st)
				}
				time.Sleep(time.Hour - time.Since(begun))
				if n := w.resets(); n > 0 {
					t.Errorf("the module was reset %d times", n)
				}
				counters := w.cloud.Counters()
				asked := int(counters.Registrations + counters.RegistrationsRefused + counters.Auths + counters.AuthsRefused + counters.Connects + counters.Refused)
				if c.perHour > 0 && asked > c.perHour {
					t.Errorf("the cloud was asked %d times in an hour, more than %d", asked, c.perHour)
				}
				if counters.OverRate > 0 {
					t.Errorf("%d connects were over the cloud's limit", counters.OverRate)
				}
				if err := w.session.Healthy(); err != nil {
					t.Errorf("waiting is not being stuck: %v", err)
				}
				if len(c.mend) == 0 {
					return
				}
				for _, order := range c.mend {
					w.order(order)
				}
				w.reaches(20*time.Minute, recovery.Online, "")
				if m := w.publish(update, 1, "at last"); m.State != outbox.Acked {
					t.Errorf("the message ended as %s", m.State)
				}
			})
		})
	}
}

// Promise 2: the outcome of a publish is unknown when its PUBACK does not come
// in time. The session is torn down before anything else is published, so that
// the late PUBACK, which carries no id, is not taken for the next message's.
func TestP32LatePubAckIsNeverAnotherMessages(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("puback late 40s")
		first := w.append(update, 1, "first")
		second := w.append(update, 1, "second")
		w.reaches(time.Minute, recovery.Recovering, recovery.PubAckTimeout)
		if m, _ := w.queue.Get(first); m.State != outbox.Queued {
			t.Fatalf("a message of unknown outcome is %s, want it back in the queue", m.State)
		}
		if m := w.settled(first); m.State != outbox.Acked || m.Attempts != 2 {
			t.Errorf("first: %s after %d attempts, want acked after 2", m.State, m.Attempts)
		}
		if m := w.settled(second); m.State != outbox.Acked || m.Attempts != 1 {
			t.Errorf("second: %s after %d attempts, want acked after 1", m.State, m.Attempts)
		}
		if got := w.payloads(); got != "first first second" {
			t.Errorf("the cloud got %q", got)
		}
		// Between the two attempts the module was told to end its session.
		dialogue := strings.Join(w.commands(), "\n")
		again := strings.LastIndex(dialogue, "first")
		if hangup := strings.LastIndex(dialogue[:again], "AT+MIPCLOSE"); hangup < strings.Index(dialogue, "first") {
			t.Errorf("published again without a tear-down in between:\n%s", dialogue)
		}
	})
}

// P34: CLOSED at any moment of a publish. The message is acknowledged in the
// end, exactly once for the program, and goes out again only if its outcome was
// unknown.
func TestP34ClosedAtEveryMomentOfAPublish(t *testing.T) {
	t.Parallel()
	for delay := range 14 {
		t.Run(fmt.Sprint(delay*10), func(t *testing.T) {
			t.Parallel()
			online(t, setup{module: func(o *airsim.Options) { o.Baud = 9600; o.Latency = false }, session: func(o *session.Options) { o.Modem.Baud = 9600 }}, func(t *testing.T, w *world) {
				id := w.append(update, 1, "payload")
				time.Sleep(time.Duration(delay) * 10 * time.Millisecond)
				w.order("closed")
				if m := w.settled(id); m.State != outbox.Acked {
					t.Errorf("ended as %s", m.State)
				}
				if n := strings.Count(w.payloads(), "payload"); n < 1 || n > 2 {
					t.Errorf("the cloud got it %d times", n)
				}
			})
		})
	}
}

// The module was still busy with its start and answered ERROR to one question:
// the daemon called its firmware unsupported, and waited for minutes for another.
func TestOneErrorWhileProbingIsNoVerdict(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"AT+MCONFIG", "AT+SSLMIPSTART"} {
		inWorld(t, setup{}, func(t *testing.T, w *world) {
			w.order("error " + verb + " count=1")
			w.begin()
			w.reaches(time.Minute, recovery.Online, "")
			if n := w.count(verb + "=?"); n != 2 {
				t.Errorf("%s=? was asked %d times, want a second time", verb, n)
			}
		})
	}
}

// P35: a message that the module refuses whatever is done must not hold up the
// ones behind it.
func TestP35PoisonMessageIsSetAside(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order(`error AT+MPUB count=7`)
		poison := w.append(update, 1, "poison")
		good := w.append(update, 1, "good")
		if m := w.settled(poison); m.State != outbox.Rejected || m.Reason == "" {
			t.Errorf("poison ended as %s (%q)", m.State, m.Reason)
		}
		if m := w.settled(good); m.State != outbox.Acked {
			t.Errorf("the message behind it ended as %s", m.State)
		}
		if n := w.count("ATE0"); n != 2 {
			t.Errorf("the module was probed %d times; want once more before a message is given up", n)
		}
	})
}

// P39: a command that timed out is not the daemon being asked to stop.
func TestP39TimeoutIsNotShutdown(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("mute AT+MQTTSTATU")
		w.reaches(time.Minute, recovery.Recovering, recovery.OutOfSync)
		w.reaches(5*time.Minute, recovery.Online, "")
	})
}

// A token that the cloud no longer takes costs one new token, not a wait.
func TestExpiredTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("expire-tokens")
		w.order("closed")
		w.reaches(time.Minute, recovery.Recovering, recovery.ConnAckRefused)
		refused := time.Now()
		w.reaches(time.Minute, recovery.Online, "")
		if d := time.Since(refused); d > 30*time.Second {
			t.Errorf("back only after %v", d)
		}
		if n := w.cloud.Counters().Auths; n != 2 {
			t.Errorf("%d tokens were fetched, want 2", n)
		}
	})
}

// Promise 3: a restart, or a hundred, never registers again, and with a token
// in the cache not even asks for another.
func TestRestartsUseWhatIsStored(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{cloud: func(o *simcloud.Options) { o.StrictRegistration = true }}, func(t *testing.T, w *world) {
		for range 10 {
			w.begin()
			w.reaches(5*time.Minute, recovery.Online, "")
			w.halt()
		}
		c := w.cloud.Counters()
		if c.Registrations != 1 || c.Auths != 1 || c.Connects != 10 || c.OverRate != 0 {
			t.Errorf("10 starts cost %+v", c)
		}
	})
}

// A directory that cannot be written is found out before the cloud is asked for
// a secret that it gives away only once.
func TestUnwritableStateNeverCostsTheIdentity(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root may write anywhere: the directory is taken away instead")
	}
	t.Parallel()
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		state := filepath.Join(w.dir, "state")
		if err := os.Rename(state, state+".gone"); err != nil {
			t.Fatal(err)
		}
		w.begin()
		w.reaches(10*time.Minute, recovery.Recovering, recovery.StateUnwritable)
		time.Sleep(30 * time.Minute)
		if c := w.cloud.Counters(); c.Registrations != 0 {
			t.Fatalf("%d registrations without a place to keep the answer", c.Registrations)
		}
		if err := os.Rename(state+".gone", state); err != nil {
			t.Fatal(err)
		}
		w.reaches(10*time.Minute, recovery.Online, "")
		if c := w.cloud.Counters(); c.Registrations != 1 {
			t.Fatalf("%d registrations, want 1", c.Registrations)
		}
	})
}

// Local programs come and go: their filters are subscribed at the cloud while
// somebody listens, each once, and given back afterwards.
func TestSubscriptionsFollowTheListeners(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		one, err := w.hub.Subscribe([]string{get})
		if err != nil {
			t.Fatal(err)
		}
		two, err := w.hub.Subscribe([]string{get})
		if err != nil {
			t.Fatal(err)
		}
		item, err := one.Next(t.Context())
		if err != nil || item.Granted != get {
			t.Fatalf("the first item is %+v, %v; want the grant", item, err)
		}
		w.cloud.Push(get, 1, []byte("down"))
		for _, s := range []*bus.Subscription{one, two} {
			for {
				item, err := s.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if item.Message != nil {
					if string(item.Message.Payload) != "down" {
						t.Errorf("received %q", item.Message.Payload)
					}
					break
				}
			}
		}
		one.Close()
		two.Close()
		time.Sleep(bus.Linger - time.Second)
		if n := w.count("AT+MUNSUB"); n != 0 {
			t.Errorf("%d unsubscribe commands before the time is over", n)
		}
		time.Sleep(2 * time.Second)
		if subs, unsubs := w.count("AT+MSUB"), w.count("AT+MUNSUB"); subs != 1 || unsubs != 1 {
			t.Errorf("%d subscribe and %d unsubscribe commands, want one each", subs, unsubs)
		}
	})
}

// A module that stays dead is reset within its budget and not beyond, and a
// module that comes back is found.
func TestP38LadderStaysWithinItsBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pulled := 0
		w := newWorld(t, setup{session: func(o *session.Options) {
			o.HardReset = func(context.Context) error { pulled++; return nil }
		}})
		defer w.end()
		w.begin()
		w.reaches(5*time.Minute, recovery.Online, "")
		w.order("hang")
		time.Sleep(3 * time.Hour)
		if pulled < 3 || pulled > 3*4 {
			t.Errorf("%d hard resets in 3 hours, want some and at most 4 an hour", pulled)
		}
		w.order("reset")
		w.reaches(10*time.Minute, recovery.Online, "")
	})
}

// P37: a module restarts while nothing goes on. Its boot lines are not visible
// before the baud rate is trained, CLOSED was never printed, and AT+MQTTSTATU
// answers as if nothing were wrong but a lost session; the echo gives it away.
func TestP37RestartIsSeenByTheEcho(t *testing.T) {
	t.Parallel()
	online(t, setup{module: func(o *airsim.Options) { o.Personality, o.Latency = "2g", false }}, func(t *testing.T, w *world) {
		w.order("reboot")
		w.reaches(35*time.Second, recovery.Recovering, recovery.Rebooted)
		w.reaches(time.Minute, recovery.Online, "")
		if n := w.count("ATE0"); n != 2 {
			t.Errorf("the module was set up %d times, want twice", n)
		}
	})
}

// P36: a module that still holds the old link answers ALREADY CONNECT. Here it
// refuses the tear-down, as a confused one does; the next attempt gets through.
func TestP36AlreadyConnectedIsTornDown(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("puback never")
		w.order("error AT+MDISCONNECT 3")
		w.order("error AT+MIPCLOSE 3")
		id := w.append(update, 1, "held")
		w.reaches(2*time.Minute, recovery.Recovering, recovery.PubAckTimeout)
		w.reaches(2*time.Minute, recovery.Recovering, recovery.ConnectFailed)
		if !strings.Contains(w.timeline(), "ALREADY CONNECT") {
			t.Error("the module never said ALREADY CONNECT, so nothing was tested")
		}
		w.reaches(5*time.Minute, recovery.Online, "")
		if m := w.settled(id); m.State != outbox.Acked {
			t.Errorf("the message ended as %s", m.State)
		}
	})
}

// The daemon was killed between AT+CFUN=0 and AT+CFUN=1 of the radio rung, and
// the module kept the radio off: no SIM, no network, for ever (found by the
// simulation). The next start switches it on.
func TestRadioThatWasLeftOffIsSwitchedOn(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.halt()
		port := w.module.Open()
		if _, err := port.Write([]byte("AT+CFUN=0\r")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := port.Close(); err != nil {
			t.Fatal(err)
		}
		w.begin()
		w.reaches(5*time.Minute, recovery.Online, "")
	})
}

// The daemon is asked to stop while the cloud's answer to a registration is on
// its way, which it gives once: the secret is stored before the daemon leaves
// (found by the simulation).
func TestStopDuringRegistrationKeepsTheSecret(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{cloud: func(o *simcloud.Options) { o.StrictRegistration = true }}, func(t *testing.T, w *world) {
		w.begin()
		w.reaches(time.Minute, recovery.Registering, "")
		for w.count("AT+HTTPACTION") == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		w.halt()
		if n := w.cloud.Counters().Registrations; n != 1 {
			t.Fatalf("%d registrations were answered, want 1: the stop did not come in the middle of one", n)
		}
		w.begin()
		w.reaches(time.Minute, recovery.Online, "")
		if n := w.cloud.Counters().Registrations; n != 1 {
			t.Errorf("registered %d times", n)
		}
	})
}

// P21 over a restart: the prompt of MPUBEX never came, or comes when nobody has
// the port open, the module waits for data, and the daemon is restarted. Its first
// AT must not become payload (found by the simulation: the cloud got "ATATAT").
func TestP21RestartInAnOpenDataPhaseSendsNothing(t *testing.T) {
	t.Parallel()
	for _, prompt := range []string{"prompt never", "prompt late 12s", "prompt late 20s"} {
		t.Run(prompt, func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				w.order(prompt)
				id := w.append(update, 1, "needs\x00MPUBEX")
				w.reaches(time.Minute, recovery.Recovering, recovery.OutOfSync)
				w.halt()
				w.begin()
				if m := w.settled(id); m.State != outbox.Acked {
					t.Errorf("the message ended as %s", m.State)
				}
				if got := w.payloads(); got != "needs\x00MPUBEX" {
					t.Errorf("the cloud got %q", got)
				}
			})
		})
	}
}

// The module falls silent, or the daemon is killed, when the cloud has given the
// secret out and it is not here yet. The module still has it (found by the
// simulation: such a device needed a person at the console).
func TestLostRegistrationAnswerIsFoundInTheModule(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"silence", "unplug"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			inWorld(t, setup{cloud: func(o *simcloud.Options) { o.StrictRegistration = true }}, func(t *testing.T, w *world) {
				w.begin()
				w.reaches(time.Minute, recovery.Registering, "")
				for w.count("AT+HTTPACTION") == 0 {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(200 * time.Millisecond)
				w.order(how + " 200s")
				w.reaches(20*time.Minute, recovery.Online, "")
				if c := w.cloud.Counters(); c.Registrations != 1 || c.RegistrationsRefused != 0 {
					t.Errorf("%+v: the secret was not found", c)
				}
			})
		})
	}
}

// The network's time is in the status once the module knows it, and what it tells
// before that is not taken for a time.
func TestNetworkTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC))) // virtual time begins in 2000
		w := newWorld(t, setup{})
		defer w.end()
		w.order("network-time unset")
		w.begin()
		w.reaches(time.Minute, recovery.Online, "")
		told := func() *bus.NetworkTime { return w.board.Status().NetworkTime }
		time.Sleep(5 * time.Minute)
		if told() != nil {
			t.Errorf("told %+v", told())
		}
		w.order("network-time 90s")
		time.Sleep(2 * time.Minute)
		if told() == nil {
			t.Fatal("not told")
		}
		if n := told().Now(time.Now()); n.OffsetSeconds < 88.9 || n.OffsetSeconds > 90.1 {
			t.Errorf("told %+v", n)
		}
		asked := w.count("AT+CCLK?")
		w.order("network-time unset") // what was known stays known, with its age
		time.Sleep(time.Hour)
		if n := told().Now(time.Now()); n.AgeSeconds < 3000 || n.OffsetSeconds < 88.9 || n.OffsetSeconds > 90.1 {
			t.Errorf("told %+v", n)
		}
		if n := w.count("AT+CCLK?") - asked; n > 60 {
			t.Errorf("asked %d times in an hour", n)
		}
	})
}

// The platform is asked for the time over the session: the second witness of who sets the
// clock.
func TestPlatformTellsTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC))) // virtual time begins in 2000
		w := newWorld(t, setup{})
		defer w.end()
		asker := cloudtime.New(w.hub, w.board, func(ctx context.Context, topic string, payload []byte) error {
			_, err := w.queue.Append(ctx, outbox.Message{Topic: topic, Payload: payload})
			return err
		})
		w.begin()
		w.reaches(time.Minute, recovery.Online, "")
		for order, off := range map[string]time.Duration{"cloud-time 0s": 0, "cloud-time -8h": -8 * time.Hour} {
			w.order(order)
			told, at, err := asker.Ask(t.Context())
			if d := told.Sub(at.Round(0)) - off; err != nil || d.Abs() > time.Second {
				t.Errorf("%s: %v at %v, %v", order, told, at, err)
			}
		}
		w.order("cloud-time silent")
		if _, _, err := asker.Ask(t.Context()); !errors.Is(err, cloudtime.ErrSilent) {
			t.Error(err)
		}
		w.order("service lost")
		w.reaches(time.Minute, recovery.Recovering, recovery.NotRegistered)
		if _, _, err := asker.Ask(t.Context()); !errors.Is(err, cloudtime.ErrOffline) {
			t.Error(err)
		}
	})
}
