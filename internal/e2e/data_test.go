package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"airbridged/client"
)

// onAir is the simulator's own count of bytes on the air.
func (s *simulator) onAir() (sum uint64) {
	s.t.Helper()
	body, err := s.get("/v1/counters")
	if err != nil {
		s.t.Fatal(err)
	}
	var counters struct {
		Air map[string]struct{ Up, Down uint64 }
	}
	if err := json.Unmarshal(body, &counters); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range counters.Air {
		sum += c.Up + c.Down
	}
	return sum
}

// What the daemon says it used is what the simulator counted, within 5 %: in the
// status, in the metrics, and over a restart. Most of it went to this program.
func TestDataUsedIsWhatTheSimulatorCounted(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "[[subscribe]]\ntopic = \"/${productKey}/${deviceName}/get\"\n")
	w := g.watch()
	w.until("online", "")
	for i := range 90 {
		o := client.PublishOptions{Wait: patience}
		if i%3 == 0 {
			o.QoS = client.AtMostOnce
		}
		if _, err := g.client.Publish(t.Context(), update, []byte(strings.Repeat("x", 1+i*10)), o); err != nil {
			t.Fatal(err)
		}
		if i%9 == 0 {
			sim.push(get, []byte(strings.Repeat("d", 10*i)))
		}
		if i == 45 {
			sim.do("closed")
			w.until("recovering", "closed")
			w.until("online", "")
		}
	}
	near := func(what string, estimate uint64) {
		t.Helper()
		counted := sim.onAir()
		if off := float64(estimate)/float64(counted) - 1; off < -.05 || off > .05 {
			t.Errorf("%s: %d bytes, the simulator counted %d: %+.1f %%", what, estimate, counted, 100*off)
		}
	}
	st := g.status().Data
	near("status", st.Bytes)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if len(st.ByProgram) != 1 || !strings.HasPrefix(st.ByProgram[0].Program, me.Username+"/") || st.ByProgram[0].Bytes != st.ByCause["payload"]+st.ByCause["retry"] {
		t.Errorf("by program: %+v, by cause: %v", st.ByProgram, st.ByCause)
	}
	near("metrics", g.metricsSum("airbridged_cloud_bytes_estimated_total"))
	g.stop()
	g.start()
	g.reaches("online", "")
	near("status after a restart", g.status().Data.Bytes)
}

// metricsSum adds up the series of a metric on the daemon's page.
func (g *gateway) metricsSum(name string) (sum uint64) {
	g.t.Helper()
	for line := range strings.Lines(g.metricsPage()) {
		if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
			_, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				g.t.Fatal(err)
			}
			sum += uint64(v)
		}
	}
	return sum
}

// When the month's budget is used up, messages of low priority wait, all others
// go out, and nothing is lost: with a larger budget they go out too.
func TestBudgetHoldsBackAndLosesNothing(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := prepareGateway(t, sim.device, "[data]\nmonthly_budget = \"64KiB\"\nwhen_over = \"hold-low\"\n")
	now := time.Now()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.Local).Format(time.RFC3339)
	if err := os.Mkdir(filepath.Join(g.dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(g.dir, "state", "data.json"), fmt.Sprintf(`{"current":{"start":%q,"since":%q,"causes":{"payload":65536},"warned":80}}`, month, month), 0o600)
	g.start()
	g.out.await(t, `"data-held"`)
	g.reaches("online", "")
	low, err := g.client.Publish(t.Context(), update, []byte("low"), client.PublishOptions{Priority: client.PriorityLow})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.client.Publish(t.Context(), update, []byte("normal"), client.PublishOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	st := g.status()
	if st.Outbox.Messages != 1 || !st.Data.Holding || st.Data.BudgetBytes == nil || *st.Data.BudgetBytes != 64<<10 {
		t.Errorf("%+v %+v", st.Outbox, st.Data)
	}
	if got := sim.messages(); len(got) != 1 || got[0].Text != "normal" {
		t.Errorf("the cloud got %+v", got)
	}
	if held := g.metricsSum("airbridged_data_holding"); held != 1 {
		t.Errorf("airbridged_data_holding %d", held)
	}
	g.stop()
	write(t, filepath.Join(g.config+".d", "test.toml"), "[data]\nmonthly_budget = \"1MiB\"\nwhen_over = \"hold-low\"\n", 0o644)
	g.start()
	eventually(t, "the held message goes out", func() error {
		if got := sim.messages(); len(got) != 2 || got[1].Text != "low" {
			return fmt.Errorf("the cloud got %+v", got)
		}
		return nil
	})
	if low.ID == "" {
		t.Error("no id")
	}
}
