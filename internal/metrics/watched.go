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
	Foreign  int               // not shown: the status does
	InFlight int               // not shown: the session tells, see Metrics.InFlight
	OldestAt time.Time         // zero: none
	Dropped  map[string]uint64 // by reason
}

// OutboxLimits are the bounds of the outbox.
type OutboxLimits struct {
	Bytes    int64
	Messages int
}

// DiskStats is the outbox's file side at the moment of a scrape.
type DiskStats struct {
	Written     uint64 // bytes, since the start
	Quarantined uint64 // segments set aside because of damage, since the start
	Bytes       int64  // of its files now
	Failing     bool   // the last write or flush failed
}

// HubStats is the fan-out of downlink messages at the moment of a scrape, with
// the fields of the hub's own numbers.
type HubStats struct {
	Subscribers int
	Messages    uint64 // from the cloud
	Dropped     uint64 // deliveries lost because a subscriber was too slow

	Subscribed, Unsubscribed uint64 // filters, at the cloud
}

// StreamStats is the local socket's long answers at the moment of a scrape, with
// the fields of the socket's own numbers.
type StreamStats struct {
	Streams        int    // open now
	StreamsDropped uint64 // cut off because their reader took nothing
	Conns          int    // connections open now; not shown
	ConnsEnded     uint64 // that had to make room for another user; not shown
}

// MQTTStats is the listener for MQTT programs at the moment of a scrape, with the
// fields of its own numbers.
type MQTTStats struct {
	Clients   int   // connected
	Sessions  int   // of clients that are away; not shown
	Held      int   // messages without an answer because there is no room for them
	HeldBytes int64 // theirs; not shown
}

// DataStats is the month's account of the connection at the moment of a scrape.
type DataStats struct {
	Bytes    uint64
	Budget   int64  // 0: none, not shown
	Forecast uint64 // 0: too early to say, not shown
	Holding  bool
}

// Sources is where a scrape asks; every function is needed. All are asked at each
// scrape, by any goroutine, and must not wait.
type Sources struct {
	Outbox   func() OutboxStats
	Limits   OutboxLimits
	Disk     func() DiskStats
	Hub      func() HubStats
	Streams  func() StreamStats
	MQTT     func() MQTTStats
	Pace     func() *float64 // seconds; nil: there is none
	Healthy  func() error    // nil: the supervisor makes progress
	Data     func() DataStats
	State    func() uint64 // bytes written to the state directory since the start
	Warnings func() int    // that last now
	LogLost  func() uint64 // lines of the log, since the start
}

// Observe shows the sources from now on; nothing of them is on the page before.
func (m *Metrics) Observe(s Sources) { m.watched.Store(&s) }

// watching collects from the sources.
type watching struct {
	atomic.Pointer[Sources]
	reasons []string // why the outbox drops
}

var (
	descMessages     = describe("outbox_messages", "QoS 1 messages waiting for the cloud's acknowledgement, the one in flight included.")
	descMaxMessages  = describe("outbox_limit_messages", "As many of them may wait (outbox.max_messages).")
	descBytes        = describe("outbox_bytes", "Topics and payloads of these messages.")
	descMaxBytes     = describe("outbox_limit_bytes", "As many of these bytes may wait (outbox.max_bytes).")
	descHeld         = describe("outbox_held_messages", "QoS 0 messages waiting in memory.")
	descOldest       = describe("outbox_oldest_age_seconds", "Age of the oldest waiting QoS 1 message; 0 when none waits.")
	descDropped      = describe("outbox_dropped_total", "Accepted messages that were given up, by reason.", "reason")
	descWritten      = describe("outbox_written_bytes_total", "Bytes that the outbox wrote to its files.")
	descQuarantined  = describe("outbox_quarantined_segments_total", "Files of the outbox that were set aside because of damage.")
	descDiskBytes    = describe("outbox_disk_bytes", "Bytes of the outbox's files, with what is preallocated.")
	descFailing      = describe("outbox_disk_failing", "1 while the outbox's disk is full or fails.")
	descDownlink     = describe("downlink_messages_total", "Messages received from the cloud.")
	descSubscribers  = describe("subscribers", "Local programs listening.")
	descSlow         = describe("subscriber_dropped_total", "Deliveries to local programs that were given up, by reason.", "reason")
	descFilters      = describe("filter_operations_total", "Times that a topic filter was subscribed at the cloud, or given back; each costs the SIM an exchange.")
	descStreams      = describe("streams", "Subscriptions and event streams open on the local socket.")
	descCutOff       = describe("streams_dropped_total", "Streams cut off because their reader took nothing for 10 s.")
	descClients      = describe("mqtt_clients", "MQTT programs connected (at most mqtt.max_connections).")
	descMQTTHeld     = describe("mqtt_held_messages", "Messages of MQTT programs without an answer, because the outbox is full or its disk fails.")
	descPace         = describe("publish_pace_seconds", "Least time between two publishes while the cloud is known to drop faster ones; absent otherwise.")
	descHealthy      = describe("healthy", "1 while the supervisor makes progress, as /healthz says.")
	descData         = describe("data_month_bytes", "Bytes on the air in the month of the contract, estimated, over restarts.")
	descBudget       = describe("data_budget_bytes", "The month's budget (data.monthly_budget); absent without one.")
	descForecast     = describe("data_forecast_bytes", "Bytes by the end of the month at the present rate; absent while it is too early to say.")
	descHolding      = describe("data_holding", "1 while messages are held back because the budget is used up.")
	descStateWritten = describe("state_written_bytes_total", "Bytes written to the state directory: credentials, token, counters.")
	descLogLost      = describe("log_lost_lines_total", "Lines of the log that could not be written.")
	descWarnings     = describe("warnings", "Warnings in the status that last now.")
	descTime         = describe("time_seconds", "The gateway's clock, in seconds since 1970.")
)

