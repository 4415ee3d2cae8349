package bus_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// One who comes late is told first where the daemon stands, not what happened
// to be said last.
func TestWatchBeginsWithThePresentState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board := bus.NewStatusBoard()
		made := time.Now()
		first := board.Watch()
		defer first.Close()
		wantEvent(t, first, bus.At(made, bus.Changed(api.Change{To: "probing"})))

		time.Sleep(time.Second)
		attaching := bus.Changed(api.Change{From: "probing", To: "attaching"})
		warning := bus.Warned("signal-weak", "CSQ 5")
		board.Emit(attaching)
		board.Emit(warning)
		attaching.At, warning.At = time.Now(), time.Now() // set where it was not
		wantEvent(t, first, attaching)
		wantEvent(t, first, warning)

		time.Sleep(time.Hour)
		late := board.Watch()
		defer late.Close()
		wantEvent(t, late, attaching)
		wantNoEvent(t, late)

		own := bus.At(made, bus.Changed(api.Change{From: "attaching", To: "recovering", Cause: "bearer-failed", Attempt: 2, WaitSeconds: 3.5}))
		board.Emit(own)
		wantEvent(t, first, own)
		wantEvent(t, late, own)
	})
}

// Nobody who emits waits for a watcher. One that fell behind loses the oldest,
// is told so first, and still gets the newest: that is where the daemon stands.
func TestWatcherWhoFellBehindIsToldAndGetsTheNewest(t *testing.T) {
	t.Parallel()
	board := bus.NewStatusBoard()
	w := board.Watch()
	defer w.Close()
	const emitted = bus.WatchEvents + 9
	for i := range emitted {
		board.Emit(bus.Changed(api.Change{To: "online", Attempt: i}))
	}

	gap, err := w.Next(t.Context())
	if err != nil || gap.Type != api.WarningEvent || gap.Code != "gap" || gap.At.IsZero() {
		t.Fatalf("%+v, %v; want the warning gap", gap, err)
	}
	// The present state of the beginning was the first to go.
	if want := "10 events were missed"; !strings.HasPrefix(gap.Detail, want) {
		t.Fatalf("detail %q, want %q", gap.Detail, want)
	}
	for i := emitted - bus.WatchEvents; i < emitted; i++ {
		e, err := w.Next(t.Context())
		if err != nil || e.Attempt != i {
			t.Fatalf("%+v, %v; want event %d", e, err, i)
		}
	}
	wantNoEvent(t, w)

	board.Emit(bus.Changed(api.Change{To: "recovering"})) // told once
	if e, err := w.Next(t.Context()); err != nil || e.To != "recovering" {
		t.Fatalf("%+v, %v; want the new state", e, err)
	}
	wantNoEvent(t, w)
}

func TestClosedWatchGetsNothing(t *testing.T) {
	t.Parallel()
	board := bus.NewStatusBoard()
	w := board.Watch()
	if _, err := w.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Close()
	w.Close()
	board.Emit(bus.Changed(api.Change{To: "attaching"}))
	wantNoEvent(t, w)
}

func TestWatchWaitsForAnEventAndNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board := bus.NewStatusBoard()
		w := board.Watch()
		defer w.Close()
		if _, err := w.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Minute)
			board.Emit(bus.Warned("later", ""))
		}()
		begun := time.Now()
		if e, err := w.Next(t.Context()); err != nil || e.Code != "later" || time.Since(begun) != time.Minute {
			t.Fatalf("%+v, %v after %v", e, err, time.Since(begun))
		}

		stopping := errors.New("stopping")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(time.Minute)
			cancel(stopping)
		}()
		if _, err := w.Next(ctx); !errors.Is(err, stopping) {
			t.Fatalf("%v, want the context's cause", err)
		}
	})
}

func TestStatusIsACopy(t *testing.T) {
	t.Parallel()
	board := bus.NewStatusBoard()
	before := board.Status()
	if before.State != "probing" || before.Since.IsZero() || before.Cause != "" {
		t.Fatalf("begins with %+v", before)
	}
	board.Update(func(s *bus.Status) {
		s.State = "online"
		s.Modem.IMEI = bus.Known("862991419835241")
	})
	before.State = "scribbled over"
	now := board.Status()
	if now.State != "online" || now.Modem.IMEI == nil || *now.Modem.IMEI != "862991419835241" || before.Modem.IMEI != nil {
		t.Fatalf("status %+v", now)
	}
	if bus.Known("") != nil {
		t.Fatal(`Known("") is a value`)
	}
}

func TestBoardUnderTraffic(t *testing.T) {
	t.Parallel()
	board := bus.NewStatusBoard()
	ctx, cancel := context.WithCancel(t.Context())
	var writing, reading sync.WaitGroup
	for range 4 {
		reading.Go(func() {
			w := board.Watch()
			defer w.Close()
			for {
				if _, err := w.Next(ctx); err != nil {
					return
				}
				board.Status()
			}
		})
		writing.Go(func() {
			for i := range 500 {
				board.Update(func(s *bus.Status) { s.Attempt++ })
				board.Emit(bus.Changed(api.Change{To: fmt.Sprint(i)}))
			}
		})
	}
	writing.Wait()
	cancel()
	reading.Wait()
	if n := board.Status().Attempt; n != 4*500 {
		t.Fatalf("%d updates arrived, want %d", n, 4*500)
	}
}

func wantEvent(t *testing.T, w *bus.Watch, want api.Event) {
	t.Helper()
	got, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !got.At.Equal(want.At) {
		t.Fatalf("event at %v, want %v", got.At, want.At)
	}
	got.At, want.At = time.Time{}, time.Time{}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("event %+v, want %+v", got, want)
	}
}

func wantNoEvent(t *testing.T, w *bus.Watch) {
	t.Helper()
	ended, end := context.WithCancel(context.Background())
	end()
	if e, err := w.Next(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("%+v, %v; want nothing", e, err)
	}
}
