package ipc

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

var update = flag.Bool("update", false, "write the golden files anew")

// refusal is a request that must be refused with this status and type.
type refusal struct {
	name    string
	method  string
	target  string
	body    string
	change  func(*Options)
	status  int
	problem string
}

const ownTopic = "/a1b2c3/gw-1/update"

func failing(err error) func(*Options) {
	return func(o *Options) { o.Outbox = &testQueue{fail: err, done: make(chan struct{})} }
}

func carrying(err *bus.CarryError) func(*Options) {
	return func(o *Options) { o.Carry = func(string, []byte) error { return err } }
}

func manyFilters(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "topic=/a/" + strconv.Itoa(i)
	}
	return strings.Join(list, "&")
}

func fullHub(o *Options) {
	for i := range bus.MaxFilters {
		if _, err := o.Hub.Subscribe([]string{"/other/" + strconv.Itoa(i)}); err != nil {
			panic(err)
		}
	}
}

var refusals = []refusal{
	{"no topic", "POST", "/v1/publish", "x", nil, 400, "bad-topic"},
	{"two topics", "POST", "/v1/publish?topic=/a&topic=/b", "x", nil, 400, "bad-topic"},
	{"empty topic", "POST", "/v1/publish?topic=", "x", nil, 400, "bad-topic"},
	{"wildcard topic", "POST", "/v1/publish?topic=/a/%23", "x", nil, 400, "bad-topic"},
	{"plus is a wildcard, not a blank", "POST", "/v1/publish?topic=/a/+", "x", nil, 400, "bad-topic"},
	{"quote in topic", "POST", "/v1/publish?topic=/a/%22,0", "x", nil, 400, "bad-topic"},
	{"line end in topic", "POST", "/v1/publish?topic=/a%0D%0AAT%2BRESET", "x", nil, 400, "bad-topic"},
	{"NUL in topic", "POST", "/v1/publish?topic=/a%00", "x", nil, 400, "bad-topic"},
	{"topic is no UTF-8", "POST", "/v1/publish?topic=/a/%FF", "x", nil, 400, "bad-topic"},
	{"long topic", "POST", "/v1/publish?topic=/" + strings.Repeat("a", 200), "x", nil, 400, "bad-topic"},
	{"deep topic", "POST", "/v1/publish?topic=/1/2/3/4/5/6/7/8", "x", nil, 400, "bad-topic"},
	{"own topic", "POST", "/v1/publish?topic=$airbridge/state", "x", nil, 403, "reserved-topic"},
	{"own topic's root", "POST", "/v1/publish?topic=$airbridge", "x", nil, 403, "reserved-topic"},
	{"qos 2", "POST", "/v1/publish?topic=/a&qos=2", "x", nil, 400, "unsupported"},
	{"qos one", "POST", "/v1/publish?topic=/a&qos=one", "x", nil, 400, "bad-option"},
	{"qos empty", "POST", "/v1/publish?topic=/a&qos=", "x", nil, 400, "bad-option"},
	{"qos twice", "POST", "/v1/publish?topic=/a&qos=1&qos=0", "x", nil, 400, "bad-option"},
	{"retain", "POST", "/v1/publish?topic=/a&retain=1", "x", nil, 400, "unsupported"},
	{"will", "POST", "/v1/publish?topic=/a&will_topic=/b", "x", nil, 400, "unsupported"},
	{"misspelt option", "POST", "/v1/publish?topic=/a&prioritty=high", "x", nil, 400, "bad-option"},
	{"unknown option", "POST", "/v1/publish?topic=/a&colour=red", "x", nil, 400, "bad-option"},
	{"priority", "POST", "/v1/publish?topic=/a&priority=urgent", "x", nil, 400, "bad-option"},
	{"latest", "POST", "/v1/publish?topic=/a&latest=yes", "x", nil, 400, "bad-option"},
	{"ttl without unit", "POST", "/v1/publish?topic=/a&ttl=60", "x", nil, 400, "bad-option"},
	{"ttl zero", "POST", "/v1/publish?topic=/a&ttl=0s", "x", nil, 400, "bad-option"},
	{"ttl negative", "POST", "/v1/publish?topic=/a&ttl=-1h", "x", nil, 400, "bad-option"},
	{"wait too long", "POST", "/v1/publish?topic=/a&wait=61m", "x", nil, 400, "bad-option"},
	{"wait negative", "POST", "/v1/publish?topic=/a&wait=-1s", "x", nil, 400, "bad-option"},
	{"broken escape", "POST", "/v1/publish?topic=%zz", "x", nil, 400, "bad-option"},
	{"body over every module's limit", "POST", "/v1/publish?topic=/a", strings.Repeat("x", maxBody+1), nil, 413, "payload-too-large"},
	{"payload over this module's limit", "POST", "/v1/publish?topic=/a", "x", carrying(&bus.CarryError{Reason: "the payload has 1400 bytes on the wire; this module carries 1360", TooLarge: true, Size: 1400, Limit: 1360}), 413, "payload-too-large"},
	{"what cannot stand among the readings of its topic", "POST", "/v1/publish?topic=/a", "hello", carrying(&bus.CarryError{Reason: "the payload is not JSON", Unfit: true}), 400, "not-batchable"},
	{"form that the module cannot carry", "POST", "/v1/publish?topic=/a", "1", carrying(&bus.CarryError{Reason: "the module carries text only", Form: true}), 422, "payload-not-carried"},
	{"byte that is not carried", "POST", "/v1/publish?topic=/a", "x\x00", carrying(&bus.CarryError{Reason: "byte 0x00 at offset 1 cannot be carried by this module", Offset: 1}), 422, "payload-not-carried"},
	{"outbox full", "POST", "/v1/publish?topic=/a", "x", failing(&outbox.Error{Op: "append", Err: fmt.Errorf("%w: 10 of 10 messages wait", outbox.ErrFull), Hint: "publish less"}), 503, "outbox-full"},
	{"key of another message", "POST", "/v1/publish?topic=/a", "x", failing(&outbox.Error{Op: "append", Err: outbox.ErrKey, Hint: "give each message a key of its own"}), 409, "key-reused"},
	{"disk full", "POST", "/v1/publish?topic=/a", "x", failing(&os.PathError{Op: "write", Path: "/var/lib/airbridged/outbox/1.seg", Err: syscall.ENOSPC}), 507, "disk-failing"},
	{"disk failing", "POST", "/v1/publish?topic=/a", "x", failing(&os.PathError{Op: "fdatasync", Path: "/var/lib/airbridged/outbox/1.seg", Err: syscall.EIO}), 507, "disk-failing"},
	{"outbox failing otherwise", "POST", "/v1/publish?topic=/a", "x", failing(errors.New("index is inconsistent")), 500, "internal"},
	{"unknown id", "GET", "/v1/messages/nope", "", nil, 404, "unknown-message"},
	{"hostile id", "GET", "/v1/messages/%3Cb%3E%00" + strings.Repeat("z", 100), "", nil, 404, "unknown-message"},
	{"id with a parameter", "GET", "/v1/messages/m1?verbose=1", "", nil, 400, "bad-option"},
	{"page of nothing", "GET", "/v1/outbox?limit=0", "", nil, 400, "bad-option"},
	{"page too long", "GET", "/v1/outbox?limit=1001", "", nil, 400, "bad-option"},
	{"page of some", "GET", "/v1/outbox?limit=ten", "", nil, 400, "bad-option"},
	{"page of everything", "GET", "/v1/outbox?limit=", "", nil, 400, "bad-option"},
	{"page behind two", "GET", "/v1/outbox?after=a&after=b", "", nil, 400, "bad-option"},
	{"listing of a topic", "GET", "/v1/outbox?topic=/a", "", nil, 400, "bad-option"},
	{"drop of an unknown id", "DELETE", "/v1/outbox/nope", "", nil, 404, "unknown-message"},
	{"drop of the one in flight", "DELETE", "/v1/outbox/m1", "", failing(&outbox.Error{Op: "drop", ID: "m1", Err: outbox.ErrInFlight, Hint: "wait"}), 409, "in-flight"},
	{"drop of one that is done", "DELETE", "/v1/outbox/m1", "", failing(&outbox.Error{Op: "drop", ID: "m1", Err: outbox.ErrFinal}), 409, "final-state"},
	{"drop on a full disk", "DELETE", "/v1/outbox/m1", "", failing(&os.PathError{Op: "write", Path: "/var/lib/airbridged/outbox/1.seg", Err: syscall.ENOSPC}), 507, "disk-failing"},
	{"drop that fails otherwise", "DELETE", "/v1/outbox/m1", "", failing(errors.New("index is inconsistent")), 500, "internal"},
	{"drop by id and filter", "DELETE", "/v1/outbox/m1?topic=/a", "", nil, 400, "bad-option"},
	{"drop of an empty id", "DELETE", "/v1/outbox/", "", nil, 404, "no-such-route"},
	{"drop of nothing named", "DELETE", "/v1/outbox", "", nil, 400, "bad-filter"},
	{"drop by an empty filter", "DELETE", "/v1/outbox?topic=", "", nil, 400, "bad-filter"},
	{"drop by a bad filter", "DELETE", "/v1/outbox?topic=/a/b%23", "", nil, 400, "bad-filter"},
	{"drop by two filters", "DELETE", "/v1/outbox?topic=/a&topic=/b", "", nil, 400, "bad-filter"},
	{"drop by id in the query", "DELETE", "/v1/outbox?id=m1", "", nil, 400, "bad-option"},
	{"post of the outbox", "POST", "/v1/outbox", "", nil, 405, "method-not-allowed"},
	{"get of one in the outbox", "GET", "/v1/outbox/m1", "", nil, 405, "method-not-allowed"},
	{"no filter", "GET", "/v1/subscribe", "", nil, 400, "bad-filter"},
	{"bad filter", "GET", "/v1/subscribe?topic=/a/%23/b", "", nil, 400, "bad-filter"},
	{"wildcard with text", "GET", "/v1/subscribe?topic=/a/b+", "", nil, 400, "bad-filter"},
	{"local filter", "GET", "/v1/subscribe?topic=$airbridge/%23", "", nil, 403, "reserved-topic"},
	{"qos of a filter", "GET", "/v1/subscribe?topic=/a&qos=1", "", nil, 400, "bad-option"},
	{"too many filters in one request", "GET", "/v1/subscribe?" + manyFilters(101), "", nil, 400, "bad-filter"},
	{"too many filters in all", "GET", "/v1/subscribe?topic=/one/more", "", fullHub, 503, "too-many-filters"},
	{"status with a parameter", "GET", "/v1/status?all=1", "", nil, 400, "bad-option"},
	{"events with a parameter", "GET", "/v1/events?follow=1", "", nil, 400, "bad-option"},
	{"unknown path", "GET", "/v2/publish", "", nil, 404, "no-such-route"},
	{"root", "GET", "/", "", nil, 404, "no-such-route"},
	{"unclean path", "GET", "/v1//status", "", nil, 404, "no-such-route"},
	{"path that climbs", "GET", "/v1/messages/%2e%2e/status", "", nil, 404, "no-such-route"},
	{"slash at the end", "GET", "/v1/status/", "", nil, 404, "no-such-route"},
	{"no metrics", "GET", "/metrics", "", nil, 404, "no-such-route"},
	{"get of publish", "GET", "/v1/publish?topic=/a", "", nil, 405, "method-not-allowed"},
	{"delete of status", "DELETE", "/v1/status", "", nil, 405, "method-not-allowed"},
	{"options", "OPTIONS", "/v1/subscribe", "", nil, 405, "method-not-allowed"},
}

