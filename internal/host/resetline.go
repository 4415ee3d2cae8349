package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/warthog618/go-gpiocdev"
	"go.uber.org/zap"

	"airbridged/internal/bus"
)

// errTaken: another program holds the line, and a reset would fail.
var errTaken = errors.New("the line is held")

// lookAtLine opens the chip and asks about the line. It requests nothing, so the module
// notices nothing.
func lookAtLine(p resetPin) error {
	chip, err := gpiocdev.NewChip(p.chip)
	if err != nil {
		return err
	}
	defer func() { _ = chip.Close() }()
	info, err := chip.LineInfo(p.offset)
	if err == nil && info.Used {
		err = fmt.Errorf("%w by %q", errTaken, info.Consumer)
	}
	return err
}

// lineLook is how often a line that cannot be used is looked at again.
const lineLook = time.Minute

// TellResetLine says, as long as it lasts, that the module could not be reset by the
// line that modem.reset_gpio names: found out when it is needed, that is too late.
func TellResetLine(ctx context.Context, line string, board *bus.StatusBoard, log *zap.Logger) error {
	return tellResetLine(ctx, parseResetPin(line), lookAtLine, board, log)
}

func tellResetLine(ctx context.Context, p resetPin, look func(resetPin) error, board *bus.StatusBoard, log *zap.Logger) error {
	told := ""
	for {
		err := look(p)
		switch {
		case err == nil:
			if told != "" {
				log.Info("the reset line can be used", zap.Stringer("line", p))
			}
			told = ""
			board.ClearWarning(bus.ResetLine, "")
		case err.Error() != told:
			told = err.Error()
			log.Warn("the reset line cannot be used", zap.Stringer("line", p), zap.Error(err), zap.String("hint", lineHint(p, err)))
			board.SetWarning(bus.Warning{Code: bus.ResetLine, Detail: fmt.Sprintf("modem.reset_gpio: %s: %v", p, err), Hint: lineHint(p, err)})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lineLook):
		}
	}
}

// lineHint is gpioHint for a look.
func lineHint(p resetPin, err error) string {
	switch {
	case errors.Is(err, errTaken):
		return "gpioinfo " + p.chip + " names who holds it; a line exported in /sys/class/gpio counts, too"
	case errors.Is(err, fs.ErrPermission):
		return "the drop-in gpio.conf of the examples lets the service open it, and the packaged udev rule gives it to the group gpio: udevadm trigger --subsystem-match=gpio"
	}
	return gpioHint(p, err)
}
