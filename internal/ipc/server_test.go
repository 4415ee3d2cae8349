package ipc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"airbridged/internal/bus"
)

// The age of the login token goes on while nobody logs in: it was that of the
// login, for as long as the session lasted.
func TestStatusTokenAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := virtualDaemon(t, nil)
		ahead := time.Now().Add(time.Hour)
		d.board.Update(func(s *bus.Status) { s.TokenAt = &ahead })
		if _, body := d.ask("GET", "/v1/status", ""); !strings.Contains(body, `"token_age_seconds":0,`) {
			t.Errorf("a clock that was set back: %s", body)
		}
		at := time.Now()
		d.board.Update(func(s *bus.Status) { s.TokenAt = &at })
		time.Sleep(90 * time.Second)
		if _, body := d.ask("GET", "/v1/status", ""); !strings.Contains(body, `"token_age_seconds":90,`) {
			t.Errorf("after 90 s: %s", body)
		}
	})
}

// The network's time goes on since the module told it, and is held against the clock
// as it is now.
func TestStatusNetworkTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := virtualDaemon(t, nil)
		now := time.Now()
		d.board.Update(func(s *bus.Status) {
			s.NetworkTime = &bus.NetworkTime{Told: time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC), At: now}
		})
		time.Sleep(90 * time.Second)
		offset := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC).Sub(now).Round(100 * time.Millisecond).Seconds()
		want := fmt.Sprintf(`"network_time":{"time":"2026-11-23T01:03:33Z","age_seconds":90,"offset_seconds":%v}`, strconv.FormatFloat(offset, 'f', -1, 64))
		if _, body := d.ask("GET", "/v1/status", ""); !strings.Contains(body, want) {
			t.Errorf("%s has no %s", body, want)
		}
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := virtualDaemon(t, nil)
		since := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
		dbm := -71
		d.board.Update(func(s *bus.Status) {
			s.State, s.Since = "online", since
			s.Identity.ProductKey = "a1b2c3"
			s.Modem.SignalDBm = &dbm
			s.Cloud.Auth = "https"
		})
		time.Sleep(90 * time.Second)
		_, body := d.ask("GET", "/v1/status", "")
		expect(t, "empty", body, `{"state":"online","cause":"","hint":"","since":"2026-11-22T08:00:00Z","attempt":0,"next_attempt_at":null,`+
			`"identity":{"product_key":"a1b2c3","device_name":null},`+
			`"modem":{"model":null,"firmware":null,"imei":null,"iccid":null,"operator":null,"signal_dbm":-71,"registered":null,"network_time":null},`+
			`"cloud":{"host":"","auth":"https","token_age_seconds":null,"pace_seconds":null},`+
			`"outbox":{"messages":0,"bytes":0,"oldest_at":null,"inflight":0,"disk_bytes":0,"disk_limit":null},`+
			`"counters":{"acked":0,"sent":0,"unknown":0,"connects":0,"downlink":0,"last_acked_at":null},`+
			`"mqtt":null,`+
			`"data":{"since":null,"until":null,"bytes":0,"by_cause":null,"by_program":null,"budget_bytes":null,"forecast_bytes":null,"holding":false},`+
			`"warnings":[],"version":"1.2.3","uptime_seconds":90}`+"\n")
		d.ask("POST", "/v1/publish?topic=/a", "12345")
		_, body = d.ask("GET", "/v1/status", "")
		if want := `"outbox":{"messages":1,"bytes":5,"oldest_at":"2026-11-22T08:00:00Z","inflight":0,"disk_bytes":0,"disk_limit":null}`; !strings.Contains(body, want) {
			t.Errorf("%s has no %s", body, want)
		}
		d.stop()
	})
}

func TestHealthz(t *testing.T) {
	var sick error
	d := startDaemon(t, func(o *Options) { o.Healthy = func() error { return sick } })
	resp, body := d.ask("GET", "/healthz?probe=1", "")
	expect(t, "healthy", resp.Status+" "+body, `200 OK {"healthy":true,"detail":""}`+"\n")
	sick = errors.New("no sign of life from the supervisor for 3m0s")
	resp, body = d.ask("GET", "/healthz", "")
	expect(t, "sick", resp.Status+" "+body, `503 Service Unavailable {"healthy":false,"detail":"no sign of life from the supervisor for 3m0s"}`+"\n")
}

func TestMetricsAreOnTheSocket(t *testing.T) {
	d := startDaemon(t, func(o *Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") })
	})
	resp, body := d.ask("GET", "/metrics", "")
	expect(t, "metrics", resp.Status+" "+body, "200 OK up 1\n")
}

// counted is a Recorder that remembers.
type counted struct {
	mu  sync.Mutex
	got []string
}

func (c *counted) Request(route string, code int, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, fmt.Sprint(route, " ", code))
}

// Routes are patterns of a closed set, never what a client wrote; and a stream
// is counted when it begins.
func TestRequestsAreCounted(t *testing.T) {
	var c counted
	d := startDaemon(t, func(o *Options) {
		o.Recorder = &c
		o.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	})
	d.ask("POST", "/v1/publish?topic=/a", "x")
	d.ask("POST", "/v1/publish?topic=", "x")
	d.ask("GET", "/v1/messages/m1", "")
	d.ask("GET", "/v1/outbox?limit=5", "")
	d.ask("DELETE", "/v1/outbox/m7", "")
	d.ask("DELETE", "/v1/outbox?topic=", "")
	d.ask("GET", "/secret/path", "")
	d.ask("DELETE", "/v1/status", "")
	d.ask("GET", "/metrics", "")
	d.open("/v1/events").line()
	c.mu.Lock()
	defer c.mu.Unlock()
	want := []string{"POST /v1/publish 202", "POST /v1/publish 400", "GET /v1/messages/{id} 200", "GET /v1/outbox 200", "DELETE /v1/outbox/{id} 404", "DELETE /v1/outbox 400", "other 404", "other 405", "GET /metrics 200", "GET /v1/events 200"}
	if !slices.Equal(c.got, want) {
		t.Errorf("got  %q\nwant %q", c.got, want)
	}
}

