package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/bus"
)

const (
	topicGet    = "/b1KCi45LcCP/862991419835241/get"
	topicUpdate = "/b1KCi45LcCP/862991419835241/update"
)

func TestPublishReachesEveryMatchingSubscriberOnce(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	get := subscribe(t, hub, topicGet)
	// Overlapping filters of one program are one delivery, a filter given twice is one filter.
	both := subscribe(t, hub, "/b1KCi45LcCP/#", topicGet, "/+/+/get", topicGet)
	other := subscribe(t, hub, "/b1KCi45LcCP/other/get")

	sent := bus.Message{Topic: topicGet, Payload: []byte("1"), ReceivedAt: time.Unix(1700000000, 0)}
	hub.Publish(sent)
	hub.Publish(bus.Message{Topic: topicUpdate, Payload: []byte("2")})

	if m := nextMessage(t, get); m.Topic != sent.Topic || string(m.Payload) != "1" || !m.ReceivedAt.Equal(sent.ReceivedAt) {
		t.Errorf("get received %+v, want %+v", m, sent)
	}
	if m := nextMessage(t, both); string(m.Payload) != "1" {
		t.Errorf("first payload of both is %q", m.Payload)
	}
	if m := nextMessage(t, both); string(m.Payload) != "2" {
		t.Errorf("second payload of both is %q", m.Payload)
	}
	for name, s := range map[string]*bus.Subscription{"get": get, "both": both, "other": other} {
		noMore(t, name, s)
	}
	if got, want := hub.Stats(), (bus.HubStats{Subscribers: 3, Messages: 2}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	get.Close()
	get.Close()
	if got := hub.Stats().Subscribers; got != 2 {
		t.Errorf("%d subscribers after one closed twice, want 2", got)
	}
}

// A program that opens a stream and never reads it must cost the others
// nothing: the goroutine that publishes is the one that reads the serial port.
func TestPublishNeverWaitsForOneWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		asleep := subscribe(t, hub, "#")
		awake := subscribe(t, hub, "#")
		const messages = 10 * bus.QueueItems

		var got int
		var reading sync.WaitGroup
		reading.Go(func() {
			for range messages {
				if it, err := awake.Next(t.Context()); err == nil && it.Message != nil {
					got++
				}
			}
		})
		for i := range messages {
			hub.Publish(numbered(i))
			synctest.Wait() // the reader has taken it: it alone sets the pace
		}
		reading.Wait()

		if got != messages {
			t.Errorf("the reader got %d of %d messages", got, messages)
		}
		stats := hub.Stats()
		if want := uint64(messages - (bus.QueueItems - 1)); stats.Dropped != want {
			t.Errorf("dropped %d, want %d", stats.Dropped, want)
		}
		if kept, missed := drain(t, asleep); uint64(missed) != stats.Dropped || kept+missed != messages {
			t.Errorf("the sleeper was given %d and told of %d missed, of %d", kept, missed, messages)
		}
	})
}

// The gap stands where messages are missing, not at the end and not at the
// beginning: a reader that rebuilds a state has to know after which message.
func TestGapStandsWhereMessagesAreMissing(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	s := subscribe(t, hub, "#")
	const fits = bus.QueueItems - 1

	for i := range fits + 3 { // the last three are lost
		hub.Publish(numbered(i))
	}
	for i := range 10 { // room for ten, less one for the gap
		wantNumber(t, s, i)
	}
	for i := 1000; i < 1010; i++ {
		hub.Publish(numbered(i))
	}
	for i := 10; i < fits; i++ {
		wantNumber(t, s, i)
	}
	wantGap(t, s, 3)
	for i := 1000; i < 1009; i++ {
		wantNumber(t, s, i)
	}
	wantGap(t, s, 1) // at the end, when nothing came after it
	noMore(t, "drained", s)

	hub.Publish(numbered(2000))
	wantNumber(t, s, 2000)
	noMore(t, "at the end", s)
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	s := subscribe(t, hub, "#")
	quarter := make([]byte, bus.QueueBytes/4)

	for range 4 {
		hub.Publish(bus.Message{Topic: "a", Payload: quarter})
	}
	hub.Publish(bus.Message{Topic: "a", Payload: []byte{1}}) // one byte over
	hub.Publish(bus.Message{Topic: "a"})                     // an empty payload still fits
	for range 4 {
		if m := nextMessage(t, s); len(m.Payload) != len(quarter) {
			t.Fatalf("%d bytes, want %d", len(m.Payload), len(quarter))
		}
	}
	wantGap(t, s, 1)
	if m := nextMessage(t, s); len(m.Payload) != 0 {
		t.Fatalf("%d bytes, want the empty payload", len(m.Payload))
	}

	// What was read has made room, and one message over the bound on its own is
	// delivered to a queue that holds nothing: it would never arrive otherwise.
	hub.Publish(bus.Message{Topic: "a", Payload: make([]byte, bus.QueueBytes+1)})
	hub.Publish(bus.Message{Topic: "a", Payload: []byte{1}})
	if m := nextMessage(t, s); len(m.Payload) != bus.QueueBytes+1 {
		t.Fatalf("%d bytes, want the oversized one", len(m.Payload))
	}
	wantGap(t, s, 1)
	noMore(t, "drained", s)
}

