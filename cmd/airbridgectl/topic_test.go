package main

import (
	"strings"
	"testing"
	"time"

	"airbridged/client"
	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/ipc/ipctest"
	"airbridged/internal/outbox"
)

// Whoever copies topics from an example publishes to the example's device, is told "acked",
// and the cloud has dropped it: pub says so, and topic prints the device's own.
func TestTopicsOfTheDevice(t *testing.T) {
	d := start(t, nil)
	if code, _, stderr := ctl(nil, "topic", "update"); code != exitTryAgain || !strings.Contains(stderr, "IMEI") {
		t.Errorf("before the module was asked: %d %q", code, stderr)
	}
	d.Board.Update(func(s *bus.Status) {
		s.Identity = api.Identity{ProductKey: "a1b2c3", DeviceName: bus.Known("gw-1")}
	})
	for args, want := range map[string]string{
		"topic update":                    ipctest.UpdateTopic + "\n",
		"topic /update":                   ipctest.UpdateTopic + "\n",
		"topic thing/event/property/post": "/sys/a1b2c3/gw-1/thing/event/property/post\n",
		"topic --json update":             `{"topic":"` + ipctest.UpdateTopic + `"}` + "\n",
	} {
		if code, stdout, stderr := ctl(nil, strings.Fields(args)...); code != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: %d %q %q", args, code, stdout, stderr)
		}
	}
	if _, _, stderr := ctl(nil, "pub", ipctest.UpdateTopic, "x"); stderr != "" {
		t.Errorf("its own topic: %q", stderr)
	}
	code, stdout, stderr := ctl(nil, "pub", "--json", "/b1KCi45LcCP/862991419835241/update", "x")
	if code != 0 || !strings.Contains(stdout, `"warning":"topic-foreign"`) || !strings.Contains(stderr, "drops it") || !strings.Contains(stderr, "/a1b2c3/gw-1/") {
		t.Errorf("another device's topic: %d %q %q", code, stdout, stderr)
	}
}

// What became of a message is asked by its id, and shows in the exit status.
func TestMessageTellsWhatBecameOfOne(t *testing.T) {
	start(t, nil)
	id := func(topic string) string {
		t.Helper()
		_, stdout, _ := ctl(nil, "pub", "--wait", "1m", topic, "x")
		name, _, _ := strings.Cut(stdout, " ")
		return name
	}
	if code, stdout, _ := ctl(nil, "message", id(ipctest.UpdateTopic)); code != 0 || !strings.Contains(stdout, "acked: the cloud has it") {
		t.Errorf("%d %q", code, stdout)
	}
	rejected := id(ipctest.RejectTopic)
	if code, stdout, _ := ctl(nil, "message", rejected); code != 1 || !strings.Contains(stdout, "reason     this module cannot carry it") {
		t.Errorf("%d %q", code, stdout)
	}
	if code, stdout, _ := ctl(nil, "message", rejected, "--json"); code != 1 || !strings.Contains(stdout, `"state":"rejected"`) {
		t.Errorf("%d %q", code, stdout)
	}
	if code, _, stderr := ctl(nil, "message", "000000000000ffff"); code != 1 || !strings.Contains(stderr, "is known") {
		t.Errorf("%d %q", code, stderr)
	}
}

// Which files are in effect, and which value stands where: after three drop-ins nobody
// knows by heart.
func TestConfigShowsWhatIsInEffect(t *testing.T) {
	start(t, func(o *ipc.Options) {
		o.Config = func() api.Config {
			return api.Config{
				Files: []string{"/etc/a.toml", "/etc/a.toml.d/site.toml"},
				Settings: []api.Setting{
					{Key: "modem.device", Value: `"/dev/ttyUSB0"`, File: "/etc/a.toml.d/site.toml", Line: 2},
					{Key: "modem.baud", Value: "0"},
				},
				NeedsRestart: []string{"cloud.keepalive"},
			}
		}
	})
	code, stdout, stderr := ctl(nil, "config")
	if code != 0 || !strings.Contains(stdout, `modem.device = "/dev/ttyUSB0"`) || !strings.Contains(stdout, "# /etc/a.toml.d/site.toml:2\n") || strings.Contains(stdout, "baud") {
		t.Errorf("%d %q", code, stdout)
	}
	if !strings.Contains(stderr, "after a restart: cloud.keepalive") {
		t.Errorf("%q", stderr)
	}
	if _, stdout, _ := ctl(nil, "config", "--all"); !strings.Contains(stdout, "modem.baud = 0") || !strings.Contains(stdout, "# default\n") {
		t.Errorf("%q", stdout)
	}
}

// Seen: "the message was expired".
func TestWordsOfABadEnd(t *testing.T) {
	for end, want := range map[[2]string]string{
		{"expired", "expired"}:                 "the message expired before the cloud had it, and is not sent any more",
		{"dropped", ""}:                        "the message was dropped",
		{"rejected", "a byte it cannot carry"}: "the message was rejected: a byte it cannot carry",
	} {
		if got := endWords(client.State(end[0]), end[1]); got != want {
			t.Errorf("%v: %q", end, got)
		}
	}
}

// Seen: "the message was expired: expired".
func TestReasonThatSaysNothingMoreIsNotToldTwice(t *testing.T) {
	d := start(t, nil)
	go func() { // the session's part
		for {
			page, _ := d.Queue.List("", 1)
			if len(page) == 1 && page[0].State == outbox.InFlight {
				_ = d.Queue.Done(page[0].ID, outbox.Rejected, "rejected")
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	code, _, stderr := ctl(nil, "pub", "--wait", "1m", "/a1b2c3/gw-1/other", "x")
	if code != exitRefused || !strings.Contains(stderr, "the message was rejected\n") {
		t.Errorf("%d %q", code, stderr)
	}
}