func TestPanicIsAnErrorOfOneRequest(t *testing.T) {
	var c counted
	core, logs := observer.New(zap.WarnLevel)
	d := startDaemon(t, func(o *Options) {
		o.Recorder, o.Log = &c, zap.New(core)
		o.Carry = func(string, []byte) error { panic("out of reach") }
	})
	if resp, err := d.http.Post("http://d/v1/publish?topic=/a", "", strings.NewReader("x")); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
	if resp, _ := d.ask("GET", "/v1/status", ""); resp.StatusCode != 200 {
		t.Errorf("afterwards: %s", resp.Status)
	}
	d.stop()
	if want := []string{"POST /v1/publish 500", "GET /v1/status 200"}; !slices.Equal(c.got, want) {
		t.Errorf("counted %q", c.got)
	}
	if logs.FilterMessageSnippet("out of reach").Len() == 0 {
		t.Errorf("the panic is not in the log: %v", logs.All())
	}
}

func TestPeerIsWhoTheKernelSays(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	d := startDaemon(t, func(o *Options) { o.Log = zap.New(core) })
	d.ask("GET", "/v1/status", "", "X-Uid", "0")
	d.stop()
	entries := logs.FilterMessage("request").All()
	if len(entries) != 1 {
		t.Fatalf("%d entries", len(entries))
	}
	fields := entries[0].ContextMap()
	if fields["uid"] != uint32(os.Getuid()) || fields["pid"] != int32(os.Getpid()) {
		t.Errorf("logged %v", fields)
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := virtualDaemon(t, nil)
		conn, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /healthz HT"); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, _ = io.ReadAll(conn)
		if took := time.Since(begun); took < headerTime || took > headerTime+time.Second {
			t.Errorf("cut off after %v", took)
		}
		d.stop()
	})
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := virtualDaemon(t, nil)
		conn, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: d\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		said, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != idleTime {
			t.Errorf("closed after %v", took)
		}
		// And the answer has said so: who sends just when the connection is closed
		// does not know what became of it.
		if want := fmt.Sprintf("\r\nKeep-Alive: timeout=%d\r\n", int(idleTime.Seconds())); !strings.Contains(string(said), want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
		d.stop()
	})
}

// A client that sends without ever taking an answer must not keep its place.
func TestClientThatTakesNoAnswerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := virtualDaemon(t, nil)
		conn, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for err == nil {
			_, err = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: d\r\n\r\n")
		}
		if took := time.Since(begun); took > answerTime+time.Second {
			t.Errorf("cut off after %v", took)
		}
		d.stop()
	})
}

// On the daemon's end: streams hand out what there is and say goodbye, waits
// are answered, connections without a request are closed, and all of it at
// once.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := virtualDaemon(t, nil)
		sub := d.open("/v1/subscribe?topic=/a")
		sub.line()
		events := d.open("/v1/events")
		events.line()
		silent, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan string)
		go func() {
			resp, body := d.ask("POST", "/v1/publish?topic=/a&wait=1h", "x")
			waited <- resp.Status + " " + body
		}()
		synctest.Wait()
		begun := time.Now()
		d.send("/a", "just before")
		stopped := make(chan struct{})
		go func() { d.stop(); close(stopped) }()
		if o := sub.object(); o["payload"] != "just before" {
			t.Errorf("got %v", o)
		}
		for _, s := range []*reader{sub, events} {
			expect(t, "last line", s.line(), `{"type":"end","reason":"stopping"}`)
			s.ends()
		}
		expect(t, "waiting publish", <-waited, `202 Accepted {"id":"m1","state":"queued"}`+"\n")
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("the silent connection lives")
		}
		<-stopped
		if took := time.Since(begun); took > time.Second {
			t.Errorf("stopping took %v", took)
		}
	})
}

// What hangs is cut off after the grace time, and Serve returns even so.
func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := virtualDaemon(t, func(o *Options) { o.Outbox = &testQueue{hang: true} })
		conn, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "POST /v1/publish?topic=/a HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\n\r\nx"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		d.stop()
		if took := time.Since(begun); took != graceTime {
			t.Errorf("stopping took %v", took)
		}
	})
}

// brokenListener fails after one connection.
type brokenListener struct {
	*pipes
	taken bool
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if l.taken {
		return nil, errors.New("file table is broken")
	}
	l.taken = true
	return l.pipes.Accept()
}

func TestListenerThatFailsEndsServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := bus.NewHub()
		s := New(Options{Outbox: newTestQueue(), Hub: hub, Board: bus.NewStatusBoard()})
		p := newPipes()
		served := make(chan error, 1)
		begun := time.Now()
		go func() { served <- s.Serve(t.Context(), &brokenListener{pipes: p}) }()
		conn, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, "GET /v1/subscribe?topic=/a HTTP/1.1\r\nHost: d\r\n\r\n") }()
		answer, _ := io.ReadAll(conn)
		if len(answer) > 0 && !strings.Contains(string(answer), `{"type":"end","reason":"stopping"}`) {
			t.Errorf("the stream ended with %q", answer)
		}
		err = <-served
		if err == nil || !strings.Contains(err.Error(), "file table is broken") || !strings.Contains(err.Error(), "memory") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
