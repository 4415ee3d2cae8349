package main

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/cloudtime"
	"airbridged/internal/config"
	"airbridged/internal/durable"
	"airbridged/internal/host"
	"airbridged/internal/ipc"
	"airbridged/internal/metrics"
	"airbridged/internal/mqttd"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/session"
	"airbridged/internal/web"
	"airbridged/internal/wiring"
)

// serve wires the parts together and runs them until ctx ends or one of them
// fails; the first one out ends all.
func serve(ctx context.Context, path string, cfg config.Config, places config.Places, warnings []config.Warning, sink *host.Sink) error {
	log, level := host.NewLogger(cfg.Log.Format, cfg.Log.Level, sink, stateLine, reloadedLine, refusedLine)
	defer func() { _ = log.Sync() }()
	log.Info("starting", zap.String("version", version), zap.String("commit", commit), zap.String("config", path))
	for _, w := range warnings {
		log.Warn("configuration", zap.String("detail", w.String()))
	}
	hub, board, flight, meter := bus.NewHub(), bus.NewStatusBoard(), bus.NewFlight(), metrics.New(version, commit, labels())
	// The sockets first: of two daemons with one configuration the second one is
	// then told of the socket. Programs that connect meanwhile wait.
	open, err := openSockets(cfg, log)
	if err != nil {
		return err
	}
	state, err := openState(cfg.State.Dir)
	if err != nil {
		open.Close()
		return err
	}
	defer func() { _ = state.Release() }()
	store := provision.OpenIn(state)
	queue, err := openOutbox(cfg.Outbox, deviceBefore(cfg.Device, store), meter, log)
	if err != nil {
		open.Close()
		return err
	}
	defer runOutbox(queue, log)()
	kept, err := openDownlink(cfg, hub, board, log)
	if err != nil {
		open.Close()
		return err
	}
	defer runDownlink(kept, log)()
	data := openBudget(cfg, state, queue, board, log)
	defer runBudget(data)()
	limits := session.NewPayloadLimits(state, cfg.Modem.MaxPayload, log)
	limits.Batch(wiring.Batch(cfg))
	var named named
	named.in(cfg)
	options := sessionOptions(cfg, state, store, queue, hub, board, flight, limits, recorder{meter, data.Account}, log)
	options.Named = named.has
	supervisor := session.New(options)
	rules := newAccess(cfg, board, deviceBefore(cfg.Device, store))
	reload := newReloader(path, cfg, places, supervisor, &named, rules, level, log)
	conns := host.Connections(log, cfg.Socket.MaxConnections, cfg.MQTT.MaxConnections)
	var programs *mqttd.Server
	var server *ipc.Server
	page := &web.Feed{Board: board, Flight: flight, Status: func() api.Status { return server.Status() }, Meaning: meaning}
	server = ipc.New(ipc.Options{
		Page:   page,
		MQTT:   func() *api.MQTT { return mqttStatus(cfg.MQTT, programs) },
		Outbox: queue, Hub: hub, Downlink: kept, Board: board, Flight: flight, Module: supervisor, Carry: limits.Check, Batched: func(topic string) bool { return limits.Rule(topic) != nil }, Named: named.has, Metrics: meter.Handler(), Reload: reload.ask, Config: reload.inEffect,
		Healthy: supervisor.Healthy, Version: version, Conns: conns[0], Source: data.Source, Data: data.status, Access: rules, Recorder: meter, Log: log.Named("api"),
	})
	programs = mqttd.New(mqttOptions(cfg.MQTT, conns[1], queue, hub, kept, board, server, limits, data, reload, rules, meter, log))
	observe(meter, cfg.Outbox, queue, hub, board, server, programs, state, data, sink, supervisor.Healthy)
	group, ctx := errgroup.WithContext(ctx)
	each := func(list []net.Listener, answer func(context.Context, net.Listener) error) {
		for _, l := range list {
			group.Go(func() error { return answer(ctx, l) })
		}
	}
	each(open.Of(apiSocket), server.Serve)
	each(open.Of(mqttSocket), programs.Serve)
	group.Go(func() error { return programs.Run(ctx) })
	each(open.Of(webSocket), (&web.Listener{Feed: page, Passwords: reload.viewers.Load, Names: names(), Log: zap.NewStdLog(log)}).Serve)
	each(open.Of(metricsSocket), func(ctx context.Context, l net.Listener) error { return serveMetrics(ctx, l, meter.Handler(), log) })
	each(open.Unserved(), host.TurnAway)
	group.Go(func() error { return supervisor.Run(ctx) })
	group.Go(func() error { return tellNotes(ctx, queue, board, log) })
	group.Go(func() error { return host.TellLoss(ctx, sink, board, log) })
	group.Go(func() error { return tellState(ctx, state, board, log) })
	group.Go(func() error { return reload.run(ctx) })
	group.Go(func() error { return host.TellStatus(ctx, board) })
	if cfg.Modem.ResetGPIO != "" {
		group.Go(func() error { return host.TellResetLine(ctx, cfg.Modem.ResetGPIO, board, log) })
	}
	if len(cfg.Modem.ClockCommand) > 0 {
		platform := cloudtime.New(hub, board, func(ctx context.Context, topic string, payload []byte) error {
			_, err := queue.Append(ctx, outbox.Message{Topic: topic, Payload: payload, Priority: outbox.High, TTL: time.Minute})
			return err
		})
		group.Go(func() error { return host.KeepClock(ctx, cfg.Modem.ClockCommand, board, platform.Ask, log) })
	}
	socket := open.Of(apiSocket)[0].Addr()
	group.Go(func() error {
		return host.Watch(ctx, log,
			host.Part{Name: "supervisor", Answers: func(context.Context) error { return supervisor.Healthy() }},
			host.Part{Name: "outbox", Answers: queue.Answers},
			host.Part{Name: "api", Answers: host.SocketAnswers(socket, server.Accepted, log)})
	})
	log.Info("ready", zap.String("socket", socket.String()), zap.String("device", cfg.Modem.Device))
	host.Notify(daemon.SdNotifyReady)
	context.AfterFunc(ctx, func() { host.Notify(daemon.SdNotifyStopping) })
	err = group.Wait()
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// stateLine is what the session logs of a change of state. It folds these by rules
// of its own.
const stateLine = "state"

// sessionOptions translates the configuration.
func sessionOptions(cfg config.Config, state durable.Directory, store *provision.Store, queue *outbox.Queue, hub *bus.Hub, board *bus.StatusBoard, flight *bus.Flight,
	limits *session.PayloadLimits, meter session.Recorder, log *zap.Logger,
) session.Options {
	o := wiring.Session(cfg)
	o.JustBooted = host.Uptime() < session.JustBooted
	o.Open = func(baud int) (io.ReadWriteCloser, error) { return openPort(cfg.Modem.Device, baud) }
	o.HardReset = host.HardReset(cfg.Modem.ResetGPIO, cfg.Modem.ResetCommand, log)
	o.Store, o.State, o.Queue, o.Hub, o.Board, o.Flight = store, state, queue, hub, board, flight
	o.Limits, o.Recorder, o.Log = limits, meter, log
	return o
}
