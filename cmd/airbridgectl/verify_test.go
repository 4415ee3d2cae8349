package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airbridged/internal/outbox"
)

// On a stopped daemon's directory verify counts what waits; on a running one's
// it keeps off; on a damaged one it says so, and changes nothing.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	q, err := outbox.Open(dir, outbox.Limits{}, outbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	for _, payload := range []string{"one", "two", "three"} {
		if _, err := q.Append(t.Context(), outbox.Message{Topic: "/a", QoS: 1, Priority: outbox.Normal, Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := ctl(nil, "outbox", "verify", dir); code != exitTryAgain {
		t.Errorf("while a daemon runs on it: exit %d, %s", code, errs)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}

	code, out, errs := ctl(nil, "outbox", "verify", dir)
	if code != exitOK || !strings.Contains(out, "waiting    3 messages, 17 bytes") || !strings.Contains(out, "damaged    0 records") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	spoiled := spoil(t, dir, "two")
	code, out, errs = ctl(nil, "--json", "outbox", "verify", dir)
	if code != exitRefused || !strings.Contains(errs, "damaged") || strings.Contains(out, `"damaged":0`) || !strings.Contains(out, `"notes":["`) {
		t.Errorf("damaged: exit %d\n%s%s", code, out, errs)
	}
	after, err := os.ReadFile(spoiled.name)
	if err != nil || !bytes.Equal(after, spoiled.data) {
		t.Errorf("verify changed %s (%v)", spoiled.name, err)
	}
	if code, _, errs := ctl(nil, "outbox", "verify", filepath.Join(dir, "none")); code != exitRefused || !strings.Contains(errs, "no such file") {
		t.Errorf("no directory: exit %d, %s", code, errs)
	}
}

type file struct {
	name string
	data []byte
}

// spoil flips a bit in the file that holds a payload.
func spoil(t *testing.T, dir, payload string) file {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // a directory
		}
		if i := bytes.Index(data, []byte(payload)); i >= 0 {
			data[i] ^= 1
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return file{name, data}
		}
	}
	t.Fatalf("no file under %s holds %q", dir, payload)
	return file{}
}
