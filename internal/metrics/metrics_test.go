package metrics

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write testdata/metrics.golden")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is what a scrape gets.
func page(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d, %v:\n%s", w.Code, err, body)
	}
	return string(body)
}

// series returns the lines of a page that are values.
func series(page string) (lines []string) {
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func want(t testing.TB, m *Metrics, lines ...string) {
	t.Helper()
	got := page(t, m)
	for _, line := range lines {
		if !strings.Contains("\n"+got, "\n"+prefix+line+"\n") {
			t.Errorf("no line %q in\n%s", prefix+line, got)
		}
	}
}

func absent(t testing.TB, m *Metrics, name string) {
	t.Helper()
	if got := page(t, m); strings.Contains(got, prefix+name) {
		t.Errorf("%s is there:\n%s", name, got)
	}
}

// anHour is an hour of a gateway's life, through every method.
func anHour(m *Metrics) {
	m.Observe(Sources{
		Outbox: func() OutboxStats {
			return OutboxStats{
				Messages: 3, Bytes: 384, Held: 1, InFlight: 1, OldestAt: time.Now().Add(-90 * time.Second),
				Dropped: map[string]uint64{"damaged": 4, "expired": 1, "full": 2, "rejected": 0, "removed": 0, "replaced": 5},
			}
		},
		Limits:   OutboxLimits{Bytes: 64 << 20, Messages: 1_000_000},
		Disk:     func() DiskStats { return DiskStats{Written: 65536, Quarantined: 1} },
		Hub:      func() HubStats { return HubStats{Subscribers: 2, Messages: 7, Dropped: 1} },
		Streams:  func() StreamStats { return StreamStats{Streams: 3, StreamsDropped: 1} },
		MQTT:     func() MQTTStats { return MQTTStats{Clients: 4, Sessions: 2, Held: 5} },
		Pace:     func() *float64 { pace := 0.6; return &pace },
		Healthy:  func() error { return nil },
		State:    func() uint64 { return 1234 },
		Warnings: func() int { return 1 },
		LogLost:  func() uint64 { return 7 },
		Data:     func() DataStats { return DataStats{Bytes: 5584, Budget: 30 << 20, Forecast: 900_000} },
	})
	steps := []string{"probing", "attaching", "authenticating", "connecting", "online"}
	for i, to := range steps[1:] {
		m.State(to)
		m.Transition(steps[i], to, "")
	}
	m.ModemInfo("Air724UG", "AirM2M_V401874_LTE_AT")
	dbm, registered := -71, true
	m.Signal(&dbm)
	m.Registered(&registered)
	for range 9 {
		m.Command("AT", "ok", 20*time.Millisecond)
	}
	m.Command("SAPBR", "ok", 2*time.Second)
	m.Command("SSLMIPSTART", "ok", 60*time.Millisecond)
	m.Command("MPUB", "ok", 40*time.Millisecond)
	m.Command("MPUBEX", "ok", 300*time.Millisecond)
	m.Command("MPUB", "timeout", 9*time.Second)
	m.Bytes("tx", 4096)
	m.Bytes("rx", 12288)
	m.URC("puback")
	m.URC("closed")
	m.Resync("ok")
	m.Published(1, "acked", 320*time.Millisecond)
	m.Published(1, "unknown", 31*time.Second)
	m.Published(0, "sent", 40*time.Millisecond)
	m.Turnaround(120 * time.Microsecond)
	m.InFlight(1)
	m.Fsync(2 * time.Millisecond)
	m.Transition("online", "recovering", "puback-timeout")
	m.State("recovering")
	m.Recovery("session", "ok")
	m.CloudBytes("handshake", 5200)
	m.CloudBytes("payload", 384)
	m.Request("POST /v1/publish", http.StatusAccepted, 800*time.Microsecond)
	m.Request("GET /metrics", http.StatusOK, 3*time.Millisecond)
}

// volatile are the values that differ from run to run.
var volatile = regexp.MustCompile(`(?m)^(process_\w+|go_goroutines|airbridged_session_online_seconds_total|airbridged_outbox_oldest_age_seconds|airbridged_time_seconds|airbridged_storage_written_bytes_total) .*$`)

// TestGolden shows the whole page. Run with -update after a change, and read
// the difference: names and labels are a contract.
func TestGolden(t *testing.T) {
	m := New("1.2.3", "0123abc", labels)
	anHour(m)
	got := volatile.ReplaceAllString(page(t, m), "$1 VOLATILE")
	got = regexp.MustCompile(`goversion="[^"]*"`).ReplaceAllString(got, `goversion="VOLATILE"`)
	const golden = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wanted, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(wanted, []byte(got)) {
		t.Errorf("the page differs from %s:\n%s", golden, got)
	}
}

// The names that dashboards and alerts may count on.
func TestContract(t *testing.T) {
	m := New("v", "c", labels)
	anHour(m)
	got := "\n" + page(t, m)
	for _, name := range []string{
		"build_info{", `session_state{state="online"}`, "session_transitions_total{cause=", "session_online_seconds_total ",
		"publish_total{outcome=", "publish_ack_seconds_bucket{", "publish_turnaround_seconds_bucket{", "inflight ",
		"outbox_messages ", "outbox_bytes ", "outbox_oldest_age_seconds ", "outbox_dropped_total{reason=", "outbox_fsync_seconds_bucket{",
		"downlink_messages_total ", "subscribers ", "subscriber_dropped_total{reason=", "at_command_seconds_bucket{result=", "at_urcs_total{kind=",
		"at_resyncs_total ", "serial_bytes_total{direction=", "modem_info{firmware=", "modem_signal_dbm ", "modem_registered ",
		"modem_recoveries_total{result=", "cloud_bytes_estimated_total{cause=", "ipc_requests_total{code=", "ipc_request_seconds_bucket{",
	} {
		if !strings.Contains(got, "\n"+prefix+name) {
			t.Errorf("%s%s is missing", prefix, name)
		}
	}
}

func TestLint(t *testing.T) {
	m := New("v", "c", labels)
	anHour(m)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestUnknownValuesBecomeOther(t *testing.T) {
	m := New("v", "c", labels)
	m.Transition("asleep", "online", "bored")
	m.Command("CIPSEND", "ok", time.Second)
	m.Command("SAPBR", "maybe", time.Second)
	m.Bytes("sideways", 3)
	m.URC("+FOO: 1")
	m.Published(2, "lost", time.Second)
	m.Recovery("prayer", "perhaps")
	m.CloudBytes("gossip", 9)
	m.Request("GET /v2/status", 418, time.Second)
	m.Request("", 500, time.Second)
	want(t, m,
		`session_transitions_total{cause="other",from="other",to="online"} 1`,
		`at_command_seconds_count{result="ok",verb="other"} 1`,
		`at_command_seconds_count{result="other",verb="SAPBR"} 1`,
		`serial_bytes_total{direction="other"} 3`,
		`at_urcs_total{kind="other"} 1`,
		`publish_total{outcome="other",qos="other"} 1`,
		`modem_recoveries_total{result="other",rung="other"} 1`,
		`cloud_bytes_estimated_total{cause="other"} 9`,
		`ipc_requests_total{code="other",route="other"} 1`,
		`ipc_requests_total{code="500",route="other"} 1`,
	)
}

func TestStateSet(t *testing.T) {
	m := New("v", "c", labels)
	for _, now := range append([]string{""}, states...) {
		if now == "" {
			now = "probing" // before the session said anything
		} else {
			m.State(now)
		}
		m.State("asleep") // no state: changes nothing
		for _, state := range states {
			want(t, m, fmt.Sprintf("session_state{state=%q} %v", state, truth(state == now)))
		}
	}
}

func TestExactlyOneStateWhileItChanges(t *testing.T) {
	m := New("v", "c", labels)
	var changing sync.WaitGroup
	stop := make(chan struct{})
	changing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				m.State(states[i%len(states)])
			}
		}
	})
	for range 50 {
		if n := len(regexp.MustCompile(`(?m)^airbridged_session_state\{.*\} 1$`).FindAllString(page(t, m), -1)); n != 1 {
			t.Errorf("%d states at once", n)
		}
	}
	close(stop)
	changing.Wait()
}

func TestOnlineSecondsCountOnlyOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v", "c", labels)
		time.Sleep(time.Hour)
		want(t, m, "session_online_seconds_total 0")
		m.State("online")
		time.Sleep(90 * time.Second)
		want(t, m, "session_online_seconds_total 90")
		m.State("online") // said again
		time.Sleep(10 * time.Second)
		m.State("recovering")
		time.Sleep(time.Hour)
		want(t, m, "session_online_seconds_total 100")
		m.State("online")
		time.Sleep(time.Second)
		want(t, m, "session_online_seconds_total 101")
	})
}

func TestUnknownIsAbsent(t *testing.T) {
	m := New("v", "c", labels)
	for _, name := range []string{"modem_signal_dbm", "modem_registered", "modem_info", "outbox_messages"} {
		absent(t, m, name)
	}
	dbm, registered := -113, false
	m.Signal(&dbm)
	m.Registered(&registered)
	m.ModemInfo("Air780E", "AirM2M_780E_V1162_LTE_AT")
	dbm, registered = 0, true // the caller's variables are its own
	want(t, m, "modem_signal_dbm -113", "modem_registered 0", `modem_info{firmware="AirM2M_780E_V1162_LTE_AT",model="Air780E"} 1`)
	m.Signal(nil)
	m.Registered(nil)
	m.ModemInfo("", "")
	for _, name := range []string{"modem_signal_dbm", "modem_registered", "modem_info"} {
		absent(t, m, name)
	}
}

// A garbled line must not cost the whole page: the library refuses labels that
// are not UTF-8.
func TestGarbledFirmwareDoesNotBreakThePage(t *testing.T) {
	m := New("v", "c", labels)
	m.ModemInfo("Air\xff724", "V1\r\n\x00"+strings.Repeat("é", 100))
	want(t, m, `modem_info{firmware="V1`+strings.Repeat("é", 31)+`",model="Air?724"} 1`)
	if got := page(t, m); !strings.Contains(got, "session_state") {
		t.Error("the page is broken")
	}
}

