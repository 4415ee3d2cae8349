package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/config"
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
