package ipc

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/peer"
)

// keeping gives a daemon a store, as one process has it; the directory is the caller's.
func keeping(t *testing.T, dir string, more func(*Options)) func(*Options) {
	return func(o *Options) {
		store, err := downlink.Open(downlink.Options{Dir: dir, Hub: o.Hub, Board: o.Board})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() { _ = store.Run(ctx) })
		t.Cleanup(func() {
			cancel()
			all.Wait()
			_ = store.Close()
		})
		o.Downlink = store
		if more != nil {
			more(o)
		}
	}
}

// TestNamedSubscription: what a program reads by name comes again until it has
// acknowledged it, over its own restart, and carries the id to do so with.
func TestNamedSubscription(t *testing.T) {
	d := startDaemon(t, keeping(t, t.TempDir(), nil))
	s := d.open("/v1/subscribe?name=pump&topic=/a/get&topic=/a/%23")
	expect(t, "first", s.line(), `{"type":"subscribed","topics":[{"topic":"/a/get","granted":false},{"topic":"/a/#","granted":false}]}`)
	d.send("/a/get", "one")
	d.hub.Grant("/a/get")
	one := s.object()
	if one["type"] == "granted" { // it does not wait for the disk
		one = s.object()
	} else {
		expect(t, "granted", s.line(), `{"type":"granted","topic":"/a/get"}`)
	}
	if one["payload"] != "one" || one["received_at"] != "2026-11-22T00:00:00Z" || one["id"] == nil {
		t.Errorf("%v", one)
	}
	d.send("/a/get", "two")
	two := s.object()
	again := d.open("/v1/subscribe?name=pump")
	expect(t, "taken over", s.line(), `{"type":"end","reason":"taken-over"}`)
	s.ends()
	expect(t, "first", again.line(), `{"type":"subscribed","topics":[{"topic":"/a/get","granted":true},{"topic":"/a/#","granted":false}]}`)
	if first, second := again.object(), again.object(); first["id"] != one["id"] || second["id"] != two["id"] {
		t.Errorf("%v, %v", first, second)
	}
	_, body := d.ask("GET", "/v1/subscriptions", "")
	if !strings.HasPrefix(body, `{"subscriptions":[{"name":"pump","user":"`) || !strings.Contains(body, `"kind":"http","filters":["/a/get","/a/#"],"waiting":2,"bytes":18,"since":"2`) {
		t.Error(body)
	}
	ack := func(id any) string { return fmt.Sprintf(`{"id":%q}`, id) }
	for range 2 {
		if _, body = d.ask("POST", "/v1/subscriptions/pump/ack", ack(one["id"])); body != "{\"acknowledged\":1}\n" && body != "{\"acknowledged\":0}\n" {
			t.Error(body)
		}
	}
	third := d.open("/v1/subscribe?name=pump")
	third.line()
	if first := third.object(); first["id"] != two["id"] {
		t.Errorf("%v", first)
	}
	_, body = d.ask("DELETE", "/v1/subscriptions/pump", "")
	expect(t, "dropped", body, "{\"dropped\":1}\n")
	expect(t, "its stream", third.line(), `{"type":"end","reason":"dropped"}`)
	_, body = d.ask("GET", "/v1/subscriptions", "")
	expect(t, "left", body, "{\"subscriptions\":[]}\n")
}

