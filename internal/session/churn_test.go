package session_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

// Two programs that subscribed and left in a loop had 0 of 39 messages acknowledged in
// 12 s, and the SIM pay for 92 subscriptions and as many unsubscriptions. While messages
// wait there is one such operation for each of them at most; with the same filters,
// hardly any at all.
func TestChurnDoesNotHoldUpMessages(t *testing.T) {
	t.Parallel()
	const usual = 39 * 370 * time.Millisecond // alone, by the module's latencies
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh=%v", fresh), func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				ctx, stop := context.WithTimeout(t.Context(), 40*time.Second)
				defer stop()
				var programs sync.WaitGroup
				for program := range 2 {
					programs.Go(func() {
						for n := 0; ctx.Err() == nil; n++ {
							name := fmt.Sprintf("%s/%d", get, program)
							if fresh {
								name = fmt.Sprintf("%s/%d", get, 2*n+program)
							}
							if s, err := w.hub.Subscribe([]string{name}); err == nil {
								time.Sleep(65 * time.Millisecond)
								s.Close()
							}
							time.Sleep(65 * time.Millisecond)
						}
					})
				}
				begun := time.Now()
				var ids []string
				for i := range 39 {
					ids = append(ids, w.append(update, 1, fmt.Sprint(i)))
				}
				for _, id := range ids {
					w.settled(id)
				}
				took, operations := time.Since(begun), w.count("AT+MSUB")+w.count("AT+MUNSUB")
				if most := usual * 11 / 10; took > 2*most || !fresh && took > most {
					t.Errorf("39 messages took %v", took)
				}
				if operations > len(ids)+1 || !fresh && operations > 4 {
					t.Errorf("%d filter operations beside 39 messages", operations)
				}
				programs.Wait()
			})
		})
	}
}

// Programs that come with a filter of their own each time cost the SIM two exchanges
// each. That is bounded, counted, and told.
func TestChurnIsBoundedAndTold(t *testing.T) {
	t.Parallel()
	online(t, setup{}, func(t *testing.T, w *world) {
		watch := w.board.Watch()
		defer watch.Close()
		const minutes = 10
		for i := range minutes * 60 * 4 {
			s, err := w.hub.Subscribe([]string{fmt.Sprintf("%s/%d", get, i)})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
			s.Close()
			time.Sleep(50 * time.Millisecond)
		}
		operations := w.count("AT+MSUB") + w.count("AT+MUNSUB")
		if most := 200 + minutes*60 + 10; operations > most || operations < minutes*60 {
			t.Errorf("%d operations in %d minutes, want at most %d", operations, minutes, most)
		}
		if s := w.hub.Stats(); int(s.Subscribed+s.Unsubscribed) != operations {
			t.Errorf("counted %d and %d, were %d", s.Subscribed, s.Unsubscribed, operations)
		}
		told := 0
		for {
			ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
			e, err := watch.Next(ctx)
			stop()
			if err != nil {
				break
			}
			if e.Type == api.WarningEvent && e.Code == "filter-churn" {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		// A program that wants to stay gets its filter all the same.
		stays, err := w.hub.Subscribe([]string{get})
		if err != nil {
			t.Fatal(err)
		}
		waitGranted(t, stays, 5*time.Second)
	})
}

// waitGranted waits for the cloud's word on a subscription with one filter.
func waitGranted(t *testing.T, s *bus.Subscription, most time.Duration) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), most)
	defer stop()
	for {
		it, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("not granted: %v", err)
		}
		if it.Granted != "" {
			return
		}
	}
}

// A program that subscribed while the unsubscription of the one before was under way
// was told that it is subscribed, and its commands were lost, 4 of 4. Whoever is told
// so gets what is sent from then on, whenever he comes.
func TestGrantedMeansGranted(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 300 * time.Millisecond, 2900 * time.Millisecond, 3100 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			online(t, setup{}, func(t *testing.T, w *world) {
				w.order("unsuback late 3s count=all")
				first, err := w.hub.Subscribe([]string{get})
				if err != nil {
					t.Fatal(err)
				}
				waitGranted(t, first, 5*time.Second)
				first.Close()
				for w.count("AT+MUNSUB") == 0 {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(after)
				second, err := w.hub.Subscribe([]string{get})
				if err != nil {
					t.Fatal(err)
				}
				defer second.Close()
				if !second.Granted()[get] {
					waitGranted(t, second, 10*time.Second)
				}
				if n := w.cloud.Push(get, 1, []byte("command")); n != 1 {
					t.Errorf("it is told that it is subscribed, and the cloud knows %d such devices", n)
				}
				ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
				defer stop()
				it, err := second.Next(ctx)
				if err != nil || it.Message == nil || !strings.Contains(string(it.Message.Payload), "command") {
					t.Errorf("the command is lost: %+v, %v", it, err)
				}
			})
		})
	}
}
