package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"airbridged/client"
)

// prometheus is a running server that scrapes one daemon.
type prometheus struct {
	*program
	url string
}

// newPrometheus starts Debian's Prometheus with our alert rules, on a port and
// a directory of its own.
func newPrometheus(t testing.TB, target string) *prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	rules, err := filepath.Abs("../../deploy/prometheus/airbridged.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "prometheus.yml")
	write(t, conf, fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [%q]
scrape_configs:
  - job_name: airbridged
    static_configs: [{targets: [%q]}]
`, rules, target), 0o644)
	port := freePort(t)
	p := &prometheus{
		program: startPath(t, path, "--config.file="+conf, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:"+port),
		url:     "http://127.0.0.1:" + port,
	}
	eventually(t, "prometheus answers", func() error {
		select {
		case <-p.done:
			t.Fatalf("prometheus ended: %v", p.err)
		default:
		}
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", resp.Status)
		}
		return nil
	})
	return p
}

// api asks Prometheus' HTTP API and decodes what is under "data".
func (p *prometheus) api(path string, query url.Values, into any) error {
	resp, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

// promSample is one series of an instant query.
type promSample struct {
	Metric map[string]string
	Value  [2]any // time, value as text
}

func (p *prometheus) query(expr string) ([]promSample, error) {
	var data struct{ Result []promSample }
	err := p.api("/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

// A real Prometheus takes the page, the state set can be asked for over its
// API, and it evaluates every alert without an error.
func TestPrometheusScrapesTheDaemon(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	listen := "127.0.0.1:" + freePort(t)
	g := newGateway(t, sim.device, fmt.Sprintf("metrics.listen = %q\noutbox.max_messages = 3\n", listen))
	p := newPrometheus(t, listen)
	g.reaches("online", "")
	p.seesTheFirstRefusals(t, sim, g)
	if _, err := g.client.Publish(t.Context(), update, []byte("21.5"), client.PublishOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the state set over the API", func() error {
		states, err := p.query(`airbridged_session_state{job="airbridged"} == 1 and on (instance) up == 1 and on (instance) airbridged_publish_total{outcome="acked"} == 4`)
		if err != nil {
			return err
		}
		if len(states) != 1 || states[0].Metric["state"] != "online" || states[0].Metric["instance"] != listen {
			return fmt.Errorf("states at 1: %v", states)
		}
		return nil
	})
	all, err := p.query(`count(airbridged_session_state)`)
	if err != nil || len(all) != 1 || all[0].Value[1] != "8" {
		t.Errorf("count of states: %v %v", all, err)
	}
	var targets struct {
		ActiveTargets []struct{ Health, LastError, ScrapeURL string }
	}
	if err := p.api("/api/v1/targets", nil, &targets); err != nil {
		t.Fatal(err)
	}
	if len(targets.ActiveTargets) != 1 || targets.ActiveTargets[0].Health != "up" || targets.ActiveTargets[0].LastError != "" {
		t.Errorf("targets: %+v", targets)
	}
	// An outage reaches the alerts: not firing yet, but no longer inactive.
	sim.do("outage on")
	sim.do("closed")
	eventually(t, "the alert for an outage is pending", func() error { return p.rulesLoaded("AirbridgedOffline") })
}

// seesTheFirstRefusals: a full outbox refuses seven messages in a burst, and never
// before or after. The critical alert fires. (The series appeared with the value 7, and
// its increase was 0.)
func (p *prometheus) seesTheFirstRefusals(t *testing.T, sim *simulator, g *gateway) {
	t.Helper()
	eventually(t, "a first scrape", func() error {
		up, err := p.query(`up == 1`)
		if err == nil && len(up) != 1 {
			err = fmt.Errorf("%v", up)
		}
		return err
	})
	sim.do("outage on")
	refused := 0
	for range 10 {
		if _, err := g.client.Publish(t.Context(), update, []byte("21.5"), client.PublishOptions{}); errors.Is(err, client.ErrFull) {
			refused++
		}
	}
	if refused != 7 {
		t.Fatalf("%d of 10 messages were refused by an outbox for 3", refused)
	}
	eventually(t, "the alert for the refusals", func() error { return p.firing("AirbridgedRefusingMessages") })
	sim.do("outage off")
	eventually(t, "an empty outbox", func() error {
		s, err := g.client.Status(t.Context())
		if err == nil && s.Outbox.Messages > 0 {
			err = fmt.Errorf("%d messages", s.Outbox.Messages)
		}
		return err
	})
}

// firing says whether an alert fires.
func (p *prometheus) firing(name string) error {
	alerts, err := p.query(`ALERTS{alertstate="firing", alertname="` + name + `"}`)
	if err == nil && len(alerts) == 0 {
		err = fmt.Errorf("%s does not fire", name)
	}
	return err
}

// rulesLoaded says whether all rules are evaluated and the named one waits for
// its time.
func (p *prometheus) rulesLoaded(pending string) error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, State, Health, LastError string }
		}
	}
	if err := p.api("/api/v1/rules", nil, &data); err != nil {
		return err
	}
	if len(data.Groups) != 1 || len(data.Groups[0].Rules) < 25 {
		return fmt.Errorf("rules are missing: %+v", data)
	}
	for _, r := range data.Groups[0].Rules {
		if r.Health != "ok" || r.LastError != "" {
			return fmt.Errorf("rule %s: %s %s", r.Name, r.Health, r.LastError)
		}
		if r.Name == pending && r.State != "pending" {
			return fmt.Errorf("%s is %s", pending, r.State)
		}
	}
	return nil
}

// The page of a daemon that has lived a little passes promtool's checks.
func TestPromtoolTakesThePage(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	sim.do("reboot")
	w := g.watch()
	w.until("recovering", "")
	w.until("online", "")
	page := g.metricsPage()
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s\n%s", err, out, page)
	}
}

// metricsPage is what a scrape over the API socket gets.
func (g *gateway) metricsPage() string {
	g.t.Helper()
	resp, err := unixClient(g.socket).Get("http://airbridged/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(page)
}
