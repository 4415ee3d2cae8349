package ipc

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/outbox"
	"airbridged/internal/peer"
)

// ruled is a daemon with access rules, and with users as the kernel would tell of them.
type ruled struct {
	*daemon
	queue   *outbox.Queue
	control *access.Control
	uid     atomic.Uint32
}

// The users of these tests: none of them is root or the daemon's.
const (
	telemetry = 4000001
	pumping   = 4000002
	operator  = 4000003
	stranger  = 4000004
	group     = 4000100 // whose member the operator is
)

func uidOf(n uint32) *uint32 { return &n }

func startRuled(t *testing.T, rules ...access.Rule) *ruled {
	t.Helper()
	r := &ruled{queue: outbox.New(outbox.Limits{}), control: access.New(uint32(os.Geteuid()), func() (string, string) { return "pk", "dn" })}
	r.control.Set(rules)
	r.daemon = startDaemon(t, func(o *Options) {
		o.Outbox, o.Access = r.queue, r.control
		o.who = func(net.Conn) (peer.Cred, error) {
			uid := r.uid.Load()
			return peer.Cred{UID: uid, GID: uid, PID: 1}, nil
		}
		o.groups = func(net.Conn) ([]uint32, error) {
			if r.uid.Load() == operator {
				return []uint32{group}, nil
			}
			return nil, nil
		}
	})
	return r
}

// as asks as a user, on a connection of his own.
func (r *ruled) as(uid uint32, method, target, body string, header ...string) (int, string) {
	r.t.Helper()
	r.uid.Store(uid)
	r.http.CloseIdleConnections()
	resp, text := r.ask(method, target, body, header...)
	return resp.StatusCode, text
}

// the rules of most tests.
func usual() []access.Rule {
	return []access.Rule{
		{Name: "telemetry", UID: uidOf(telemetry), Publish: []string{"/pk/dn/update", "/pk/dn/log"}, Subscribe: []string{"/pk/dn/get"}, Priority: 1, MaxPayload: 8},
		{UID: uidOf(pumping), Publish: []string{"/${productKey}/${deviceName}/#"}, Subscribe: []string{"/pk/dn/#"}, Priority: 2, Rate: 2},
		{Name: "ops", GID: uidOf(group), DropAll: true, See: access.Status | access.Events | access.Trace | access.Messages},
	}
}

