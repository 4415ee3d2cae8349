package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"airbridged/client"
)

// The published example identity of the vendor's guide: no secret of anybody.
const (
	productKey    = "b1KCi45LcCP"
	productSecret = "VWll9fiYWKiwraBk"
	imei          = "862991419835241"
)

// patience bounds every wait of a test. It is generous, because the machines
// that run tests are shared; nothing waits for it to pass.
const patience = 60 * time.Second

// bin is where TestMain put the programs.
var bin string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == neighbour {
		os.Exit(beNeighbour(os.Args[2:]))
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "airbridged-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		args := []string{"build"}
		if raceEnabled {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, "-o", dir, "airbridged/cmd/...")...)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the programs:", err)
			return 1
		}
		return m.Run()
	}())
}

// program is a started binary whose output is kept.
type program struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when it has ended
	err  error
}

// start runs a binary until the test ends.
func start(t testing.TB, name string, args ...string) *program {
	t.Helper()
	return startPath(t, filepath.Join(bin, name), args...)
}

// startPath runs any program until the test ends.
func startPath(t testing.TB, path string, args ...string) *program {
	t.Helper()
	name := filepath.Base(path)
	p := &program{t: t, name: name, cmd: exec.Command(path, args...), out: newOutput(), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("--- what %s printed ---\n%s", name, p.out.tail(8000))
		}
	})
	return p
}

// stop asks the program to end and waits until it has.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		p.t.Errorf("%s did not end on SIGTERM", p.name)
	}
}

// exit waits for the program to end by itself and returns its exit code.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s did not end by itself", p.name)
		return -1
	}
}

// output collects what a program prints, and wakes whoever waits for a text.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) tail(n int) string {
	s := o.String()
	return s[max(len(s)-n, 0):]
}

// await waits until the output contains a text.
func (o *output) await(t testing.TB, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		found, more := strings.Contains(o.buf.String(), text), o.more
		o.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%q was not printed within %v", text, patience)
		}
	}
}

// simulator is a running airsim.
type simulator struct {
	*program
	device  string
	control *http.Client
}

// newSimulator starts airsim with the guide's product and waits until its
// terminal is there.
func newSimulator(t testing.TB, args ...string) *simulator {
	t.Helper()
	dir := t.TempDir()
	device, control := filepath.Join(dir, "modem"), filepath.Join(dir, "airsim.sock")
	p := start(t, "airsim", append([]string{
		"--link", device, "--control", control, "--imei", imei,
		"--product-key", productKey, "--product-secret", productSecret, "--connects-per-minute", "-1", "--quota-qos1", "0", "--quota-qos0", "0",
	}, args...)...)
	p.out.await(t, "/dev/pts/")
	s := &simulator{program: p, device: device, control: unixClient(control)}
	eventually(t, "airsim's control socket", func() error {
		_, err := s.get("/v1/counters")
		return err
	})
	return s
}

func unixClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

func (s *simulator) get(path string) ([]byte, error) {
	resp, err := s.control.Get("http://airsim" + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	return body, err
}

func (s *simulator) post(path string, body []byte) string {
	s.t.Helper()
	resp, err := s.control.Post("http://airsim"+path, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s: %s", path, resp.Status, answer)
	}
	return string(answer)
}

// do gives the simulator a command of its fault language.
func (s *simulator) do(command string) string {
	s.t.Helper()
	return s.post("/v1/do", []byte(command))
}

// push sends a message down from the cloud.
func (s *simulator) push(topic string, payload []byte) {
	s.t.Helper()
	s.post("/v1/push?qos=1&topic="+url.QueryEscape(topic), payload)
}

// received is a message as the cloud got it.
type received struct {
	Topic    string `json:"topic"`
	QoS      int    `json:"qos"`
	Text     string `json:"payload"`
	Encoding string `json:"encoding"` // utf-8 or base64
	Payload  []byte `json:"-"`
	Readings []struct{ Payload string }
	Trouble  string
}

// messages returns what the cloud has received so far.
func (s *simulator) messages() []received {
	s.t.Helper()
	body, err := s.get("/v1/messages?follow=0")
	if err != nil {
		s.t.Fatal(err)
	}
	var list []received
	for line := range strings.Lines(string(body)) {
		var m received
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			s.t.Fatalf("%v in %s", err, line)
		}
		m.Payload = []byte(m.Text)
		if m.Encoding == "base64" {
			if m.Payload, err = base64.StdEncoding.DecodeString(m.Text); err != nil {
				s.t.Fatalf("%v in %s", err, line)
			}
		}
		list = append(list, m)
	}
	return list
}

