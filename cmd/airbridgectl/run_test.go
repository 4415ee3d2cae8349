package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"airbridged/client"
	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/ipc/ipctest"
)

func TestMain(m *testing.M) {
	// Package os/signal keeps its one goroutine once a signal was asked for.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/signal.signal_recv"))
}

func start(t *testing.T, change func(*ipc.Options)) *ipctest.Daemon {
	t.Helper()
	d := ipctest.Start(change)
	t.Cleanup(d.Stop)
	t.Setenv(client.SocketVariable, d.Socket)
	return d
}

// ctl runs the program to its end.
func ctl(stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, stdin, &out, &err)
	return code, out.String(), err.String()
}

func TestUsageErrors(t *testing.T) {
	t.Setenv(client.SocketVariable, "/nonexistent/socket")
	for _, c := range []struct{ args, says string }{
		{"", "no command"},
		{"frobnicate", `no command "frobnicate"; there are ` + commandNames() + " and help"},
		{"stauts", `no command "stauts"; did you mean status?`},
		{"help evnets", `did you mean events?`},
		{"hlep", `did you mean help?`},
		{"status --wacth", "-wacth; did you mean --watch?"},
		{"status --check --watch", "does not go with it"},
		{"--jsno status", "did you mean --json?"},
		{"status --colour always", "did you mean --color?"},
		{"pub --pritority high /a x", "did you mean --priority?"},
		{"status --color sometimes", "auto, always or never"},
		{"events -n -1", "from 1 on"},
		{"--frob status", "not defined"},
		{"status now", "takes no arguments"},
		{"status --frob", "airbridgectl status --help"},
		{"events now", "takes no arguments"},
		{"trace a b", "one file"},
		{"at", "one command"},
		{"at AT+CSQ AT", "one command"},
		{"reprovision", "add --yes"},
		{"reprovision --yes now", "takes no arguments"},
		{"trace -f a", "does not go with it"},
		{"version now", "takes no arguments"},
		{"reload now", "takes no arguments"},
		{"outbox frobnicate", "there are drop, retarget and verify"},
		{"outbox verify", "takes one directory"},
		{"outbox list", "there are drop, retarget and verify"},
		{"outbox -n -1", "from 1 on"},
		{"outbox --watch -n 3", "does not go with it"},
		{"outbox --topic /a", "airbridgectl outbox --help"},
		{"outbox --watch drop x", "-watch is no flag of outbox drop"},
		{"outbox drop", "at least one id, or --topic"},
		{"outbox drop --topic", "--topic needs a value"},
		{"outbox drop x --topic /a", "not both"},
		{"outbox drop --watch", "airbridgectl outbox drop --help"},
		{"pub", "topic and a payload"},
		{"pub /a b c", "quote a payload with blanks"},
		{"pub /a -5", "-- goes before"},
		{"pub /a x --wait soon", `--wait "soon": that is no duration: write a number with its unit, as in 90s or 1h`},
		{"sub", "at least one topic filter"},
		{"sub -n -1 /a", "from 1 on"},
		{"sub -n many /a", `-n "many": that is no whole number`},
		{"status --check=maybe", `--check "maybe": it takes no value`},
		{"publish /a x", "did you mean pub?"}, // as other programs have it
		{"subscribe /a", "did you mean sub?"},
		{"logs", "did you mean events?"},
		{"help frobnicate", "no command"},
	} {
		code, stdout, stderr := ctl(nil, strings.Fields(c.args)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.says) || !strings.Contains(stderr, "usage: airbridgectl") {
			t.Errorf("%q: %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	code, program, _ := ctl(nil, "--help")
	if code != 0 {
		t.Fatal(code)
	}
	all := program
	for _, c := range withSubs(commands) {
		if !strings.Contains(program, "\n  "+c.name+" ") {
			t.Errorf("%s is not in the program's help", c.name)
		}
		name := strings.Fields(c.name)
		_, want, _ := ctl(nil, append([]string{"help"}, name...)...)
		for _, args := range [][]string{append(name[:len(name):len(name)], "--help"), append(name[:len(name):len(name)], "-h"), append([]string{"--help"}, name...)} {
			if code, got, _ := ctl(nil, args...); code != 0 || got != want {
				t.Errorf("%v: %d, %q", args, code, got)
			}
		}
		if !strings.Contains(want, "usage: airbridgectl "+c.name+" [FLAGS]") || !strings.Contains(want, "examples:\n  airbridgectl "+c.name) {
			t.Errorf("help of %s: %s", c.name, want)
		}
		all += want
	}
	if _, again, _ := ctl(nil, "help"); again != program {
		t.Errorf("help and --help differ")
	}
	for line := range strings.SplitSeq(all, "\n") {
		if len(line) > 80 {
			t.Errorf("line is too long for a terminal: %s", line)
		}
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := ctl(nil, "--version"); code != 0 || !strings.HasPrefix(out, "airbridgectl ") || !strings.Contains(out, "go1.") {
		t.Errorf("%d %q", code, out)
	}
	_, out, _ := ctl(nil, "version", "--json")
	var v map[string]string
	if err := json.Unmarshal([]byte(out), &v); err != nil || v["go"] == "" {
		t.Errorf("%q: %v", out, err)
	}
	if v["version"] != "0.0.0-unversioned" || v["commit"] != "unknown" { // what airbridged and airsim say of such a build
		t.Errorf("built without make: %v", v)
	}
}

func TestPub(t *testing.T) {
	file := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	const waits = "/a1b2c3/gw-1/waits"
	for _, c := range []struct {
		name    string
		args    []string
		stdin   io.Reader
		payload string
		qos     byte
		state   string
	}{
		{"argument", []string{"pub", waits, "hello"}, nil, "hello", 1, "queued"},
		{"flags last", []string{"pub", waits, "hello", "--qos", "0"}, nil, "hello", 0, "held"},
		{"flags between", []string{"pub", waits, "--qos=1", "hello", "--ttl", "1h"}, nil, "hello", 1, "queued"},
		{"stdin", []string{"pub", waits, "-"}, strings.NewReader("a\x00b\n"), "a\x00b\n", 1, "queued"},
		{"no payload", []string{"pub", waits}, null, "", 1, "queued"},
		{"no payload, no stdin", []string{"pub", waits}, nil, "", 1, "queued"},
		{"empty payload", []string{"pub", waits, ""}, nil, "", 1, "queued"},
		{"payload like a flag", []string{"pub", waits, "--", "--qos"}, nil, "--qos", 1, "queued"},
		{"negative number", []string{"pub", "--qos", "1", "--", waits, "-5.5"}, nil, "-5.5", 1, "queued"},
		{"wait", []string{"pub", "--wait", "10s", ipctest.UpdateTopic, "x"}, nil, "", 1, "acked"},
		{"wait for best effort", []string{"pub", "--wait", "10s", "--qos", "0", ipctest.UpdateTopic, "x"}, nil, "", 0, "sent"},
		{"-t, -m, -q", []string{"pub", "-t", waits, "-m", "hello", "-q", "0"}, nil, "hello", 0, "held"},
		{"-t, -f", []string{"pub", "-t", waits, "-f", file}, nil, "from a file", 1, "queued"},
		{"-m with a topic", []string{"pub", waits, "-m", ""}, nil, "", 1, "queued"},
		{"key", []string{"pub", "--key", "k 1", waits, "x"}, nil, "x", 1, "queued"},
		{"latest, priority", []string{"pub", "--latest", "--priority", "high", waits, "x"}, nil, "x", 1, "queued"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := start(t, nil)
			code, out, errs := ctl(c.stdin, c.args...)
			id, state, _ := strings.Cut(strings.TrimSuffix(out, "\n"), " ")
			if code != 0 || errs != "" || state != c.state {
				t.Fatalf("%d, %q, %q", code, out, errs)
			}
			m, err := d.Queue.Get(id)
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Payload) != c.payload || m.QoS != c.qos {
				t.Errorf("kept %q with QoS %d", m.Payload, m.QoS)
			}
		})
	}
}

// Every line is a message, as with mosquitto_pub -l; it stops at the first one that
// is not kept, and says where, so that nothing is lost or sent twice.
func TestPubLines(t *testing.T) {
	d := start(t, nil)
	const waits = "/a1b2c3/gw-1/waits"
	code, out, errs := ctl(strings.NewReader("one\n\ntwo\nthree"), "pub", "-t", waits, "-l", "-r")
	if code != 0 || strings.Count(out, " queued\n") != 3 || !strings.Contains(errs, "-r does nothing") {
		t.Fatalf("%d, %q, %q", code, out, errs)
	}
	var got []string
	for line := range strings.Lines(out) {
		id, _, _ := strings.Cut(line, " ")
		m, err := d.Queue.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.Payload))
	}
	if fmt.Sprint(got) != "[one two three]" {
		t.Errorf("%q were kept", got)
	}
	many := strings.Repeat("x\n", ipctest.Messages+5)
	code, out, errs = ctl(strings.NewReader(many), "pub", "-t", waits, "-l")
	if n := strings.Count(out, " queued\n"); code == 0 || n == 0 || n > ipctest.Messages || !strings.Contains(errs, fmt.Sprintf("stopped at line %d", n+1)) {
		t.Errorf("%d, %d are kept, %q", code, n, errs)
	}
	if code, _, errs := ctl(strings.NewReader("x\n"), "pub", "-t", "/a/+", "-l"); code == 0 {
		t.Errorf("a topic that is none: %d, %q", code, errs)
	}
}

