package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"airbridged/internal/air"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/durable"
	"airbridged/internal/ipc"
	"airbridged/internal/metrics"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
	"airbridged/internal/session"
)

// serve wires the parts together and runs them until ctx ends or one of them
// fails; the first one out ends all.
func serve(ctx context.Context, path string, cfg config.Config, warnings []config.Warning, stderr io.Writer) error {
	log, level := newLogger(cfg.Log, stderr)
	defer func() { _ = log.Sync() }()
	log.Info("starting", zap.String("version", version), zap.String("commit", commit), zap.String("config", path))
	for _, w := range warnings {
		log.Warn("configuration", zap.String("detail", w.String()))
	}
	state, err := openState(cfg.State.Dir)
	if err != nil {
		return err
	}
	store := provision.OpenIn(state)
	hub, board, flight, meter := bus.NewHub(), bus.NewBoard(), bus.NewFlight(), metrics.New(version, commit)
	// The sockets first: of two daemons with one configuration the second one is
	// then told of the socket. Programs that connect meanwhile wait.
	open, err := openSockets(cfg, log)
	if err != nil {
		return err
	}
	queue, err := openOutbox(cfg.Outbox, meter, log)
	if err != nil {
		open.close()
		return err
	}
	defer runOutbox(queue, log)()
	data := openBudget(cfg, state, queue, board, log)
	defer runBudget(data)()
	carrier := session.NewCarrier(state, cfg.Modem.MaxPayload, log)
	supervisor := session.New(sessionOptions(cfg, state, store, queue, hub, board, flight, carrier, recorder{meter, data.Account}, log))
	reload := newReloader(path, cfg, supervisor, level, log)
	server := ipc.New(ipc.Options{
		Outbox: queue, Hub: hub, Board: board, Flight: flight, Module: supervisor, Carry: carrier.Check, Metrics: meter.Handler(), Reload: reload.ask,
		Healthy: supervisor.Healthy, Version: version, Source: data.Source, Data: data.status, Recorder: meter, Log: log.Named("api"),
	})
	observe(meter, cfg.Outbox, queue, hub, board, server, state, data, supervisor.Healthy)
	group, ctx := errgroup.WithContext(ctx)
	each := func(list []net.Listener, answer func(context.Context, net.Listener) error) {
		for _, l := range list {
			group.Go(func() error { return answer(ctx, l) })
		}
	}
	each(open.api, server.Serve)
	each(open.metrics, func(ctx context.Context, l net.Listener) error { return serveMetrics(ctx, l, meter.Handler(), log) })
	each(open.unserved, turnAway)
	group.Go(func() error { return supervisor.Run(ctx) })
	group.Go(func() error { return tellNotes(ctx, queue, board, log) })
	group.Go(func() error { return reload.run(ctx) })
	group.Go(func() error { return tellStatus(ctx, board) })
	if len(cfg.Modem.ClockCommand) > 0 {
		clock := &clockSetter{command: cfg.Modem.ClockCommand, board: board, log: log, kept: clockIsKept}
		group.Go(func() error { return clock.run(ctx) })
	}
	group.Go(func() error {
		return runWatchdog(ctx, log,
			part{"supervisor", func(context.Context) error { return supervisor.Healthy() }},
			part{"outbox", queue.Answers},
			part{"api", apiAnswers(open.api[0].Addr(), server.Accepted, log)})
	})
	log.Info("ready", zap.String("socket", open.api[0].Addr().String()), zap.String("device", cfg.Modem.Device))
	notify(daemon.SdNotifyReady)
	context.AfterFunc(ctx, func() { notify(daemon.SdNotifyStopping) })
	err = group.Wait()
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// sessionOptions translates the configuration.
func sessionOptions(cfg config.Config, state durable.Directory, store *provision.Store, queue *outbox.Queue, hub *bus.Hub, board *bus.Board, flight *bus.Flight,
	carrier *session.Carrier, meter session.Recorder, log *zap.Logger,
) session.Options {
	t := cfg.Cloud.Timeouts
	return session.Options{
		Device: session.Device{
			ProductKey: cfg.Device.ProductKey, DeviceName: cfg.Device.DeviceName,
			ProductSecret: cfg.Device.ProductSecret, DeviceSecret: cfg.Device.DeviceSecret,
		},
		Cloud: session.Cloud{
			HTTPSAuth: cfg.Cloud.Auth == "https", Sign: provision.Method(cfg.Cloud.Sign),
			RegisterURL: cfg.Cloud.RegisterURL(), AuthURL: cfg.Cloud.AuthURL(),
			Host: cfg.Cloud.Host(), Port: cfg.Cloud.MQTTPort, TLS: cfg.Cloud.TLS,
			Keepalive: cfg.Cloud.Keepalive, Clean: cfg.Cloud.CleanSession,
			Timeouts: air.Timeouts{
				Command: t.Command, Bearer: t.Bearer, HTTP: t.HTTP, Connect: t.Connect,
				ConnAck: t.ConnAck, SubAck: t.SubAck, PubAck: t.PubAck,
			},
		},
		Modem: session.Modem{
			Baud: cfg.Modem.Baud, WorkBaud: cfg.Modem.WorkBaud, APN: cfg.Modem.APN, MaxPayload: cfg.Modem.MaxPayload,
		},
		Recovery: session.Recovery(cfg.Recovery), JustBooted: uptime() < session.JustBooted,
		Open:      func(baud int) (io.ReadWriteCloser, error) { return openPort(cfg.Modem.Device, baud) },
		HardReset: hardReset(cfg.Modem, log),
		Store:     store,
		State:     state,
		Queue:     queue,
		Subscribe: filters(cfg.Subscribe),
		Expand:    config.Expand,
		Hub:       hub,
		Board:     board,
		Flight:    flight,
		Carrier:   carrier,
		Recorder:  meter,
		Log:       log,
	}
}

func filters(subscribe []config.Subscribe) []bus.Filter {
	list := make([]bus.Filter, 0, len(subscribe))
	for _, s := range subscribe {
		list = append(list, bus.Filter{Topic: s.Topic, QoS: s.QoS})
	}
	return list
}

// metricsTimeout bounds a scrape, from its first header byte to its last answer
// byte; Prometheus gives up after 10 s by default.
const metricsTimeout = 10 * time.Second

// serveMetrics answers scrapes until ctx ends.
func serveMetrics(ctx context.Context, l net.Listener, page http.Handler, log *zap.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", page)
	server := &http.Server{Handler: mux, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout, ErrorLog: zap.NewStdLog(log)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
