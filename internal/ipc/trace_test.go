package ipc

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/bus"
)

// The recorder as it is now: lines of JSON that end by themselves.
func TestTraceShowsTheRecorder(t *testing.T) {
	t.Parallel()
	flight := bus.NewFlight()
	d := startDaemon(t, func(o *Options) { o.Flight = flight })
	if resp, body := d.ask(http.MethodGet, "/v1/trace", ""); resp.StatusCode != http.StatusOK || body != "" {
		t.Fatalf("an empty recorder: %s %q", resp.Status, body)
	}
	for n := range 5000 {
		flight.Add(bus.Sent, fmt.Appendf(nil, "AT %d", n), 4)
	}
	resp, body := d.ask(http.MethodGet, "/v1/trace", "")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if resp.Header.Get("Content-Type") != "application/x-ndjson" || len(lines) != 2048 {
		t.Fatalf("%s, %d lines", resp.Header.Get("Content-Type"), len(lines))
	}
	if first, last := lines[0], lines[2047]; !strings.HasPrefix(first, `{"type":"traffic","seq":2953,"at":"`) || !strings.HasSuffix(last, `"dir":"tx","text":"AT 4999","bytes":4}`) {
		t.Errorf("from %s to %s", first, last)
	}
}

// A reader that follows sees what is there, what comes, heartbeats, and where it
// missed something.
func TestTraceFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		flight := bus.NewFlight()
		d, _ := virtualDaemon(t, func(o *Options) { o.Flight = flight })
		defer d.stop()
		flight.Note("before")
		r := d.open("/v1/trace?follow=1")
		expect(t, "what was there", fmt.Sprint(r.object()["text"]), "before")
		flight.Note("after")
		expect(t, "what came", fmt.Sprint(r.object()["text"]), "after")
		begun := time.Now()
		expect(t, "silence", fmt.Sprint(r.object()["type"]), "heartbeat")
		if d := time.Since(begun); d != beatTime {
			t.Errorf("the heartbeat came after %v", d)
		}
		// net.Pipe holds nothing: the server waits in its write while this goes on.
		for n := range 5000 {
			flight.Note(fmt.Sprint(n))
		}
		gaps, last := 0.0, ""
		for last != "4999" {
			o := r.object()
			switch o["type"] {
			case "gap":
				gaps += o["dropped"].(float64)
			case "traffic":
				last = fmt.Sprint(o["text"])
			}
		}
		if gaps < 2000 {
			t.Errorf("%v lines were missed; so many were overwritten that it must be more", gaps)
		}
	})
}
