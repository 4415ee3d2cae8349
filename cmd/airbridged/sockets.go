package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"airbridged/internal/config"
	"airbridged/internal/fair"
	"airbridged/internal/host"
	"airbridged/internal/ipc"
)

// Names of sockets, as the socket units say them.
const (
	apiSocket     = "api"
	metricsSocket = "metrics"
)

// openSockets opens all that the configuration wants.
func openSockets(cfg config.Config, log *zap.Logger) (*host.Sockets, error) {
	return host.OpenSockets(log,
		host.Socket{
			Name: apiSocket, Key: "socket.path", Address: cfg.Socket.Path, Unix: true,
			Open: func() (net.Listener, error) { return ipc.Listen(cfg.Socket.Path, cfg.Socket.Mode, cfg.Socket.Group) },
		},
		host.Socket{
			Name: metricsSocket, Key: "metrics.listen", Address: strings.TrimPrefix(cfg.Metrics.Listen, "unix:"),
			Open: func() (net.Listener, error) { return listenMetrics(cfg.Metrics.Listen) },
			// A page that cannot be scraped is no reason to bring no messages to the cloud.
			Spare: "enable airbridged-metrics.socket, or set metrics.listen to \"\"",
		})
}

// listenMetrics opens a loopback address, or a Unix socket for "unix:/path".
func listenMetrics(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return ipc.Listen(path, 0o666, "")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w (is another airbridged running? set metrics.listen to another address, or to \"\")", err)
	}
	return l, nil
}

// serveMetrics answers scrapes until ctx ends.
func serveMetrics(ctx context.Context, l net.Listener, page http.Handler, log *zap.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", page)
	if err := (fair.Door{Handler: mux, Log: zap.NewStdLog(log)}).Serve(ctx, l); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