// Every call as each kind of user: what a rule does not allow is refused by its name, and
// who has none may do nothing.
func TestAccessRules(t *testing.T) {
	r := startRuled(t, usual()...)
	others := put(t, r.queue, outbox.Message{Topic: "/pk/dn/update", QoS: 1, Owner: "uid 0"})
	for _, c := range []struct {
		uid                  uint32
		method, target, body string
		code                 int
		want                 string
	}{
		{telemetry, "POST", "/v1/publish?topic=/pk/dn/update", "x", 202, `"state":"queued"`},
		{telemetry, "POST", "/v1/publish?topic=/pk/dn/other", "x", 403, `access rule \"telemetry\" does not let it publish there`},
		{telemetry, "POST", "/v1/publish?topic=/pk/dn/update&priority=high", "x", 403, `does not let it ask for priority high`},
		{telemetry, "POST", "/v1/publish?topic=/pk/dn/update&priority=low", "x", 202, ``},
		{telemetry, "POST", "/v1/publish?topic=/pk/dn/update", "123456789", 413, `"size":9,"limit":8`},
		{telemetry, "POST", "/v1/publish?topic=/pk/dn/update&qos=0", "x", 202, `"state":"held"`},
		{pumping, "POST", "/v1/publish?topic=/pk/dn/x", "", 202, ``},
		{pumping, "POST", "/v1/publish?topic=/pk/dn/x&priority=normal", "", 403, `access rule 2 does not let it ask for priority normal`},
		{pumping, "POST", "/v1/publish?topic=/pk/dn2/x", "", 403, `urn:airbridged:problem:access-denied`},
		{operator, "POST", "/v1/publish?topic=/pk/dn/update", "", 403, `it may publish to nothing`},
		{stranger, "POST", "/v1/publish?topic=/pk/dn/update", "", 403, `no access rule is for uid 4000004`},
		{0, "POST", "/v1/publish?topic=/any&priority=high", "123456789", 202, ``},

		{telemetry, "GET", "/v1/subscribe?topic=/pk/dn/%23", "", 403, `access rule \"telemetry\" does not let it subscribe to that`},
		{telemetry, "GET", "/v1/subscribe?topic=/pk/dn/get&topic=%23", "", 403, `access-denied`},
		{telemetry, "HEAD", "/v1/subscribe?topic=%23", "", 403, ``},
		{telemetry, "GET", "/v1/status", "", 403, `does not let it see status`},
		{telemetry, "HEAD", "/v1/status", "", 403, ``},
		{telemetry, "GET", "/v1/events", "", 403, `does not let it see events`},
		{telemetry, "GET", "/v1/trace", "", 403, `does not let it see trace`},
		{telemetry, "GET", "/v1/trace?follow=1", "", 403, `does not let it see trace`},
		{telemetry, "GET", "/metrics", "", 403, `does not let it see status`},
		{telemetry, "GET", "/v1/config", "", 403, `for root and the daemon's user`},
		{telemetry, "POST", "/v1/reconnect", "", 403, `for root and the daemon's user`},
		{telemetry, "POST", "/v1/at", `{"command":"AT"}`, 403, `not-permitted`},
		{telemetry, "POST", "/v1/reprovision?yes=1", "", 403, `not-permitted`},
		{telemetry, "DELETE", "/v1/outbox?foreign=1", "", 403, `not-permitted`},
		{telemetry, "GET", "/healthz", "", 200, ``},
		{telemetry, "GET", "/v1/messages/" + others, "", 404, `unknown-message`},
		{telemetry, "DELETE", "/v1/outbox/" + others, "", 404, `unknown-message`},
		{operator, "GET", "/v1/status", "", 200, `"state"`},
		{operator, "GET", "/v1/messages/" + others, "", 200, `/pk/dn/update`},
		{operator, "POST", "/v1/reconnect", "", 403, ``},
		{operator, "GET", "/v1/subscribe?topic=/pk/dn/get", "", 403, `it may subscribe to nothing`},
		{operator, "DELETE", "/v1/outbox/" + others, "", 200, `{"dropped":1}`},
		{stranger, "GET", "/healthz", "", 403, `no access rule`},
		{stranger, "GET", "/v1/status", "", 403, `no access rule`},
		{stranger, "GET", "/v1/outbox", "", 403, `no access rule`},
		{stranger, "DELETE", "/v1/outbox?topic=%23", "", 403, `no access rule`},
		{stranger, "GET", "/v1/messages/x", "", 403, `no access rule`},
		{stranger, "GET", "/v1/subscriptions", "", 403, `no access rule`},
		{stranger, "GET", "/v1/access?topic=/a", "", 200, `"allowed":false`},
	} {
		if code, body := r.as(c.uid, c.method, c.target, c.body); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("uid %d: %s %s: %d %s, want %d %s", c.uid, c.method, c.target, code, body, c.code, c.want)
		}
	}
}

// A new route is closed to whom rules bind until somebody has decided otherwise.
func TestRoutesWithoutADecisionAreClosed(t *testing.T) {
	t.Parallel()
	c := access.New(1, func() (string, string) { return "", "" })
	c.Set(usual())
	bound := c.Of(access.Who{Known: true, UID: telemetry})
	if (route{}).admits(bound) == nil {
		t.Error("a route of which nobody has said so is open to all")
	}
	if err := (route{}).admits(access.Rights{}); err != nil {
		t.Errorf("without rules: %v", err)
	}
}

