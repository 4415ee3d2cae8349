package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"airbridged/internal/bus"
	"airbridged/internal/ipc"
)

const dumped = `{"type":"dump","at":"2026-11-22T08:00:00Z","rung":"reset","cause":"no-answer"}
{"type":"traffic","seq":7,"at":"2026-11-22T07:59:50Z","elapsed_seconds":12.3,"dir":"tx","text":"AT+MPUB=[38 bytes],1,0,[12 bytes]","bytes":66}
{"type":"traffic","seq":8,"at":"1970-01-01T00:00:00Z","elapsed_seconds":12.3455,"dir":"rx","text":"OK","bytes":2}
{"type":"gap","dropped":3}
{"type":"traffic","seq":12,"at":"2026-11-22T07:59:59.5Z","elapsed_seconds":21.8,"dir":"note","text":"online -> recovering, cause closed","bytes":0}
{"type":"news","of":"a newer daemon"}
`

const dumpedText = `07:59:50.000           > AT+MPUB=[38 bytes],1,0,[12 bytes]
00:00:00.000    +0.045 < OK
                         3 lines were overwritten before they could be read
07:59:59.500           - online -> recovering, cause closed
`

// A dump reads like the recorder itself; the time between two lines does not
// follow a clock that was set.
func TestTraceOfADump(t *testing.T) {
	t.Setenv("TZ", "UTC")
	path := filepath.Join(t.TempDir(), "000001-reset-no-answer.ndjson")
	if err := os.WriteFile(path, []byte(dumped), 0o600); err != nil {
		t.Fatal(err)
	}
	zone := regexp.MustCompile(`(?m)^\d\d:`) // whatever zone the tests run in
	for _, arg := range []string{path, "-"} {
		code, out, stderr := ctl(strings.NewReader(dumped), "trace", arg)
		if code != 0 || stderr != "" || zone.ReplaceAllString(out, "..:") != zone.ReplaceAllString(dumpedText, "..:") {
			t.Errorf("trace %s: %d %q\n%s", arg, code, stderr, out)
		}
	}
	if code, _, stderr := ctl(nil, "trace", path+".gone"); code != exitRefused || !strings.Contains(stderr, "no such file") {
		t.Errorf("%d %q", code, stderr)
	}
	if code, _, stderr := ctl(strings.NewReader("not JSON\n"), "trace", "-"); code != exitRefused || !strings.Contains(stderr, "trace of airbridged") {
		t.Errorf("%d %q", code, stderr)
	}
}

func TestTraceOfTheDaemon(t *testing.T) {
	flight := bus.NewFlight()
	d := start(t, func(o *ipc.Options) { o.Flight = flight })
	if code, out, stderr := ctl(nil, "trace"); code != 0 || out != "" || !strings.Contains(stderr, "no traffic yet") {
		t.Errorf("%d %q %q", code, out, stderr)
	}
	flight.Add(bus.Sent, []byte("AT+CSQ"), 6)
	flight.Add(bus.Received, []byte("+CSQ: 22,99"), 11)
	code, out, _ := ctl(nil, "trace")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 2 || !strings.HasSuffix(lines[0], " > AT+CSQ") || !strings.HasSuffix(lines[1], " < +CSQ: 22,99") {
		t.Errorf("%d\n%s", code, out)
	}
	_, out, _ = ctl(nil, "trace", "--json")
	var first map[string]any
	if err := json.Unmarshal([]byte(strings.Split(out, "\n")[0]), &first); err != nil || first["type"] != "traffic" || first["dir"] != "tx" || first["bytes"] != 6.0 {
		t.Errorf("%v %v", first, err)
	}
	d.Stop()
	if code, _, _ := ctl(nil, "trace"); code != exitUnreachable {
		t.Errorf("without a daemon: %d", code)
	}
}

// -f shows what was there and what comes, until the daemon stops.
func TestTraceFollowsTheDaemon(t *testing.T) {
	for _, c := range []struct{ args, first, second string }{
		{"trace -f", "- before\n", "- after\n"},
		{"trace -f --json", `"text":"before"`, `"text":"after"`},
	} {
		flight := bus.NewFlight()
		d := start(t, func(o *ipc.Options) { o.Flight = flight })
		flight.Note("before")
		in, out := io.Pipe()
		done := make(chan int, 1)
		go func() {
			done <- run(strings.Fields(c.args), nil, out, io.Discard)
			_ = out.Close()
		}()
		lines := bufio.NewReader(in)
		if line, err := lines.ReadString('\n'); !strings.Contains(line, c.first) {
			t.Errorf("%q, %v", line, err)
		}
		flight.Note("after")
		if line, err := lines.ReadString('\n'); !strings.Contains(line, c.second) {
			t.Errorf("%q, %v", line, err)
		}
		d.Stop()
		if code := <-done; code != exitUnreachable {
			t.Errorf("%d", code)
		}
	}
}