// gateway is a daemon with a configuration of its own.
type gateway struct {
	*program
	t      testing.TB
	dir    string
	socket string
	config string
	client *client.Client
}

// newGateway starts the daemon on a serial device. extra overrides keys of the
// configuration that every test has.
func newGateway(t testing.TB, device, extra string) *gateway {
	t.Helper()
	g := prepareGateway(t, device, extra)
	g.start()
	return g
}

// start runs the daemon and waits until its socket answers.
func (g *gateway) start() {
	g.t.Helper()
	g.program = start(g.t, "airbridged", "--config", g.config)
	g.out.await(g.t, `"ready"`)
}

// status asks the daemon.
func (g *gateway) status() client.Status {
	g.t.Helper()
	st, err := g.client.Status(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return st
}

// reaches waits for a state, and for a cause when one is given; being in it
// already counts.
func (g *gateway) reaches(state, cause string) []client.Event {
	g.t.Helper()
	w := g.watch()
	return w.until(state, cause)
}

// watcher follows the daemon's events from the present state on.
type watcher struct {
	t      testing.TB
	events *client.Stream[client.Event]
	seen   []client.Event
}

func (g *gateway) watch() *watcher {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	events, err := g.client.Events(ctx)
	if err != nil {
		cancel()
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { events.Close(); cancel() })
	return &watcher{t: g.t, events: events}
}

// until reads on to a state, and to a cause when one is given.
func (w *watcher) until(state, cause string) []client.Event {
	w.t.Helper()
	for {
		e, err := w.events.Next()
		if err != nil {
			w.t.Fatalf("waiting for %s %s: %v; seen: %+v", state, cause, err, w.seen)
		}
		w.seen = append(w.seen, e)
		if e.Type == "state" && e.To == state && (cause == "" || e.Cause == cause) {
			return w.seen
		}
	}
}

// prepareGateway writes the files of a gateway and starts nothing.
func prepareGateway(t testing.TB, device, extra string) *gateway {
	t.Helper()
	// Unix socket paths are short, and t.TempDir carries the test's name.
	dir, err := os.MkdirTemp("", "ab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	secretFile := filepath.Join(dir, "product-secret")
	write(t, secretFile, productSecret+"\n", 0o600)
	g := &gateway{t: t, dir: dir, socket: filepath.Join(dir, "api.sock"), config: filepath.Join(dir, "airbridged.toml")}
	write(t, g.config, fmt.Sprintf(`
[modem]
device = %q
[device]
product_key = %q
product_secret_file = %q
[outbox]
dir = %q
[state]
dir = %q
[socket]
path = %q
[cloud]
quota_qos1 = 0
quota_qos0 = 0
[mqtt]
socket = ""
[metrics]
listen = ""
[log]
level = "debug"
[recovery]
backoff_min = "100ms"
backoff_max = "2s"
connects_per_minute = 60
status_poll = "2s"
`, device, productKey, secretFile, filepath.Join(dir, "outbox"), filepath.Join(dir, "state"), g.socket), 0o644)
	if err := os.Mkdir(g.config+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(g.config+".d", "test.toml"), extra, 0o644)
	g.client = client.New(g.socket)
	return g
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until there is no error, for things that tell nobody when
// they are ready.
func eventually(t testing.TB, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
