package ipc

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/peer"
)

// fakeModule answers as it is told.
type fakeModule struct {
	reply   bus.ATReply
	err     error
	command string
	force   bool
	asked   int
	next    *time.Time    // what Reconnect answers
	hang    chan struct{} // closed when it hangs until the context ends; nil: it answers
}

func (m *fakeModule) AT(ctx context.Context, command string, force bool) (bus.ATReply, error) {
	m.command, m.force = command, force
	return m.reply, m.answer(ctx)
}

func (m *fakeModule) Reprovision(ctx context.Context) error { return m.answer(ctx) }

func (m *fakeModule) Reconnect(ctx context.Context) (*time.Time, error) { return m.next, m.answer(ctx) }

// Who mended something is told when the next attempt is made: null while it is online,
// and not more often than 5 times a minute.
func TestReconnect(t *testing.T) {
	t.Parallel()
	m := &fakeModule{}
	d := startDaemon(t, func(o *Options) { o.Module = m })
	resp, body := d.ask("POST", "/v1/reconnect", "")
	expect(t, "online", resp.Status+" "+body, `202 Accepted {"next_attempt_at":null}`+"\n")
	at := time.Date(2026, 11, 22, 16, 0, 0, 0, time.FixedZone("CST", 8*3600))
	m.next = &at
	resp, body = d.ask("POST", "/v1/reconnect", "")
	expect(t, "later", resp.Status+" "+body, `202 Accepted {"next_attempt_at":"2026-11-22T08:00:00Z"}`+"\n")
	m.err = &bus.AskError{Err: bus.ErrTooOften, Detail: "often", Hint: "later", After: 12500 * time.Millisecond}
	resp, body = d.ask("POST", "/v1/reconnect", "")
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "13" || !strings.Contains(body, `"urn:airbridged:problem:too-often"`) {
		t.Errorf("%s, Retry-After %q: %s", resp.Status, resp.Header.Get("Retry-After"), body)
	}
}

func (m *fakeModule) answer(ctx context.Context) error {
	m.asked++
	if m.hang != nil {
		close(m.hang)
		<-ctx.Done()
		return &bus.AskError{Err: bus.ErrUnderWay}
	}
	return m.err
}

func TestATAnswersWithTheModulesReply(t *testing.T) {
	t.Parallel()
	m := &fakeModule{reply: bus.ATReply{ATReply: api.ATReply{Lines: []string{"+CSQ: 22,99"}, Final: "OK", OK: true, Seconds: 0.25}, Command: "AT+CSQ"}}
	core, logs := observer.New(zap.InfoLevel)
	d := startDaemon(t, func(o *Options) { o.Module, o.Log = m, zap.New(core) })
	resp, body := d.ask("POST", "/v1/at", `{"command":"AT+CSQ"}`)
	expect(t, "status", resp.Status, "200 OK")
	expect(t, "answer", body, `{"lines":["+CSQ: 22,99"],"final":"OK","ok":true,"took_seconds":0.25,"session_begins_anew":false}`+"\n")
	if m.command != "AT+CSQ" || m.force || logs.Len() != 0 {
		t.Errorf("asked %q, force %v; logged %v", m.command, m.force, logs.All())
	}
	m.reply = bus.ATReply{ATReply: api.ATReply{Lines: []string{}, Final: "OK", OK: true, Anew: true}, Command: "AT+MCONFIG[9 bytes]"}
	_, body = d.ask("POST", "/v1/at", `{"command":"AT+MCONFIG=secret","force":true}`)
	expect(t, "answer", body, `{"lines":[],"final":"OK","ok":true,"took_seconds":0,"session_begins_anew":true}`+"\n")
	if !m.force || logs.Len() != 1 || logs.All()[0].ContextMap()["command"] != "AT+MCONFIG[9 bytes]" {
		t.Errorf("force %v; logged %v", m.force, logs.All())
	}
}

