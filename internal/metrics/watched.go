package metrics

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// OutboxStats is the outbox at the moment of a scrape. Its fields are those of
// the outbox's own numbers, so that one converts into the other.
type OutboxStats struct {
	Messages int               // QoS 1 without a final state
	Bytes    int64             // theirs
	Held     int               // QoS 0
	InFlight int               // not shown: the session tells, see Metrics.InFlight
	OldestAt time.Time         // zero: none
	Dropped  map[string]uint64 // by reason
}

// DiskStats is the outbox's file side at the moment of a scrape.
type DiskStats struct {
	Written     uint64 // bytes, since the start
	Quarantined uint64 // segments set aside because of damage, since the start
}

// HubStats is the fan-out of downlink messages at the moment of a scrape, with
// the fields of the hub's own numbers.
type HubStats struct {
	Subscribers int
	Messages    uint64 // from the cloud
	Dropped     uint64 // deliveries lost because a subscriber was too slow
}

// watched is where a scrape asks.
type watched struct {
	outbox func() OutboxStats
	disk   func() DiskStats
	hub    func() HubStats
}

// Observe shows the outbox, its files and the hub from now on. All are asked at
// each scrape and must not wait.
func (m *Metrics) Observe(outbox func() OutboxStats, disk func() DiskStats, hub func() HubStats) {
	m.watched.Store(&watched{outbox, disk, hub})
}

// watching collects from them; nothing is on the page before Observe.
type watching struct{ *atomic.Pointer[watched] }

var (
	descMessages    = describe("outbox_messages", "QoS 1 messages waiting for the cloud's acknowledgement, the one in flight included.")
	descBytes       = describe("outbox_bytes", "Topics and payloads of these messages.")
	descHeld        = describe("outbox_held_messages", "QoS 0 messages waiting in memory.")
	descOldest      = describe("outbox_oldest_age_seconds", "Age of the oldest waiting QoS 1 message; 0 when none waits.")
	descDropped     = describe("outbox_dropped_total", "Accepted messages that were given up, by reason.", "reason")
	descWritten     = describe("outbox_written_bytes_total", "Bytes that the outbox wrote to its files.")
	descQuarantined = describe("outbox_quarantined_segments_total", "Files of the outbox that were set aside because of damage.")
	descDownlink    = describe("downlink_messages_total", "Messages received from the cloud.")
	descSubscribers = describe("subscribers", "Local programs listening.")
	descSlow        = describe("subscriber_dropped_total", "Deliveries to local programs that were given up, by reason.", "reason")
)

// Describe is for the registry.
func (w watching) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descMessages, descBytes, descHeld, descOldest, descDropped, descWritten, descQuarantined, descDownlink, descSubscribers, descSlow} {
		ch <- d
	}
}

// Collect is for the registry.
func (w watching) Collect(ch chan<- prometheus.Metric) {
	from := w.Load()
	if from == nil {
		return
	}
	o, d, h := from.outbox(), from.disk(), from.hub()
	var age float64
	if !o.OldestAt.IsZero() {
		age = seconds(time.Since(o.OldestAt))
	}
	ch <- gauge(descMessages, float64(o.Messages))
	ch <- gauge(descBytes, float64(o.Bytes))
	ch <- gauge(descHeld, float64(o.Held))
	ch <- gauge(descOldest, age)
	var unsorted uint64
	for reason, n := range o.Dropped {
		if !slices.Contains(reasons, reason) {
			unsorted += n
		}
	}
	for _, reason := range reasons {
		ch <- counter(descDropped, float64(o.Dropped[reason]), reason)
	}
	if unsorted > 0 {
		ch <- counter(descDropped, float64(unsorted), other)
	}
	ch <- counter(descWritten, float64(d.Written))
	ch <- counter(descQuarantined, float64(d.Quarantined))
	ch <- counter(descDownlink, float64(h.Messages))
	ch <- gauge(descSubscribers, float64(h.Subscribers))
	ch <- counter(descSlow, float64(h.Dropped), "slow")
}
