package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// program is a running airsim.
type program struct {
	t      *testing.T
	stdout *bufio.Scanner
	stderr *buffer
	cancel context.CancelFunc
	code   chan int
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func begin(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	p := &program{t: t, stdout: bufio.NewScanner(out), stderr: &buffer{}, cancel: cancel, code: make(chan int, 1)}
	go func() {
		p.code <- run(ctx, args, in, p.stderr)
		_ = in.Close()
	}()
	return p
}

// path is the next terminal.
func (p *program) path() string {
	p.t.Helper()
	if !p.stdout.Scan() {
		p.t.Fatalf("no path on stdout; stderr: %s", p.stderr.String())
	}
	return p.stdout.Text()
}

func (p *program) end() {
	p.t.Helper()
	p.cancel()
	if code := <-p.code; code != exitOK {
		p.t.Errorf("exit code %d; stderr: %s", code, p.stderr.String())
	}
}

// ask speaks to the module through a path.
func ask(t *testing.T, path, command, end string) string {
	t.Helper()
	host, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	if _, err := host.WriteString(command); err != nil {
		t.Fatal(err)
	}
	_ = host.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got []byte
	buf := make([]byte, 512)
	for !strings.HasSuffix(string(got), end) {
		n, err := host.Read(buf)
		if err != nil {
			t.Fatalf("%q: %v after %q", command, err, got)
		}
		got = append(got, buf[:n]...)
	}
	return string(got)
}

func do(args ...string) (code int, stdout, stderr string) {
	var out, failed bytes.Buffer
	code = run(context.Background(), append([]string{"do"}, args...), &out, &failed)
	return code, out.String(), failed.String()
}

const okay = "\r\nOK\r\n"

func TestTheProgram(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	link, socket, script := filepath.Join(dir, "air0"), filepath.Join(dir, "control"), filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("csq 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", link); err != nil { // left by another run
		t.Fatal(err)
	}
	p := begin(t, "--personality", "air780ep", "--link", link, "--control", socket, "--script", script, "--imei", "123456789012345", "--log")
	path := p.path()
	if to, err := os.Readlink(link); err != nil || to != path || !strings.HasPrefix(path, "/dev/pts/") {
		t.Fatalf("the path is %q, the link leads to %q (%v)", path, to, err)
	}
	ask(t, link, "ATE0\r", okay)
	if got := ask(t, link, "AT+CGSN\r", okay); got != "\r\n123456789012345\r\n"+okay {
		t.Errorf("got %q", got)
	}
	if got := ask(t, path, "AT+CSQ\r", okay); got != "\r\n+CSQ: 7,0\r\n"+okay {
		t.Errorf("the script was not carried out: %q", got)
	}

	if code, out, err := do("--control", socket, "csq", "9"); code != exitOK || out+err != "" {
		t.Errorf("do: %d %q %q", code, out, err)
	}
	if got := ask(t, path, "AT+CSQ\r", okay); got != "\r\n+CSQ: 9,0\r\n"+okay {
		t.Errorf("got %q", got)
	}
	if code, out, _ := do("--control", socket, "push", "/a/b", "two words"); code != exitOK || out != "devices: 0\n" {
		t.Errorf("do push: %d %q", code, out)
	}
	if code, _, err := do("--control", socket, "bogus"); code != exitUsage || !strings.Contains(err, "unknown command") {
		t.Errorf("do bogus: %d %q", code, err)
	}

	// The cable is pulled and comes back under another name, with the same link.
	if code, _, err := do("--control", socket, "unplug 10ms"); code != exitOK {
		t.Errorf("do unplug: %d %s", code, err)
	}
	again := p.path()
	if to, err := os.Readlink(link); err != nil || to != again {
		t.Errorf("the link leads to %q (%v), want %q", to, err, again)
	}
	ask(t, link, "AT\r", okay)

	p.end()
	for _, left := range []string{link, socket} {
		if _, err := os.Lstat(left); err == nil {
			t.Errorf("%s is still there", left)
		}
	}
	if log := p.stderr.String(); !strings.Contains(log, " >  AT+CGSN\n") || !strings.Contains(log, " <  OK\n") || !strings.Contains(log, " !  ") {
		t.Errorf("the dialogue is\n%s", log)
	}
	if code, _, _ := do("--control", socket, "help"); code != exitUnavailable {
		t.Errorf("do without an airsim: exit code %d, want %d", code, exitUnavailable)
	}
}

// A socket that a dead simulator left is replaced, one that answers is not, and
// files that are something else are left alone.
func TestLeftovers(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	stale, busy, file := filepath.Join(dir, "stale"), filepath.Join(dir, "busy"), filepath.Join(dir, "file")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	p := begin(t, "--control", stale)
	p.path()
	if code, _, err := do("--control", stale, "faults"); code != exitOK {
		t.Errorf("do: %d %s", code, err)
	}
	p.end()

	other, err := net.Listen("unix", busy)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{{"--control", busy}, {"--control", file}, {"--link", file}, {"--link", filepath.Join(dir, "no/such/dir")}, {"--broker", "tcp://127.0.0.1:1"}} {
		var out, failed bytes.Buffer
		if code := run(t.Context(), c, &out, &failed); code != exitFailure || !strings.HasPrefix(failed.String(), "airsim: ") {
			t.Errorf("%v: exit code %d, %q", c, code, failed.String())
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q (%v)", b, err)
	}
}

// Output that cannot be written is a failure: a script that reads a version or an answer
// from a full disk reads nothing.
func TestOutputThatCannotBeWritten(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"--version"}, {"--help"}, {"do", "--help"}} {
		var errs strings.Builder
		if code := run(t.Context(), args, full, &errs); code != exitFailure || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: %d %q", args, code, errs.String())
		}
	}
}