// Every way in which it is refused has its status, its type and a hint.
func TestModuleRefusals(t *testing.T) {
	t.Parallel()
	ask := func(err error) error { return &bus.AskError{Err: err, Detail: "why", Hint: "what to do"} }
	for _, c := range []struct {
		name, target, body string
		err                error
		status             int
		kind               string
		retry              string
	}{
		{"no JSON", "/v1/at", "AT+CSQ", nil, 400, "bad-request", ""},
		{"no body", "/v1/at", "", nil, 400, "bad-request", ""},
		{"unknown member", "/v1/at", `{"command":"AT","forced":true}`, nil, 400, "bad-request", ""},
		{"two objects", "/v1/at", `{"command":"AT"}{}`, nil, 400, "bad-request", ""},
		{"too long", "/v1/at", `{"command":"` + strings.Repeat("x", 9000) + `"}`, nil, 400, "bad-request", ""},
		{"a query", "/v1/at?force=1", `{"command":"AT"}`, nil, 400, "bad-option", ""},
		{"no command", "/v1/at", `{"command":"x"}`, ask(bus.ErrNotACommand), 400, "bad-command", ""},
		{"harmful", "/v1/at", `{"command":"AT+RESET"}`, ask(bus.ErrHarmful), 409, "command-refused", ""},
		{"no module", "/v1/at", `{"command":"AT"}`, ask(bus.ErrNoModule), 503, "no-module", "10"},
		{"busy", "/v1/at", `{"command":"AT"}`, ask(bus.ErrBusy), 503, "module-busy", "5"},
		{"silent", "/v1/at", `{"command":"AT"}`, ask(bus.ErrNoAnswer), 504, "module-silent", ""},
		{"a fault", "/v1/at", `{"command":"AT"}`, errors.New("of its own"), 500, "internal", ""},
		{"not now", "/v1/reprovision?yes=1", "", ask(bus.ErrNotNow), 409, "not-now", ""},
		{"the cloud", "/v1/reprovision?yes=1", "", ask(bus.ErrCloud), 502, "cloud-refused", ""},
		{"a yes that is none", "/v1/reprovision?yes", "", nil, 400, "bad-option", ""},
		{"no yes", "/v1/reprovision", "", nil, 400, "bad-option", ""}, // it was in a block of harmless lines to paste
		{"a query there", "/v1/reprovision?yes=1&no", "", nil, 400, "bad-option", ""},
	} {
		m := &fakeModule{err: c.err}
		d := startDaemon(t, func(o *Options) { o.Module = m })
		resp, body := d.ask("POST", c.target, c.body)
		if resp.StatusCode != c.status || !strings.Contains(body, api.ProblemPrefix+c.kind+`"`) || !strings.Contains(body, `"hint":"`) || resp.Header.Get("Retry-After") != c.retry {
			t.Errorf("%s: %s %s, retry after %q", c.name, resp.Status, body, resp.Header.Get("Retry-After"))
		}
		if c.err == nil && m.asked > 0 {
			t.Errorf("%s: the module was asked", c.name)
		}
	}
	d := startDaemon(t, nil)
	if resp, body := d.ask("POST", "/v1/at", `{"command":"AT"}`); resp.StatusCode != 503 || !strings.Contains(body, "no-module") {
		t.Errorf("a daemon without a module: %s %s", resp.Status, body)
	}
}

// A registration that takes long is answered before a person gives up, and goes on.
func TestReprovisionAnswers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("for root alone")
	}
	t.Parallel()
	d := startDaemon(t, func(o *Options) { o.Module = &fakeModule{} })
	_, body := d.ask("POST", "/v1/reprovision?yes=1", "")
	expect(t, "done", body, `{"state":"registered"}`+"\n")
	hangs := make(chan struct{})
	stuck := startDaemon(t, func(o *Options) { o.Module = &fakeModule{hang: hangs} })
	go func() { <-hangs; stuck.stop() }()
	resp, body := stuck.ask("POST", "/v1/reprovision?yes=1", "")
	if resp.StatusCode != http.StatusAccepted || !strings.HasPrefix(body, `{"state":"registering","see":"GET /v1/events`) {
		t.Errorf("at a stop: %s %s", resp.Status, body)
	}
}

// Reprovisioning is for root alone, not even for the daemon's own user; and both
// are refused where the kernel does not tell who asks.
func TestReprovisionIsForRoot(t *testing.T) {
	own := uint32(os.Geteuid())
	if err := root.allows(httpRequest(t, client{known: true, peer: peer.Cred{UID: own + 12345}})); err == nil {
		t.Error("somebody else may")
	}
	if err := root.allows(httpRequest(t, client{known: true, peer: peer.Cred{UID: own}})); (err == nil) != (own == 0) {
		t.Errorf("uid %d: %v", own, err)
	}
	if err := root.allows(httpRequest(t, client{known: true})); err != nil {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		m := &fakeModule{}
		d, _ := virtualDaemon(t, func(o *Options) { o.Module = m })
		defer d.stop()
		for _, target := range []string{"/v1/at", "/v1/reprovision"} {
			if resp, body := d.ask("POST", target, `{"command":"AT"}`); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "not-permitted") {
				t.Errorf("%s: %s %s", target, resp.Status, body)
			}
		}
		if m.asked > 0 {
			t.Error("the module was asked")
		}
		time.Sleep(time.Second)
	})
}
