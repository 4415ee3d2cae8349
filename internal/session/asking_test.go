package session_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// asks gives the module a command for a person.
func (w *world) asks(command string, force bool) (bus.ATReply, error) {
	w.Helper()
	return w.session.AT(w.Context(), command, force)
}

// A person's questions run between the session's own commands, also while
// messages move, and cost the session nothing.
func TestATAsksWhileMessagesMove(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		var ids []string
		for n := range 50 {
			ids = append(ids, w.append(update, 1, fmt.Sprint(n)))
		}
		for range 20 {
			for command, want := range map[string]string{"AT+CSQ": "+CSQ: ", "AT+CGSN": simcloud.GuideDeviceName, "at+mqttstatu": "+MQTTSTATU :1"} {
				reply, err := w.asks(command, false)
				if err != nil || !reply.OK || reply.Final != "OK" || reply.Anew || len(reply.Lines) != 1 || !strings.HasPrefix(reply.Lines[0], want) {
					t.Fatalf("%s: %+v, %v", command, reply, err)
				}
			}
		}
		for _, id := range ids {
			if m := w.settled(id); m.State != outbox.Acked || m.Attempts != 1 {
				t.Errorf("a message ended as %s after %d attempts", m.State, m.Attempts)
			}
		}
		if c := w.cloud.Counters(); c.Connects != 1 {
			t.Errorf("%d connects", c.Connects)
		}
	})
}

// What could break the session is refused without a byte to the module; what
// takes the line over even by force.
func TestATRefusesWhatBreaksTheSession(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		before := len(w.commands())
		for _, c := range []struct {
			command string
			force   bool
			want    error
		}{
			{"AT+CFUN=1,1", false, bus.ErrHarmful},
			{"ATE1", false, bus.ErrHarmful},
			{`AT+MPUB="/t",1,0,"x"`, false, bus.ErrHarmful},
			{"AT+CIPSEND=5", true, bus.ErrHarmful},
			{"AT+HTTPDATA=5,1000", true, bus.ErrHarmful},
			{"AT+CSQ\rAT+RESET", true, bus.ErrNotACommand},
			{"AT+CSQ;+RESET", true, bus.ErrNotACommand},
		} {
			_, err := w.asks(c.command, c.force)
			var ask *bus.AskError
			if !errors.Is(err, c.want) || !errors.As(err, &ask) || ask.Hint == "" || ask.Detail == "" {
				t.Errorf("%q: %v", c.command, err)
			}
		}
		if got := w.commands()[before:]; len(got) > 0 {
			t.Errorf("the module was given %q", got)
		}
	})
}

// After a forced command the session believes nothing: the module is probed, the
// MQTT session is opened anew, and no message is lost or credited wrongly.
func TestATForcedBeginsTheSessionAnew(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		"ATE1", "AT&F", "ATZ", "AT+CFUN=0", "AT+CFUN=1,1", "AT+RESET", "AT+SAPBR=0,1", "AT+CIPSHUT", "AT+MDISCONNECT", "AT+MIPCLOSE", "AT+HTTPINIT",
		"AT+MQTTMODE=1", "AT+MQTTMSGSET=1", `AT+MCONFIG="a","b","topsecretpassword"`, `AT+MPUB="` + update + `",1,0,"forced"`, "AT+FROB",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				if strings.HasPrefix(command, "AT+MPUB") {
					w.order("puback late 3s") // when the next message may be on its way already
				}
				id := w.append(update, 1, "before")
				reply, err := w.asks(command, true)
				if err != nil && !errors.Is(err, bus.ErrNoAnswer) || err == nil && !reply.Anew {
					t.Fatalf("%+v, %v", reply, err)
				}
				w.reaches(time.Second, recovery.Probing, "")
				after := w.append(update, 1, "after")
				w.reaches(5*time.Minute, recovery.Online, "")
				for _, id := range []string{id, after} {
					if m := w.settled(id); m.State != outbox.Acked {
						t.Errorf("a message ended as %s", m.State)
					}
				}
				if got := w.payloads(); !strings.Contains(got, "before") || !strings.Contains(got, "after") {
					t.Errorf("the cloud got %q", got)
				}
				if strings.Contains(w.log.String(), "topsecret") {
					t.Error("the log quotes the command")
				}
				for _, e := range w.recorded() {
					if strings.Contains(e.Text, "topsecret") || strings.Contains(e.Text, "forced") {
						t.Errorf("the recorder quotes the command: %s", e.Text)
					}
				}
			})
		})
	}
}