// A program sees and drops its own messages, and replaces no other's with latest.
func TestOwnMessages(t *testing.T) {
	r := startRuled(t, usual()...)
	var accepted [2]api.Accepted
	for i, uid := range []uint32{telemetry, pumping} {
		_, body := r.as(uid, "POST", "/v1/publish?topic=/pk/dn/update", "x", "Idempotency-Key", "k")
		if err := json.Unmarshal([]byte(body), &accepted[i]); err != nil {
			t.Fatal(body)
		}
	}
	if accepted[0].ID == accepted[1].ID {
		t.Error("one user's key is another's message")
	}
	list := func(uid uint32) (p api.OutboxPage) {
		_, body := r.as(uid, "GET", "/v1/outbox?limit=1000", "")
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(body)
		}
		return p
	}
	for uid, want := range map[uint32]int{telemetry: 1, pumping: 1, operator: 2, 0: 2} {
		if p := list(uid); len(p.Messages) != want || p.Total != want {
			t.Errorf("uid %d sees %d of %d", uid, len(p.Messages), p.Total)
		}
	}
	if code, body := r.as(telemetry, "POST", "/v1/publish?topic=/pk/dn/update&latest=1", "y"); code != 202 {
		t.Fatal(body)
	}
	if m, err := r.queue.Get(accepted[1].ID); err != nil || m.State != outbox.Queued {
		t.Errorf("another's message was replaced: %+v, %v", m, err)
	}
	if m, err := r.queue.Get(accepted[0].ID); err != nil || m.State != outbox.Dropped {
		t.Errorf("its own was not: %+v, %v", m, err)
	}
	if code, body := r.as(telemetry, "GET", "/v1/messages/"+accepted[0].ID, ""); code != 200 || !strings.Contains(body, "replaced") {
		t.Errorf("what became of its own: %d %s", code, body)
	}
	if code, body := r.as(telemetry, "DELETE", "/v1/outbox?topic=%23", ""); code != 200 || body != "{\"dropped\":1}\n" {
		t.Errorf("%d %s", code, body)
	}
	if p := list(pumping); p.Total != 1 {
		t.Errorf("another's message was dropped")
	}
	// Many of somebody else's do not hide one's own, nor make the pages wrong.
	for range 500 {
		put(t, r.queue, outbox.Message{Topic: "/f", QoS: 1, Owner: "uid 0"})
	}
	for range 150 {
		put(t, r.queue, outbox.Message{Topic: "/pk/dn/update", QoS: 1, Owner: "uid 4000001"})
	}
	if p := list(telemetry); len(p.Messages) != 150 || p.Total != 150 {
		t.Errorf("%d of %d", len(p.Messages), p.Total)
	}
}

// Over the rate it is 429 with the time to wait, for this user alone; what is refused is
// not kept, and a repeat of what was taken costs nothing.
func TestRateOverHTTP(t *testing.T) {
	rules := usual()
	rules[1].Rate = 1.0 / 3600 // so that no machine is too slow for this
	r := startRuled(t, rules...)
	for i := range 4 {
		if code, body := r.as(pumping, "POST", "/v1/publish?topic=/pk/dn/x", "", "Idempotency-Key", "k"); code != 202 {
			t.Fatal(i, code, body) // one message and its repeats
		}
	}
	r.uid.Store(pumping)
	resp, body := r.ask("POST", "/v1/publish?topic=/pk/dn/x", "")
	if resp.StatusCode != 429 || !strings.HasPrefix(resp.Header.Get("Retry-After"), "3") || !strings.Contains(body, "over-rate") || !strings.Contains(body, "access rule 2 lets it publish 1 message an hour") {
		t.Errorf("%v %s %s", resp.Status, resp.Header.Get("Retry-After"), body)
	}
	if code, body := r.as(telemetry, "POST", "/v1/publish?topic=/pk/dn/update", ""); code != 202 {
		t.Error(code, body)
	}
	if n := r.queue.Stats().Messages; n != 2 {
		t.Errorf("%d are kept", n)
	}
}

