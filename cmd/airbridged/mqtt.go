package main

import (
	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/access"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/downlink"
	"airbridged/internal/ipc"
	"airbridged/internal/metrics"
	"airbridged/internal/mqttd"
	"airbridged/internal/outbox"
	"airbridged/internal/session"
)

// mqttOptions translates the configuration.
func mqttOptions(cfg config.MQTT, connections int, queue *outbox.Queue, hub *bus.Hub, kept *downlink.Store, board *bus.StatusBoard, server *ipc.Server, limits *session.PayloadLimits,
	data budget, reload *reloader, rules *access.Control, meter *metrics.Metrics, log *zap.Logger,
) mqttd.Options {
	return mqttd.Options{
		Outbox: queue, Hub: hub, Downlink: kept, Board: board, Status: server.Status, Carry: limits.Check, Source: data.Source, Passwords: reload.passwords, Access: rules,
		Refuse: cfg.WhenFull == "refuse", MaxConnections: connections, MaxPacket: int(cfg.MaxPacket),
		ReceiveMaximum: cfg.ReceiveMaximum, HoldBytes: int(cfg.HoldBytes),
		Recorder: meter, Log: log.Named("mqtt"),
	}
}

// mqttStatus is the listener's part of the status; nil where it is off.
func mqttStatus(cfg config.MQTT, programs *mqttd.Server) *api.MQTT {
	if cfg.Socket == "" && cfg.Listen == "" || programs == nil {
		return nil
	}
	st := programs.Stats()
	return &api.MQTT{Clients: st.Clients, Away: st.Sessions, Held: st.Held, HeldBytes: st.HeldBytes}
}
