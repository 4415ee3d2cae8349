package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/metrics"
	"airbridged/internal/outbox"
)

// openOutbox opens the queue that outbox.dir holds.
func openOutbox(cfg config.Outbox, before outbox.Device, meter *metrics.Metrics, log *zap.Logger) (*outbox.Queue, error) {
	queue, err := outbox.Open(cfg.Dir, outbox.Limits{
		Bytes: cfg.MaxBytes, Messages: cfg.MaxMessages, MaxAge: cfg.MaxAge, DropOldest: cfg.WhenFull == "drop-oldest",
	}, outbox.Options{CommitWindow: cfg.CommitWindow, Flushed: meter.Fsync, Device: before})
	if err != nil {
		return nil, err
	}
	s := queue.Stats()
	log.Info("outbox open", zap.String("dir", cfg.Dir), zap.Int("messages", s.Messages), zap.Int64("bytes", s.Bytes))
	if share := queue.Disk().Share; share > 0 && share < cfg.MaxBytes {
		log.Warn("the outbox is bounded by its file system, of which it takes half, before outbox.max_bytes",
			zap.Int64("share", share), zap.Int64("max_bytes", cfg.MaxBytes), zap.String("when_full", cfg.WhenFull))
	}
	return queue, nil
}

// runOutbox commits until stop is called, which is to be done when nobody uses
// the queue any more: a publish that is settled on the way out is still written.
func runOutbox(queue *outbox.Queue, log *zap.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = queue.Run(ctx) // never fails
	}()
	return func() {
		cancel()
		<-done
		if err := queue.Close(); err != nil {
			log.Error("outbox", zap.Error(err))
		}
	}
}

// warningsEvery is how often it is looked whether a warning has ended.
const warningsEvery = 15 * time.Second

// notesEvery bounds how often the outbox is listened to: what happens again and
// again in between is one line with a number.
const notesEvery = 2 * time.Second

// outboxDir is what warnings of the outbox's disk are about.
const outboxDir = "outbox.dir"

// showWarnings brings what is wrong with the outbox's disk into the status.
func showWarnings(queue *outbox.Queue, board *bus.StatusBoard) {
	ended := map[bus.WarningCode]bool{bus.StoreReadOnly: true, bus.StoreGone: true, bus.StoreFailing: true}
	for _, w := range queue.Warnings() {
		code := bus.WarningCode(w.Code)
		board.SetWarning(bus.Warning{Code: code, About: outboxDir, Detail: outboxDir + ": " + w.Detail, Hint: w.Hint})
		delete(ended, code)
	}
	for code := range ended {
		board.ClearWarning(code, outboxDir)
	}
	showForeign(queue, board)
}

const foreignHint = "put that module back; or have them sent as this device's: airbridgectl outbox retarget; or give them up: airbridgectl outbox drop --foreign"

// showForeign tells of messages that were accepted for another device.
func showForeign(queue *outbox.Queue, board *bus.StatusBoard) {
	n, of := queue.Foreign()
	if n == 0 {
		board.ClearWarning(bus.ForeignQueue, "")
		return
	}
	var names []string
	for _, d := range of {
		names = append(names, d.DeviceName+" of product "+d.ProductKey)
	}
	board.SetWarning(bus.Warning{
		Code: bus.ForeignQueue, Hint: foreignHint,
		Detail: fmt.Sprintf("messages of device %s wait that were accepted when its module was here, and are not sent as this device's: %d", strings.Join(names, " and "), n),
	})
}

// tellNotes logs what the outbox notes, and makes events of it: drops, damage, a
// disk that fails or works again. What lasts stands in the status.
func tellNotes(ctx context.Context, queue *outbox.Queue, board *bus.StatusBoard, log *zap.Logger) error {
	for {
		showWarnings(queue, board)
		for _, n := range queue.Notes() {
			level := zap.WarnLevel
			if n.Kind == outbox.NoteDiskRecovered {
				level = zap.InfoLevel
			}
			log.Log(level, "outbox", zap.String("code", n.Kind), zap.String("detail", n.Text), zap.Time("at", n.At))
			board.Emit(bus.At(n.At, bus.Warned(n.Kind, n.Text)))
		}
		select {
		case <-queue.Noted():
		case <-time.After(warningsEvery):
		case <-ctx.Done():
			return nil
		}
		select {
		case <-time.After(notesEvery):
		case <-ctx.Done():
			return nil
		}
	}
}