// TestEveryRefusal holds that each refusal is a problem+json with a hint, that
// it is exactly the one in testdata, and that nothing was kept.
func TestEveryRefusal(t *testing.T) {
	var all strings.Builder
	for _, c := range refusals {
		d := startDaemon(t, c.change)
		resp, body := d.ask(c.method, c.target, c.body)
		var p problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s: %v in %s", c.name, err, body)
		}
		if resp.StatusCode != c.status || p.Status != c.status || p.Type != api.ProblemPrefix+c.problem {
			t.Errorf("%s: got %d %s, want %d %s", c.name, resp.StatusCode, p.Type, c.status, c.problem)
		}
		if p.Title == "" || p.Detail == "" || p.Hint == "" {
			t.Errorf("%s: a field is empty: %s", c.name, body)
		}
		expect(t, c.name, resp.Header.Get("Content-Type"), "application/problem+json")
		if kept := d.queue.kept(); len(kept) != 0 {
			t.Errorf("%s: refused and yet kept: %v", c.name, kept)
		}
		d.stop()
		fmt.Fprintf(&all, "# %s\n%d", c.name, resp.StatusCode)
		for _, h := range []string{"Allow", "Retry-After"} {
			if v := resp.Header.Get(h); v != "" {
				fmt.Fprintf(&all, ", %s: %s", h, v)
			}
		}
		fmt.Fprintf(&all, "\n%s\n", body)
	}
	golden(t, "refusals.txt", all.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := "", ""
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if g != w {
			t.Fatalf("%s:%d:\n got %s\nwant %s\n(go test -update writes it anew)", file, i+1, g, w)
		}
	}
}
