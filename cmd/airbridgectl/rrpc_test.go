package main

import (
	"strings"
	"testing"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/ipc"
)

// TestCallsAreAnswered: by a line of standard input, and by what a command prints, which
// gets the call on its standard input. A command that fails answers nothing.
func TestCallsAreAnswered(t *testing.T) {
	var hub *bus.Hub
	d := start(t, func(o *ipc.Options) { hub = o.Hub })
	if code, _, errs := ctl(nil, "rrpc"); code != exitUsage || !strings.Contains(errs, "not known yet") {
		t.Errorf("without a device: %d, %q", code, errs)
	}
	name := "dn"
	d.Board.Update(func(s *bus.Status) { s.Identity.ProductKey, s.Identity.DeviceName = "pk", &name })
	for i, x := range []struct {
		stdin  string
		args   []string
		answer string
		says   string
	}{
		{"by hand\nmore\n", nil, "by hand", ""},
		{"no line end", nil, "no line end", ""},
		{"", []string{"--exec", "sed", "s/what/that/"}, "that?", ""},
		{"", []string{"--exec", "false"}, "", "is not answered: false: exit status 1"},
		{"", []string{"--exec", "/nonexistent/program"}, "", "is not answered"},
	} {
		done := make(chan string, 1)
		go func() {
			code, out, errs := ctl(strings.NewReader(x.stdin), append([]string{"rrpc", "-n", "1"}, x.args...)...)
			if code != 0 || !strings.HasSuffix(out, " what?\n") {
				t.Errorf("%q: %d, %q, %q", x.args, code, out, errs)
			}
			done <- errs
		}()
		for len(hub.Wanted()) == 0 {
			time.Sleep(time.Millisecond)
		}
		hub.Publish(bus.Message{Topic: "/sys/pk/dn/rrpc/request/" + string(rune('a'+i)), Payload: []byte("what?"), ReceivedAt: time.Now()})
		if errs := <-done; !strings.Contains(errs, x.says) {
			t.Errorf("%q: it says %q", x.args, errs)
		}
		a, _, ok := hub.Calls().Take()
		if ok != (x.answer != "") || string(a.Payload) != x.answer {
			t.Errorf("%q: answered %q, %v", x.args, a.Payload, ok)
		}
		for len(hub.Wanted()) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for _, args := range [][]string{{"rrpc", "x"}, {"rrpc", "-n", "-1"}} {
		if code, _, _ := ctl(nil, args...); code != exitUsage {
			t.Errorf("%q: %d", args, code)
		}
	}
}
