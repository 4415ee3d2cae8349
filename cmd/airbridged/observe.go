package main

import (
	"airbridged/internal/bus"
	"airbridged/internal/ipc"
	"airbridged/internal/metrics"
	"airbridged/internal/outbox"
	"airbridged/internal/session"
)

// One Metrics takes the measurements of every part.
var (
	_ session.Recorder = (*metrics.Metrics)(nil)
	_ ipc.Recorder     = (*metrics.Metrics)(nil)
)

// observe lets a scrape ask the queue, its files and the hub.
func observe(m *metrics.Metrics, queue *outbox.Queue, hub *bus.Hub) {
	m.Observe(
		func() metrics.OutboxStats { return metrics.OutboxStats(queue.Stats()) },
		func() metrics.DiskStats {
			d := queue.Disk()
			return metrics.DiskStats{Written: d.Written, Quarantined: d.Quarantined}
		},
		func() metrics.HubStats { return metrics.HubStats(hub.Stats()) },
	)
}
