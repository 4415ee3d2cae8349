package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
)

// A line that cannot be used is told when the daemon starts, and not when the module
// hangs; once it can be, the warning goes.
func TestResetLineIsLookedAt(t *testing.T) {
	for _, c := range []struct {
		err  error
		hint string
	}{
		{fs.ErrNotExist, "there is no /dev/gpiochip0"},
		{fmt.Errorf("open: %w", fs.ErrPermission), "gpio.conf"},
		{fmt.Errorf("%w by %q", errTaken, "sysfs"), "gpioinfo gpiochip0"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			board := bus.NewStatusBoard()
			var mended atomic.Bool
			done := make(chan error)
			go func() {
				done <- tellResetLine(ctx, resetPin{"gpiochip0", 17, false}, func(resetPin) error {
					if mended.Load() {
						return nil
					}
					return c.err
				}, board, zap.NewNop())
			}()
			synctest.Wait()
			list := board.Status().Warnings
			if len(list) != 1 || list[0].Code != string(bus.ResetLine) || !strings.Contains(list[0].Hint, c.hint) || !strings.Contains(list[0].Detail, "line 17 of gpiochip0") {
				t.Errorf("%v: %+v", c.err, list)
			}
			mended.Store(true)
			time.Sleep(2 * lineLook)
			synctest.Wait()
			if list := board.Status().Warnings; len(list) != 0 {
				t.Errorf("%v: it works, and %+v is told", c.err, list)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// On this machine there is no such chip, which the kernel says itself.
func TestLookAtLine(t *testing.T) {
	if err := lookAtLine(resetPin{"gpiochip987", 1, false}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
