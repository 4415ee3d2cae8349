package main

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"airbridged/internal/config"
)

// hardReset returns how to reset a module that no longer answers: by the line or by
// the program that is configured, of which there is at most one; nil when there is
// none.
func hardReset(cfg config.Modem, log *zap.Logger) func(context.Context) error {
	switch {
	case cfg.ResetGPIO != "":
		return func(ctx context.Context) error {
			err := pulse(ctx, parseResetPin(cfg.ResetGPIO), requestLine)
			log.Info("reset line", zap.String("line", cfg.ResetGPIO), zap.Error(err))
			return err
		}
	case len(cfg.ResetCommand) > 0:
		return func(ctx context.Context) error {
			output, err := runProgram(ctx, cfg.ResetCommand)
			log.Info("reset command", zap.Strings("command", cfg.ResetCommand), zap.String("output", output), zap.Error(err))
			if err != nil {
				return fmt.Errorf("reset command %w", err)
			}
			return nil
		}
	}
	return nil
}