// More than one payload, or none to be found, is a mistake and sends nothing.
func TestPubHabitMistakes(t *testing.T) {
	d := start(t, nil)
	for _, c := range []struct{ args, says string }{
		{"-t /a x", "goes behind -m, -f or -l"},
		{"-t /a -m x -l", "more than one payload"},
		{"/a x -m y", "more than one payload"},
		{"-m x", "takes a topic"},
		{"-t /a -f /nonexistent", "no such file"},
		{"-t /a -l --key k", "-l sends many"},
	} {
		code, _, errs := ctl(strings.NewReader("x\n"), append([]string{"pub"}, strings.Fields(c.args)...)...)
		if code != exitUsage || !strings.Contains(errs, c.says) {
			t.Errorf("pub %s: %d, %q; want %q", c.args, code, errs, c.says)
		}
	}
	if n := d.Queue.Stats().Messages; n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// sub -t prints the payload alone, -v the topic too, -C ends after so many.
func TestSubHabit(t *testing.T) {
	d := start(t, nil)
	for args, want := range map[string]string{"-t /a/b/get -C 1": "hello\n", "-t /a/b/get -t /a/b/other -v -C 1": "/a/b/get hello\n"} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if code, out, errs := ctl(nil, append([]string{"sub"}, strings.Fields(args)...)...); code != 0 || out != want {
				t.Errorf("sub %s: %d, %q, %q", args, code, out, errs)
			}
		}()
		for over := false; !over; {
			d.Hub.Publish(bus.Message{Topic: "/a/b/get", Payload: []byte("hello"), ReceivedAt: time.Now()})
			select {
			case <-done:
				over = true
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

func TestPubJSON(t *testing.T) {
	start(t, nil)
	for _, args := range [][]string{{"--json", "pub", "--wait", "9s", ipctest.UpdateTopic, "x"}, {"pub", ipctest.UpdateTopic, "x", "--wait=9s", "--json"}} {
		code, out, errs := ctl(nil, args...)
		var v map[string]string
		if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || errs != "" || v["state"] != "acked" || v["id"] == "" || len(v) != 2 {
			t.Errorf("%d, %q, %q", code, out, errs)
		}
	}
}

// `sensor | airbridgectl pub TOPIC` looks as if it sent the reading. It would
// send an empty message and exit 0.
func TestPubDoesNotIgnoreAPipe(t *testing.T) {
	d := start(t, nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	code, _, errs := ctl(r, "pub", "/a")
	if code != exitUsage || !strings.Contains(errs, "add - to send it") {
		t.Errorf("%d, %q", code, errs)
	}
	if n := d.Queue.Stats().Messages; n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	if code, _, errs := ctl(r, "pub", "/a", "given"); code != 0 {
		t.Errorf("with a payload: %d, %q", code, errs)
	}
}

func TestPubWaitEnds(t *testing.T) {
	start(t, nil)
	code, out, errs := ctl(nil, "pub", "--wait", "10s", ipctest.RejectTopic, "x")
	if code != exitRefused || !strings.HasSuffix(out, " rejected\n") || !strings.Contains(errs, "the message was rejected: this module cannot carry it") {
		t.Errorf("rejected: %d, %q, %q", code, out, errs)
	}
	code, out, errs = ctl(nil, "pub", "--wait", "1ms", "/a1b2c3/gw-1/waits", "x")
	if code != exitKept || !strings.HasSuffix(out, "queued\n") && !strings.HasSuffix(out, "inflight\n") || !strings.Contains(errs, "do not send it again") {
		t.Errorf("waits: %d, %q, %q", code, out, errs)
	}
	code, out, errs = ctl(strings.NewReader("one\ntwo\n"), "pub", "--wait", "1ms", "-l", "-t", "/a1b2c3/gw-1/waits")
	if code != exitKept || strings.Count(out, "\n") != 2 || strings.Contains(errs, "stopped at line") {
		t.Errorf("lines that are kept: %d, %q, %q", code, out, errs)
	}
}

func TestRefusalsHaveTheirExitStatus(t *testing.T) {
	refuse := func(err error) func(*ipc.Options) {
		return func(o *ipc.Options) { o.Carry = func(string, []byte) error { return err } }
	}
	for _, c := range []struct {
		name   string
		change func(*ipc.Options)
		args   string
		fill   int
		code   int
		says   string
	}{
		{"bad topic", nil, "pub /a/# x", 0, exitRefused, "hint: nothing was kept"},
		{"qos 2", nil, "pub --qos 2 /a x", 0, exitRefused, "the cloud has no QoS 2"},
		{"qos 7", nil, "pub --qos 7 /a x", 0, exitRefused, "no quality of service"},
		{"priority", nil, "pub --priority urgent /a x", 0, exitRefused, "high, normal or low"},
		{"long wait", nil, "pub --wait 2h /a x", 0, exitRefused, "the most is 1h"},
		{"negative wait", nil, "pub --wait -2h /a x", 0, exitRefused, "too short"},
		{"too large", refuse(&bus.CarryError{Reason: "too much for this module", TooLarge: true}), "pub /a x", 0, exitRefused, "too much for this module"},
		{"reserved", nil, "pub $airbridge/state x", 0, exitPermission, "never leave the gateway"},
		{"full", nil, "pub /a x", ipctest.Messages, exitTryAgain, "try again in 10 s"},
		{"bad filter", nil, "sub /a/#/b", 0, exitRefused, "hint: "},
		{"local filter", nil, "sub $airbridge/state", 0, exitPermission, "airbridgectl events -f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start(t, c.change)
			for range c.fill {
				if code, _, errs := ctl(nil, "pub", "/waits", "x"); code != 0 {
					t.Fatal(errs)
				}
			}
			code, out, errs := ctl(nil, strings.Fields(c.args)...)
			if code != c.code || out != "" || !strings.Contains(errs, c.says) {
				t.Errorf("%d, %q, %q", code, out, errs)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.sock")
	t.Setenv(client.SocketVariable, "/nonexistent/by/environment")
	for _, args := range [][]string{
		{"--socket", none, "status"},
		{"status", "--socket=" + none},
		{"pub", "/a", "x", "-socket", none},
		{"--socket", "/nonexistent", "sub", "/a", "--socket", none},
		{"--socket", none, "events"},
		{"--socket", none, "outbox"},
		{"outbox", "--socket", none, "--watch"},
		{"outbox", "--socket", none, "drop", "x"},
		{"outbox", "drop", "--topic", "/a", "--socket", none},
	} {
		code, out, errs := ctl(nil, args...)
		if code != exitUnreachable || out != "" || !strings.Contains(errs, none) || !strings.Contains(errs, "is airbridged running?") {
			t.Errorf("%v: %d, %q, %q", args, code, out, errs)
		}
	}
	if code, _, errs := ctl(nil, "status"); code != exitUnreachable || !strings.Contains(errs, "/nonexistent/by/environment") {
		t.Errorf("%d, %q", code, errs)
	}
}

func TestSub(t *testing.T) {
	d := start(t, nil)
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	payloads := []string{"on", "", "tab\there é", "two\nlines", "\x1b]0;owned\a", "\xff\x00", `"quoted"`}
	send := func() {
		d.Hub.Grant("/a/+")
		for _, p := range payloads {
			d.Hub.Publish(bus.Message{Topic: "/a/x", Payload: []byte(p), ReceivedAt: at})
		}
	}
	for _, c := range []struct {
		args   []string
		stdout string
		stderr string
	}{
		{
			[]string{"sub", "/a/+", "-n", fmt.Sprint(len(payloads))},
			"/a/x on\n/a/x \n/a/x tab\there é\n/a/x \"two\\nlines\"\n/a/x \"\\x1b]0;owned\\a\"\n/a/x base64:/wA=\n/a/x \"quoted\"\n",
			"airbridgectl: /a/+: waiting for the cloud to acknowledge\nairbridgectl: /a/+: acknowledged by the cloud\n",
		},
		{
			[]string{"--json", "sub", "-n", "1", "/a/+"},
			`{"type":"subscribed","topics":[{"topic":"/a/+","granted":true}]}` + "\n" +
				`{"type":"message","topic":"/a/x","payload":"on","encoding":"utf-8","received_at":"2026-11-22T08:00:00Z"}` + "\n",
			"",
		},
	} {
		var out, errs bytes.Buffer
		begun := &onWrite{do: sync.OnceFunc(send)} // its first word means that it is subscribed
		code := run(c.args, nil, io.MultiWriter(&out, begun), io.MultiWriter(&errs, begun))
		if code != 0 || out.String() != c.stdout || errs.String() != c.stderr {
			t.Errorf("%v: %d\n%s\n%s", c.args, code, out.String(), errs.String())
		}
	}
}

func TestStreamEndsWithTheDaemon(t *testing.T) {
	for _, args := range [][]string{{"events"}} {
		d := start(t, nil)
		var errs bytes.Buffer
		begun := &onWrite{do: func() { go d.Stop() }}
		code := run(args, nil, begun, io.MultiWriter(&errs, begun))
		if code != exitUnreachable || !strings.Contains(errs.String(), "airbridged is stopping") {
			t.Errorf("%v: %d, %q", args, code, errs.String())
		}
	}
}

func TestInterrupted(t *testing.T) {
	start(t, nil)
	begun := &onWrite{do: func() { _ = syscall.Kill(os.Getpid(), syscall.SIGTERM) }}
	if code := run([]string{"events"}, nil, begun, io.Discard); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
}

func TestEvents(t *testing.T) {
	d := start(t, nil)
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	d.Board.Emit(bus.At(at, bus.Changed(api.Change{From: "connecting", To: "recovering", Cause: "closed", Attempt: 2, WaitSeconds: 4.2})))
	var out bytes.Buffer
	begun := &onWrite{do: func() { go d.Stop() }}
	if code := run([]string{"events", "--json"}, nil, io.MultiWriter(&out, begun), io.Discard); code != exitUnreachable {
		t.Errorf("exit %d", code)
	}
	if want := `{"type":"state","at":"2026-11-22T08:00:00Z","from":"connecting","to":"recovering","cause":"closed","attempt":2,"wait_seconds":4.2}` + "\n"; out.String() != want {
		t.Errorf("got %s", out.String())
	}
}

// onWrite does something whenever it is written to.
type onWrite struct{ do func() }

func (o *onWrite) Write(p []byte) (int, error) {
	o.do()
	return len(p), nil
}

func TestEventText(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for want, v := range map[string]api.Event{
		`2026-11-22 08:00:00 online`: bus.At(at, bus.Changed(api.Change{To: "online"})),
		`2026-11-22 08:00:00 online -> recovering, cause closed, 2 failures in a row, next try in 1 min 4 s`: bus.At(at, bus.Changed(api.Change{From: "online", To: "recovering", Cause: "closed", Attempt: 2, WaitSeconds: 64})),
		`2026-11-22 08:00:00 warning gap: 3 events were missed`:                                              bus.At(at, bus.Warned("gap", "3 events were missed")),
		`2026-11-22 08:00:00 warning sim: "\x1b[2J"`:                                                         bus.At(at, bus.Warned("sim", "\x1b[2J")),
	} {
		if got := (&env{}).eventText(v); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

// A full disk behind stdout is a failure, not a success without output.
func TestFullDiskIsAFailure(t *testing.T) {
	d := start(t, nil)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	if code, _, errs := ctl(nil, "pub", "/a", "x"); code != 0 { // for outbox to show
		t.Fatal(errs)
	}
	// Of these only sub says a word on stderr before there is data: that it waits.
	begun := &onWrite{do: func() { d.Hub.Publish(bus.Message{Topic: "/a", Payload: []byte("x")}) }}
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"--help"}, {"version"}, {"sub", "/a"}, {"events"}, {"outbox"}, {"outbox", "--json"}, {"outbox", "--watch"}, {"outbox", "drop", "x"}, {"outbox", "drop", "--topic", "/x"}} {
		var errs bytes.Buffer
		if code := run(args, nil, full, io.MultiWriter(&errs, begun)); code != exitRefused || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: %d, %q", args, code, errs.String())
		}
	}
}

// The process of TestUnreadAnswerDoesNotChangeTheMessage.
func init() {
	if args := os.Getenv("AIRBRIDGECTL_TEST_MAIN"); args != "" {
		os.Exit(run(strings.Fields(args), nil, os.Stdout, os.Stderr))
	}
}

// The message was kept, or acknowledged, and the exit status said "refused" because
// the answer could not be written, or 141 because nobody read it: a script would have
// sent it again.
func TestUnreadAnswerDoesNotChangeTheMessage(t *testing.T) {
	d := start(t, nil)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	r, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer closed.Close()
	for _, c := range []struct {
		args   string
		stdout *os.File
		code   int
	}{
		{"pub --wait 10s " + ipctest.RejectTopic + " x", closed, exitRefused},
		{"pub /a x", full, 0},
		{"--json pub /a x", closed, 0},
		{"pub /a x", closed, 0},
	} {
		var errs bytes.Buffer
		ctl := exec.Command(os.Args[0])
		ctl.Env = append(os.Environ(), "AIRBRIDGECTL_TEST_MAIN="+c.args, client.SocketVariable+"="+d.Socket)
		ctl.Stdout, ctl.Stderr = c.stdout, &errs
		_ = ctl.Run()
		if code := ctl.ProcessState.ExitCode(); code != c.code || !strings.Contains(errs.String(), "cannot be written") || !strings.Contains(errs.String(), "message ") {
			t.Errorf("%s: exit status %d, want %d; %q", c.args, code, c.code, errs.String())
		}
	}
}

// A publish with a key is one message and one id, however often it is sent.
func TestPubWithAKey(t *testing.T) {
	d := start(t, nil)
	const waits = "/a1b2c3/gw-1/waits"
	_, first, _ := ctl(nil, "pub", "--key", "k", waits, "x")
	code, again, errs := ctl(nil, "pub", "--key", "k", waits, "x")
	if id, _, _ := strings.Cut(first, " "); code != 0 || !strings.HasPrefix(again, id+" ") || errs != "" {
		t.Errorf("%d, %q, %q; the first was %q", code, again, errs, first)
	}
	if n := d.Queue.Stats().Messages; n != 1 {
		t.Errorf("%d messages", n)
	}
	if code, _, errs := ctl(nil, "pub", "--key", "k", waits, "y"); code != exitRefused || !strings.Contains(errs, "key of its own") {
		t.Errorf("another message: %d, %q", code, errs)
	}
}
