package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"airbridged/client"
)

// manager is the part of a service manager that a daemon sees: it hands over
// sockets, takes notifications, and reads the log as journald does.
type manager struct {
	t       testing.TB
	notices *net.UnixConn
	env     []string
	files   []*os.File // inherited sockets, from descriptor 3 on
	names   []string
}

func newManager(t testing.TB, dir string) *manager {
	t.Helper()
	path := filepath.Join(dir, "notify")
	notices, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notices.Close() })
	return &manager{t: t, notices: notices, env: []string{"NOTIFY_SOCKET=" + path}}
}

// hand gives the daemon a listening socket under a name. The manager keeps it.
func (m *manager) hand(name string, l net.Listener) {
	m.t.Helper()
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { f.Close(); l.Close() })
	m.files, m.names = append(m.files, f), append(m.names, name)
}

// startUnder runs the daemon as a service. The shell is there because the
// variables name the process that they are for.
func (g *gateway) startUnder(m *manager) {
	g.t.Helper()
	p := &program{t: g.t, name: "airbridged", out: newOutput(), done: make(chan struct{})}
	script := fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s exec "$0" --config "$1"`, len(m.files), strings.Join(m.names, ":"))
	p.cmd = exec.Command("sh", "-c", script, filepath.Join(bin, "airbridged"), g.config)
	p.cmd.Env, p.cmd.ExtraFiles = append(os.Environ(), m.env...), m.files
	// journald's end of stderr is a socket, and it says which.
	near, far := socketPair(g.t)
	info, err := far.Stat()
	if err != nil {
		g.t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	p.cmd.Env = append(p.cmd.Env, fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
	p.cmd.Stderr = far
	if err := p.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	far.Close()
	go func() {
		defer close(p.done)
		_, _ = io.Copy(p.out, near)
		near.Close()
		p.err = p.cmd.Wait()
	}()
	g.t.Cleanup(func() {
		p.stop()
		if g.t.Failed() {
			g.t.Logf("--- what %s printed ---\n%s", p.name, p.out.tail(8000))
		}
	})
	g.program = p
}

func socketPair(t testing.TB) (near, far *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
}

// awaits reads notifications until one has this line, and returns its lines.
func (m *manager) awaits(line string) []string {
	m.t.Helper()
	_ = m.notices.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 4096)
	for {
		n, err := m.notices.Read(buf)
		if err != nil {
			m.t.Fatalf("waiting for %s: %v", line, err)
		}
		lines := strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
		for _, l := range lines {
			if strings.HasPrefix(l, line) {
				return lines
			}
		}
	}
}

// The daemon as a service: its sockets outlive it, its log has priorities, and
// the manager is told what happens when it happens.
func TestUnderAServiceManager(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := prepareGateway(t, sim.device, "[metrics]\nlisten = \"127.0.0.1:9\"\n[web]\nlisten = \"127.0.0.1:8\"\n")
	m := newManager(t, g.dir)
	m.env = append(m.env, "WATCHDOG_USEC=8000000")
	api, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	page, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	people, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mqtt, err := net.Listen("unix", filepath.Join(g.dir, "mqtt.sock"))
	if err != nil {
		t.Fatal(err)
	}
	// The order is the manager's own business.
	m.hand("mqtt", mqtt)
	m.hand("api", api)
	m.hand("metrics", page)
	m.hand("web", people)

	// A program that connects before the daemon is there waits for it.
	early := make(chan error, 1)
	go func() { _, err := g.client.Status(context.Background()); early <- err }()
	g.startUnder(m)
	m.awaits("READY=1")
	m.awaits("STATUS=Looking for the module since ")
	m.awaits("STATUS=Online since ")
	m.awaits("WATCHDOG=1")
	if err := <-early; err != nil {
		t.Errorf("the program that came first: %v", err)
	}
	for _, url := range []string{"http://" + page.Addr().String() + "/metrics", "http://" + people.Addr().String() + "/"} {
		if resp, err := http.Get(url); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s on the inherited socket: %v %v", url, resp, err)
		} else {
			resp.Body.Close()
		}
	}
	// MQTT is switched off here. A client must not wait for an answer for ever.
	c, err := net.Dial("unix", mqtt.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a socket that is not served: %d bytes, %v", n, err)
	}
	c.Close()
	g.out.await(t, `<4>{"level":"warn"`)
	g.out.await(t, `"an inherited socket is not served, connections to it are closed"`)
	g.out.await(t, `<6>{"level":"info"`)
	for line := range strings.Lines(g.out.String()) {
		if len(line) < 4 || line[0] != '<' || line[2] != '>' || line[3] != '{' {
			t.Errorf("a line without its priority: %s", line)
		}
	}

	// A restart: the socket stays, a message that is sent meanwhile is kept by the
	// next process, and nobody was refused.
	g.stop()
	m.awaits("STOPPING=1")
	if _, err := os.Stat(g.socket); err != nil {
		t.Fatalf("the socket of the manager was removed: %v", err)
	}
	sent := make(chan error, 1)
	go func() {
		r, err := g.client.Publish(context.Background(), update, []byte("in between"), client.PublishOptions{Wait: patience})
		if err == nil && r.State != client.Acked {
			err = fmt.Errorf("state %s", r.State)
		}
		sent <- err
	}()
	g.startUnder(m)
	m.awaits("READY=1")
	if err := <-sent; err != nil {
		t.Errorf("published while the daemon restarted: %v", err)
	}
}

// An inherited API socket that is no Unix socket would let in anybody, without
// telling who it is.
func TestInheritedTCPSocketIsRefused(t *testing.T) {
	t.Parallel()
	g := prepareGateway(t, "/dev/null", "")
	m := newManager(t, g.dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.hand("api", l)
	g.startUnder(m)
	if code := g.exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if said := g.out.String(); !strings.Contains(said, "<3>airbridged: inherited socket api is 127.0.0.1:") {
		t.Errorf("it said %s", said)
	}
}

// Reloading is all or nothing, waits, and says what happened: over the socket,
// by airbridgectl and by SIGHUP, with the service manager told of each.
func TestReloadWaitsAndTells(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := prepareGateway(t, sim.device, "")
	m := newManager(t, g.dir)
	g.startUnder(m)
	m.awaits("READY=1")
	g.reaches("online", "")
	dropIn := filepath.Join(g.config+".d", "zz.toml")

	ctl := func(args ...string) (int, string, string) {
		var stdout, stderr strings.Builder
		cmd := exec.Command(filepath.Join(bin, "airbridgectl"), append([]string{"--socket", g.socket}, args...)...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	}
	if code, out, errs := ctl("reload"); code != 0 || out != "nothing changed\n" || errs != "" {
		t.Errorf("nothing new: %d %q %q", code, out, errs)
	}

	// A good one: the subscription goes to the cloud, and what needs a restart is
	// named.
	write(t, dropIn, "[cloud]\nkeepalive = \"240s\"\n[[subscribe]]\ntopic = \"/${productKey}/${deviceName}/get\"\n", 0o644)
	if code, out, errs := ctl("reload"); code != 0 || out != "in effect now: subscribe\nafter a restart: cloud.keepalive\n" || errs != "" {
		t.Errorf("reload: %d %q %q", code, out, errs)
	}
	if lines := m.awaits("RELOADING=1"); len(lines) != 2 || !strings.HasPrefix(lines[1], "MONOTONIC_USEC=") {
		t.Errorf("told the manager %q", lines)
	}
	m.awaits("READY=1")
	eventually(t, "the new filter at the cloud", func() error {
		for _, c := range sim.commands(t) {
			if strings.HasPrefix(c, "AT+MSUB=") && strings.Contains(c, "/get") {
				return nil
			}
		}
		return errors.New("no AT+MSUB")
	})

	// A bad one changes nothing, and lists every mistake where it stands.
	write(t, dropIn, "[log]\nlevel = \"loud\"\n[modem]\nbawd = 9600\n", 0o644)
	code, out, errs := ctl("reload")
	if code != 78 || out != "" {
		t.Errorf("a bad configuration: exit %d, %q", code, out)
	}
	for _, want := range []string{dropIn + ":2:1: log.level: ", dropIn + ":4:1: modem.bawd: ", "nothing was changed"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q is not in\n%s", want, errs)
		}
	}
	if _, err := g.client.Status(t.Context()); err != nil {
		t.Errorf("after a refused reload: %v", err)
	}

	// SIGHUP does the same.
	write(t, dropIn, "[log]\nlevel = \"info\"\n", 0o644)
	_ = g.cmd.Process.Signal(syscall.SIGHUP)
	g.out.await(t, `"changed":["subscribe","log.level"]`)

	// Programs may use a socket that lets everybody in, but not reconfigure.
	if os.Geteuid() == 0 {
		g.asNobody(t)
	}
}

// asNobody asks for a reload as a user who may only connect.
func (g *gateway) asNobody(t *testing.T) {
	t.Helper()
	for _, path := range []string{g.dir, g.socket} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	near, far := socketPair(t)
	defer near.Close()
	cmd := exec.Command(filepath.Join(copyOf(t, "airbridgectl"), "airbridgectl"), "--socket", g.socket, "reload")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Stderr = far
	err := cmd.Run()
	far.Close()
	said, _ := io.ReadAll(bufio.NewReader(near))
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 77 || !strings.Contains(string(said), "uid 65534") {
		t.Errorf("nobody may reload: %v %s", err, said)
	}
}

// copyOf puts a program where every user can run it.
func copyOf(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(filepath.Join(bin, name))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), data, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A supervisor, queue or API that hangs takes the pings away; the process that is
// frozen as a whole is the service manager's to find. Here: nothing pings for a
// process that is stopped.
func TestNoPingFromAFrozenProcess(t *testing.T) {
	t.Parallel()
	g := prepareGateway(t, filepath.Join(t.TempDir(), "none"), "")
	m := newManager(t, g.dir)
	m.env = append(m.env, "WATCHDOG_USEC=400000")
	g.startUnder(m)
	for range 3 {
		m.awaits("WATCHDOG=1")
	}
	_ = g.cmd.Process.Signal(syscall.SIGSTOP)
	defer func() { _ = g.cmd.Process.Signal(syscall.SIGCONT) }()
	for quiet := false; !quiet; {
		_ = m.notices.SetReadDeadline(time.Now().Add(time.Second))
		_, err := m.notices.Read(make([]byte, 4096))
		quiet = errors.Is(err, os.ErrDeadlineExceeded)
	}
}