// While the session waits for its next attempt with the port open, which may take
// minutes, its module can be asked what is wrong with it.
func TestATAnswersBetweenAttempts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, order, command, line string }{
		{"no SIM", "sim removed", "AT+CPIN?", ""},
		{"registration switched off", "registration off", "AT+CSQ", "+CSQ: "},
		{"no network", "service lost", "AT+CGATT?", "+CGATT: 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, setup{}, func(t *testing.T, w *world) {
				w.order(c.order)
				w.begin()
				w.reaches(10*time.Minute, recovery.Recovering, "")
				time.Sleep(time.Second)
				reply, err := w.asks(c.command, false)
				if err != nil || reply.Final == "" || c.line != "" && (len(reply.Lines) != 1 || !strings.HasPrefix(reply.Lines[0], c.line)) {
					t.Errorf("%+v, %v", reply, err)
				}
			})
		})
	}
}

// Without a module the answer comes at once, and says what is wrong; while the
// session is busy, it comes when patience is at its end.
func TestATSaysWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("unplug 10m")
		w.reaches(time.Minute, recovery.Recovering, recovery.PortMissing)
		begun := time.Now()
		if _, err := w.asks("AT+CSQ", false); !errors.Is(err, bus.ErrNoModule) || time.Since(begun) > 10*time.Second {
			t.Errorf("unplugged: %v after %v", err, time.Since(begun))
		}
		w.reaches(20*time.Minute, recovery.Online, "")

		// The module answers nothing: the session notices by this command too.
		w.order("mute AT+CGSN")
		if _, err := w.asks("AT+CGSN", false); !errors.Is(err, bus.ErrNoAnswer) {
			t.Errorf("silence: %v", err)
		}
		w.reaches(5*time.Minute, recovery.Online, "")

		w.order("http-never")
		w.order("expire-tokens")
		w.order("closed")
		w.reaches(time.Minute, recovery.Authenticating, "")
		time.Sleep(time.Second)
		begun = time.Now()
		_, err := w.asks("AT+CSQ", false)
		if took := time.Since(begun); !errors.Is(err, bus.ErrBusy) || took != 30*time.Second || !strings.Contains(err.Error(), "authenticating") {
			t.Errorf("busy: %v after %v", err, took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.session.AT(ctx, "AT+CSQ", false); !errors.Is(err, bus.ErrBusy) {
			t.Errorf("given up: %v", err)
		}
	})
}

// What the module says of its own accord while it answers a person is not lost on
// the session.
func TestATDoesNotHideALostSession(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("late AT+COPS 5s")
		answered := make(chan error, 1)
		go func() { _, err := w.asks("AT+COPS?", false); answered <- err }()
		time.Sleep(time.Second)
		w.order("closed")
		w.reaches(10*time.Second, recovery.Recovering, recovery.Closed)
		if err := <-answered; err != nil {
			t.Error(err)
		}
	})
}

// The answer to a registration that was cut off may be in the module: nothing is
// forced that could end its HTTP session. Questions are answered.
func TestATForcesNothingOverALostRegistration(t *testing.T) {
	t.Parallel()
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		w.order("registration off")
		w.begin()
		w.reaches(time.Minute, recovery.Recovering, recovery.RegistrationDisabled)
		mark := filepath.Join(w.state, "registering.json") // as a daemon leaves it that was killed
		if err := os.WriteFile(mark, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(w.commands())
		if _, err := w.asks("AT+HTTPTERM", true); !errors.Is(err, bus.ErrHarmful) {
			t.Errorf("%v", err)
		}
		if _, err := w.asks("AT+CSQ", true); err != nil {
			t.Error(err)
		}
		if got := w.commands()[before:]; len(got) != 1 || got[0] != "AT+CSQ" {
			t.Errorf("the module was given %q", got)
		}
	})
}
