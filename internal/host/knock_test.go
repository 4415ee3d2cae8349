package host

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
)

// A daemon whose configuration is wrong tells so to those that woke it, and stays for a
// moment: systemd starts it anew for whoever is left waiting, and closes the sockets
// after 20 starts in 30 s.
func TestKnocksAreAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	scraped := make(chan error, 1)
	go func() {
		c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}}}
		r, err := c.Post("http://d/v1/publish?topic=/a", "", strings.NewReader("x"))
		if err != nil {
			said <- err.Error()
			return
		}
		defer func() { _ = r.Body.Close() }()
		b, _ := io.ReadAll(r.Body)
		said <- r.Status + " " + string(b)
	}()
	go func() {
		_, err := http.Get("http://" + other.Addr().String() + "/metrics")
		scraped <- err
	}()
	const stay = 500 * time.Millisecond
	begin := time.Now()
	answerKnocks(map[string][]net.Listener{"api": {l}, "metrics": {other}}, api.Problem{Type: "t", Status: 503, Detail: "line 3", Hint: "correct it"}, stay)
	if got := <-said; !strings.HasPrefix(got, "503 ") || !strings.Contains(got, "line 3") {
		t.Errorf("a program is told %s", got)
	}
	if err := <-scraped; err == nil {
		t.Error("a scrape was answered")
	}
	if d := time.Since(begin); d < stay {
		t.Errorf("it stayed for %v", d)
	}
}

// Nobody knocks: it leaves at once.
func TestNobodyKnocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		answerKnocks(map[string][]net.Listener{"api": {quiet{make(chan struct{})}}}, api.Problem{}, answerTime)
		if d := time.Since(begin); d > 3*knockTime {
			t.Errorf("it stayed for %v", d)
		}
	})
}

// quiet is a listener that nobody connects to.
type quiet struct{ closed chan struct{} }

func (q quiet) Accept() (net.Conn, error) { <-q.closed; return nil, net.ErrClosed }
func (q quiet) Addr() net.Addr            { return &net.UnixAddr{} }

func (q quiet) Close() error {
	select {
	case <-q.closed:
	default:
		close(q.closed)
	}
	return nil
}