// Describe is for the registry.
func (w *watching) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descMessages, descMaxMessages, descBytes, descMaxBytes, descHeld, descOldest, descDropped, descWritten, descQuarantined, descDiskBytes, descFailing,
		descDownlink, descSubscribers, descSlow, descFilters, descStreams, descCutOff, descClients, descMQTTHeld, descPace, descHealthy, descStateWritten, descWarnings, descLogLost, descTime,
		descData, descBudget, descForecast, descHolding,
	} {
		ch <- d
	}
}

// Collect is for the registry.
func (w *watching) Collect(ch chan<- prometheus.Metric) {
	from := w.Load()
	if from == nil {
		return
	}
	now := time.Now()
	from.queue(ch, now, w.reasons)
	h, s := from.Hub(), from.Streams()
	ch <- counter(descDownlink, float64(h.Messages))
	ch <- gauge(descSubscribers, float64(h.Subscribers))
	ch <- counter(descSlow, float64(h.Dropped), "slow")
	ch <- counter(descFilters, float64(h.Subscribed+h.Unsubscribed))
	ch <- gauge(descStreams, float64(s.Streams))
	ch <- counter(descCutOff, float64(s.StreamsDropped))
	q := from.MQTT()
	ch <- gauge(descClients, float64(q.Clients))
	ch <- gauge(descMQTTHeld, float64(q.Held))
	if pace := from.Pace(); pace != nil {
		ch <- gauge(descPace, *pace)
	}
	ch <- gauge(descHealthy, truth(from.Healthy() == nil))
	ch <- counter(descStateWritten, float64(from.State()))
	ch <- gauge(descWarnings, float64(from.Warnings()))
	ch <- counter(descLogLost, float64(from.LogLost()))
	ch <- gauge(descTime, float64(now.UnixMilli())/1000)
	from.data(ch)
}

// data is the account's part of the page.
func (from *Sources) data(ch chan<- prometheus.Metric) {
	d := from.Data()
	ch <- gauge(descData, float64(d.Bytes))
	if d.Budget > 0 {
		ch <- gauge(descBudget, float64(d.Budget))
	}
	if d.Forecast > 0 {
		ch <- gauge(descForecast, float64(d.Forecast))
	}
	ch <- gauge(descHolding, truth(d.Holding))
}

// queue is the outbox's part of the page.
func (from *Sources) queue(ch chan<- prometheus.Metric, now time.Time, reasons []string) {
	o, d := from.Outbox(), from.Disk()
	var age float64
	if !o.OldestAt.IsZero() {
		age = seconds(now.Sub(o.OldestAt))
	}
	ch <- gauge(descMessages, float64(o.Messages))
	ch <- gauge(descMaxMessages, float64(from.Limits.Messages))
	ch <- gauge(descBytes, float64(o.Bytes))
	ch <- gauge(descMaxBytes, float64(from.Limits.Bytes))
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
	ch <- gauge(descDiskBytes, float64(d.Bytes))
	ch <- gauge(descFailing, truth(d.Failing))
}
