package metrics

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// facts are the values that must be seen together (exactly one state at 1) or
// may be absent (what is not known).
type facts struct {
	states     []string // the closed set
	mu         sync.Mutex
	state      string
	cause      string        // why not online; empty: nothing is wrong
	online     time.Duration // of former times online
	since      time.Time     // of the present one; zero: not online
	signal     *int
	registered *bool
	model      string
	firmware   string
}

func (f *facts) note(change func(*facts)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *facts) enter(state string) {
	if !slices.Contains(f.states, state) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.since.IsZero() {
		f.online += now.Sub(f.since)
		f.since = time.Time{}
	}
	if state == "online" {
		f.since = now
	}
	f.state = state
}

// explain notes why the session left for a state; the cause stands until the
// session is online again, or stops.
func (f *facts) explain(to, cause string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case cause != "":
		f.cause = cause
	case to == "online" || to == "stopping":
		f.cause = ""
	}
}

// onlineSeconds wants the lock.
func (f *facts) onlineSeconds() float64 {
	if f.since.IsZero() {
		return f.online.Seconds()
	}
	return (f.online + time.Since(f.since)).Seconds()
}

var (
	descState      = describe("session_state", "Where the session stands: 1 for the present state, 0 for all others.", "state")
	descCause      = describe("session_cause", "Why the session is not online; always 1, absent while nothing is wrong.", "cause")
	descOnline     = describe("session_online_seconds_total", "Time the session has been online.")
	descSignal     = describe("modem_signal_dbm", "Received signal strength; absent when unknown.")
	descRegistered = describe("modem_registered", "Whether the network has taken the module in; absent when unknown.")
	descModem      = describe("modem_info", "The module; always 1, absent before one was identified.", "model", "firmware")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func truth(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// Describe is for the registry.
func (f *facts) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descState, descCause, descOnline, descSignal, descRegistered, descModem} {
		ch <- d
	}
}

// Collect is for the registry.
func (f *facts) Collect(ch chan<- prometheus.Metric) {
	for _, metric := range f.metrics() {
		ch <- metric
	}
}

func (f *facts) metrics() (all []prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, state := range f.states {
		all = append(all, gauge(descState, truth(state == f.state), state))
	}
	if f.cause != "" {
		all = append(all, gauge(descCause, 1, f.cause))
	}
	all = append(all, counter(descOnline, f.onlineSeconds()))
	if f.signal != nil {
		all = append(all, gauge(descSignal, float64(*f.signal)))
	}
	if f.registered != nil {
		all = append(all, gauge(descRegistered, truth(*f.registered)))
	}
	if f.model != "" || f.firmware != "" {
		all = append(all, gauge(descModem, 1, f.model, f.firmware))
	}
	return all
}
