package metrics

import (
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newGoroutines is the one series of the usual forty about the Go runtime that
// tells a leak which the process's own do not show.
func newGoroutines() prometheus.Collector {
	return prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "go_goroutines", Help: "Number of goroutines that currently exist."},
		func() float64 { return float64(runtime.NumGoroutine()) },
	)
}

// processSeries are four of the usual nine about the process: what tells a leak
// of memory or descriptors, a busy loop and a restart. Their names, like that of
// newGoroutines, are those of every Prometheus client, hence without our prefix.
var processSeries = []string{
	"process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds",
}

// process passes these four on.
type process struct {
	prometheus.Collector
	wanted []*prometheus.Desc
}

func newProcess() process {
	p := process{Collector: collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
	descs := make(chan *prometheus.Desc)
	go func() { p.Collector.Describe(descs); close(descs) }()
	for d := range descs {
		if slices.ContainsFunc(processSeries, func(name string) bool { return strings.Contains(d.String(), `"`+name+`"`) }) {
			p.wanted = append(p.wanted, d)
		}
	}
	return p
}

// Describe is for the registry.
func (p process) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range p.wanted {
		ch <- d
	}
}

// Collect is for the registry.
func (p process) Collect(ch chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() { p.Collector.Collect(all); close(all) }()
	for metric := range all {
		if slices.Contains(p.wanted, metric.Desc()) {
			ch <- metric
		}
	}
}
