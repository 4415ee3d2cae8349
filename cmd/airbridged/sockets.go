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
	mqttSocket    = "mqtt"
	webSocket     = "web"
)

// openSockets opens all that the configuration wants.
func openSockets(cfg config.Config, log *zap.Logger) (*host.Sockets, error) {
	return host.OpenSockets(log,
		host.Socket{
			Name: apiSocket, Key: "socket.path", Address: cfg.Socket.Path, Unix: true,
			Open: func() (net.Listener, error) { return ipc.Listen(cfg.Socket.Path, cfg.Socket.Mode, cfg.Socket.Group) },
		},
		host.Socket{
			Name: mqttSocket, Key: "mqtt.socket", Address: cfg.MQTT.Socket,
			Open: func() (net.Listener, error) { return ipc.Listen(cfg.MQTT.Socket, cfg.Socket.Mode, cfg.Socket.Group) },
		},
		host.Socket{
			Name: mqttSocket, Key: "mqtt.listen", Address: cfg.MQTT.Listen, TCP: true,
			Open: func() (net.Listener, error) { return listenMQTT(cfg.MQTT.Listen) },
			// Programs on the sockets go on.
			Spare: "make a socket unit with ListenStream=" + cfg.MQTT.Listen + " and FileDescriptorName=mqtt, or set mqtt.listen to \"\"",
		},
		host.Socket{
			Name: webSocket, Key: "web.listen", Address: strings.TrimPrefix(cfg.Web.Listen, "unix:"),
			Open: func() (net.Listener, error) { return listenWeb(cfg) },
			// The page is on the API socket, too.
			Spare: "enable airbridged-web.socket, or set web.listen to \"\"",
		},
		host.Socket{
			Name: metricsSocket, Key: "metrics.listen", Address: strings.TrimPrefix(cfg.Metrics.Listen, "unix:"),
			Open: func() (net.Listener, error) { return listenMetrics(cfg.Metrics.Listen) },
			// A page that cannot be scraped is no reason to bring no messages to the cloud.
			Spare: "enable airbridged-metrics.socket, or set metrics.listen to \"\"",
		})
}

// listenMQTT opens a loopback address.
func listenMQTT(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("mqtt: %w (is a broker running? set mqtt.listen to another address, or to \"\")", err)
	}
	return l, nil
}

// listenWeb opens an address, or a Unix socket for "unix:/path" with the mode and the
// group of the API's.
func listenWeb(cfg config.Config) (net.Listener, error) {
	if path, ok := strings.CutPrefix(cfg.Web.Listen, "unix:"); ok {
		return ipc.Listen(path, cfg.Socket.Mode, cfg.Socket.Group)
	}
	l, err := net.Listen("tcp", cfg.Web.Listen)
	if err != nil {
		return nil, fmt.Errorf("web: %w (is another program there? set web.listen to another address, or to \"\")", err)
	}
	return l, nil
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