// The share of the outbox is 503, as when it is full, and in words of its own.
func TestShareOverHTTP(t *testing.T) {
	rules := usual()
	rules[0].Share = 1
	r := startRuled(t, rules...)
	const size = 64 << 20 / 100 / 60_000 // messages of 60,000 bytes that are the share of the usual outbox
	for range size {
		put(t, r.queue, outbox.Message{Topic: "/x", QoS: 1, Owner: "uid 4000001", Payload: make([]byte, 60_000)})
	}
	rules[0].MaxPayload = 0
	r.control.Set(rules)
	if code, body := r.as(telemetry, "POST", "/v1/publish?topic=/pk/dn/update", strings.Repeat("x", 60_000)); code != 503 || !strings.Contains(body, "outbox-full") || !strings.Contains(body, "[[access]]") {
		t.Error(code, body)
	}
	if code, body := r.as(pumping, "POST", "/v1/publish?topic=/pk/dn/update", ""); code != 202 {
		t.Error(code, body)
	}
}

// A reload ends the streams that are no longer allowed, names the rule, and hands out
// nothing more; the others go on.
func TestStreamsFollowTheRules(t *testing.T) {
	r := startRuled(t, usual()...)
	r.uid.Store(telemetry)
	gone := r.open("/v1/subscribe?topic=/pk/dn/get")
	gone.line()
	r.uid.Store(operator)
	r.http.CloseIdleConnections()
	events := r.open("/v1/events")
	events.line()
	r.uid.Store(pumping)
	r.http.CloseIdleConnections()
	stays := r.open("/v1/subscribe?topic=/pk/dn/get")
	stays.line()

	rules := usual()
	rules[0].Subscribe = []string{"/pk/dn/other"}
	r.control.Set(rules)
	expect(t, "the stream", gone.line(), `{"type":"end","reason":"access-denied","detail":"access rule \"telemetry\" does not let it subscribe to that, or not to all of it"}`)
	gone.ends()
	r.send("/pk/dn/get", "one")
	if m := stays.object(); m["payload"] != "one" {
		t.Errorf("%v", m)
	}
	r.control.Set(rules[:2])
	for {
		line := events.object()
		if line["type"] == "end" {
			if line["reason"] != "access-denied" || !strings.Contains(line["detail"].(string), "no access rule is for uid 4000003") {
				t.Errorf("%v", line)
			}
			break
		}
	}
	r.control.Set(nil)
	if code, body := r.as(stranger, "GET", "/v1/status", ""); code != http.StatusOK {
		t.Errorf("without rules: %d %s", code, body)
	}
}

// What a rule says is told to whoever it is about, and of others to root alone.
func TestAccessIsExplained(t *testing.T) {
	r := startRuled(t, usual()...)
	for _, c := range []struct {
		uid   uint32
		query string
		code  int
		want  string
	}{
		{telemetry, "action=publish&topic=/pk/dn/update", 200, `{"allowed":true,"rule":"access rule \"telemetry\"","why":"access rule \"telemetry\" lets it publish there","who":"uid 4000001","action":"publish","topic":"/pk/dn/update","limits":{"priority":"normal","rate":"","share":100,"max_payload":8,"drop":"own","see":[]}}`},
		{telemetry, "action=subscribe&topic=%23", 200, `"allowed":false`},
		{telemetry, "topic=/pk/dn/update&user=root", 403, `access-denied`},
		{telemetry, "topic=/pk/dn/update&client=x", 403, `access-denied`},
		{0, "topic=/x", 200, `"why":"root and the daemon's own user are never bound by access rules"`},
		{0, "topic=/pk/dn/x&user=4000002", 200, `"rule":"access rule 2"`},
		{0, "topic=/pk/dn/x&user=daemon", 200, `"allowed":false,"rule":"","why":"no access rule is for uid 1, and who has none may do nothing"`},
		{0, "topic=/pk/dn/x&user=no-such-user", 400, `give the name of a user of this machine`},
		{0, "topic=/pk/dn/x&client=nodered", 200, `no access rule is for client nodered`},
		{0, "topic=/pk/dn/x&client=nodered&user=root", 400, `are both given`},
		{0, "topic=/a&action=drop", 400, `write publish or subscribe`},
		{0, "topic=/a/%2B", 400, `wildcard`},
		{0, "", 400, `topic is empty`},
	} {
		if code, body := r.as(c.uid, "GET", "/v1/access?"+c.query, ""); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("uid %d: %s: %d %s, want %s", c.uid, c.query, code, body, c.want)
		}
	}
}
