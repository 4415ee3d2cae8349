package ipc

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/web"
)

// Somebody had the socket on a port of his laptop (ssh -L), and the page of another
// site published through it: a form needs nobody's leave. So did a name of the
// attacker's that pointed to 127.0.0.1. Programs are never asked for anything.
func TestThePageOfAnotherSiteOrdersNothing(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, nil)
	const publish = "/v1/publish?topic=/a/b/update"
	for _, c := range []struct {
		what, host string
		headers    map[string]string
		refused    bool
	}{
		{"curl", "localhost", nil, false},
		{"a program that says anything as Host", "daemon.example.com", nil, false},
		{"a script of its own origin", "localhost:8080", map[string]string{"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}, false},
		{"a form of another site", "localhost:8080", map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, true},
		{"an older browser's", "localhost:8080", map[string]string{"Origin": "https://evil.example"}, true},
		{"another port of the laptop", "localhost:8080", map[string]string{"Sec-Fetch-Site": "same-site"}, true},
		{"a name that was pointed here", "evil.example:8080", map[string]string{"Origin": "http://evil.example:8080"}, true},
		{"the same, with the least that a browser says", "evil.example:8080", map[string]string{"Accept-Language": "en"}, true},
	} {
		r, err := http.NewRequest(http.MethodPost, "http://localhost"+publish, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		a, err := s.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if refused := a.StatusCode == http.StatusForbidden; refused != c.refused || !refused && a.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s", c.what, a.Status)
		}
	}
	if _, kept := s.queue.List("", 100); kept != 3 {
		t.Errorf("%d messages were kept", kept)
	}
}

// The page and its stream are on the socket too; the stream tells of what is there, and
// ends with the daemon.
func TestThePageIsOnTheSocket(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, func(o *Options) {
		o.Page = &web.Feed{Board: o.Board, Status: func() api.Status { return o.Board.Status().Told(time.Now()) }}
	})
	for path, kind := range map[string]string{"/": "text/html", "/page/page.js": "text/javascript", "/page/live": "text/event-stream"} {
		a, err := s.http.Get("http://localhost" + path)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := bufio.NewReader(a.Body).ReadString('\n')
		_ = a.Body.Close()
		if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), kind) || first == "" || a.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %s, %v", path, a.Status, a.Header)
		}
	}
	if a, _ := s.ask(http.MethodGet, "/page/none", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is not there: %s", a.Status)
	}
}
