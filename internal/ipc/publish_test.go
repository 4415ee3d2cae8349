package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/topic"
	"airbridged/internal/typo"
)

func TestPublishIsAnsweredAfterTheOutboxHasIt(t *testing.T) {
	d := startDaemon(t, nil)
	for _, c := range []struct {
		name, query, body string
		want              outbox.Message
		answer            string
	}{
		{"defaults", "", "hello", outbox.Message{QoS: 1, Priority: outbox.Normal}, `{"id":"m1","state":"queued"}`},
		{"qos 1", "&qos=1", "hello", outbox.Message{QoS: 1, Priority: outbox.Normal}, `{"id":"m2","state":"queued"}`},
		{"qos 0", "&qos=0", "hello", outbox.Message{QoS: 0, Priority: outbox.Normal}, `{"id":"m3","state":"held"}`},
		{"empty payload", "", "", outbox.Message{QoS: 1, Priority: outbox.Normal}, `{"id":"m4","state":"queued"}`},
		{"every option", "&ttl=90m&priority=high&latest=1", "hello", outbox.Message{QoS: 1, Priority: outbox.High, TTL: 90 * time.Minute, Latest: true}, `{"id":"m5","state":"queued"}`},
		{"low, not latest", "&priority=low&latest=false", "hello", outbox.Message{QoS: 1, Priority: outbox.Low}, `{"id":"m6","state":"queued"}`},
		{"no wait", "&wait=0s", "hello", outbox.Message{QoS: 1, Priority: outbox.Normal}, `{"id":"m7","state":"queued"}`},
		{"bytes of every value", "", allBytes, outbox.Message{QoS: 1, Priority: outbox.Normal}, `{"id":"m8","state":"queued"}`},
		{"largest body", "", strings.Repeat("x", maxBody), outbox.Message{QoS: 1, Priority: outbox.Normal}, `{"id":"m9","state":"queued"}`},
	} {
		resp, body := d.ask("POST", "/v1/publish?topic="+ownTopic+c.query, c.body)
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s", c.name, resp.Status)
		}
		expect(t, c.name, body, c.answer+"\n")
		expect(t, c.name, resp.Header.Get("Content-Type"), "application/json")
		kept := d.queue.kept()
		got := kept[len(kept)-1]
		if string(got.Payload) != c.body {
			t.Errorf("%s: payload was changed to %q", c.name, got.Payload)
		}
		if got.Topic != ownTopic || got.QoS != c.want.QoS || got.Priority != c.want.Priority || got.TTL != c.want.TTL || got.Latest != c.want.Latest {
			t.Errorf("%s: kept %+v", c.name, got)
		}
	}
}

var allBytes = func() string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return string(all)
}()

func TestTopicsInQueriesMayBeEscapedOrNot(t *testing.T) {
	d := startDaemon(t, nil)
	for i, q := range []string{"/sys/a1/gw/thing", "%2Fsys%2Fa1%2Fgw%2Fthing", "/sys/a1/gw/%74hing"} {
		if resp, body := d.ask("POST", "/v1/publish?topic="+q, "x"); resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", q, body)
		}
		expect(t, q, d.queue.kept()[i].Topic, "/sys/a1/gw/thing")
	}
}

// A program that waits gets the final state as soon as it is there, whichever
// it is; after the wait it gets the present one, and the message stays.
func TestPublishWaits(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    outbox.State
		after  time.Duration
		status int
		answer string
		took   time.Duration
	}{
		{"acknowledged", outbox.Acked, 3 * time.Second, 200, `{"id":"m1","state":"acked"}`, 3 * time.Second},
		{"expired", outbox.Expired, 3 * time.Second, 200, `{"id":"m1","state":"expired"}`, 3 * time.Second},
		{"rejected", outbox.Rejected, 9 * time.Second, 200, `{"id":"m1","state":"rejected"}`, 9 * time.Second},
		{"wait is over", outbox.Acked, 11 * time.Second, 202, `{"id":"m1","state":"queued"}`, 10 * time.Second},
		{"on its way when the wait is over", outbox.InFlight, 9 * time.Second, 202, `{"id":"m1","state":"inflight"}`, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, _ := virtualDaemon(t, nil)
			time.AfterFunc(c.after, func() { d.queue.settle(1, c.end, "") })
			begun := time.Now()
			resp, body := d.ask("POST", "/v1/publish?topic=/a&wait=10s", "x")
			if resp.StatusCode != c.status || time.Since(begun) != c.took {
				t.Errorf("%s: %s after %v", c.name, resp.Status, time.Since(begun))
			}
			expect(t, c.name, body, c.answer+"\n")
			time.Sleep(c.after) // the timer above has fired
			d.stop()
		})
	}
}

