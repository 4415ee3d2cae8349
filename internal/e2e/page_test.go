package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"airbridged/client"
)

// freeAddress is a loopback address that nobody listened on a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// live reads what a page is told until a frame has what is looked for.
func live(t testing.TB, c *http.Client, done func(frame map[string]json.RawMessage) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/page/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	lines := bufio.NewScanner(a.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var frame map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &frame); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if done(frame) {
			return
		}
	}
	t.Fatalf("the page was not told of it: %v", lines.Err())
}

// The page of the real daemon, on a listener of its own: it is told of a message without
// what is in it, sees the antenna turn, and nothing else is there.
func TestPageOnItsOwnListener(t *testing.T) {
	t.Parallel()
	sim, path := newSimulator(t), filepath.Join(t.TempDir(), "page.sock")
	g := newGateway(t, sim.device, "[web]\nlisten = \"unix:"+path+"\"\n[recovery]\nstatus_poll = \"5m\"\n")
	g.reaches("online", "")
	c := unixClient(path)
	defer c.CloseIdleConnections()
	update := fmt.Sprintf("/%s/%s/update", productKey, imei)
	if _, err := g.client.Publish(t.Context(), update, []byte("confidential"), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	all := ""
	live(t, c, func(frame map[string]json.RawMessage) bool {
		for _, part := range frame {
			all += string(part)
		}
		return strings.Contains(string(frame["messages"]), `"acked"`)
	})
	if strings.Contains(all, "confidential") || strings.Contains(all, productSecret) {
		t.Errorf("the page is told too much: %s", all)
	}
	sim.do("csq 9")
	live(t, c, func(frame map[string]json.RawMessage) bool {
		return strings.Contains(string(frame["status"]), `"signal_dbm":-95`)
	})
	for path, want := range map[string]int{"/": 200, "/page/page.js": 200, "/v1/status": 404, "/metrics": 404} {
		a, err := c.Get("http://localhost" + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, a.StatusCode, want)
		}
	}
}
