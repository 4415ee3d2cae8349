package main

import (
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/ipc"
	"airbridged/internal/metrics"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/session"
)

// One Metrics takes the measurements of every part.
var (
	_ session.Recorder = (*metrics.Metrics)(nil)
	_ ipc.Recorder     = (*metrics.Metrics)(nil)
)

// observe lets a scrape ask the parts that keep numbers of their own.
func observe(m *metrics.Metrics, cfg config.Outbox, queue *outbox.Queue, hub *bus.Hub, server *ipc.Server, store *provision.Store, healthy func() error) {
	m.Observe(metrics.Sources{
		Outbox: func() metrics.OutboxStats { return metrics.OutboxStats(queue.Stats()) },
		Limits: metrics.OutboxLimits{Bytes: cfg.MaxBytes, Messages: cfg.MaxMessages},
		Disk: func() metrics.DiskStats {
			d := queue.Disk()
			return metrics.DiskStats{Written: d.Written, Quarantined: d.Quarantined, Failing: d.Failing}
		},
		Hub:     func() metrics.HubStats { return metrics.HubStats(hub.Stats()) },
		Streams: func() metrics.StreamStats { return metrics.StreamStats(server.Stats()) },
		Healthy: healthy,
		State:   store.Written,
	})
}
