package main

import (
	"context"
	"os/user"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/ipc"
)

// TestSubscriptions: what is printed by sub --name is acknowledged and does not come
// again; what waits is listed, and can be dropped.
func TestSubscriptions(t *testing.T) {
	var hub *bus.Hub
	start(t, func(o *ipc.Options) {
		hub = o.Hub
		store, err := downlink.Open(downlink.Options{Dir: t.TempDir(), Hub: o.Hub})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() { _ = store.Run(ctx) })
		t.Cleanup(func() {
			cancel()
			all.Wait()
			_ = store.Close()
		})
		o.Downlink = store
	})
	if code, out, errs := ctl(nil, "subscriptions"); code != 0 || out != "" || errs != "airbridgectl: messages are kept for nobody\n" {
		t.Errorf("none: %d, %q, %q", code, out, errs)
	}
	printed := make(chan string, 1)
	go func() {
		_, out, _ := ctl(nil, "sub", "--name", "pump", "-n", "1", "-t", "/a/get")
		printed <- out
	}()
	for len(hub.Wanted()) == 0 {
		time.Sleep(time.Millisecond)
	}
	for _, text := range []string{"one", "two", "three"} {
		hub.Publish(bus.Message{Topic: "/a/get", Payload: []byte(text)})
	}
	if out := <-printed; out != "one\n" {
		t.Errorf("printed %q", out)
	}
	if code, out, errs := ctl(nil, "sub", "--name", "pump", "-n", "1"); code != 0 || out != "/a/get two\n" {
		t.Errorf("by name alone: %d, %q, %q", code, out, errs)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := ctl(nil, "subscriptions")
	want := regexp.MustCompile(`^KIND +WAITING +BYTES +AGE USER +NAME AND FILTERS\nhttp +1 +11 +\ds ` + me.Username + ` +"?pump /a/get"?\n$`)
	if code != 0 || !want.MatchString(out) {
		t.Errorf("listed: %d, %q, %q", code, out, errs)
	}
	if code, out, _ = ctl(nil, "subscriptions", "--json"); code != 0 || !strings.HasPrefix(out, `{"name":"pump","user":"`+me.Username+`","kind":"http","filters":["/a/get"],"waiting":1,"bytes":11,"since":"`) {
		t.Errorf("listed: %d, %q", code, out)
	}
	if code, out, errs = ctl(nil, "subscriptions", "drop", "pump"); code != 0 || out != "1 dropped\n" {
		t.Errorf("dropped: %d, %q, %q", code, out, errs)
	}
	if code, _, errs = ctl(nil, "subscriptions", "drop", "pump"); code != 1 || !strings.Contains(errs, "no subscription") {
		t.Errorf("dropped twice: %d, %q", code, errs)
	}
	for _, args := range [][]string{{"sub"}, {"subscriptions", "x"}, {"subscriptions", "drop"}} {
		if code, _, _ := ctl(nil, args...); code != 64 {
			t.Errorf("%q: %d", args, code)
		}
	}
}
