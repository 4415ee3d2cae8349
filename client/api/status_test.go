package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"airbridged/client/api"
)

// Programs parse these documents, so their form is compared byte for byte. A
// value that is not known is null: 0 dBm and 99 would be believed.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	since := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	wantGolden(t, "status-unknown.json", api.Status{State: "probing", Since: since, Warnings: []api.Warning{}})

	signal, registered, age, gap := -71, false, int64(120), 0.6
	next, oldest, acked := since.Add(90*time.Second), since.Add(-time.Hour), since.Add(-time.Minute)
	budget, forecast, share := int64(5000), uint64(12000), int64(1<<30)
	wantGolden(t, "status-known.json", api.Status{
		State: "recovering", Cause: "connack-refused", Hint: "check the device secret", Since: since, Attempt: 3, NextAttemptAt: &next,
		Identity: api.Identity{ProductKey: "b1KCi45LcCP", DeviceName: known("862991419835241")},
		Modem: api.Modem{
			Model: known("Air780EP"), Firmware: known("AirM2M_780EP_V1004_LTE_AT"), IMEI: known("862991419835241"),
			ICCID: known("89860121801097564807"), Operator: known("CHINA MOBILE"), SignalDBm: &signal, Registered: &registered,
			NetworkTime: &api.NetworkTime{Time: since, AgeSeconds: 90, OffsetSeconds: -3.5},
		},
		Cloud:    api.Cloud{Host: "b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com", Auth: "https", TokenAgeSeconds: &age, PaceSeconds: &gap},
		Outbox:   api.Outbox{Messages: 2, Bytes: 256, OldestAt: &oldest, InFlight: 1, DiskBytes: 524288, DiskLimit: &share},
		Counters: api.Counters{Acked: 1, Sent: 2, Unknown: 3, Connects: 4, Downlink: 5, LastAckedAt: &acked},
		MQTT:     &api.MQTT{Clients: 3, Away: 1, Held: 2, HeldBytes: 400},
		Data: api.Data{
			Since: &oldest, Until: &next, Bytes: 6000, ByCause: map[string]uint64{"payload": 1000, "handshake": 5000},
			ByProgram: []api.ProgramData{{Program: "root/sensord", Bytes: 1000}}, BudgetBytes: &budget, ForecastBytes: &forecast, Holding: true,
		},
		Warnings: []api.Warning{{Code: "log-lost", Detail: "12 lines", Hint: "see who reads it"}},
		Version:  "1.2.3", UptimeSeconds: 86400,
	})
}

func known(s string) *string { return &s }

// wantGolden compares v, indented, with a file in testdata.
func wantGolden(t *testing.T, name string, v any) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if got = append(got, '\n'); !bytes.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}
