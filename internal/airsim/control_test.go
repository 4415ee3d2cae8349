package airsim

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"airbridged/internal/airsim/simcloud"
)

// controlled is a module with its control socket, and a client for it.
func controlled(t *testing.T) (m *Module, client *http.Client, stop func()) {
	t.Helper()
	m, err := New(simcloud.New(simcloud.GuideOptions()), Options{Personality: "air780ep"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- m.Run(ctx) }()
	go func() { done <- ServeControl(ctx, l, m) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	return m, &http.Client{Transport: transport, Timeout: 20 * time.Second}, func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		transport.CloseIdleConnections()
	}
}

func request(t *testing.T, c *http.Client, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://airsim"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// host is a plain reader and writer of the module's line in memory.
type host struct {
	t    *testing.T
	port io.ReadWriteCloser
}

func (h host) ask(command, until string) {
	h.t.Helper()
	if _, err := io.WriteString(h.port, command); err != nil {
		h.t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 512)
	for !strings.HasSuffix(string(got), until) {
		n, err := h.port.Read(buf)
		if err != nil {
			h.t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
}

func (h host) online() {
	h.t.Helper()
	h.ask("AT\r", okay)
	h.ask("ATE0\r", okay)
	h.ask(directConfig+"\r", okay)
	h.ask(guideStart+"\r", "CONNECT OK\r\n")
	h.ask("AT+MCONNECT=1,300\r", "CONNACK OK\r\n")
	h.ask(subOne, "SUBACK\r\n")
}

func TestControlSocket(t *testing.T) {
	defer goleak.VerifyNone(t)
	m, c, stop := controlled(t)
	defer stop()
	h := host{t, m.Open()}
	h.online()
	h.ask(pubOne, acked)

	if status, text := request(t, c, "POST", "/v1/do", "drop PUBACK"); status != 200 || text != "" {
		t.Errorf("do: %d %q", status, text)
	}
	if status, text := request(t, c, "POST", "/v1/do", "faults"); status != 200 || text != "drop PUBACK (1 left)\n" {
		t.Errorf("faults: %d %q", status, text)
	}
	if status, text := request(t, c, "POST", "/v1/do", "bogus"); status != 400 || !strings.Contains(text, "unknown command") {
		t.Errorf("bogus: %d %q", status, text)
	}
	if status, text := request(t, c, "POST", "/v1/push?topic="+guideGet+"&qos=1", "hello"); status != 200 || text != "{\"devices\":1}\n" {
		t.Errorf("push: %d %q", status, text)
	}
	h.ask("", `+MSUB: "`+guideGet+`",5 byte,hello`+"\r\n")
	for _, bad := range []string{"/v1/push", "/v1/push?topic=/a&qos=2", "/v1/push?topic=/a&qos=x"} {
		if status, _ := request(t, c, "POST", bad, ""); status != 400 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	if status, _ := request(t, c, "POST", "/v1/push?topic=/a", strings.Repeat("x", maxRequest+1)); status != 413 {
		t.Errorf("an oversized body: %d", status)
	}
	var line messageLine
	_, text := request(t, c, "GET", "/v1/messages?follow=0", "")
	if err := json.Unmarshal([]byte(text), &line); err != nil || line.Payload != "one" || line.Encoding != "utf-8" || line.QoS != 1 || line.Topic != guideUpdate {
		t.Errorf("messages: %q %v", text, err)
	}
	_, text = request(t, c, "GET", "/v1/transcript", "")
	if !strings.Contains(text, `"dir":"\u003e","text":"AT+MCONNECT=1,300"`) || !strings.Contains(text, `"text":"CONNACK OK"`) {
		t.Errorf("transcript: %s", text)
	}
	var counters struct {
		Module ModuleCounters
		Cloud  simcloud.Counters
	}
	_, text = request(t, c, "GET", "/v1/counters", "")
	if err := json.Unmarshal([]byte(text), &counters); err != nil || counters.Cloud.PubAcks != 1 || counters.Module.Commands == 0 {
		t.Errorf("counters: %q %v", text, err)
	}
	if status, _ := request(t, c, "GET", "/v1/do", ""); status != 405 {
		t.Errorf("GET /v1/do: %d", status)
	}
	_ = h.port.Close()
}

// The stream of messages begins with those of before, loses none between, and
// ends with the server.
func TestFollowingMessages(t *testing.T) {
	defer goleak.VerifyNone(t)
	m, c, stop := controlled(t)
	h := host{t, m.Open()}
	h.online()
	h.ask(pubOne, acked)
	resp, err := c.Get("http://airsim/v1/messages")
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(resp.Body)
	next := func() string {
		t.Helper()
		if !in.Scan() {
			t.Fatalf("the stream ended: %v", in.Err())
		}
		var l messageLine
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		return l.Encoding + " " + l.Payload
	}
	if got := next(); got != "utf-8 one" {
		t.Errorf("got %q", got)
	}
	h.ask(`AT+MPUB="`+guideUpdate+`",1,0,"`+"\xff"+`"`+"\r", acked)
	if got := next(); got != "base64 /w==" {
		t.Errorf("got %q", got)
	}
	stop()
	if in.Scan() {
		t.Errorf("another line: %q", in.Text())
	}
	_ = resp.Body.Close()
	_ = h.port.Close()
}
