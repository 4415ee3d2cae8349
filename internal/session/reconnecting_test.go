package session_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// Who has just mended something does not wait for the back-off, which is minutes by
// then; while it is online nothing happens, and not more than 5 times a minute.
func TestReconnectEndsTheWait(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		if next, err := w.session.Reconnect(t.Context()); err != nil || next != nil {
			t.Errorf("while online: %v, %v", next, err)
		}
		time.Sleep(2 * time.Minute)
		w.order("outage on")
		time.Sleep(time.Hour)
		w.reaches(10*time.Minute, recovery.Recovering, "")
		time.Sleep(time.Second)
		w.order("outage off")
		begun := time.Now()
		next, err := w.session.Reconnect(t.Context())
		if err != nil || next == nil || next.Sub(begun) > 2*time.Second {
			t.Fatalf("%v, %v", next, err)
		}
		w.reaches(15*time.Second, recovery.Online, "")
	})
}

// However often somebody asks: 5 times a minute, and never more logins or requests in a
// minute than the cloud takes.
func TestReconnectIsBounded(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		time.Sleep(2 * time.Minute)
		w.order("connack refuse count=all")
		w.order("closed")
		refused := 0
		for range 10 * 60 {
			_, err := w.session.Reconnect(t.Context())
			var ask *bus.AskError
			switch {
			case errors.As(err, &ask) && errors.Is(err, bus.ErrTooOften):
				refused++
				if ask.After <= 0 || ask.After > time.Minute {
					t.Errorf("to be tried again after %v", ask.After)
				}
			case err != nil:
				t.Errorf("%v", err)
			}
			time.Sleep(time.Second)
		}
		if refused < 10*60-10*5-5 {
			t.Errorf("only %d of 600 were refused", refused)
		}
		for _, verb := range []string{"AT+MCONNECT", "AT+HTTPACTION"} {
			if n := w.busiestMinute(verb); n > 5 {
				t.Errorf("%d times %s in a minute", n, verb)
			}
		}
	})
}

// The SIM is put back, and the module says so: that ends the wait at once.
func TestSIMPutBackEndsTheWait(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		w.order("sim removed")
		w.reaches(time.Minute, recovery.Recovering, recovery.SIMMissing)
		time.Sleep(time.Hour)
		w.reaches(10*time.Minute, recovery.Recovering, recovery.SIMMissing)
		time.Sleep(7 * time.Second)
		w.order("sim inserted")
		w.reaches(30*time.Second, recovery.Online, "")
	})
}

// A module that hung while it was online got the 90 s that a boot may take, and was
// back after two minutes. It is reset within 45 s of its last byte, learns how long the
// boot takes, over a restart of the daemon too, and gets twice that the next time.
func TestHungModuleIsResetSoon(t *testing.T) {
	t.Parallel()
	var pulled []time.Time
	inWorld(t, setup{}, func(t *testing.T, w *world) {
		w.options.HardReset = func(context.Context) error {
			pulled = append(pulled, time.Now())
			w.order("reset")
			return nil
		}
		w.begin()
		w.reaches(5*time.Minute, recovery.Online, "")
		for i := range 3 {
			time.Sleep(time.Duration(100+7*i) * time.Second)
			w.order("hang")
			hung := time.Now()
			w.reaches(time.Minute, recovery.Recovering, "")
			w.reaches(3*time.Minute, recovery.Online, "")
			if len(pulled) != i+1 {
				t.Fatalf("%d resets after %d times", len(pulled), i+1)
			}
			if took := pulled[i].Sub(hung); took > 45*time.Second {
				t.Errorf("reset %v after it hung", took)
			}
			time.Sleep(50 * time.Minute)
		}
	})
}

// A service that was lost before the first status poll was noticed after 450 s, when
// the module's keep-alive had run out: a module that had never been asked in this
// session whether it is registered was not believed when it said no.
func TestServiceLostBeforeTheFirstPoll(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, time.Second, 15 * time.Second, 29 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			online(t, setup{}, func(t *testing.T, w *world) {
				time.Sleep(after)
				w.order(`drop "+NO Service" count=all`)
				w.order("service lost")
				begun := time.Now()
				w.reaches(10*time.Minute, recovery.Recovering, "")
				if took := time.Since(begun); took > 35*time.Second {
					t.Errorf("noticed after %v", took)
				}
			})
		})
	}
}
