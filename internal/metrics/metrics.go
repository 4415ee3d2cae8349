// Package metrics owns what Prometheus sees: every collector of the daemon, on
// a registry of its own.
//
// It promises:
//
//   - The recorder methods that atengine, air, session and ipc ask for are plain
//     methods of [Metrics]; they never block and may be called by any goroutine.
//   - Label values come from closed sets: those of [Labels], and its own. What is not in the set
//     becomes "other"; no topic, identity or error text gets in.
//   - A page has at most 300 series whatever happens (budget.go).
//   - session_state has all states always, exactly one of them 1.
//   - What is not known is absent: modem_signal_dbm is never 0 or 99.
//
// Names are part of the contract with those who built dashboards and alerts on
// them: they do not change. The package imports nothing of the daemon.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const prefix = "airbridged_"

// Metrics is the daemon's measurements.
type Metrics struct {
	registry *prometheus.Registry
	pages    *pages
	labels   Labels
	facts    facts
	watched  watching

	transitions *counters
	logins      prometheus.Counter
	reboots     prometheus.Counter
	published   *counters
	ackSeconds  prometheus.Histogram
	turnaround  prometheus.Histogram
	inFlight    prometheus.Gauge
	fsync       prometheus.Histogram
	commands    *commands
	failures    *prometheus.CounterVec
	urcs        *counters
	resyncs     prometheus.Counter
	serialBytes *counters
	recoveries  *counters
	cloudBytes  *counters
	requests    *counters
	requestTime prometheus.Histogram

	mqttPublished *prometheus.CounterVec
	mqttConnects  *prometheus.CounterVec
	mqttRetained  prometheus.Counter
}

// New returns the collectors with their first values; version and commit are
// the binary's.
func New(version, commit string, labels Labels) *Metrics {
	labels.Causes = append([]string{""}, labels.Causes...) // the empty one is progress
	m := &Metrics{registry: prometheus.NewRegistry(), labels: labels, facts: facts{states: labels.States, state: labels.States[0]}}
	m.pages = newPages(m.registry)
	m.watched.reasons = labels.Reasons
	b := &budget{left: maxSeries - fixedSeries}
	m.transitions = newCounters(b, 40, "session_transitions_total", "Changes of the session's state.", "from", "to", "cause")
	m.published = newCounters(b, 12, "publish_total", "Publishes to the cloud that ended, by how.", "qos", "outcome")
	m.urcs = newCounters(b, 24, "at_urcs_total", "Lines of the module that nobody had asked for.", "kind")
	m.serialBytes = newCounters(b, 2, "serial_bytes_total", "Bytes on the serial line.", "direction")
	m.recoveries = newCounters(b, 14, "modem_recoveries_total", "Attempts to recover the module or its session.", "rung", "result")
	m.cloudBytes = newCounters(b, 7, "cloud_bytes_estimated_total", "Bytes over the air, both ways, estimated.", "cause")
	m.requests = newCounters(b, 24, "ipc_requests_total", "Requests on the local socket.", "route", "code")
	m.mqttPublished = newClosed("mqtt_publish_total", "Publishes of MQTT programs, by what became of them.", "outcome", labels.Fates)
	m.mqttConnects = newClosed("mqtt_connects_total", "Connections of MQTT programs, by how they were answered.", "result", labels.Welcomes)
	m.mqttRetained = newCounter("mqtt_retain_total", "Messages of MQTT programs with the retain flag, which the cloud does not have.")
	m.commands = newCommands(b)
	m.ackSeconds = newHistogram("publish_ack_seconds", "From the acceptance of a QoS 1 message to the cloud's acknowledgement, outages included.",
		.5, 1, 5, 10, 30, 60, 300, 1800, 21600, 86400)
	m.turnaround = newHistogram("publish_turnaround_seconds", "From the cloud's acknowledgement to the next publish written to the serial line.",
		.0001, .0003, .001, .01, .1)
	m.fsync = newHistogram("outbox_fsync_seconds", "Flushes of the outbox to storage.", .001, .01, .05, .25, 1)
	m.requestTime = newHistogram("ipc_request_seconds", "From a local request to the first byte of its answer.", .001, .01, .1, 1)
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "inflight", Help: "Messages handed to the module whose outcome is not known yet."})
	m.resyncs = newCounter("at_resyncs_total", "Times the AT engine had to get back in step with the module.")
	m.logins = newCounter("session_logins_total", "Times the session came online.")
	m.reboots = newCounter("modem_reboots_total", "Times the module started anew by itself.")
	m.failures = prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "at_command_failures_total", Help: "AT commands that did not end with OK, by how."}, []string{"result"})
	m.registry.MustRegister(
		buildInfo(version, commit), &m.facts, &m.watched, newProcess(), newGoroutines(), storage{"/proc/self/io"},
		m.transitions, m.published, m.ackSeconds, m.turnaround, m.inFlight, m.fsync, m.commands, m.failures, m.urcs, m.resyncs,
		m.logins, m.reboots, m.serialBytes, m.recoveries, m.cloudBytes, m.requests, m.requestTime,
		m.mqttPublished, m.mqttConnects, m.mqttRetained,
	)
	m.zero()
	return m
}

// zero shows what is bound to come, and all that an alert or the dashboard asks the
// increase of: an increase from nothing to a first value is no increase to Prometheus.
func (m *Metrics) zero() {
	for _, f := range fates {
		m.published.add(0, f[0], f[1])
	}
	for _, direction := range directions {
		m.serialBytes.add(0, direction)
	}
	for _, cause := range m.labels.ByteCauses {
		m.cloudBytes.add(0, cause)
	}
	for _, rung := range m.labels.Rungs {
		for _, verdict := range verdicts {
			m.recoveries.add(0, rung, verdict)
		}
	}
	for _, code := range refusals {
		m.requests.add(0, publishPath, codeOf(code))
	}
	for _, verb := range append([]string{other}, verbs...) {
		m.commands.ok.WithLabelValues(verb, "ok")
	}
	for _, result := range append([]string{other}, results...) {
		if result != "ok" {
			m.failures.WithLabelValues(result)
		}
	}
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
}

// newClosed counts by a label of which every word is on the page from the start.
func newClosed(name, help, label string, words []string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{label})
	for _, word := range words {
		c.WithLabelValues(word)
	}
	return c
}

func newHistogram(name, help string, buckets ...float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets})
}

func buildInfo(version, commit string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: prefix + "build_info", Help: "The running program; always 1.",
		ConstLabels: prometheus.Labels{"version": printable(version), "commit": printable(commit), "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}

// Handler serves the page in the Prometheus text format. One page is made at a
// time, for all who asked before it was begun.
func (m *Metrics) Handler() http.Handler { return m.pages }

// seconds is a duration as Prometheus counts it; a clock that was set back does
// not make it negative.
func seconds(d time.Duration) float64 { return max(d, 0).Seconds() }
