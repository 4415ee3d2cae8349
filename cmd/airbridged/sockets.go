package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"go.uber.org/zap"

	"airbridged/internal/config"
	"airbridged/internal/ipc"
)

// Names of inherited sockets (systemd.socket(5), FileDescriptorName=).
const (
	apiSocket     = "api"
	metricsSocket = "metrics"
)

// sockets are what the daemon listens on. Those that a service manager opened
// are taken as they are: their path, mode and group are its business, and they
// outlive the process.
type sockets struct {
	api      []net.Listener // at least one
	metrics  []net.Listener
	unserved []net.Listener // inherited, and nobody here answers on them
}

// openSockets takes the inherited sockets and opens what is missing.
func openSockets(cfg config.Config, log *zap.Logger) (sockets, error) {
	given, err := activation.ListenersWithNames()
	if err != nil {
		return sockets{}, fmt.Errorf("inherited sockets: %w", err)
	}
	var s sockets
	for _, name := range slices.Sorted(maps.Keys(given)) {
		s.take(cfg, name, given[name], log)
	}
	if err := s.complete(cfg, log); err != nil {
		s.close()
		return sockets{}, err
	}
	return s, nil
}

// take sorts the inherited sockets of one name.
func (s *sockets) take(cfg config.Config, name string, list []net.Listener, log *zap.Logger) {
	differs := func(key, configured string) {
		for _, l := range list {
			if l.Addr().String() != configured {
				log.Warn("the inherited socket is used, not the configured one",
					zap.String("name", name), zap.String("socket", l.Addr().String()), zap.String("detail", key+" is "+configured))
			}
		}
	}
	switch {
	case name == apiSocket:
		s.api = list
		differs("socket.path", cfg.Socket.Path)
	case name == metricsSocket && cfg.Metrics.Listen != "":
		s.metrics = list
		differs("metrics.listen", strings.TrimPrefix(cfg.Metrics.Listen, "unix:"))
	default:
		s.unserved = append(s.unserved, list...)
		why := "this version has no use for it: disable its socket unit"
		if name == metricsSocket {
			why = "metrics.listen is empty: mask its socket unit, or set metrics.listen"
		}
		log.Warn("an inherited socket is not served, connections to it are closed", zap.String("name", name), zap.String("detail", why))
	}
}

// complete opens what was not inherited.
func (s *sockets) complete(cfg config.Config, log *zap.Logger) error {
	for _, l := range s.api {
		if _, ok := l.(*net.UnixListener); !ok {
			return fmt.Errorf("inherited socket %s is %s and no Unix socket: give its socket unit a path in ListenStream=", apiSocket, l.Addr())
		}
	}
	if len(s.api) == 0 {
		l, err := ipc.Listen(cfg.Socket.Path, cfg.Socket.Mode, cfg.Socket.Group)
		if err != nil {
			return err
		}
		s.api = append(s.api, l)
	}
	if len(s.metrics) > 0 || cfg.Metrics.Listen == "" {
		return nil
	}
	l, err := listenMetrics(cfg.Metrics.Listen)
	switch {
	case errors.Is(err, syscall.EAFNOSUPPORT):
		// The sandbox of the unit file. A page that cannot be scraped is no reason
		// to bring no messages to the cloud.
		log.Warn("metrics are not served", zap.Error(err),
			zap.String("detail", "this process may have no network sockets: enable airbridged-metrics.socket, or set metrics.listen to \"\""))
		return nil
	case err != nil:
		return err
	}
	s.metrics = append(s.metrics, l)
	return nil
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

// close is for sockets that nobody serves yet.
func (s *sockets) close() {
	for _, l := range slices.Concat(s.api, s.metrics, s.unserved) {
		_ = l.Close()
	}
}

// turnAway closes every connection at once, until ctx ends: a program that waited
// for an answer would wait for ever, because the listening socket is there.
func turnAway(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("inherited socket %s: %w", l.Addr(), err)
		}
		_ = c.Close()
	}
}
