package main

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/metrics"
	"airbridged/internal/outbox"
	"airbridged/internal/outbox/simdisk"
)

// What is wrong with the outbox's disk stands in the status for as long as it lasts.
func TestTheOutboxsDiskIsInTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		queue, err := outbox.Open("", outbox.Limits{}, outbox.Options{Files: disk})
		if err != nil {
			t.Fatal(err)
		}
		stop := runOutbox(queue, zap.NewNop())
		board := bus.NewStatusBoard()
		var told sync.WaitGroup
		told.Go(func() { _ = tellNotes(t.Context(), queue, board, zap.NewNop()) })
		codes := func() (list []string) {
			synctest.Wait()
			for _, w := range board.Status().Warnings {
				list = append(list, w.Code)
			}
			return list
		}
		for _, c := range []struct {
			name       string
			begin, end func()
			want       bus.WarningCode
		}{
			{"read-only", func() { disk.ReadOnly(true) }, func() { disk.ReadOnly(false) }, bus.StoreReadOnly},
			{"mounted over", func() { disk.MountOver(simdisk.New()) }, disk.Return, bus.StoreGone},
			{"failing", func() { disk.Fail(func(string, string) error { return errors.New("it fails") }) }, func() { disk.Fail(nil) }, bus.StoreFailing},
		} {
			if _, err := queue.Append(t.Context(), outbox.Message{Topic: "/a", QoS: 1}); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			c.begin()
			if _, err := queue.Append(t.Context(), outbox.Message{Topic: "/a", QoS: 1}); !errors.Is(err, outbox.ErrDisk) {
				t.Errorf("%s: %v", c.name, err)
			}
			time.Sleep(warningsEvery + notesEvery)
			if got := codes(); !slices.Contains(got, string(c.want)) {
				t.Errorf("%s: %q", c.name, got)
			}
			c.end()
			time.Sleep(2 * (warningsEvery + notesEvery))
			if got := codes(); len(got) != 0 {
				t.Errorf("%s, when it is over: %q", c.name, got)
			}
		}
		stop()
	})
}

// A module that is not the one for which messages wait is told as soon as it is
// identified, and no longer than they wait.
func TestForeignMessagesAreToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, err := outbox.Open("", outbox.Limits{}, outbox.Options{Files: simdisk.New()})
		if err != nil {
			t.Fatal(err)
		}
		stop := runOutbox(queue, zap.NewNop())
		board := bus.NewStatusBoard()
		var told sync.WaitGroup
		told.Go(func() { _ = tellNotes(t.Context(), queue, board, zap.NewNop()) })
		warned := func() bool {
			time.Sleep(notesEvery)
			synctest.Wait()
			return slices.ContainsFunc(board.Status().Warnings, func(w api.Warning) bool { return w.Code == string(bus.ForeignQueue) })
		}
		for i := range 2 {
			old, here := outbox.Device{ProductKey: "pk", DeviceName: "old" + strconv.Itoa(i)}, outbox.Device{ProductKey: "pk", DeviceName: "new" + strconv.Itoa(i)}
			queue.Device(old)
			if _, err := queue.Append(t.Context(), outbox.Message{Topic: "/pk/" + old.DeviceName + "/update", QoS: 1}); err != nil {
				t.Fatal(err)
			}
			if warned() {
				t.Errorf("%d: warned of the device's own message", i)
			}
			queue.Device(here)
			if !warned() {
				t.Errorf("%d: no warning of another device's message", i)
			}
			end := queue.DropForeign
			if i == 1 {
				end = queue.Retarget
			}
			if n, err := end(); n != 1 || err != nil {
				t.Errorf("%d: %d, %v", i, n, err)
			}
			if warned() {
				t.Errorf("%d: the warning outlives its cure", i)
			}
		}
		stop()
	})
}

// Where half of the file system is less than outbox.max_bytes the start says so.
func TestTheBoundOfTheDiskIsToldAtTheStart(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	cfg := config.Default().Outbox
	cfg.Dir, cfg.MaxBytes = t.TempDir(), 1<<60
	queue, err := openOutbox(cfg, outbox.Device{}, metrics.New("", "", labels()), zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer runOutbox(queue, zap.NewNop())()
	if n := logs.FilterFieldKey("share").Len(); n != 1 {
		t.Errorf("%d lines tell it: %+v", n, logs.All())
	}
}
