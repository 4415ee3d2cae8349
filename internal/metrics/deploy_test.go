package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Alerts, dashboard and documentation name metrics, labels and values that
// nothing but this test holds against the page: promtool takes a rule with a
// mistyped name for right, and Grafana draws an empty panel.

const root = "../../"

// vocabulary is every series that can be on a page: values by metric and label.
type vocabulary map[string]map[string][]string

// learn records every value of every closed set, each in a registry of its own
// share, so that none is folded into "other".
func learn(t *testing.T) vocabulary {
	t.Helper()
	v := vocabulary{"up": {}}
	most := max(len(causes), len(kinds), len(routes)*len(codes))
	at := func(set []string, i int) string { return set[i%len(set)] }
	for i := range most {
		m := New("v", "c", labels)
		from := quiet()
		from.Data = func() DataStats { return DataStats{Budget: 1, Forecast: 1} }
		from.Pace = func() *float64 { return new(float64) }
		m.Observe(from)
		dbm, registered := -71, true
		m.Signal(&dbm)
		m.Registered(&registered)
		m.ModemInfo("Air724UG", "V1")
		m.Command(at(verbs, i), at(results, i), time.Second)
		m.Command("strange", "ok", time.Second)
		m.Command(at(verbs, i), "ok", time.Second)
		m.URC(at(kinds, i))
		m.Published(1, at(outcomes, i), time.Second)
		m.Recovery(at(rungs, i), at(verdicts, i/len(rungs)))
		m.Request("GET "+at(routes, i/len(codes)), codes[i%len(codes)], time.Second)
		for j := range states {
			m.Transition(at(states, i), states[j], at(causes, i))
		}
		m.Transition("online", "recovering", at(causes, i))
		v.add(t, m.registry)
	}
	return v
}

func (v vocabulary) add(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		names := []string{f.GetName()}
		histogram := len(f.GetMetric()) > 0 && f.GetMetric()[0].GetHistogram() != nil
		if histogram {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			if v[name] == nil {
				v[name] = map[string][]string{}
			}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if !slices.Contains(v[name][l.GetName()], l.GetValue()) {
						v[name][l.GetName()] = append(v[name][l.GetName()], l.GetValue())
					}
				}
				if strings.HasSuffix(name, "_bucket") {
					v[name]["le"] = nil // any
				}
			}
		}
	}
}

var (
	selector = regexp.MustCompile(`\b((?:airbridged|process)_[a-z0-9_]+|up\b)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+) *(=~|!~|!=|=) *"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right) *\(([^)]*)\)`)
)

// check holds an expression against the vocabulary.
func (v vocabulary) check(t *testing.T, where, expr string) {
	t.Helper()
	everybody := []string{"job", "instance", "le"} // given by the scrape, and by buckets
	grouped := slices.Clone(everybody)
	found := selector.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric in %q", where, expr)
	}
	for _, s := range found {
		labels, known := v[s[1]]
		if !known {
			t.Errorf("%s: there is no metric %s", where, s[1])
			continue
		}
		for l := range labels {
			grouped = append(grouped, l)
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if slices.Contains(everybody, m[1]) {
				continue
			}
			values, has := labels[m[1]]
			if !has {
				t.Errorf("%s: %s has no label %s", where, s[1], m[1])
				continue
			}
			for _, value := range strings.Split(m[3], "|") {
				if !slices.Contains(values, value) {
					t.Errorf("%s: %s has no %s=%q, only %q", where, s[1], m[1], value, values)
				}
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(g[1], ",") {
			if l = strings.TrimSpace(l); l != "" && !slices.Contains(grouped, l) {
				t.Errorf("%s: no metric of %q has the label %s", where, expr, l)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(root + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// alerts are the rules' names and expressions, folded lines joined. The file is
// checked as YAML by promtool; here its lines are enough.
func alerts(t *testing.T) (names []string, exprs map[string]string) {
	t.Helper()
	exprs = map[string]string{}
	folded := false
	for line := range strings.Lines(read(t, "deploy/prometheus/airbridged.rules.yml")) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "- "), ": ")
		switch {
		case key == "alert":
			names, folded = append(names, value), false
		case key == "expr":
			if folded = value == ">-"; !folded {
				exprs[names[len(names)-1]] = value
			}
		case key == "for" || key == "labels" || key == "annotations:":
			folded = false
		case folded:
			exprs[names[len(names)-1]] += " " + line
		}
	}
	return names, exprs
}

func TestAlertsNameWhatExists(t *testing.T) {
	v := learn(t)
	names, exprs := alerts(t)
	if len(names) < 25 {
		t.Fatalf("only %d alerts were found", len(names))
	}
	for _, name := range names {
		v.check(t, name, exprs[name])
	}
}

// Every alert has its place in the handbook, with the three questions answered,
// its link leads there, its tests are there, and nothing is explained that does
// not exist.
func TestAlertsAreExplainedAndTested(t *testing.T) {
	names, _ := alerts(t)
	rules, tests := read(t, "deploy/prometheus/airbridged.rules.yml"), read(t, "deploy/prometheus/airbridged.rules_test.yml")
	sections := map[string]string{}
	for _, section := range strings.Split(read(t, "docs/operations.md"), "\n### ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		sections[title] = body
	}
	for _, name := range names {
		for _, answer := range []string{"**Meaning.**", "**First look.**", "**Cure.**"} {
			if !strings.Contains(sections[name], answer) {
				t.Errorf("docs/operations.md says nothing under %s of %s", name, answer)
			}
		}
		if link := "runbook_url: docs/operations.md#" + strings.ToLower(name) + "\n"; strings.Count(rules, link) != 1 {
			t.Errorf("%s has no link %s", name, link)
		}
		fires := strings.Count(tests, "alertname: "+name+"\n        exp_alerts:\n")
		quiet := strings.Count(tests, "alertname: "+name+"\n        exp_alerts: []\n")
		if fires == 0 || quiet == 0 {
			t.Errorf("%s is tested %d times to fire and %d times not to", name, fires, quiet)
		}
		delete(sections, name)
	}
	for title := range sections {
		t.Errorf("docs/operations.md explains %s, and there is no such alert", title)
	}
}

// TestDocumentsNameWhatExists looks at every metric in code quotes.
func TestDocumentsNameWhatExists(t *testing.T) {
	v := learn(t)
	quoted := regexp.MustCompile("`((?:airbridged|process)_[a-z0-9_]+(?:\\{[^`]*\\})?)`")
	documents, err := os.ReadDir(root + "docs")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"README.md", "ARCHITECTURE.md"}
	for _, d := range documents {
		if strings.HasSuffix(d.Name(), ".md") {
			files = append(files, "docs/"+d.Name())
		}
	}
	for _, file := range files {
		for _, m := range quoted.FindAllStringSubmatch(read(t, file), -1) {
			if name, _, _ := strings.Cut(m[1], "{"); v[name+"_bucket"] == nil { // a histogram goes by its family's name
				v.check(t, file, m[1])
			}
		}
	}
}
