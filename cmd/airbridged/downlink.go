package main

import (
	"context"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/downlink"
)

// openDownlink opens what is kept for programs that are away.
func openDownlink(cfg config.Config, hub *bus.Hub, board *bus.StatusBoard, log *zap.Logger) (*downlink.Store, error) {
	store, err := downlink.Open(downlink.Options{
		Dir: cfg.DownlinkDir(), Hub: hub, Board: board, Log: log.Named("downlink"),
		Limits: downlink.Limits{Bytes: cfg.Downlink.MaxBytes, Messages: cfg.Downlink.MaxMessages, MaxAge: cfg.Downlink.MaxAge},
	})
	if err != nil {
		return nil, err
	}
	for _, i := range store.List() {
		if i.Waiting > 0 {
			log.Info("messages are kept", zap.String("kind", i.Kind), zap.String("name", i.Name), zap.String("user", i.User), zap.Int("messages", i.Waiting))
		}
	}
	return store, nil
}

// runDownlink keeps until stop is called, which is to be done when nothing comes down any
// more and no program reads.
func runDownlink(store *downlink.Store, log *zap.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = store.Run(ctx) // never fails
	}()
	return func() {
		cancel()
		<-done
		if err := store.Close(); err != nil {
			log.Error("downlink", zap.Error(err))
		}
	}
}
