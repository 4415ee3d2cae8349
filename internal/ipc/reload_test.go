package ipc

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"airbridged/client/api"
	"airbridged/internal/peer"
)

func TestReload(t *testing.T) {
	done := api.Reloaded{Changed: []string{"log.level"}, NeedsRestart: []string{"modem.device"}, Warnings: []string{}}
	var fail error
	d := startDaemon(t, func(o *Options) {
		o.Reload = func(context.Context) (api.Reloaded, error) { return done, fail }
	})
	resp, body := d.ask("POST", "/v1/reload", "")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	expect(t, "answer", body, `{"changed":["log.level"],"needs_restart":["modem.device"],"warnings":[]}`+"\n")

	// All or nothing: every mistake is listed, for people and for programs.
	fail = Mistakes{{File: "/etc/a.toml", Line: 3, Column: 1, Key: "modem.bawd", Text: "unknown key, did you mean baud?"}, {File: "/etc/a.toml", Line: 9, Column: 5, Key: "log.level", Text: "unknown word"}}
	resp, body = d.ask("POST", "/v1/reload", "")
	if resp.StatusCode != http.StatusUnprocessableEntity {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	expect(t, "problem", body, `{"type":"urn:airbridged:problem:configuration","title":"The configuration has mistakes","status":422,`+
		`"detail":"/etc/a.toml:3:1: modem.bawd: unknown key, did you mean baud?\n/etc/a.toml:9:5: log.level: unknown word",`+
		`"hint":"nothing was changed; correct the files and reload once more",`+
		`"mistakes":[{"file":"/etc/a.toml","line":3,"column":1,"key":"modem.bawd","text":"unknown key, did you mean baud?"},`+
		`{"file":"/etc/a.toml","line":9,"column":5,"key":"log.level","text":"unknown word"}]}`+"\n")
}

// A reload is refused to everybody whom the socket lets in but who is neither
// root nor the daemon's user, before anything is read.
func TestPrivilegedCalls(t *testing.T) {
	own := uint32(os.Geteuid())
	for _, c := range []struct {
		name    string
		client  client
		allowed bool
	}{
		{"root", client{known: true, peer: peer.Cred{UID: 0}}, true},
		{"the daemon's user", client{known: true, peer: peer.Cred{UID: own}}, true},
		{"somebody else", client{known: true, peer: peer.Cred{UID: own + 12345}}, false},
		{"not told by the kernel", client{}, false},
	} {
		asked := httpRequest(t, c.client)
		if err := trusted.allows(asked); (err == nil) != c.allowed {
			t.Errorf("%s: %v", c.name, err)
		}
	}

	d, _ := virtualDaemon(t, func(o *Options) {
		o.Reload = func(context.Context) (api.Reloaded, error) {
			t.Error("reloaded for a connection without credentials")
			return api.Reloaded{}, nil
		}
	})
	resp, body := d.ask("POST", "/v1/reload", "")
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "urn:airbridged:problem:not-permitted") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func httpRequest(t *testing.T, c client) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithValue(t.Context(), clientKey{}, c), http.MethodPost, "http://d/v1/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