func TestGrants(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	early := subscribe(t, hub, topicGet, topicUpdate)
	wantGranted(t, early, map[string]bool{topicGet: false, topicUpdate: false})

	hub.Publish(bus.Message{Topic: topicGet, Payload: []byte("before")})
	hub.Grant(topicGet)
	hub.Grant("/somebody/else")
	hub.Publish(bus.Message{Topic: topicGet, Payload: []byte("after")})

	if m := nextMessage(t, early); string(m.Payload) != "before" {
		t.Fatalf("first is %q", m.Payload)
	}
	wantGrant(t, early, topicGet)
	if m := nextMessage(t, early); string(m.Payload) != "after" {
		t.Fatalf("third is %q", m.Payload)
	}
	hub.Grant(topicGet) // a second SUBACK tells nobody anything new
	noMore(t, "early", early)
	wantGranted(t, early, map[string]bool{topicGet: true, topicUpdate: false})

	late := subscribe(t, hub, topicGet)
	wantGranted(t, late, map[string]bool{topicGet: true})
	noMore(t, "late", late)

	hub.Grant(topicUpdate)
	wantGrant(t, early, topicUpdate)
	hub.Revoke() // the session is gone
	wantGranted(t, early, map[string]bool{topicGet: false, topicUpdate: false})
	hub.Grant(topicGet) // and back
	wantGrant(t, early, topicGet)
	wantGrant(t, late, topicGet)
	noMore(t, "early", early)
}

// Every reconnect revokes and grants again. A program that stopped reading must
// not grow the daemon by one grant per reconnect.
func TestGrantsDoNotPileUpForOneWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	s := subscribe(t, hub, topicGet, topicUpdate)
	for i := range 2 * bus.QueueItems {
		hub.Publish(numbered(i)) // not subscribed to
		hub.Publish(bus.Message{Topic: topicGet})
		hub.Grant(topicGet)
		hub.Grant(topicUpdate)
		hub.Revoke()
	}
	var messages, grants, missed, items int
	for it, ok := tryNext(s); ok; it, ok = tryNext(s) {
		items++
		missed += it.Gap
		if it.Granted != "" {
			grants++
		}
		if it.Message != nil {
			messages++
		}
	}
	if grants != 2 {
		t.Errorf("%d grants are queued for 2 filters", grants)
	}
	if items > bus.QueueItems+2 {
		t.Errorf("%d items in a queue of %d", items, bus.QueueItems)
	}
	if messages+missed != 2*bus.QueueItems {
		t.Errorf("%d delivered and %d missed, of %d", messages, missed, 2*bus.QueueItems)
	}
}

func TestCloseWhileNextWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		s := subscribe(t, hub, "#")
		ended := make(chan error, 1)
		go func() {
			_, err := s.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("Next did not wait: %v", err)
		default:
		}
		s.Close()
		if err := <-ended; !errors.Is(err, bus.ErrClosed) {
			t.Fatalf("Next after Close: %v, want ErrClosed", err)
		}
		hub.Publish(numbered(1)) // goes nowhere, harms nobody
		if _, err := s.Next(t.Context()); !errors.Is(err, bus.ErrClosed) {
			t.Fatalf("Next once more: %v, want ErrClosed", err)
		}
	})
}

// What was delivered before the end is still read: Close loses nothing that the
// program was already given.
func TestCloseLeavesWhatWasDelivered(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	s := subscribe(t, hub, "#")
	hub.Publish(numbered(1))
	s.Close()
	wantNumber(t, s, 1)
	if _, err := s.Next(t.Context()); !errors.Is(err, bus.ErrClosed) {
		t.Fatalf("%v, want ErrClosed", err)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := subscribe(t, bus.NewHub(), "#")
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Next: %v, want the context's error", err)
		}
		if waited := time.Since(begun); waited != 15*time.Second {
			t.Fatalf("waited %v", waited)
		}
	})
}

// Eight publishers, eight readers, filters that come and go: under the race
// detector, and with every message accounted for at the end.
func TestHubUnderTraffic(t *testing.T) {
	t.Parallel()
	hub := bus.NewHub()
	const publishers, each = 8, 500
	var publishing, reading, churning sync.WaitGroup
	stop := make(chan struct{})
	totals := make([]int, 8)
	var subs []*bus.Subscription
	for i := range totals {
		s := subscribe(t, hub, "#")
		subs = append(subs, s)
		reading.Go(func() {
			for {
				it, err := s.Next(t.Context())
				if err != nil {
					return
				}
				totals[i] += it.Gap
				if it.Message != nil {
					totals[i]++
				}
			}
		})
	}
	churning.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			s, err := hub.Subscribe([]string{fmt.Sprintf("f/%d", i%50)})
			if err != nil {
				t.Errorf("churn: %v", err)
				return
			}
			hub.Grant(fmt.Sprintf("f/%d", i%50))
			s.Granted()
			hub.Wanted()
			hub.Revoke()
			s.Close()
		}
	})
	for range publishers {
		publishing.Go(func() {
			for i := range each {
				hub.Publish(numbered(i))
			}
		})
	}
	publishing.Wait()
	close(stop)
	churning.Wait()
	for _, s := range subs {
		s.Close()
	}
	reading.Wait()
	for i, n := range totals {
		if n != publishers*each {
			t.Errorf("reader %d accounts for %d messages of %d", i, n, publishers*each)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	hub := bus.NewHub()
	for i := range 8 {
		s, err := hub.Subscribe([]string{"/b1KCi45LcCP/862991419835241/#", fmt.Sprintf("/f/%d", i)})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		go func() {
			for {
				if _, err := s.Next(b.Context()); err != nil {
					return
				}
			}
		}()
	}
	m := bus.Message{Topic: topicGet, Payload: make([]byte, 128)}
	b.ReportAllocs()
	for b.Loop() {
		hub.Publish(m)
	}
}
