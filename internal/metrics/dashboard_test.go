package metrics

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// expressions are every query of a dashboard, with the title of its panel.
func expressions(node any, title string, found func(title, expr string)) {
	switch n := node.(type) {
	case map[string]any:
		if s, ok := n["title"].(string); ok {
			title = s
		}
		for _, key := range []string{"expr", "definition"} {
			if s, ok := n[key].(string); ok {
				found(title, s)
			}
		}
		for _, child := range n {
			expressions(child, title, found)
		}
	case []any:
		for _, child := range n {
			expressions(child, title, found)
		}
	}
}

// Every query of the dashboard names what is on the page, and asks for the
// chosen job and gateway only.
func TestDashboardNamesWhatExists(t *testing.T) {
	var dashboard map[string]any
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/airbridged.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	v, queries := learn(t), 0
	expressions(dashboard, "", func(title, expr string) {
		queries++
		v.check(t, title, expr)
		if strings.HasPrefix(expr, "label_values(") {
			return
		}
		for _, s := range selector.FindAllStringSubmatch(expr, -1) {
			if !strings.Contains(s[2], `job=~"$job", instance=~"$instance"`) {
				t.Errorf("%s: %s asks for more than the chosen gateway", title, s[0])
			}
		}
		if strings.Contains(expr, "[") && !strings.Contains(expr, "[$__rate_interval]") {
			t.Errorf("%s: a fixed range in %s", title, expr)
		}
	})
	if queries < 30 {
		t.Errorf("only %d queries were found", queries)
	}
}

// The dashboard can be provisioned from a file: its data source is a variable,
// not one system's, and it asks for no inputs; panels neither overlap nor share
// numbers.
func TestDashboardCanBeProvisioned(t *testing.T) {
	text := read(t, "deploy/grafana/airbridged.json")
	for _, bad := range []string{"__inputs", "__requires", "${DS_"} {
		if strings.Contains(text, bad) {
			t.Errorf("%s is in it", bad)
		}
	}
	for _, uid := range regexp.MustCompile(`"type": "prometheus",\s*"uid": "([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if uid[1] != "${datasource}" {
			t.Errorf("a fixed data source %q", uid[1])
		}
	}
	var dashboard struct {
		ID     *int
		UID    string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
		Templating struct{ List []struct{ Name, Type string } }
	}
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.ID != nil || dashboard.UID != "airbridged" {
		t.Errorf("id %v, uid %q", dashboard.ID, dashboard.UID)
	}
	var variables []string
	for _, variable := range dashboard.Templating.List {
		variables = append(variables, variable.Type+" "+variable.Name)
	}
	if got := strings.Join(variables, ", "); got != "datasource datasource, query job, query instance" {
		t.Errorf("variables: %s", got)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the number %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("%q overlaps %q, or leaves the grid", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