func TestUsage(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(bad, []byte("csq 7\nbogus\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--personality", "air9000"}, "there are 2g, air724"},
		{[]string{"--baud", "12345"}, "not a rate"},
		{[]string{"--bogus"}, "not defined: --bogus"},
		{[]string{"--rtt", "5"}, `--rtt "5": that is not a number with its unit, as in 80ms or 1h`},
		{[]string{"--csq", "x"}, `--csq "x": that is not a whole number`},
		{[]string{"stray"}, `"stray" is not an option`},
		{[]string{"--csq", "32"}, "--csq is 0 to 31"},
		{[]string{"--rtt", "-1s"}, "--rtt"},
		{[]string{"--device", "=x"}, "NAME or NAME=SECRET"},
		{[]string{"--script", bad}, `line 2: unknown command "bogus"`},
		{[]string{"--script", bad + "x"}, "no such file"},
		{[]string{"do"}, "the command is missing"},
		{[]string{"do", "help"}, "no control socket"},
		{[]string{"do", "--bogus"}, "not defined"},
	} {
		t.Setenv(controlVariable, "")
		var out, failed bytes.Buffer
		if code := run(t.Context(), c.args, &out, &failed); code != exitUsage || !strings.Contains(failed.String(), c.want) || out.Len() > 0 {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q, want %q", c.args, code, out.String(), failed.String(), c.want)
		}
	}
	gone := filepath.Join(t.TempDir(), "gone")
	var told bytes.Buffer
	if code := run(t.Context(), []string{"do", "--control", gone, "help"}, io.Discard, &told); code != exitUnavailable || told.String() != "airsim do: no airsim answers at "+gone+": no such file or directory\n" {
		t.Errorf("do without an airsim: exit code %d, %q", code, told.String())
	}
	for arg, want := range map[string]string{"--help": "examples:", "--version": "airsim "} {
		var out, failed bytes.Buffer
		if code := run(t.Context(), []string{arg}, &out, &failed); code != exitOK || !strings.Contains(out.String(), want) || failed.Len() > 0 {
			t.Errorf("%s: exit code %d, %q %q", arg, code, out.String(), failed.String())
		}
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"do", "--help"}, &out, io.Discard); code != exitOK || !strings.Contains(out.String(), "usage: airsim do") {
		t.Errorf("do --help: exit code %d, %q", code, out.String())
	}
}

// The account of the command line.
func TestAccount(t *testing.T) {
	s, err := parseFlags([]string{"--product-key", "pk", "--product-secret", "ps", "--device", "a", "--device", "b=secret", "--seed", "9"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p := s.cloud.Products["pk"]
	if p.Secret != "ps" || strings.Join(p.Devices, " ") != "a b" || p.DeviceSecrets["b"] != "secret" || len(p.DeviceSecrets) != 1 || s.cloud.Seed != 9 {
		t.Errorf("got %+v", s.cloud)
	}
	s, err = parseFlags(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p = s.cloud.Products["b1KCi45LcCP"]
	if p.Secret != "VWll9fiYWKiwraBk" || p.Devices != nil || p.DeviceSecrets["862991419835241"] != "mRMyB50qafv74A5FofvhxZ2h9iTL9wX7" {
		t.Errorf("without options: %+v", s.cloud)
	}
}

// Words that the shell has split become one command that reads back the same.
func TestWordsBecomeALine(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"drop PUBACK count=2"}, "drop PUBACK count=2"},
		{[]string{"drop", "CONNECT OK"}, `drop "CONNECT OK"`},
		{[]string{"inject", "a\r\n\"b\"\\"}, `inject "a\x0d\x0a\"b\"\\"`},
		{[]string{"push", "/a", ""}, `push /a ""`},
	} {
		if got := line(c.words); got != c.want {
			t.Errorf("%q became %s, want %s", c.words, got, c.want)
		}
	}
}
