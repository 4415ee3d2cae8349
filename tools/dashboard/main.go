// Dashboard draws the queries of a Grafana dashboard as SVGs, one for what is above its
// first row and one for each row that is not folded, from what a
// running Prometheus answers. It is for the picture in the documentation, where
// there is no Grafana: the panels, their places, queries, units and legends come
// from the dashboard's own file, the drawing is this program's.
//
// It knows the panels that our dashboard has (stat, timeseries, state-timeline,
// heatmap) and fails on others.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	server := flag.String("prometheus", "http://127.0.0.1:9090", "where Prometheus answers")
	minutes := flag.Int("minutes", 60, "how far to look back")
	out := flag.String("o", "dashboard.svg", "the file to write; further pictures get -2, -3 and so on before the dot")
	flag.Parse()
	if err := run(*server, *minutes, *out, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(server string, minutes int, out, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	end := time.Now()
	source := prometheus{url: server, start: end.Add(-time.Duration(minutes) * time.Minute), end: end}
	for i, part := range d.parts() {
		picture, err := part.draw(source)
		if err != nil {
			return err
		}
		name := out
		if i > 0 {
			name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(out, filepath.Ext(out)), i+1, filepath.Ext(out))
		}
		if err := os.WriteFile(name, picture, 0o644); err != nil {
			return err
		}
	}
	return nil
}
