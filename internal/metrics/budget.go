package metrics

import (
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Every series costs its place in a time series database on each of thousands
// of gateways, so there is a bound, and it holds by construction: what always
// stands on the page is fixedSeries; each new combination of labels beyond that
// is paid from the rest, and once that is used up, or a metric has had its own
// share, further combinations are counted under "other" in all their labels.
const (
	maxSeries = 300

	// fixedSeries is every series outside the budget: single values,
	// histograms, the states, what is watched, the process, a full set of
	// successful commands, and one combination "other" of each budgeted metric.
	fixedSeries = 167
)

// budget is the series left to be handed out.
type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}

// share is what one metric has taken from the budget.
type share struct {
	budget   *budget
	max      int      // combinations
	cost     int      // series per combination
	overflow []string // "other" in all labels: always admitted, part of fixedSeries
	mu       sync.Mutex
	seen     map[string]bool
}

func newShare(b *budget, most, cost, labels int) *share {
	return &share{budget: b, max: most, cost: cost, overflow: slices.Repeat([]string{other}, labels), seen: map[string]bool{}}
}

// admit returns the labels under which to count.
func (s *share) admit(labels []string) []string {
	key := strings.Join(labels, "\xff")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.seen[key]:
		return labels
	case slices.Equal(labels, s.overflow), len(s.seen) >= s.max, !s.budget.take(s.cost):
		return s.overflow
	}
	s.seen[key] = true
	return labels
}

// counters is a CounterVec within the budget.
type counters struct {
	*prometheus.CounterVec
	share *share
}

// newCounters makes a metric that may have up to most combinations of labels.
func newCounters(b *budget, most int, name, help string, labels ...string) *counters {
	return &counters{prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels), newShare(b, most, 1, len(labels))}
}

func (c *counters) add(n float64, labels ...string) {
	c.WithLabelValues(c.share.admit(labels)...).Add(n)
}

// commands is at_command_seconds. Successes have buckets. Failures have none
// but +Inf: how long a time-out took is known, how often it happened is asked,
// and with buckets they would need half of the budget.
type commands struct {
	ok, failed *prometheus.HistogramVec
	share      *share // of the failures
}

func newCommands(b *budget) *commands {
	opts := prometheus.HistogramOpts{
		Name: prefix + "at_command_seconds", Help: "AT commands from the first byte to the final result. Only result=\"ok\" has buckets.",
		Buckets: []float64{.3, 3, 30},
	}
	labels := []string{"verb", "result"}
	c := &commands{ok: prometheus.NewHistogramVec(opts, labels), share: newShare(b, 12, 3, len(labels))}
	opts.Buckets = []float64{math.Inf(1)} // none would stand for the defaults
	c.failed = prometheus.NewHistogramVec(opts, labels)
	return c
}

func (c *commands) observe(verb, result string, s float64) {
	if result == "ok" {
		c.ok.WithLabelValues(verb, result).Observe(s)
		return
	}
	c.failed.WithLabelValues(c.share.admit([]string{verb, result})...).Observe(s)
}

// Describe is for the registry.
func (c *commands) Describe(ch chan<- *prometheus.Desc) { c.ok.Describe(ch) }

// Collect is for the registry.
func (c *commands) Collect(ch chan<- prometheus.Metric) {
	c.ok.Collect(ch)
	c.failed.Collect(ch)
}
