package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// points is how many samples a line has.
const points = 180

// prometheus answers queries over one span of time.
type prometheus struct {
	url        string
	start, end time.Time
}

func (p prometheus) step() time.Duration { return p.end.Sub(p.start) / points }

// series is one line: its labels, and a value for each step, NaN where there is
// none.
type series struct {
	labels map[string]string
	name   string // the legend
	values []float64
}

// variables are what stands for the dashboard's own when there is one gateway.
var variables = strings.NewReplacer("$job", "airbridged", "$instance", ".*", "$__rate_interval", "30s")

// query asks for a range.
func (p prometheus) query(expr, legend string) ([]series, error) {
	q := url.Values{
		"query": {variables.Replace(expr)}, "step": {fmt.Sprint(p.step().Seconds())},
		"start": {fmt.Sprint(p.start.Unix())}, "end": {fmt.Sprint(p.end.Unix())},
	}
	resp, err := http.Get(p.url + "/api/v1/query_range?" + q.Encode())
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	var list []series
	for _, r := range answer.Data.Result {
		s := series{labels: r.Metric, name: named(legend, r.Metric), values: slices.Repeat([]float64{math.NaN()}, points+1)}
		for _, v := range r.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			i := int(math.Round((at - float64(p.start.Unix())) / p.step().Seconds()))
			if err == nil && i >= 0 && i <= points {
				s.values[i] = value
			}
		}
		list = append(list, s)
	}
	return list, nil
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

// named fills the legend in; without one it is the labels.
func named(legend string, labels map[string]string) string {
	if legend == "" {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			parts = append(parts, labels[k])
		}
		return strings.Join(parts, " ")
	}
	return placeholder.ReplaceAllStringFunc(legend, func(m string) string { return labels[strings.Trim(m, "{}")] })
}

// last is the last value there is, NaN if none.
func (s series) last() float64 {
	for _, v := range slices.Backward(s.values) {
		if !math.IsNaN(v) {
			return v
		}
	}
	return math.NaN()
}
