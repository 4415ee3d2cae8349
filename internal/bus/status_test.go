package bus_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"airbridged/internal/bus"
)

// Programs parse these documents, so their form is compared byte for byte. A
// value that is not known is null: 0 dBm and 99 would be believed.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	since := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	wantGolden(t, "status-unknown.json", bus.Status{State: "probing", Since: since, Warnings: []bus.Warning{}})

	signal, registered, age, gap := -71, false, int64(120), 0.6
	next, oldest, acked := since.Add(90*time.Second), since.Add(-time.Hour), since.Add(-time.Minute)
	budget, forecast := int64(5000), uint64(12000)
	wantGolden(t, "status-known.json", bus.Status{
		State: "recovering", Cause: "connack-refused", Hint: "check the device secret", Since: since, Attempt: 3, NextAttemptAt: &next,
		Identity: bus.StatusIdentity{ProductKey: "b1KCi45LcCP", DeviceName: bus.Known("862991419835241")},
		Modem: bus.StatusModem{
			Model: bus.Known("Air780EP"), Firmware: bus.Known("AirM2M_780EP_V1004_LTE_AT"), IMEI: bus.Known("862991419835241"),
			ICCID: bus.Known("89860121801097564807"), Operator: bus.Known("CHINA MOBILE"), SignalDBm: &signal, Registered: &registered,
			NetworkTime: &bus.NetworkTime{Time: since, AgeSeconds: 90, OffsetSeconds: -3.5, Told: since, At: since},
		},
		Cloud:    bus.StatusCloud{Host: "b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com", Auth: "https", TokenAgeSeconds: &age, PaceSeconds: &gap},
		Outbox:   bus.StatusOutbox{Messages: 2, Bytes: 256, OldestAt: &oldest, Inflight: 1},
		Counters: bus.StatusCounters{Acked: 1, Sent: 2, Unknown: 3, Connects: 4, Downlink: 5, LastAckedAt: &acked},
		Data: bus.StatusData{
			Since: &oldest, Until: &next, Bytes: 6000, ByCause: map[string]uint64{"payload": 1000, "handshake": 5000},
			ByProgram: []bus.ProgramData{{Program: "root/sensord", Bytes: 1000}}, BudgetBytes: &budget, ForecastBytes: &forecast, Holding: true,
		},
		Warnings: []bus.Warning{{Code: bus.LogLost, Detail: "12 lines", Hint: "see who reads it", About: "not shown"}},
		Version:  "1.2.3", UptimeSeconds: 86400,
	})
}

func TestEventJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	for _, c := range []struct {
		event bus.Event
		want  string
	}{
		{
			bus.Event{Type: bus.StateEvent, At: at, From: "connecting", To: "recovering", Cause: "connack-refused", Attempt: 3, WaitSeconds: 7.25, Code: "none of a state's"},
			`{"type":"state","at":"2024-05-06T07:08:09.123Z","from":"connecting","to":"recovering","cause":"connack-refused","attempt":3,"wait_seconds":7.25}`,
		},
		{
			bus.Event{Type: bus.StateEvent, At: at, To: "probing"},
			`{"type":"state","at":"2024-05-06T07:08:09.123Z","from":"","to":"probing","cause":"","attempt":0,"wait_seconds":0}`,
		},
		{
			bus.Event{Type: bus.WarningEvent, At: at, Code: "gap", Detail: "10 events were missed", To: "none of a warning's"},
			`{"type":"warning","at":"2024-05-06T07:08:09.123Z","code":"gap","detail":"10 events were missed"}`,
		},
	} {
		got, err := json.Marshal(c.event)
		if err != nil || string(got) != c.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
		}
	}
	if got, err := json.Marshal(bus.Event{Type: "other"}); err == nil {
		t.Errorf("an event of a type that nobody knows became %s", got)
	}
}

func TestCarryErrorSpeaksToTheProgram(t *testing.T) {
	t.Parallel()
	err := &bus.CarryError{Reason: "this module cannot carry the byte 0x00 (offset 3)", Offset: 3}
	if err.Error() != err.Reason {
		t.Errorf("Error() = %q", err.Error())
	}
}

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
