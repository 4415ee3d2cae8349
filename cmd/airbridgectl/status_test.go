package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"airbridged/client"
	"airbridged/internal/bus"
)

func page(s client.Status, now time.Time, width int) string {
	return strings.Join((&env{}).statusPage(s, now, width), "\n") + "\n"
}

func ptr[T any](v T) *T { return &v }

// recoveringStatus has a value everywhere.
func recoveringStatus(now time.Time) client.Status {
	return client.Status{
		State: "recovering", Cause: "connack-refused", Since: now.Add(-92 * time.Second), Attempt: 3, NextAttemptAt: ptr(now.Add(130 * time.Second)),
		Hint:     "the MQTT server refuses the login: check the device secret, cloud.auth, and whether the device is disabled in the console",
		Identity: client.Identity{ProductKey: "a1b2c3", DeviceName: ptr("gw-1")},
		Modem: client.Modem{
			Model: ptr("Air780E"), Firmware: ptr("AirM2M_780E_V1107"), IMEI: ptr("861100000000000"), ICCID: ptr("89860000000000000000"),
			Operator: ptr("CHINA MOBILE"), SignalDBm: ptr(-71), Registered: ptr(true),
		},
		Cloud:    client.Cloud{Host: "a1b2c3.iot-as-mqtt.cn-shanghai.aliyuncs.com", Auth: "https", TokenAgeSeconds: ptr(int64(120))},
		Outbox:   client.Outbox{Messages: 12, Bytes: 3456, InFlight: 1, OldestAt: ptr(now.Add(-26 * time.Hour))},
		Counters: client.StatusCounters{Acked: 120, Sent: 3, Downlink: 4, Connects: 2, Unknown: 1, LastAckedAt: ptr(now.Add(-3 * time.Hour))},
		Version:  "1.2.3", UptimeSeconds: 11520,
		Warnings: []client.Warning{{Code: "store-read-only", Detail: "/var/lib/airbridged is mounted read-only", Hint: "check the disk"}},
	}
}

