package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/config"
	"airbridged/internal/durable"
	"airbridged/internal/outbox"
	"airbridged/internal/provision"
)

// openState makes state.dir ready, and this process its only user.
func openState(dir string) (*durable.Held, error) {
	if err := provision.Prepare(dir); err != nil {
		return nil, err
	}
	state, err := durable.Hold(dir)
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("state.dir: %w; stop the other one, or give each daemon a state.dir of its own", err)
	}
	if err != nil {
		return nil, fmt.Errorf("state.dir: %w", err)
	}
	return state, nil
}

// deviceBefore is which device was here before, as far as anybody knows.
func deviceBefore(cfg config.Device, store *provision.Store) outbox.Device {
	if id, ok := store.Last(); ok {
		return outbox.Device(id)
	}
	return outbox.Device{ProductKey: cfg.ProductKey, DeviceName: cfg.DeviceName}
}

// stateLook is how often state.dir is looked at.
const stateLook = 15 * time.Second

// stateWarnings are the conditions of state.dir as warnings that last.
var stateWarnings = map[durable.Condition]struct {
	code bus.WarningCode
	hint string
}{
	durable.Failing:  {bus.StoreFailing, "check the disk (df, dmesg); nothing is registered meanwhile, and it is tried again by itself"},
	durable.ReadOnly: {bus.StoreReadOnly, "check the file system and mount it writable; what is stored is used meanwhile, and nothing is registered"},
	durable.Gone:     {bus.StoreGone, "put the directory back, or mount it again; the daemon goes on with what it knows, and takes it by itself"},
}

// tellState shows how state.dir is, as long as it lasts.
func tellState(ctx context.Context, state *durable.Held, board *bus.StatusBoard, log *zap.Logger) error {
	const about = "state.dir"
	tick := time.NewTicker(stateLook)
	defer tick.Stop()
	last := durable.Sound
	for {
		now, moved, err := state.Look()
		if moved {
			log.Warn("another directory has taken the place of state.dir, and is used now", zap.String("dir", state.Path(".")))
		}
		w, bad := stateWarnings[now]
		if now != last {
			board.ClearWarning(stateWarnings[last].code, about)
			if !bad {
				log.Info("state.dir works again", zap.String("dir", state.Path(".")))
			}
		}
		if bad {
			detail := "state.dir: " + err.Error()
			if hint := durable.SandboxHint(state.Path(".")); hint != "" && now == durable.ReadOnly {
				w.hint = hint
			}
			if now != last {
				log.Warn("state.dir", zap.String("code", string(w.code)), zap.String("detail", detail))
			}
			board.SetWarning(bus.Warning{Code: w.code, About: about, Detail: detail, Hint: w.hint})
		}
		last = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