// TestNameOfAnother: a name is its first user's. Another one neither reads it, nor
// acknowledges for it, nor drops it; the daemon's own user may drop it.
func TestNameOfAnother(t *testing.T) {
	var uid atomic.Uint32
	uid.Store(4000001)
	d := startDaemon(t, keeping(t, t.TempDir(), func(o *Options) {
		o.who = func(net.Conn) (peer.Cred, error) { return peer.Cred{UID: uid.Load(), GID: 1, PID: 1}, nil }
	}))
	s := d.open("/v1/subscribe?name=pump&topic=/a")
	s.line()
	uid.Store(4000002)
	d.http.CloseIdleConnections()
	for _, x := range [][3]string{
		{"GET", "/v1/subscribe?name=pump&topic=/a", ""},
		{"POST", "/v1/subscriptions/pump/ack", `{"id":"x"}`},
		{"DELETE", "/v1/subscriptions/pump", ""},
	} {
		if resp, body := d.ask(x[0], x[1], x[2]); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "not-permitted") {
			t.Errorf("%s %s: %s %s", x[0], x[1], resp.Status, body)
		}
	}
	uid.Store(uint32(os.Geteuid()))
	d.http.CloseIdleConnections()
	if resp, body := d.ask("DELETE", "/v1/subscriptions/pump?kind=http", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// TestSubscriptionRefusals: what cannot be is refused with what to do.
func TestSubscriptionRefusals(t *testing.T) {
	d := startDaemon(t, keeping(t, t.TempDir(), nil))
	d.open("/v1/subscribe?name=pump&topic=/a").line()
	for _, x := range []struct {
		method, target, body string
		status               int
		problem              string
	}{
		{"GET", "/v1/subscribe?name=new", "", 400, "bad-filter"},
		{"GET", "/v1/subscribe?name=&topic=/a", "", 400, "bad-option"},
		{"GET", "/v1/subscribe?name=a%20b&topic=/a", "", 400, "bad-option"},
		{"GET", "/v1/subscribe?name=a%2Fb&topic=/a", "", 400, "bad-option"},
		{"GET", "/v1/subscribe?name=" + strings.Repeat("x", 65) + "&topic=/a", "", 400, "bad-option"},
		{"GET", "/v1/subscribe?name=p&topic=a%23b", "", 400, "bad-filter"},
		{"GET", "/v1/subscribe?name=p&topic=$airbridge/state", "", 403, "reserved-topic"},
		{"POST", "/v1/subscriptions/nobody/ack", `{"id":"x"}`, 404, "unknown-subscription"},
		{"POST", "/v1/subscriptions/pump/ack", `{"id":"x"}`, 404, "unknown-message"},
		{"POST", "/v1/subscriptions/pump/ack", `{"id":""}`, 404, "unknown-message"},
		{"POST", "/v1/subscriptions/pump/ack", `{}`, 404, "unknown-message"},
		{"POST", "/v1/subscriptions/pump/ack", `id`, 400, "bad-request"},
		{"DELETE", "/v1/subscriptions/nobody", "", 404, "unknown-subscription"},
		{"DELETE", "/v1/subscriptions/pump?kind=mqtt", "", 404, "unknown-subscription"},
		{"DELETE", "/v1/subscriptions/pump?kind=x", "", 400, "bad-option"},
	} {
		resp, body := d.ask(x.method, x.target, x.body)
		if resp.StatusCode != x.status || !strings.Contains(body, "problem:"+x.problem+`"`) {
			t.Errorf("%s %s %s: %s %s", x.method, x.target, x.body, resp.Status, body)
		}
	}
}

// TestCallsOfTheCloud: a call comes as a line of its own, with the time left, also to who
// reads by name, for whom it is not kept. Its answer is taken once and within its time.
func TestCallsOfTheCloud(t *testing.T) {
	d := startDaemon(t, keeping(t, t.TempDir(), nil))
	plain, named := d.open("/v1/subscribe?topic=/sys/pk/dn/rrpc/request/+"), d.open("/v1/subscribe?name=pump&topic=/sys/pk/dn/%23")
	plain.line()
	named.line()
	call := func(id string, at time.Time) {
		d.hub.Publish(bus.Message{Topic: "/sys/pk/dn/rrpc/request/" + id, Payload: []byte("?"), ReceivedAt: at})
	}
	call("42", time.Now())
	for _, s := range []*reader{plain, named} {
		o := s.object()
		left, _ := o["deadline_ms"].(float64)
		if o["type"] != "rrpc" || o["id"] != "42" || o["payload"] != "?" || o["encoding"] != "utf-8" || left <= 0 || left > 8000 {
			t.Errorf("%v", o)
		}
	}
	call("43", time.Now().Add(-8*time.Second))
	for _, x := range []struct {
		id, body string
		status   int
		want     string
	}{
		{"42", "answer", 202, `{"id":"42","state":"held"}`},
		{"42", "answer", 409, "call-answered"},
		{"43", "answer", 410, "call-over"},
		{"44", "answer", 404, "unknown-call"},
	} {
		if resp, body := d.ask("POST", "/v1/rrpc/"+x.id, x.body); resp.StatusCode != x.status || !strings.Contains(body, x.want) {
			t.Errorf("%s: %s %s", x.id, resp.Status, body)
		}
	}
	if a, _, ok := d.hub.Calls().Take(); !ok || string(a.Payload) != "answer" {
		t.Errorf("%+v, %v", a, ok)
	}
	if _, body := d.ask("GET", "/v1/subscriptions", ""); !strings.Contains(body, `"waiting":0`) {
		t.Error(body)
	}
}

// TestSubscriptionThatCannotBeWritten: dropping one whose file cannot be removed is no
// mistake of the caller's: it says what is done and what may come back.
func TestSubscriptionThatCannotBeWritten(t *testing.T) {
	if p := namedProblem("pump", fmt.Errorf("remove: %w", syscall.EIO)); p.Status != http.StatusInsufficientStorage || !strings.Contains(p.Hint, "downlink.dir") {
		t.Errorf("%+v", p)
	}
}
