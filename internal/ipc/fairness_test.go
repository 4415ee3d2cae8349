package ipc

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/fair"
	"airbridged/internal/outbox"
)

// A page is made and written piece by piece, and is the same as if it were made at once.
func TestPagesOfTheOutboxAreWhole(t *testing.T) {
	queue := outbox.New(outbox.Limits{})
	d := startDaemon(t, func(o *Options) { o.Outbox = queue })
	const n = 3*pieceOfPage + 5
	for i := range n {
		if _, err := queue.Append(t.Context(), outbox.Message{Topic: fmt.Sprintf("/a/%d", i), Payload: []byte("x"), QoS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{1, pieceOfPage, pieceOfPage + 1, n, 1000} {
		_, body := d.ask("GET", fmt.Sprintf("/v1/outbox?limit=%d", limit), "")
		if got, want := strings.Count(body, `"id":`), min(limit, n); got != want || !strings.HasPrefix(body, `{"messages":[{"id":`) || !strings.Contains(body, "}],\"total\":") {
			t.Errorf("limit %d: %d messages, %.60s ... %s", limit, got, body, body[max(0, len(body)-40):])
		}
	}
	if resp, body := d.ask("HEAD", "/v1/outbox", ""); resp.StatusCode != http.StatusOK || body != "" {
		t.Errorf("HEAD: %s %q", resp.Status, body)
	}
}

// Bodies that never end took up to 64 KiB each of as many connections as there are. All
// together have 16 MiB, and a body of another user ends the newest of whoever has most.
func TestBodiesShareTheirMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 1200, nil)
		c.server.bodies = fair.NewPool[int64](3*bodyStep, 0)
		head := func(n int) string {
			return fmt.Sprintf("POST /v1/publish?topic=/a HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n", n)
		}
		var slow []*guest
		for range 3 {
			g := c.dial(1000)
			g.say(head(bodyStep) + "x")
			slow = append(slow, g)
		}
		same := c.dial(1000)
		same.say(head(bodyStep) + strings.Repeat("x", 10))
		if status, body, _ := same.hears(); status != "503 Service Unavailable" || !strings.Contains(body, "too-busy") {
			t.Errorf("one more of the same user: %s %s", status, body)
		}
		other := c.dial(1001)
		other.say(head(bodyStep) + strings.Repeat("x", bodyStep))
		if status, _, _ := other.hears(); status != "202 Accepted" {
			t.Errorf("another user: %s", status)
		}
		if status, body, _ := slow[2].hears(); status != "503 Service Unavailable" || !strings.Contains(body, "nothing was kept") {
			t.Errorf("the newest of them: %s %s", status, body)
		}
		slow[0].say(strings.Repeat("x", bodyStep-1))
		if status, _, _ := slow[0].hears(); status != "202 Accepted" {
			t.Errorf("the oldest: %s", status)
		}
		if held, _ := c.server.bodies.Held(); held > bodyStep {
			t.Errorf("%d bytes are still held", held)
		}
		c.stop()
	})
}

// With one user's requests waiting, another one's is next; who does not take his answer
// holds nobody up.
func TestRequestsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan string, 100)
		c := newCrowd(t, 100, func(o *Options) {
			o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begun <- r.URL.RawQuery
				time.Sleep(time.Second)
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			})
		})
		c.server.turns = fair.NewTurns[int64](1)
		for i := range 20 {
			c.dial(1000).say(fmt.Sprintf("GET /metrics?a%d HTTP/1.1\r\nHost: d\r\n\r\n", i))
		}
		c.dial(1001).say("GET /metrics?b HTTP/1.1\r\nHost: d\r\n\r\n")
		got := ""
		for range 4 {
			got += <-begun + " "
		}
		if got != "a0 a1 b a2 " && got != "a0 b a1 a2 " {
			t.Errorf("made %s", got)
		}
		c.stop()
	})
}