func TestStatusForATiredPerson(t *testing.T) {
	utc(t)
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	want := `state      recovering: something failed; a new try comes by itself
since      2026-11-22 07:58:28, 1 min 32 s ago
why        connack-refused
what to do the MQTT server refuses the login: check the device secret,
           cloud.auth, and whether the device is disabled in the console
next try   in 2 min 10 s, at 08:02:10, after 3 failures in a row
warning    store-read-only: /var/lib/airbridged is mounted read-only
what to do check the disk
device     gw-1 of product a1b2c3
module     Air780E, firmware AirM2M_780E_V1107, number (IMEI) 861100000000000
SIM card   89860000000000000000
network    registered, operator CHINA MOBILE
signal     good (-71 dBm)
cloud      a1b2c3.iot-as-mqtt.cn-shanghai.aliyuncs.com, login token valid, 6
           days left
queue      12 messages (3456 bytes), the oldest from 2026-11-21 06:00:00, 1 day
           2 h ago
in flight  1 message, sent and not acknowledged yet
last ack   2026-11-22 05:00:00, 3 h 0 min ago
so far     120 acknowledged, 3 sent without acknowledgement (QoS 0), 4 received,
           2 connections, 1 sent again because the outcome was unknown
daemon     version 1.2.3, up 3 h 12 min
`
	if got := page(recoveringStatus(now), now, 80); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	want = `state      probing: looking for the module on the serial port
since      2026-11-22 08:00:00, 0 s ago
device     unknown of product a1b2c3
module     unknown, firmware unknown, number (IMEI) unknown
SIM card   unknown
network    not known whether registered, operator unknown
signal     unknown
cloud      unknown, no login token yet
queue      empty
in flight  none
last ack   none since the daemon started
so far     0 acknowledged, 0 sent without acknowledgement (QoS 0), 0 received, 0
           connections
daemon     version unknown, up 0 s
`
	if got := page(client.Status{State: "probing", Since: now, Identity: client.Identity{ProductKey: "a1b2c3"}}, now, 80); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// However narrow the terminal is, no line is wider, and nothing is left out.
func TestStatusKeepsToTheWidth(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	letters := func(s string) string { return strings.Join(strings.Fields(s), "") }
	whole := letters(page(recoveringStatus(now), now, 1000))
	for width := 12; width < 130; width++ {
		got := page(recoveringStatus(now), now, width)
		for line := range strings.SplitSeq(got, "\n") {
			if len(line) > width {
				t.Errorf("width %d: %q has %d", width, line, len(line))
			}
		}
		if letters(got) != whole {
			t.Fatalf("width %d: the words differ:\n%s", width, got)
		}
	}
}

func TestNextTryInWords(t *testing.T) {
	utc(t)
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for want, s := range map[string]client.Status{
		"":                                    {State: "online", Attempt: 1},
		"under way, after 1 failure in a row": {State: "connecting", Attempt: 1},
		"in 28 s, at 08:00:28":                {State: "recovering", NextAttemptAt: ptr(now.Add(28 * time.Second))},
		"now, after 2 failures in a row":      {State: "recovering", Attempt: 2, NextAttemptAt: ptr(now.Add(-time.Second))},
	} {
		if got := triesWords(s, now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestClockInWords(t *testing.T) {
	for offset, want := range map[float64]string{
		0: "", -59.5: "", 3600: "the gateway's clock is 1 h 0 min behind the network's time", -90000: "the gateway's clock is 1 day 1 h ahead of the network's time",
		1e300: "the gateway's clock is 104166 days 16 h behind the network's time",
	} {
		if got := clockWords(&client.NetworkTime{OffsetSeconds: offset}); got != want {
			t.Errorf("%v: %q", offset, got)
		}
	}
	if got := clockWords(nil); got != "" {
		t.Errorf("not known: %q", got)
	}
}

func TestSignalWords(t *testing.T) {
	for want, dbm := range map[string]*int{
		"unknown": nil, "none (-113 dBm)": ptr(-113), "weak (-111 dBm)": ptr(-111), "weak (-92 dBm)": ptr(-92),
		"fair (-91 dBm)": ptr(-91), "fair (-78 dBm)": ptr(-78), "good (-77 dBm)": ptr(-77), "good (-71 dBm)": ptr(-71), "excellent (-70 dBm)": ptr(-70), "excellent (-51 dBm)": ptr(-51),
	} {
		if got, _ := signalWords(dbm); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The page says of a level what status says of it.
func TestThePageHasTheSameWordsForTheSignal(t *testing.T) {
	script, err := os.ReadFile("../../internal/web/static/page.js")
	if err != nil {
		t.Fatal(err)
	}
	bands := regexp.MustCompile(`\[(-\d+), "[a-z]+", "([a-z]+)"\]`).FindAllStringSubmatch(string(script), -1)
	if len(bands) < 4 {
		t.Fatalf("%q", bands)
	}
	for dbm := -113; dbm <= -51; dbm++ {
		word := "none"
		for _, b := range bands {
			if least, _ := strconv.Atoi(b[1]); dbm >= least {
				word = b[2]
				break
			}
		}
		if got, _ := signalWords(&dbm); !strings.HasPrefix(got, word+" (") {
			t.Errorf("%d dBm is %s on the page, and %s here", dbm, word, got)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		0: {"0 s", "0s"}, 59*time.Second + 600*time.Millisecond: {"1 min 0 s", "1m0s"}, 2*time.Minute + 10*time.Second: {"2 min 10 s", "2m10s"},
		3*time.Hour + 12*time.Minute: {"3 h 12 min", "3h12m"}, 24 * time.Hour: {"1 day 0 h", "1d0h"}, 49 * time.Hour: {"2 days 1 h", "2d1h"},
	} {
		if got := [2]string{span(d), brief(d)}; got != want {
			t.Errorf("%v: got %q", d, got)
		}
	}
}

// What the module and the cloud say must not steer the terminal.
func TestStatusIsPrintable(t *testing.T) {
	s := client.Status{State: "\x1b[1m", Hint: "\x1b[2J", Modem: client.Modem{Operator: ptr("\x1b]0;x\a"), Model: ptr("a\nstate: online")}}
	if got := page(s, time.Now(), 80); strings.ContainsAny(got, "\x1b\a") || strings.Contains(got, "\nstate: online") {
		t.Errorf("%q", got)
	}
}

func TestStatusCommand(t *testing.T) {
	d := start(t, nil)
	d.Board.Update(func(s *bus.Status) { s.State = "online"; s.Modem.SignalDBm = ptr(-71) })
	code, out, errs := ctl(nil, "status")
	if code != 0 || errs != "" || !strings.HasPrefix(out, "state      online: ") || !strings.Contains(out, "\nsignal     good (-71 dBm)\n") || strings.Contains(out, "\x1b") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	code, out, errs = ctl(nil, "status", "--json")
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || errs != "" || strings.Count(out, "\n") != 1 {
		t.Fatalf("%d, %q, %q, %v", code, out, errs, err)
	}
	modem := v["modem"].(map[string]any)
	if v["state"] != "online" || modem["signal_dbm"] != -71.0 || modem["operator"] != nil || v["version"] != "1.2.3" {
		t.Errorf("%v", v)
	}
}

// --check is for scripts: the page as ever, and an exit status.
func TestStatusCheck(t *testing.T) {
	d := start(t, nil)
	code, out, errs := ctl(nil, "status", "--check")
	if code != exitRefused || !strings.HasPrefix(out, "state      probing") || errs != "" {
		t.Errorf("probing: %d, %q, %q", code, out, errs)
	}
	d.Board.Update(func(s *bus.Status) { s.State = "online" })
	if code, _, errs := ctl(nil, "status", "--check", "--json"); code != 0 || errs != "" {
		t.Errorf("online: %d, %q", code, errs)
	}
}

func TestColour(t *testing.T) {
	d := start(t, nil)
	d.Board.Update(func(s *bus.Status) { s.State = "online" })
	for _, args := range [][]string{{"status"}, {"--color", "never", "status"}, {"status", "--json", "--color=always"}} {
		if _, out, _ := ctl(nil, args...); strings.Contains(out, "\x1b") {
			t.Errorf("%v: %q", args, out)
		}
	}
	t.Setenv("NO_COLOR", "1") // what is asked for on the command line counts more
	for _, args := range [][]string{{"status", "--color", "always"}, {"--color=always", "status"}} {
		if _, out, _ := ctl(nil, args...); !strings.HasPrefix(out, "state      \x1b[32monline\x1b[0m: ") {
			t.Errorf("%v: %q", args, out)
		}
	}
}
