package session

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/durable"
	"airbridged/internal/recovery"
)

// Flash wears out: however often the ladder is climbed, over restarts too, the
// dumps keep to their bounds, and the newest are the ones that are kept.
func TestDumpsKeepToTheirBounds(t *testing.T) {
	t.Parallel()
	state := durable.OnDisk(t.TempDir())
	dir := state.Path(dumpDir)
	flight := bus.NewFlight()
	d := &dumps{dir: state}
	head := func() dumpHead { return dumpHead{"dump", time.Now(), "reset", recovery.NoAnswer} }
	write := func() string {
		t.Helper()
		flight.Note("something new")
		path, err := d.write(flight, head())
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	if path, err := d.write(flight, head()); path != "" || err != nil {
		t.Fatalf("a recorder without traffic was written to %s: %v", path, err)
	}
	if got := write(); got != filepath.Join(dir, "000001-reset-no-answer.ndjson") {
		t.Fatalf("the first dump is %q", got)
	}
	if got := write(); got != "" {
		t.Errorf("%s was written in the same moment", got)
	}
	// A daemon that is started anew every few seconds.
	for range 5 {
		d = &dumps{dir: state}
		if got := write(); got != "" {
			t.Errorf("%s was written by the next process", got)
		}
	}
	// A day with a climb every eleven minutes: the files are as old as they would be.
	written := 1
	for range 24 * 60 / 11 {
		age(t, state, 11*time.Minute)
		d = &dumps{dir: state}
		if write() != "" {
			written++
		}
	}
	if written != dumpsPerDay {
		t.Errorf("%d dumps in a day, want %d", written, dumpsPerDay)
	}
	age(t, state, 24*time.Hour)
	d = &dumps{dir: state}
	if got := filepath.Base(write()); got != fmt.Sprintf("%06d-reset-no-answer.ndjson", dumpsPerDay+1) {
		t.Errorf("the next day's first dump is %s", got)
	}
	if names := d.files(); len(names) != dumpsKept || !strings.HasPrefix(names[0], "000002-") {
		t.Errorf("%d are kept, the first is %s", len(names), names[0])
	}
	// Without anything new there is nothing to keep.
	age(t, state, time.Hour)
	d.times = nil
	if path, err := d.write(flight, head()); path != "" || err != nil {
		t.Errorf("the same traffic was written again: %s, %v", path, err)
	}
	// A clock that was set back leaves files of the future, which block nothing.
	age(t, state, -10*365*24*time.Hour)
	d = &dumps{dir: state}
	if write() == "" {
		t.Error("files of the future keep all dumps from being written")
	}
}

// age makes the dumps older than they are.
func age(t *testing.T, state durable.OnDisk, by time.Duration) {
	t.Helper()
	for _, name := range (&dumps{dir: state}).files() {
		path := state.Path(dumpDir + "/" + name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		at := info.ModTime().Add(-by)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// A dump is small, private, and in the form of GET /v1/trace.
func TestDumpHoldsTheLastTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		flight := bus.NewFlight()
		for n := range 2000 {
			flight.Add(bus.Sent, fmt.Appendf(nil, "AT+MPUB=[38 bytes],1,0,[%d bytes]", n), 60)
		}
		d := &dumps{dir: durable.OnDisk(t.TempDir())}
		path, err := d.write(flight, dumpHead{"dump", time.Now().UTC(), "radio", recovery.Closed})
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		if len(lines) != 1+dumpEntries || len(data) > 100<<10 || !bytes.Contains(lines[dumpEntries], []byte("[1999 bytes]")) {
			t.Errorf("%d lines, %d bytes, the last is %s", len(lines), len(data), lines[len(lines)-1])
		}
		if want := `{"type":"dump","at":"2000-01-01T00:00:00Z","rung":"radio","cause":"closed"}`; string(lines[0]) != want {
			t.Errorf("it begins with %s", lines[0])
		}
		for p, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
			if info, err := os.Stat(p); err != nil || info.Mode() != mode {
				t.Errorf("%s: %v, %v", p, info.Mode(), err)
			}
		}
	})
}
