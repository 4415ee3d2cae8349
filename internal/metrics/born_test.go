package metrics

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ranged finds what the increase of which is asked for.
var ranged = regexp.MustCompile(`\b(?:increase|rate|irate|delta)\(((?:airbridged)_[a-z0-9_]+)(?:\{([^}]*)\})?\[`)

// never are series that no daemon can have, for all that their labels' sets say.
var never = map[string]string{
	`airbridged_publish_total{outcome="acked",qos="0"}`: "a QoS 0 message is not acknowledged",
	`airbridged_publish_total{outcome="sent",qos="1"}`:  "a QoS 1 message is acked",
}

// running are counts of the whole process, which are not 0 when they begin.
var running = []string{"airbridged_storage_written_bytes_total", "airbridged_outbox_written_bytes_total", "airbridged_state_written_bytes_total"}

// A burst of refusals right after the start was not seen: the series appeared with the
// value 7, and an increase from nothing to 7 is none to Prometheus. So every series
// that an alert or the dashboard asks the increase or the rate of is on the page of a
// fresh daemon, at 0.
func TestWhatIsAskedForIsBornAtZero(t *testing.T) {
	m := New("v", "c", labels)
	m.Observe(quiet())
	fresh := map[string]string{}
	for _, line := range series(page(t, m)) {
		i := strings.LastIndex(line, " ")
		fresh[line[:i]] = line[i+1:]
	}
	v, asked := learn(t), 0
	check := func(where, expr string) {
		found := ranged.FindAllStringSubmatch(expr, -1)
		if n := strings.Count(expr, "[") - strings.Count(expr, "changes(") - strings.Count(expr, "_over_time("); n != len(found) {
			t.Errorf("%s: %d ranges, and %d of them are understood: %s", where, n, len(found), expr)
		}
		for _, f := range found {
			for _, s := range v.combinations(f[1], f[2]) {
				asked++
				value, there := fresh[s]
				switch {
				case never[s] != "":
				case !there:
					t.Errorf("%s: %s appears only when it happens for the first time", where, s)
				case value != "0" && !slices.Contains(running, f[1]):
					t.Errorf("%s: %s begins with %s", where, s, value)
				}
			}
		}
	}
	names, exprs := alerts(t)
	for _, name := range names {
		check(name, exprs[name])
	}
	var dashboard map[string]any
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/airbridged.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	expressions(dashboard, "", check)
	if asked < 100 {
		t.Errorf("only %d series were found", asked)
	}
}

// combinations are the series of a metric that a selector asks for: every combination
// of the values that its labels can have.
func (v vocabulary) combinations(metric, selector string) []string {
	list := []string{""}
	var names []string
	for name := range v[metric] {
		names = append(names, name)
	}
	slices.Sort(names)
	if i := slices.Index(names, "le"); i >= 0 {
		names = append(slices.Delete(names, i, i+1), "le") // as they print
	}
	for _, name := range names {
		values := v[metric][name]
		if name == "le" {
			values = bounds[metric]
		}
		var more []string
		for _, value := range values {
			if !matches(selector, name, value) {
				continue
			}
			for _, before := range list {
				more = append(more, strings.TrimPrefix(before+","+name+`="`+value+`"`, ","))
			}
		}
		list = more
	}
	for i, labels := range list {
		if list[i] = metric; labels != "" {
			list[i] += "{" + labels + "}"
		}
	}
	return list
}

// bounds are the buckets that are asked for, as they print; the least is enough.
var bounds = map[string][]string{
	"airbridged_publish_ack_seconds_bucket": {"0.5", "+Inf"},
	"airbridged_at_command_seconds_bucket":  {"0.3", "+Inf"},
}

// matches says whether a selector's matchers let a value of a label through.
func matches(selector, label, value string) bool {
	for _, m := range matcher.FindAllStringSubmatch(selector, -1) {
		if m[1] != label {
			continue
		}
		whole := regexp.MustCompile("^(?:" + m[3] + ")$").MatchString(value)
		if yes := map[string]bool{"=": m[3] == value, "!=": m[3] != value, "=~": whole, "!~": !whole}[m[2]]; !yes {
			return false
		}
	}
	return true
}
