package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Bounds of the reset program: how long it may run, and how much of what it
// prints is logged, in bytes.
const (
	resetLimit  = 30 * time.Second
	resetOutput = 500
)

// hardReset returns how to reset a module that no longer answers, or nil when
// nothing is configured. The program gets its arguments as they are, without a
// shell, and without the daemon's secrets in its environment.
func hardReset(command []string, log *zap.Logger) func(context.Context) error {
	if len(command) == 0 {
		return nil
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, resetLimit)
		defer cancel()
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.WaitDelay = time.Second
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AIRBRIDGED_") })
		output, err := cmd.CombinedOutput()
		log.Info("reset command", zap.Strings("command", command), zap.Error(err), zap.ByteString("output", output[:min(len(output), resetOutput)]))
		if err != nil {
			return fmt.Errorf("reset command %s: %w", command[0], err)
		}
		return nil
	}
}
