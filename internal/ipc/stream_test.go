package ipc

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

var receivedAt = time.Date(2026, 11, 22, 8, 0, 0, 0, time.FixedZone("CST", 8*3600))

// send hands a downlink message to the hub, as the session does.
func (d *daemon) send(topic, payload string) {
	d.hub.Publish(bus.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: receivedAt})
}

func TestSubscribe(t *testing.T) {
	d := startDaemon(t, nil)
	d.hub.Grant("/a/+/get")
	s := d.open("/v1/subscribe?topic=/b/%23&topic=/a/+/get&topic=/b/%23")
	expect(t, "content type", s.resp.Header.Get("Content-Type"), "application/x-ndjson")
	expect(t, "first", s.line(), `{"type":"subscribed","topics":[{"topic":"/b/#","granted":false},{"topic":"/a/+/get","granted":true}]}`)
	d.send("/a/gw/get", "on")
	d.send("/c", "not ours")
	d.hub.Grant("/b/#")
	d.send("/b/x/y", "<&>\r\n\"\\\u2028\x00é")
	d.send("/b", string([]byte{0xff, 0xfe, 0x00}))
	d.send("/b", "")
	d.hub.SetAside("/b/#", "the cloud closes over it", time.Hour)
	for _, want := range []string{
		`{"type":"message","topic":"/a/gw/get","payload":"on","encoding":"utf-8","received_at":"2026-11-22T00:00:00Z"}`,
		`{"type":"granted","topic":"/b/#"}`,
		`{"type":"message","topic":"/b/x/y","payload":"<&>\r\n\"\\\u2028\u0000é","encoding":"utf-8","received_at":"2026-11-22T00:00:00Z"}`,
		`{"type":"message","topic":"/b","payload":"//4A","encoding":"base64","received_at":"2026-11-22T00:00:00Z"}`,
		`{"type":"message","topic":"/b","payload":"","encoding":"utf-8","received_at":"2026-11-22T00:00:00Z"}`,
		`{"type":"refused","topic":"/b/#","reason":"the cloud closes over it"}`,
	} {
		expect(t, "line", s.line(), want)
	}
}

func TestPayloadsComeBackByteExact(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.open("/v1/subscribe?topic=/a")
	s.line()
	for _, p := range []string{allBytes, "\r\nOK\r\n", "+MSUB: \"/a\",3,abc", "{\"type\":\"gap\"}\n", "é\xc3", strings.Repeat("\x00", 4100)} {
		d.send("/a", p)
		o := s.object()
		got := o["payload"].(string)
		if o["encoding"] == "base64" {
			raw, err := base64.StdEncoding.DecodeString(got)
			if err != nil {
				t.Fatal(err)
			}
			got = string(raw)
		}
		expect(t, "payload", got, p)
	}
}

func TestServerSentEvents(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.open("/v1/subscribe?topic=/a", "Accept", "text/html, text/event-stream;q=0.9")
	expect(t, "content type", s.resp.Header.Get("Content-Type"), "text/event-stream")
	d.send("/a", "line 1\nline 2")
	for _, want := range []string{
		"event: subscribed",
		`data: {"type":"subscribed","topics":[{"topic":"/a","granted":false}]}`,
		"",
		"event: message",
		`data: {"type":"message","topic":"/a","payload":"line 1\nline 2","encoding":"utf-8","received_at":"2026-11-22T00:00:00Z"}`,
		"",
	} {
		expect(t, "line", s.line(), want)
	}
}

func TestEvents(t *testing.T) {
	d := startDaemon(t, nil)
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	d.board.Emit(bus.At(at, bus.Changed(api.Change{From: "probing", To: "attaching"})))
	s := d.open("/v1/events")
	d.board.Emit(bus.At(at, bus.Changed(api.Change{From: "attaching", To: "recovering", Cause: "sim-missing", Attempt: 2, WaitSeconds: 1.5})))
	d.board.Emit(bus.At(at, bus.Warned("sim", "no SIM")))
	for _, want := range []string{
		`{"type":"state","at":"2026-11-22T08:00:00Z","from":"probing","to":"attaching","cause":"","attempt":0,"wait_seconds":0}`,
		`{"type":"state","at":"2026-11-22T08:00:00Z","from":"attaching","to":"recovering","cause":"sim-missing","attempt":2,"wait_seconds":1.5}`,
		`{"type":"warning","at":"2026-11-22T08:00:00Z","code":"sim","detail":"no SIM"}`,
	} {
		expect(t, "line", s.line(), want)
	}
}

