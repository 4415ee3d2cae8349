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

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/bus"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
	"airbridged/internal/session"
)

// stored is the device's secret on disk, read by a store of its own: one is for one
// goroutine.
func (w *world) stored() string {
	w.Helper()
	text, ok, err := provision.OpenIn(durable.OnDisk(w.state)).DeviceSecret(provision.Identity{ProductKey: simcloud.GuideProductKey, DeviceName: simcloud.GuideDeviceName})
	if err != nil || !ok {
		w.Fatalf("no secret is stored: %v", err)
	}
	return text.Reveal()
}

// A device that was made anew in the console is refused with its old secret, and
// stays refused: a daemon never registers by itself with a secret on disk. A
// person asks for it, and it is online with the new one, the old one beside it.
func TestReprovisionTakesANewSecret(t *testing.T) {
	t.Parallel()
	for _, auth := range []bool{true, false} {
		t.Run(fmt.Sprint("https=", auth), func(t *testing.T) {
			t.Parallel()
			online(t, setup{session: func(o *session.Options) { o.Cloud.HTTPSAuth = auth }}, func(t *testing.T, w *world) {
				old := w.stored()
				w.order("rotate-secret")
				w.order("recreate")
				time.Sleep(time.Hour)
				if st := w.board.Status(); st.State != string(recovery.Recovering) || w.cloud.Counters().Registrations != 1 {
					t.Fatalf("an hour later: %+v, %d registrations", st, w.cloud.Counters().Registrations)
				}
				if err := w.session.Reprovision(t.Context()); err != nil {
					t.Fatal(err)
				}
				fresh := w.stored()
				if fresh == old {
					t.Fatal("the secret is the old one")
				}
				prev, err := os.ReadFile(filepath.Join(w.state, "credentials.prev.json"))
				if err != nil || !strings.Contains(string(prev), old) {
					t.Errorf("the old secret is not kept: %v", err)
				}
				w.reaches(time.Minute, recovery.Online, "")
				if m := w.publish(update, 1, "with the new secret"); m.State != outbox.Acked {
					t.Errorf("a message ended as %s", m.State)
				}
				if c := w.cloud.Counters(); c.Registrations != 2 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// Asked for while all is well, and the cloud refuses: the device goes on with what
// it has, and who asked is told why.
func TestReprovisionThatIsRefusedHarmsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, order, says string }{
		{"given out before", "", "6289"},
		{"switched off", "registration off", "6288"},
		{"no way to the server", "http-status 603", "603"},
		{"no answer", "http-never", "+HTTPACTION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				old := w.stored()
				if c.order != "" {
					w.order(c.order)
				}
				id := w.append(update, 1, "meanwhile")
				err := w.session.Reprovision(t.Context())
				var ask *bus.AskError
				if !errors.As(err, &ask) || !errors.Is(err, bus.ErrCloud) || !strings.Contains(ask.Detail, c.says) || ask.Hint == "" {
					t.Fatalf("%v", err)
				}
				if c.order == "" && !strings.Contains(ask.Hint, "keeps the secret that it has; for a new one") {
					t.Errorf("the hint is %q", ask.Hint)
				}
				w.reaches(5*time.Minute, recovery.Online, "")
				if w.stored() != old {
					t.Error("the secret changed")
				}
				if m := w.settled(id); m.State != outbox.Acked {
					t.Errorf("a message ended as %s", m.State)
				}
				time.Sleep(time.Hour)
				if n := w.count("AT+HTTPPARA=\"URL\",\"https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device\""); n != 2 {
					t.Errorf("%d requests to register, want the first and the one that was asked for", n)
				}
			})
		})
	}
}

// The store is proven before the cloud is asked: where a new secret could not be
// kept, none is asked for. (With a mark of an earlier request on disk, the session
// once went round and round here.)
func TestReprovisionWithoutAPlaceForTheAnswer(t *testing.T) {
	t.Parallel()
	for _, marked := range []bool{false, true} {
		online(t, setup{}, func(t *testing.T, w *world) {
			inTheWay := filepath.Join(w.state, "probe.tmp", "file")
			if err := os.MkdirAll(inTheWay, 0o700); err != nil {
				t.Fatal(err)
			}
			if marked {
				if err := os.WriteFile(filepath.Join(w.state, "registering.json"), []byte("{}\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.session.Reprovision(t.Context()); !errors.Is(err, bus.ErrNotNow) || !strings.Contains(err.Error(), "probe") {
				t.Errorf("%v", err)
			}
			if err := os.RemoveAll(filepath.Dir(inTheWay)); err != nil {
				t.Fatal(err)
			}
			w.reaches(10*time.Minute, recovery.Online, "")
			if c := w.cloud.Counters(); c.Registrations != 1 || c.RegistrationsRefused != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestReprovisionIsRefusedWhereItMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		setup func(*session.Options)
		order string
		state recovery.State
		want  error
		says  string
	}{
		{"provisioned by hand", func(o *session.Options) { o.Device.DeviceSecret = secret.New("mRMyB50qafv74A5FofvhxZ2h9iTL9wX8") }, "", recovery.Recovering, bus.ErrNotNow, "by hand"},
		{"not registered yet", nil, "registration off", recovery.Recovering, bus.ErrNotNow, "by itself"},
		{"registering", nil, "", recovery.Registering, bus.ErrNotNow, "in progress"},
		{"no module", nil, "unplug 1h", recovery.Recovering, bus.ErrNoModule, "port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, setup{session: c.setup}, func(t *testing.T, w *world) {
				if c.order != "" {
					w.order(c.order)
				}
				w.begin()
				w.reaches(10*time.Minute, c.state, "")
				err := w.session.Reprovision(t.Context())
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// Two ask at once, and one of them has no patience: there is one registration.
func TestReprovisionHappensOnce(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("recreate")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := w.session.Reprovision(ctx); !errors.Is(err, bus.ErrUnderWay) {
			t.Errorf("the first: %v", err)
		}
		if err := w.session.Reprovision(t.Context()); !errors.Is(err, bus.ErrNotNow) {
			t.Errorf("the second: %v", err)
		}
		w.reaches(5*time.Minute, recovery.Online, "")
		if c := w.cloud.Counters(); c.Registrations != 2 {
			t.Errorf("%+v", c)
		}
	})
}

// Promise 3 over a registration on purpose: killed at every moment of it, the
// device has a secret at every start, and the newest one that the cloud gave. From
// that moment the old one is worth nothing.
func TestKillAtEveryMomentOfAReprovision(t *testing.T) {
	t.Parallel()
	renewed := 0
	for at := 1; ; at++ {
		died := true
		inWorld(t, setup{
			module: func(o *airsim.Options) { o.Latency = false },
			cloud:  func(o *simcloud.Options) { o.StrictRegistration = true },
		}, func(t *testing.T, w *world) {
			k := &killer{w: w, since: "AT+HTTPINIT", at: at}
			w.options.Open = k.open
			k.sleep(true) // the first registration is not the one
			w.begin()
			w.reaches(time.Minute, recovery.Online, "")
			old := w.stored()
			w.order("rotate-secret")
			w.order("recreate")
			w.reaches(10*time.Minute, recovery.Recovering, recovery.DeviceSecretRefused)
			time.Sleep(time.Second)
			k.sleep(false)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := w.session.Reprovision(ctx)
			cancel()
			if died = k.dead(); !died {
				if err != nil {
					t.Error(err)
				}
				return
			}
			k.restart()
			if now := w.stored(); w.cloud.Counters().Registrations < 2 && now != old {
				t.Error("the old secret is gone before there was a new one")
			}
			time.Sleep(5 * time.Minute)
			if w.cloud.Counters().Registrations == 2 {
				renewed++
				w.reaches(10*time.Minute, recovery.Online, "")
				if w.stored() == old {
					t.Errorf("killed at byte event %d: the new secret is lost", at)
				}
			} else if w.board.Status().Cause != string(recovery.DeviceSecretRefused) || w.stored() != old {
				t.Errorf("killed at byte event %d: %+v", at, w.board.Status())
			}
			if c := w.cloud.Counters(); c.Registrations > 2 || c.RegistrationsRefused != 0 {
				t.Errorf("killed at byte event %d: %+v; a daemon never registers by itself with a secret on disk", at, c)
			}
		})
		if !died || t.Failed() {
			t.Logf("%d moments, the cloud had given the secret in %d of them", at-1, renewed)
			break
		}
	}
	if renewed < 10 {
		t.Errorf("only %d of the moments were between the cloud's answer and the end", renewed)
	}
}
