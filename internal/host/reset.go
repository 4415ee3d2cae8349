package host

import (
	"context"
	"fmt"

	"go.uber.org/zap"
)

// HardReset returns how to reset a module that no longer answers: by a line, in the
// form of modem.reset_gpio, or by a program, of which there is at most one; nil when
// there is none.
func HardReset(line string, command []string, log *zap.Logger) func(context.Context) error {
	switch {
	case line != "":
		return func(ctx context.Context) error {
			err := pulse(ctx, parseResetPin(line), requestLine)
			log.Info("reset line", zap.String("line", line), zap.Error(err))
			return err
		}
	case len(command) > 0:
		return func(ctx context.Context) error {
			output, err := RunProgram(ctx, command)
			log.Info("reset command", zap.Strings("command", command), zap.String("output", output), zap.Error(err))
			if err != nil {
				return fmt.Errorf("reset command %w", err)
			}
			return nil
		}
	}
	return nil
}