// Heartbeats come every 15 s on both streams, whether or not there is news, and
// for longer than any other answer may take.
// Programs parse these lines, so their form is compared byte for byte. What belongs
// to the other type is not in them.
func TestEventLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	for _, c := range []struct {
		event api.Event
		want  string
	}{
		{
			api.Event{
				EventHead: api.EventHead{Type: api.StateEvent, At: at},
				Change:    api.Change{From: "connecting", To: "recovering", Cause: "connack-refused", Attempt: 3, WaitSeconds: 7.25},
				Notice:    api.Notice{Code: "none of a state's"},
			},
			`{"type":"state","at":"2024-05-06T07:08:09.123Z","from":"connecting","to":"recovering","cause":"connack-refused","attempt":3,"wait_seconds":7.25}`,
		},
		{
			bus.At(at, bus.Changed(api.Change{To: "probing"})),
			`{"type":"state","at":"2024-05-06T07:08:09.123Z","from":"","to":"probing","cause":"","attempt":0,"wait_seconds":0}`,
		},
		{
			api.Event{
				EventHead: api.EventHead{Type: api.WarningEvent, At: at},
				Change:    api.Change{To: "none of a warning's"},
				Notice:    api.Notice{Code: "gap", Detail: "10 events were missed"},
			},
			`{"type":"warning","at":"2024-05-06T07:08:09.123Z","code":"gap","detail":"10 events were missed"}`,
		},
	} {
		got, err := json.Marshal(bus.Line(c.event))
		if err != nil || string(got) != c.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	for _, target := range []string{"/v1/subscribe?topic=/a", "/v1/events"} {
		synctest.Test(t, func(t *testing.T) {
			d, _ := virtualDaemon(t, nil)
			s := d.open(target)
			s.line()
			begun := time.Now()
			for i := range 20 {
				time.Sleep(7 * time.Second)
				d.send("/a", "news")
				if strings.Contains(target, "subscribe") {
					if o := s.object(); o["type"] != "message" {
						t.Fatalf("got %v", o)
					}
				}
				o := s.object()
				if o["type"] != "heartbeat" || o["at"] != time.Now().UTC().Format(time.RFC3339) {
					t.Fatalf("got %v", o)
				}
				if since := time.Since(begun); since != time.Duration(i+1)*beatTime {
					t.Fatalf("heartbeat %d after %v", i, since)
				}
			}
			d.stop()
		})
	}
}

// A heartbeat is due also when there is always a next message to write.
func TestHeartbeatBetweenManyMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := virtualDaemon(t, nil)
		s := d.open("/v1/subscribe?topic=/a")
		s.line()
		const sent = 200 // fits the hub's queue, and not into what lies between it and this reader
		for range sent {
			d.send("/a", strings.Repeat("x", 4000))
		}
		messages := 0
		for o := s.object(); o["type"] == "message"; o = s.object() {
			messages++
			time.Sleep(100 * time.Millisecond)
		}
		if messages < 140 || messages > 160 {
			t.Errorf("the heartbeat came after %d messages, one each 100 ms", messages)
		}
		d.stop()
	})
}

// P18: a reader that takes nothing must not hold up the hub. It is cut off
// after 10 s, and counted.
func TestP18StuckReaderIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := virtualDaemon(t, nil)
		conn, err := p.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /v1/subscribe?topic=/a HTTP/1.1\r\nHost: d\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		// A second reader is quick; it must get all of it.
		quick := d.open("/v1/subscribe?topic=/a")
		quick.line()
		begun := time.Now()
		for i := range 1000 {
			d.send("/a", fmt.Sprint(i))
			if o := quick.object(); o["payload"] != fmt.Sprint(i) {
				t.Fatalf("got %v, want %d", o, i)
			}
		}
		if time.Since(begun) != 0 {
			t.Errorf("the hub waited %v for a reader", time.Since(begun))
		}
		if s := d.server.Stats(); s.Streams != 2 || s.StreamsDropped != 0 {
			t.Errorf("before: %+v", s)
		}
		time.Sleep(lineTime + time.Second)
		synctest.Wait()
		if s := d.server.Stats(); s.Streams != 1 || s.StreamsDropped != 1 {
			t.Errorf("after: %+v", s)
		}
		if n := d.hub.Stats().Subscribers; n != 1 {
			t.Errorf("the hub still has %d subscribers", n)
		}
		d.stop()
	})
}

// A reader that pauses gets a gap where messages are missing; what it got and
// what it missed adds up, and the order holds.
func TestSlowReaderIsToldWhatItMissed(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.open("/v1/subscribe?topic=/a")
	s.line()
	const sent = 5000
	payload := strings.Repeat("x", 1000)
	for i := range sent {
		d.send("/a", fmt.Sprintf("%d %s", i, payload))
	}
	d.send("/a", "last") // may be missed too
	next, gaps := 0, 0
	for next < sent {
		switch o := s.object(); o["type"] {
		case "gap":
			next += int(o["dropped"].(float64))
			gaps++
		case "message":
			var n int
			if _, err := fmt.Sscan(o["payload"].(string), &n); err != nil || n != next {
				t.Fatalf("got message %d, want %d", n, next)
			}
			next++
		}
	}
	if gaps == 0 {
		t.Error("no gap: the reader was not slow")
	}
}

func TestStreamOfAClientThatLeavesIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := virtualDaemon(t, nil)
		s := d.open("/v1/subscribe?topic=/a")
		s.line()
		if err := s.resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := d.hub.Stats().Subscribers; n != 0 || d.server.Stats().Streams != 0 {
			t.Errorf("%d subscribers, %+v", n, d.server.Stats())
		}
		d.stop()
	})
}

func TestHeadOfAStreamEnds(t *testing.T) {
	d := startDaemon(t, nil)
	for _, target := range []string{"/v1/events", "/v1/subscribe?topic=/a"} {
		resp, _ := d.ask("HEAD", target, "")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: %s %s", target, resp.Status, resp.Header.Get("Content-Type"))
		}
	}
}
