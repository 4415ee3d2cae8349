package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"airbridged/client"
	"airbridged/internal/bus"
)

func show(s client.Status, now time.Time) string {
	var b strings.Builder
	for _, row := range statusRows(s, now) {
		b.WriteString(row[0] + ": " + row[1] + "\n")
	}
	return b.String()
}

func ptr[T any](v T) *T { return &v }

func TestStatusForATiredPerson(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

	recovering := client.Status{
		State: "recovering", Cause: "connack-refused", Hint: "check the device secret", Since: now.Add(-92 * time.Second),
		Attempt: 3, NextAttemptAt: ptr(now.Add(28 * time.Second)),
		Identity: client.Identity{ProductKey: "a1b2c3", DeviceName: ptr("gw-1")},
		Modem: client.Modem{
			Model: ptr("Air780E"), Firmware: ptr("AirM2M_780E_V1107"), IMEI: ptr("861100000000000"), ICCID: ptr("89860000000000000000"),
			Operator: ptr("CHINA MOBILE"), SignalDBm: ptr(-71), Registered: ptr(true),
		},
		Cloud:    client.Cloud{Host: "a1b2c3.iot-as-mqtt.cn-shanghai.aliyuncs.com", Auth: "https", TokenAgeSeconds: ptr(int64(120))},
		Outbox:   client.Outbox{Messages: 12, Bytes: 3456, InFlight: 1, OldestAt: ptr(now.Add(-26 * time.Hour))},
		Counters: client.StatusCounters{Acked: 120, Sent: 3, Downlink: 4, Connects: 2, Unknown: 1, LastAckedAt: ptr(now.Add(-3 * time.Hour))},
		Version:  "1.2.3", UptimeSeconds: 11520,
	}
	want := `state: recovering since 2026-11-22 07:58:28 (1m32s ago)
cause: connack-refused
hint: check the device secret
next try: number 4 at 2026-11-22 08:00:28 (in 28s)
device: gw-1 of product a1b2c3
modem: Air780E, firmware AirM2M_780E_V1107, IMEI 861100000000000
network: registered, operator CHINA MOBILE, SIM 89860000000000000000
signal: good (-71 dBm)
cloud: a1b2c3.iot-as-mqtt.cn-shanghai.aliyuncs.com, auth https, token 2m0s old
queue: 12 messages, 3456 bytes, 1 in flight, oldest from 2026-11-21 06:00:00 (1d2h ago)
last ack: 2026-11-22 05:00:00 (3h0m ago)
so far: 120 acknowledged, 3 sent with QoS 0, 4 received, 2 sessions, 1 sent again
daemon: version 1.2.3, up 3h12m
`
	if got := show(recovering, now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	want = `state: probing since 2026-11-22 08:00:00 (0s ago)
device: unknown of product a1b2c3
modem: unknown, firmware unknown, IMEI unknown
network: unknown whether registered, operator unknown, SIM unknown
signal: unknown
cloud: unknown, auth unknown
queue: empty
last ack: unknown
so far: 0 acknowledged, 0 sent with QoS 0, 0 received, 0 sessions, 0 sent again
daemon: version unknown, up 0s
`
	if got := show(client.Status{State: "probing", Since: now, Identity: client.Identity{ProductKey: "a1b2c3"}}, now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSignalWords(t *testing.T) {
	for want, dbm := range map[string]*int{
		"unknown": nil, "none (-113 dBm)": ptr(-113), "weak (-111 dBm)": ptr(-111), "weak (-101 dBm)": ptr(-101),
		"fair (-99 dBm)": ptr(-99), "good (-85 dBm)": ptr(-85), "excellent (-51 dBm)": ptr(-51),
	} {
		if got := signalWords(dbm); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What the module and the cloud say must not steer the terminal.
func TestStatusIsPrintable(t *testing.T) {
	s := client.Status{Hint: "\x1b[2J", Modem: client.Modem{Operator: ptr("\x1b]0;x\a"), Model: ptr("a\nstate: online")}}
	if got := show(s, time.Now()); strings.ContainsAny(got, "\x1b\a") || strings.Contains(got, "\nstate: online") {
		t.Errorf("%q", got)
	}
}

func TestStatusCommand(t *testing.T) {
	d := start(t, nil)
	d.Board.Update(func(s *bus.Status) { s.State = "online"; s.Modem.SignalDBm = ptr(-71) })
	code, out, errs := ctl(nil, "status")
	if code != 0 || errs != "" || !strings.HasPrefix(out, "state      online since ") || !strings.Contains(out, "\nsignal     good (-71 dBm)\n") {
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
