package web

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/passwords"
)

// site is a listener on loopback.
type site struct {
	board *bus.StatusBoard
	url   string
	stop  func()
}

func open(t *testing.T, file *passwords.File) *site {
	t.Helper()
	s, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	board := bus.NewStatusBoard()
	feed := &Feed{
		Board: board, Flight: bus.NewFlight(), Status: func() api.Status { return board.Status().Told(time.Now()) },
		Meaning: func(cause string) string { return "what " + cause + " means" },
	}
	l := &Listener{Feed: feed, Passwords: func() *passwords.File { return file }, Names: []string{"gate"}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, s) }()
	stop := func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(func() { stop(); http.DefaultClient.CloseIdleConnections() })
	return &site{board: board, url: "http://" + s.Addr().String(), stop: stop}
}

func (s *site) ask(t *testing.T, method, path string, change func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close() })
	return a
}

// Nothing but the page and what it reads is there, by no other method, and under no
// name that may be somebody else's.
func TestOnlyThePageIsServed(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for request, want := range map[string]int{
		"GET /": 200, "HEAD /": 200, "GET /page/page.js": 200, "GET /page/page.css": 200, "HEAD /page/live": 200,
		"GET /v1/status": 404, "GET /v1/outbox": 404, "GET /metrics": 404, "GET /page/": 404, "GET /page/feed.go": 404, "GET /page/..%2findex.html": 404,
		"POST /": 405, "POST /page/live": 405, "POST /v1/publish": 404, "DELETE /v1/outbox": 404, "OPTIONS /": 405, "PUT /page/page.js": 405,
	} {
		method, path, _ := strings.Cut(request, " ")
		a := s.ask(t, method, path, nil)
		if a.StatusCode != want {
			t.Errorf("%s: %d, want %d", request, a.StatusCode, want)
		}
		if a.Header.Get("Content-Security-Policy") == "" || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", request, a.Header)
		}
	}
	for host, want := range map[string]int{"gate:8080": 200, "localhost": 200, "10.0.0.1": 200, "evil.example": 403} {
		if a := s.ask(t, "GET", "/", func(r *http.Request) { r.Host = host }); a.StatusCode != want {
			t.Errorf("Host: %s: %d, want %d", host, a.StatusCode, want)
		}
	}
	if a := s.ask(t, "GET", "/page/live", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); a.StatusCode != 403 {
		t.Errorf("another site reads it: %d", a.StatusCode)
	}
}

// Where there are passwords, nothing is shown without one, not even that it is there.
func TestAPasswordIsAskedFor(t *testing.T) {
	t.Parallel()
	// The password is "secret", the salt "salt".
	file, err := passwords.Parse([]byte("ann:$6$c2FsdA==$E491yrR9AdCoE7rbOPYS3EZgSuZpVE65AD9xko08s6floNesY/Zpe9zMVvLix4S2FiQSJ99RIkNvhHomNO9uLw==\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, file)
	for _, path := range []string{"/", "/page/page.js", "/page/live", "/nothing"} {
		a := s.ask(t, "GET", path, nil)
		if a.StatusCode != 401 || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s without a password: %d", path, a.StatusCode)
		}
	}
	begun := time.Now()
	if a := s.ask(t, "GET", "/", func(r *http.Request) { r.SetBasicAuth("ann", "guess") }); a.StatusCode != 401 {
		t.Errorf("a wrong password: %d", a.StatusCode)
	}
	if took := time.Since(begun); took < guessTime {
		t.Errorf("a guess was answered after %v", took)
	}
	if a := s.ask(t, "GET", "/", func(r *http.Request) { r.SetBasicAuth("ann", "secret") }); a.StatusCode != 200 {
		t.Errorf("the right one: %d", a.StatusCode)
	}
}

// frames reads what the page is told.
func frames(t *testing.T, body io.Reader) func() map[string]any {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	return func() map[string]any {
		t.Helper()
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var f map[string]any
				if err := json.Unmarshal([]byte(text), &f); err != nil {
					t.Fatalf("%v in %s", err, text)
				}
				return f
			}
		}
		return nil
	}
}

// A page is told all that is remembered first, then what is new, and that the daemon
// stops. While it is open the daemon knows that somebody looks.
func TestAPageIsToldWhatIsNew(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	s.board.Passing.Note(bus.Passed{Up: true, Topic: "/a/b/update", Bytes: 3, QoS: 1, Result: "acked"})
	next := frames(t, s.ask(t, "GET", "/page/live", nil).Body)
	first := next()
	if n := len(first["messages"].([]any)); n != 1 || first["status"].(map[string]any)["state"] != "probing" || len(first["timeline"].([]any)) != 1 {
		t.Fatalf("the first frame: %v", first)
	}
	if !s.board.Onlookers.Any() {
		t.Error("nobody looks")
	}
	s.board.Update(func(st *bus.Status) { st.State, st.Cause = "recovering", "sim-missing" })
	s.board.Emit(bus.Changed(api.Change{From: "attaching", To: "recovering", Cause: "sim-missing"}))
	s.board.Passing.Note(bus.Passed{Topic: "/a/b/get", Bytes: 7, QoS: -1})
	for f := next(); ; f = next() { // a tick may have come between them
		if f == nil {
			t.Fatal("it was told of no event")
		}
		if events, ok := f["events"].([]any); ok && len(events) == 1 && events[0].(map[string]any)["cause"] == "sim-missing" {
			if f["status"].(map[string]any)["meaning"] != "what sim-missing means" {
				t.Errorf("the cause in words: %v", f["status"])
			}
			break
		}
	}
	s.stop()
	for f := next(); len(f) > 0; f = next() {
		if f == nil {
			t.Error("the stream broke off")
		}
	}
	if s.board.Onlookers.Any() {
		t.Error("somebody still looks")
	}
}

// More pages than there is room for are told so, and a place that one gives up is
// taken by the next.
func TestSoManyPagesAndNoMore(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	var bodies []io.Closer
	for range mostPages {
		a := s.ask(t, "GET", "/page/live", nil)
		if a.StatusCode != 200 {
			t.Fatal(a.Status)
		}
		bodies = append(bodies, a.Body)
	}
	if a := s.ask(t, "GET", "/page/live", nil); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %s", a.Status)
	}
	if a := s.ask(t, "GET", "/", nil); a.StatusCode != 200 {
		t.Errorf("the page itself beside them: %s", a.Status)
	}
	_ = bodies[0].Close()
	for begun := time.Now(); s.ask(t, "GET", "/page/live", nil).StatusCode != 200; {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the place is not given back")
		}
	}
}