// net/http reads in the background while a handler works, and takes an expired
// read deadline for a client that has left: an hour's wait ended after 30 s.
func TestPublishWaitsLongerThanAReadMayTake(t *testing.T) {
	for _, payload := range []string{"x", ""} {
		synctest.Test(t, func(t *testing.T) {
			d, _ := virtualDaemon(t, nil)
			time.AfterFunc(59*time.Minute, func() { d.queue.settle(1, outbox.Acked, "") })
			resp, body := d.ask("POST", "/v1/publish?topic=/a&wait=1h", payload)
			if resp.StatusCode != 200 {
				t.Errorf("payload %q: %s: %s", payload, resp.Status, body)
			}
			time.Sleep(time.Hour) // the timer above has fired
			d.stop()
		})
	}
}

// A shell script may send and leave at once; and some clients close their half
// of the connection after the request. Neither may undo the publish.
func TestPublishOfAClientThatHangsUpIsKept(t *testing.T) {
	d := startDaemon(t, nil)
	conn := d.dial()
	if _, err := io.WriteString(conn, "POST /v1/publish?topic=/a&wait=1h HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nhi"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(answer, []byte("202 Accepted")) || len(d.queue.kept()) != 1 {
		t.Errorf("kept %d, answer %q", len(d.queue.kept()), answer)
	}
}

func TestSlowAndBrokenBodiesAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := virtualDaemon(t, nil)
		for _, c := range []struct{ name, sent, status string }{
			{"never whole", "Content-Length: 10\r\n\r\nhalf", "408 Request Timeout"},
			{"broken chunk", "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400 Bad Request"},
		} {
			conn, err := p.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = io.WriteString(conn, "POST /v1/publish?topic=/a HTTP/1.1\r\nHost: d\r\n"+c.sent)
			}()
			answer, _ := io.ReadAll(conn)
			if !strings.Contains(string(answer), c.status) || !strings.Contains(string(answer), "nothing was kept") {
				t.Errorf("%s: %s", c.name, answer)
			}
		}
		if len(d.queue.kept()) != 0 {
			t.Error("a part of a body was kept")
		}
		d.stop()
	})
}

func TestOutboxThatHangsIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := virtualDaemon(t, func(o *Options) { o.Outbox = &testQueue{hang: true} })
		begun := time.Now()
		resp, body := d.ask("POST", "/v1/publish?topic=/a", "x")
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "not-kept-in-time") {
			t.Errorf("%s: %s", resp.Status, body)
		}
		if took := time.Since(begun); took != appendTime {
			t.Errorf("after %v", took)
		}
		d.stop()
	})
}

func TestCarryIsAskedWithTheWholeMessage(t *testing.T) {
	var asked []string
	d := startDaemon(t, func(o *Options) {
		o.Carry = func(topic string, payload []byte) error {
			asked = append(asked, fmt.Sprintf("%s %q", topic, payload))
			if len(payload) > 3 {
				return &bus.CarryError{Reason: "too large", TooLarge: true, Size: len(payload), Limit: 3}
			}
			return nil
		}
	})
	d.ask("POST", "/v1/publish?topic=/a", "abc")
	d.ask("POST", "/v1/publish?topic=/b", "abcd")
	if want := []string{`/a "abc"`, `/b "abcd"`}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if kept := d.queue.kept(); len(kept) != 1 || kept[0].Topic != "/a" {
		t.Errorf("kept %v", kept)
	}
}

func TestMessage(t *testing.T) {
	d := startDaemon(t, nil)
	d.ask("POST", "/v1/publish?topic=/a&ttl=1h&priority=low&latest=1", "x")
	d.ask("POST", "/v1/publish?topic=/b&qos=0", "x")
	d.queue.settle(2, outbox.Dropped, "full")
	_, body := d.ask("GET", "/v1/messages/m1", "")
	expect(t, "m1", body, `{"id":"m1","topic":"/a","qos":1,"priority":"low","latest":true,"state":"queued","reason":"","attempts":0,"accepted_at":"2026-11-22T08:00:00Z","expires_at":"2026-11-22T09:00:00Z"}`+"\n")
	_, body = d.ask("GET", "/v1/messages/m2", "")
	expect(t, "m2", body, `{"id":"m2","topic":"/b","qos":0,"priority":"normal","latest":false,"state":"dropped","reason":"full","attempts":0,"accepted_at":"2026-11-22T08:00:00Z","expires_at":null}`+"\n")
}

// Eight programs publish at once into the real queue: every message is kept
// once, and each program's are in its order.
func TestEightProgramsPublishAtOnce(t *testing.T) {
	const programs, each = 8, 50
	q := outbox.New(outbox.Limits{})
	d := startDaemon(t, func(o *Options) { o.Outbox = q })
	var all sync.WaitGroup
	for p := range programs {
		all.Go(func() {
			for i := range each {
				resp, err := d.http.Post(fmt.Sprintf("http://d/v1/publish?topic=/p/%d", p), "", strings.NewReader(fmt.Sprint(i)))
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusAccepted {
					t.Error(resp.Status)
				}
			}
		})
	}
	all.Wait()
	next := make(map[string]int)
	for {
		m, ok := q.Take()
		if !ok {
			break
		}
		if string(m.Payload) != fmt.Sprint(next[m.Topic]) {
			t.Errorf("%s: got message %s, want %d", m.Topic, m.Payload, next[m.Topic])
		}
		next[m.Topic]++
		if err := q.Done(m.ID, outbox.Acked, ""); err != nil {
			t.Fatal(err)
		}
	}
	for p := range programs {
		if n := next[fmt.Sprintf("/p/%d", p)]; n != each {
			t.Errorf("program %d: %d of %d", p, n, each)
		}
	}
}

