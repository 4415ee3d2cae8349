package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"airbridged/client"
	"airbridged/internal/ipc"
	"airbridged/internal/outbox"
)

// idle returns a client and the daemon's queue, from which nobody sends.
func idle(t *testing.T) (*client.Client, *outbox.Queue) {
	t.Helper()
	q := outbox.New(outbox.Limits{})
	_, c := connected(t, func(o *ipc.Options) { o.Outbox = q })
	return c, q
}

func put(t *testing.T, q *outbox.Queue, m outbox.Message) string {
	t.Helper()
	m, err := q.Append(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func TestOutboxTellsEveryField(t *testing.T) {
	c, q := idle(t)
	id := put(t, q, outbox.Message{Topic: "/a", Payload: []byte("hello"), QoS: 1, Priority: outbox.High, TTL: time.Hour})
	put(t, q, outbox.Message{Topic: "/b", QoS: 0, Priority: outbox.Low})
	if _, ok := q.Take(); !ok {
		t.Fatal("nothing to take")
	}
	page, err := c.Outbox(t.Context(), "", 0)
	if err != nil || page.Total != 2 || len(page.Messages) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	m := page.Messages[0]
	if m.ExpiresAt == nil || m.ExpiresAt.Sub(*m.AcceptedAt) != time.Hour || time.Since(*m.AcceptedAt) > time.Minute {
		t.Errorf("times: %+v", m)
	}
	m.ExpiresAt, m.AcceptedAt = nil, nil
	if want := (client.OutboxMessage{ID: id, Topic: "/a", QoS: 1, Priority: client.PriorityHigh, Bytes: 5, Attempts: 1, State: client.InFlight}); m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
	if m := page.Messages[1]; m.QoS != 0 || m.Priority != client.PriorityLow || m.ExpiresAt != nil || m.State != client.Held {
		t.Errorf("got %+v", m)
	}
}

func TestOutboxRefusesWhatIsNoPage(t *testing.T) {
	c, _ := idle(t)
	for _, limit := range []int{-1, client.MaxPage + 1} {
		_, err := c.Outbox(t.Context(), "", limit)
		if p, ok := errors.AsType[*client.Problem](err); !ok || p.Status != 400 {
			t.Errorf("%d: %v", limit, err)
		}
	}
	if _, err := c.Outbox(t.Context(), "no id & no=query", 0); err != nil {
		t.Errorf("an id that does not exist: %v", err)
	}
}

// A message that leaves between two pages must not take others with it, and what
// comes meanwhile is found.
func TestEveryPageIsWalked(t *testing.T) {
	c, q := idle(t)
	for _, n := range []int{0, 1, client.MaxPage, 2*client.MaxPage + 1} {
		for q.Stats().Messages < n {
			put(t, q, outbox.Message{Topic: "/a", QoS: 1})
		}
		var ids []string
		for m, err := range c.OutboxMessages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if ids = append(ids, m.ID); len(ids) == client.MaxPage && n > client.MaxPage {
				if err := q.Drop(m.ID); err != nil {
					t.Fatal(err)
				}
				put(t, q, outbox.Message{Topic: "/late", QoS: 1})
				n++
			}
		}
		if len(ids) != n || !slices.IsSorted(ids) || len(slices.Compact(ids)) != n {
			t.Errorf("%d messages, of which %d were seen", n, len(ids))
		}
	}
	seen := 0
	for range c.OutboxMessages(t.Context()) {
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("went on after the break: %d", seen)
	}
}

func TestOutboxErrorIsTheLastItem(t *testing.T) {
	c, q := idle(t)
	for range client.MaxPage + 1 {
		put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	var last error
	for _, err := range c.OutboxMessages(ctx) {
		if last != nil {
			t.Fatal("something came after the error")
		}
		if last = err; err == nil {
			seen++
		}
		cancel() // the first page is here, the second is not
	}
	if !errors.Is(last, context.Canceled) || seen != client.MaxPage {
		t.Errorf("%d messages and then %v", seen, last)
	}
}

func TestDropConditions(t *testing.T) {
	c, q := idle(t)
	flying := put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	waiting := put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	if _, ok := q.Take(); !ok {
		t.Fatal("nothing to take")
	}
	if err := c.Drop(t.Context(), waiting); err != nil {
		t.Error(err)
	}
	conditions := []error{client.ErrInFlight, client.ErrTryAgain, client.ErrFinal, client.ErrUnknown, client.ErrFull, client.ErrNotPermitted}
	for _, d := range []struct {
		id   string
		want []error
	}{
		{flying, []error{client.ErrInFlight, client.ErrTryAgain}},
		{waiting, []error{client.ErrFinal}},
		{"long-ago", []error{client.ErrUnknown}},
		{"a/b?c#d%", []error{client.ErrUnknown}},
	} {
		err := c.Drop(t.Context(), d.id)
		for _, condition := range conditions {
			if errors.Is(err, condition) != slices.Contains(d.want, condition) {
				t.Errorf("%s: %v is %v: %v", d.id, err, condition, errors.Is(err, condition))
			}
		}
		if p, ok := errors.AsType[*client.Problem](err); ok && errors.Is(err, client.ErrTryAgain) && p.RetryAfter <= 0 {
			t.Errorf("%s: nobody says when to try again", d.id)
		}
	}
	for _, id := range []string{"", ".", "..", "../status"} {
		if err := c.Drop(t.Context(), id); err == nil {
			t.Errorf("%q was dropped", id)
		}
	}
}

func TestDropTopicTakesAFilter(t *testing.T) {
	c, q := idle(t)
	for _, f := range []struct {
		filter string
		n      int
	}{{"/a/+", 2}, {"/é/ü", 1}, {"/nobody", 0}, {"/a&b=c", 1}, {"#", 4}} {
		topics := []string{"/a/x", "/a/y", "/é/ü", "/a&b=c"}
		for _, topic := range topics {
			put(t, q, outbox.Message{Topic: topic, QoS: 1})
		}
		if n, err := c.DropTopic(t.Context(), f.filter); err != nil || n != f.n {
			t.Errorf("%s: %d, %v", f.filter, n, err)
		}
		if left, _ := q.DropTopic(func(string) bool { return true }); left != len(topics)-f.n {
			t.Errorf("%s: left %d", f.filter, left)
		}
	}
	for _, filter := range []string{"", "/a/#/b", "/a b"} {
		_, err := c.DropTopic(t.Context(), filter)
		if p, ok := errors.AsType[*client.Problem](err); !ok || p.Status != 400 {
			t.Errorf("%q: %v", filter, err)
		}
	}
}