func TestAcknowledgedTimesOnly(t *testing.T) {
	m := New("v", "c", labels)
	m.Published(1, "unknown", time.Hour)
	m.Published(0, "sent", time.Hour)
	m.Published(1, "acked", 200*time.Millisecond)
	m.Published(1, "acked", -time.Second) // accepted before the clock was right
	want(t, m, "publish_ack_seconds_count 1", "publish_ack_seconds_sum 0.2", `publish_total{outcome="acked",qos="1"} 2`)
}

// Only successes have buckets; failures keep their count and sum.
func TestCommandTimes(t *testing.T) {
	m := New("v", "c", labels)
	m.Command("MPUB", "ok", 70*time.Millisecond)
	m.Command("MPUB", "timeout", 9*time.Second)
	want(t, m,
		`at_command_seconds_bucket{result="ok",verb="MPUB",le="0.3"} 1`,
		`at_command_seconds_bucket{result="timeout",verb="MPUB",le="+Inf"} 1`,
		`at_command_seconds_sum{result="timeout",verb="MPUB"} 9`,
	)
	if got := page(t, m); strings.Contains(got, `{result="timeout",verb="MPUB",le="0`) {
		t.Error("failures have buckets")
	}
}

// quiet are sources with nothing to tell.
func quiet() Sources {
	return Sources{
		Outbox:   func() OutboxStats { return OutboxStats{} },
		Disk:     func() DiskStats { return DiskStats{} },
		Hub:      func() HubStats { return HubStats{} },
		Streams:  func() StreamStats { return StreamStats{} },
		MQTT:     func() MQTTStats { return MQTTStats{} },
		Pace:     func() *float64 { return nil },
		Healthy:  func() error { return nil },
		State:    func() uint64 { return 0 },
		Warnings: func() int { return 0 },
		LogLost:  func() uint64 { return 0 },
		Data:     func() DataStats { return DataStats{} },
	}
}

func TestWatched(t *testing.T) {
	m := New("v", "c", labels)
	m.Observe(quiet())
	absent(t, m, "publish_pace_seconds")
	from := quiet()
	from.Outbox = func() OutboxStats { return OutboxStats{Messages: 1, Dropped: map[string]uint64{"full": 2, "gone": 3}} }
	from.Limits = OutboxLimits{Bytes: 7, Messages: 8}
	from.Disk = func() DiskStats { return DiskStats{Written: 5, Quarantined: 6, Bytes: 15, Failing: true} }
	from.Hub = func() HubStats { return HubStats{Dropped: 4} }
	from.Streams = func() StreamStats { return StreamStats{Streams: 9, StreamsDropped: 10} }
	from.Pace = func() *float64 { pace := 0.25; return &pace }
	from.Healthy = func() error { return errors.New("stuck") }
	from.State = func() uint64 { return 11 }
	from.Data = func() DataStats { return DataStats{Bytes: 12, Budget: 13, Forecast: 14, Holding: true} }
	m.Observe(from)
	want(t, m,
		"publish_pace_seconds 0.25", "data_month_bytes 12", "data_budget_bytes 13", "data_forecast_bytes 14", "data_holding 1",
		"outbox_messages 1", "outbox_oldest_age_seconds 0", `outbox_dropped_total{reason="full"} 2`, `outbox_dropped_total{reason="expired"} 0`,
		`outbox_dropped_total{reason="other"} 3`, `subscriber_dropped_total{reason="slow"} 4`,
		"outbox_written_bytes_total 5", "outbox_quarantined_segments_total 6", "outbox_disk_failing 1", "outbox_limit_bytes 7", "outbox_disk_bytes 15",
		"outbox_limit_messages 8", "streams 9", "streams_dropped_total 10", "healthy 0", "state_written_bytes_total 11")
}

// The cause stands from the failure to the end of the outage, through every
// state between, and is gone then.
func TestCauseStandsThroughAnOutage(t *testing.T) {
	m := New("v", "c", labels)
	absent(t, m, "session_cause")
	m.Transition("online", "recovering", "closed")
	want(t, m, `session_cause{cause="closed"} 1`)
	m.Transition("recovering", "connecting", "")
	m.Transition("connecting", "recovering", "no such cause")
	want(t, m, `session_cause{cause="other"} 1`)
	m.Transition("recovering", "connecting", "")
	m.Transition("connecting", "online", "")
	absent(t, m, "session_cause")
}

// The kernel's text, as proc_pid_io(5) shows it.
func TestStorageWritten(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
		ok   bool
	}{
		{"rchar: 1\nwchar: 9\nread_bytes: 0\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\n", 4096, true},
		{"write_bytes: 4096\ncancelled_write_bytes: 8192\n", 0, true}, // files of others that were truncated
		{"rchar: 1\n", 0, false},
		{"", 0, false},
	} {
		if n, ok := writtenBytes([]byte(c.text)); n != c.want || ok != c.ok {
			t.Errorf("%q: %d %v", c.text, n, ok)
		}
	}
}