// An unanswered publish is repeated with its key: one message, one id, and the
// answer of the first; also when its end has come, and whatever the module carries
// by now.
func TestIdempotencyKey(t *testing.T) {
	q := outbox.New(outbox.Limits{})
	var carried error
	d := startDaemon(t, func(o *Options) {
		o.Outbox, o.Carry = q, func(string, []byte) error { return carried }
	})
	publish := func(query, body, key string) (string, string) {
		t.Helper()
		resp, answer := d.ask("POST", "/v1/publish?topic=/a"+query, body, "Idempotency-Key", key)
		return resp.Status, answer
	}
	status, first := publish("", "one", "k1")
	expect(t, "first", status, "202 Accepted")
	carried = errors.New("another module, which carries less")
	status, again := publish("", "one", "k1")
	expect(t, "repeat", status+" "+again, "202 Accepted "+first)
	carried = nil
	for name, other := range map[string][2]string{"another body": {"", "two"}, "another topic": {"/b", "one"}} {
		status, answer := publish(other[0], other[1], "k1")
		if status != "409 Conflict" || !strings.Contains(answer, api.ProblemPrefix+"key-reused") {
			t.Errorf("%s: %s %s", name, status, answer)
		}
	}
	if status, other := publish("", "one", "k2"); status != "202 Accepted" || other == first {
		t.Errorf("another key: %s %s", status, other)
	}
	done := make(chan string)
	go func() {
		_, answer := publish("&wait=1m", "one", "k1")
		done <- answer
	}()
	m, _ := q.Take()
	if err := q.Done(m.ID, outbox.Acked, ""); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(first, "queued", "acked", 1)
	expect(t, "a repeat that waits", <-done, want)
	status, again = publish("&wait=1m", "one", "k1")
	expect(t, "a repeat when it has ended, with wait", status+" "+again, "200 OK "+want)
	status, again = publish("", "one", "k1")
	expect(t, "a repeat when it has ended", status+" "+again, "202 Accepted "+want)
	if n := q.Stats().Messages; n != 1 {
		t.Errorf("%d messages wait", n)
	}
}

// Which keys are none.
func TestBadIdempotencyKeys(t *testing.T) {
	d := startDaemon(t, nil)
	for _, c := range []struct{ target, key string }{
		{"/v1/publish?topic=/a", ""},
		{"/v1/publish?topic=/a", strings.Repeat("k", 65)},
		{"/v1/publish?topic=/a", "k\u00e9y"},
		{"/v1/publish?topic=/a&qos=0", "k"},
	} {
		resp, body := d.ask("POST", c.target, "x", "Idempotency-Key", c.key)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "bad-option") || !strings.Contains(body, "Idempotency-Key") {
			t.Errorf("%q on %s: %s %s", c.key, c.target, resp.Status, body)
		}
	}
	if n := len(d.queue.messages); n != 0 {
		t.Errorf("%d were kept", n)
	}
}

// FuzzPublishOptions holds that whatever a query says, it is either refused as
// the client's fault or becomes a message that the outbox and the module take.
func FuzzPublishOptions(f *testing.F) {
	for _, c := range refusals {
		if _, query, ok := strings.Cut(c.target, "?"); ok {
			f.Add(query)
		}
	}
	f.Add("topic=/a1/gw/update&qos=0&ttl=1h30m&priority=low&latest=true&wait=1s")
	q := outbox.New(outbox.Limits{Messages: 1, DropOldest: true})
	f.Fuzz(func(t *testing.T, raw string) {
		asked, err := parseQuery(raw, publishParams...)
		var m outbox.Message
		var wait time.Duration
		if err == nil {
			m, wait, err = publishOptions(asked)
		}
		if err != nil {
			p, ok := err.(*problem)
			if !ok || p.Status < 400 || p.Status > 499 || p.Hint == "" || p.Detail == "" {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		if topic.Check(m.Topic) != nil || m.QoS > 1 || wait < 0 || wait > maxWait || m.TTL < 0 {
			t.Fatalf("%q: accepted %+v, wait %v", raw, m, wait)
		}
		m.Priority = outbox.High
		if _, err := q.Append(context.Background(), m); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
	})
}

func TestNearest(t *testing.T) {
	for in, want := range map[string]string{"QoS": "qos", "topics": "topic", "waits": "wait", "tll": "ttl", "latst": "latest", "colour": "", "x": "", strings.Repeat("qos", 99): ""} {
		expect(t, in, typo.Nearest(in, publishParams), want)
	}
}
