package main

import (
	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/datause"
	"airbridged/internal/durable"
	"airbridged/internal/host"
	"airbridged/internal/ipc"
	"airbridged/internal/metrics"
	"airbridged/internal/mqttd"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
	"airbridged/internal/session"
)

// One Metrics takes the measurements of every part; bytes on the air go to the
// month's account too.
var (
	_ session.Recorder = recorder{}
	_ ipc.Recorder     = (*metrics.Metrics)(nil)
	_ mqttd.Recorder   = (*metrics.Metrics)(nil)
)

type recorder struct {
	*metrics.Metrics
	account *datause.Account
}

func (r recorder) CloudBytes(cause string, n int) {
	r.Metrics.CloudBytes(cause, n)
	r.account.CloudBytes(cause, n)
}

func (r recorder) ProgramBytes(source uint8, n int) { r.account.ProgramBytes(source, n) }

// labels are the words that the metrics may show.
func labels() metrics.Labels {
	return metrics.Labels{
		States: metrics.Words(recovery.States()), Causes: metrics.Words(recovery.Causes()), Rungs: metrics.Words(recovery.Rungs()),
		Kinds: metrics.Words(air.EventKinds()), Reasons: outbox.Reasons(), ByteCauses: session.ByteCauses(), Paths: ipc.Paths(),
		Fates: mqttd.Outcomes(), Welcomes: mqttd.Results(),
	}
}

// observe lets a scrape ask the parts that keep numbers of their own.
func observe(m *metrics.Metrics, cfg config.Outbox, queue *outbox.Queue, hub *bus.Hub, board *bus.StatusBoard,
	server *ipc.Server, programs *mqttd.Server, state *durable.Held, data budget, sink *host.Sink, healthy func() error,
) {
	m.Observe(metrics.Sources{
		Outbox: func() metrics.OutboxStats { return metrics.OutboxStats(queue.Stats()) },
		Limits: metrics.OutboxLimits{Bytes: cfg.MaxBytes, Messages: cfg.MaxMessages},
		Disk: func() metrics.DiskStats {
			d := queue.Disk()
			return metrics.DiskStats{Written: d.Written, Quarantined: d.Quarantined, Bytes: d.Bytes, Failing: d.Failing}
		},
		Hub:      func() metrics.HubStats { return metrics.HubStats(hub.Stats()) },
		Streams:  func() metrics.StreamStats { return metrics.StreamStats(server.Stats()) },
		MQTT:     func() metrics.MQTTStats { return metrics.MQTTStats(programs.Stats()) },
		Pace:     func() *float64 { return board.Status().Cloud.PaceSeconds },
		Healthy:  healthy,
		LogLost:  func() uint64 { return sink.Stats().Lost },
		State:    state.Written,
		Warnings: func() int { return len(board.Status().Warnings) },
		Data: func() metrics.DataStats {
			r := data.Report()
			return metrics.DataStats{Bytes: r.Bytes, Budget: r.Budget, Forecast: r.Forecast, Holding: data.holding(r)}
		},
	})
}
