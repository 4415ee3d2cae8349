package ipc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"airbridged/client/api"
	"airbridged/internal/outbox"
)

// queueDaemon is a daemon with the real queue and nobody who sends.
func queueDaemon(t *testing.T) (*daemon, *outbox.Queue) {
	t.Helper()
	q := outbox.New(outbox.Limits{})
	return startDaemon(t, func(o *Options) { o.Outbox = q }), q
}

// put appends a message and returns its id.
func put(t *testing.T, q *outbox.Queue, m outbox.Message) string {
	t.Helper()
	m, err := q.Append(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// page asks for a page of the outbox, which has to be there.
func (d *daemon) page(query string) api.OutboxPage {
	d.t.Helper()
	resp, body := d.ask("GET", "/v1/outbox"+query, "")
	var p api.OutboxPage
	if err := json.Unmarshal([]byte(body), &p); err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s: %s", query, resp.Status, body)
	}
	return p
}

func ids(p api.OutboxPage) []string {
	ids := []string{}
	for _, m := range p.Messages {
		ids = append(ids, m.ID)
	}
	return ids
}

// The fields are those that programs depend on: no more, no fewer, no other
// order, and null where a message never expires.
func TestOutboxListing(t *testing.T) {
	d := startDaemon(t, nil)
	resp, body := d.ask("GET", "/v1/outbox", "")
	expect(t, "empty", resp.Status+" "+body, `200 OK {"messages":[],"total":0}`+"\n")
	d.ask("POST", "/v1/publish?topic="+ownTopic, "hello")
	d.ask("POST", "/v1/publish?topic=/a&ttl=90m&priority=high", "\x00\xff")
	d.ask("POST", "/v1/publish?topic=/a&qos=0&priority=low", "")
	resp, body = d.ask("GET", "/v1/outbox", "")
	expect(t, "content type", resp.Header.Get("Content-Type"), "application/json")
	expect(t, "three", body, `{"messages":[`+
		`{"id":"m1","topic":"/a1b2c3/gw-1/update","qos":1,"priority":"normal","bytes":5,"accepted_at":"2026-11-22T08:00:00Z","expires_at":null,"attempts":0,"state":"queued"},`+
		`{"id":"m2","topic":"/a","qos":1,"priority":"high","bytes":2,"accepted_at":"2026-11-22T08:00:00Z","expires_at":"2026-11-22T09:30:00Z","attempts":0,"state":"queued"},`+
		`{"id":"m3","topic":"/a","qos":0,"priority":"low","bytes":0,"accepted_at":"2026-11-22T08:00:00Z","expires_at":null,"attempts":0,"state":"held"}`+
		`],"total":3}`+"\n")
	if resp, body := d.ask("HEAD", "/v1/outbox", ""); resp.StatusCode != http.StatusOK || body != "" {
		t.Errorf("HEAD: %s, %q", resp.Status, body)
	}
}

func TestOutboxShowsTheOneInFlight(t *testing.T) {
	d, q := queueDaemon(t)
	put(t, q, outbox.Message{Topic: "/a", QoS: 1, Priority: outbox.Normal})
	urgent := put(t, q, outbox.Message{Topic: "/a", QoS: 1, Priority: outbox.High})
	if m, ok := q.Take(); !ok || m.ID != urgent {
		t.Fatalf("took %+v", m)
	}
	p := d.page("")
	if len(p.Messages) != 2 || p.Messages[0].State != api.Queued || p.Messages[0].Attempts != 0 || p.Messages[1].State != api.InFlight || p.Messages[1].Attempts != 1 {
		t.Errorf("got %+v", p)
	}
}

// A program walks a long queue while it moves: what stays is seen once, in the
// order of acceptance, although the id that a page was asked behind is gone.
func TestOutboxPages(t *testing.T) {
	d, q := queueDaemon(t)
	var want []string
	for i := range 250 {
		want = append(want, put(t, q, outbox.Message{Topic: "/a", QoS: byte(i % 2), Priority: outbox.Priority(i % 3)}))
	}
	if p := d.page(""); len(p.Messages) != usualPage || p.Total != 250 {
		t.Errorf("without a limit: %d of %d", len(p.Messages), p.Total)
	}
	if p := d.page("?limit=1000"); len(p.Messages) != 250 {
		t.Errorf("largest page: %d", len(p.Messages))
	}
	var got []string
	after := ""
	for {
		p := d.page("?limit=60&after=" + after)
		got = append(got, ids(p)...)
		if len(p.Messages) < 60 {
			break
		}
		after = got[len(got)-1]
		if err := q.Drop(after); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d ids, want %d in the order of acceptance", len(got), len(want))
	}
	if p := d.page("?after=" + want[len(want)-1]); len(p.Messages) != 0 || p.Total != 246 {
		t.Errorf("behind the last: %+v", p)
	}
	if p := d.page("?limit=1&after=zzzzzzzzzzzzzzzzzzzzzzzz"); len(p.Messages) != 0 {
		t.Errorf("behind everything: %+v", p)
	}
}

// A page must fit what clients accept as one document.
func TestLongestPageIsUnderAMegabyte(t *testing.T) {
	d, q := queueDaemon(t)
	// U+2028 is the character that JSON makes longest: three bytes become six.
	longest := "/" + strings.Repeat("\u2028", 42)
	for range maxPage {
		put(t, q, outbox.Message{Topic: longest, QoS: 1, TTL: time.Hour})
	}
	_, body := d.ask("GET", "/v1/outbox?limit=1000", "")
	if len(body) > 1<<20 || !strings.HasSuffix(body, `"total":1000}`+"\n") {
		t.Errorf("%d bytes, ending in %q", len(body), body[len(body)-20:])
	}
}

func TestDropOfOneMessage(t *testing.T) {
	d, q := queueDaemon(t)
	first := put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	second := put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	held := put(t, q, outbox.Message{Topic: "/a", QoS: 0})
	for _, id := range []string{second, held} {
		resp, body := d.ask("DELETE", "/v1/outbox/"+id, "")
		expect(t, "drop", resp.Status+" "+body, `200 OK {"dropped":1}`+"\n")
		if m, err := q.Get(id); err != nil || m.State != outbox.Dropped || m.Reason != outbox.ReasonRemoved {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if got := ids(d.page("")); !slices.Equal(got, []string{first}) {
		t.Errorf("left: %v", got)
	}
	resp, body := d.ask("DELETE", "/v1/outbox/"+second, "")
	if resp.StatusCode != http.StatusConflict || !strings.Contains(body, "is dropped already") {
		t.Errorf("dropped twice: %s: %s", resp.Status, body)
	}
	if n := q.Stats().Dropped[outbox.ReasonRemoved]; n != 2 {
		t.Errorf("counted %d", n)
	}
}

// What is on its way may be at the cloud already. It is dropped only if it comes
// back.
func TestTheOneInFlightIsNotDropped(t *testing.T) {
	d, q := queueDaemon(t)
	id := put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	if _, ok := q.Take(); !ok {
		t.Fatal("nothing to take")
	}
	resp, body := d.ask("DELETE", "/v1/outbox/"+id, "")
	if resp.StatusCode != http.StatusConflict || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, api.ProblemPrefix+"in-flight") {
		t.Errorf("%s: %s", resp.Status, body)
	}
	_, body = d.ask("DELETE", "/v1/outbox?topic=%23", "")
	expect(t, "by filter", body, `{"dropped":0}`+"\n")
	if err := q.Release(id); err != nil {
		t.Fatal(err)
	}
	_, body = d.ask("DELETE", "/v1/outbox/"+id, "")
	expect(t, "after it came back", body, `{"dropped":1}`+"\n")
}

func TestDropOfAnAcknowledgedMessageSaysSo(t *testing.T) {
	d, q := queueDaemon(t)
	id := put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	if _, ok := q.Take(); !ok {
		t.Fatal("nothing to take")
	}
	if err := q.Done(id, outbox.Acked, ""); err != nil {
		t.Fatal(err)
	}
	resp, body := d.ask("DELETE", "/v1/outbox/"+id, "")
	if resp.StatusCode != http.StatusConflict || !strings.Contains(body, api.ProblemPrefix+"final-state") || !strings.Contains(body, "is acked already") {
		t.Errorf("%s: %s", resp.Status, body)
	}
}

func TestDropByFilter(t *testing.T) {
	for _, c := range []struct {
		filter string
		left   []string
	}{
		{"/a/x", []string{"/a/y", "/b", "$own/x"}},
		{"/a/+", []string{"/b", "$own/x"}},
		{"+/+/x", []string{"/a/y", "/b", "$own/x"}},
		{"#", nil}, // everything, as the documents say; only in MQTT not what begins with a dollar sign
		{"$own/#", []string{"/a/x", "/a/x", "/a/y", "/b"}},
		{"/c", []string{"/a/x", "/a/x", "/a/y", "/b", "$own/x"}},
	} {
		q := outbox.New(outbox.Limits{})
		core, logs := observer.New(zap.InfoLevel)
		d := startDaemon(t, func(o *Options) { o.Outbox, o.Log = q, zap.New(core) })
		for _, topic := range []string{"/a/x", "/a/x", "/a/y", "/b", "$own/x"} {
			put(t, q, outbox.Message{Topic: topic, QoS: 1})
		}
		n := 5 - len(c.left)
		resp, body := d.ask("DELETE", "/v1/outbox?topic="+url.PathEscape(c.filter), "")
		expect(t, c.filter, resp.Status+" "+body, fmt.Sprintf(`200 OK {"dropped":%d}`+"\n", n))
		var left []string
		for _, m := range d.page("").Messages {
			left = append(left, m.Topic)
		}
		if !slices.Equal(left, c.left) {
			t.Errorf("%s: left %q, want %q", c.filter, left, c.left)
		}
		d.stop()
		said := logs.FilterMessage("messages dropped on request").All()
		if len(said) != min(n, 1) || n > 0 && said[0].ContextMap()["messages"] != int64(n) {
			t.Errorf("%s: log has %+v", c.filter, said)
		}
	}
}

// Seen: DELETE answers 200 while the disk fails, and the messages come back after a
// restart.
func TestDropOfATopicOnAFailingDisk(t *testing.T) {
	d := startDaemon(t, nil)
	d.queue.fail = &outbox.Error{Op: "drop", Err: fmt.Errorf("%w: %w", outbox.ErrDisk, syscall.EIO), Hint: "x"}
	resp, body := d.ask("DELETE", "/v1/outbox?topic=%23", "")
	if resp.StatusCode != http.StatusInsufficientStorage || !strings.Contains(body, "back after a restart") {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// A program that waits for a message learns that somebody dropped it.
func TestDropEndsAPublishThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := outbox.New(outbox.Limits{})
		d, _ := virtualDaemon(t, func(o *Options) { o.Outbox = q })
		var all sync.WaitGroup
		all.Go(func() {
			resp, body := d.ask("POST", "/v1/publish?topic=/a&wait=1h", "x")
			if resp.StatusCode != http.StatusOK || !strings.HasSuffix(body, `"state":"dropped"}`+"\n") {
				t.Errorf("%s: %s", resp.Status, body)
			}
		})
		synctest.Wait()
		time.Sleep(time.Minute)
		_, body := d.ask("DELETE", "/v1/outbox?topic=/a", "")
		expect(t, "drop", body, `{"dropped":1}`+"\n")
		all.Wait()
		d.stop()
	})
}
