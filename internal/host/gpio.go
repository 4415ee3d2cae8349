package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/warthog618/go-gpiocdev"
	"golang.org/x/sys/unix"
)

// resetPulse is how long the module's RESET is pulled: at least 150 ms on the Air724
// and 500 ms on the Air780E (vendor's hardware guides).
const resetPulse = 600 * time.Millisecond

// resetPin is the line that resets the module.
type resetPin struct {
	chip      string // gpiochipN
	offset    int
	activeLow bool // the module is reset while the line is low
}

// parseResetPin reads modem.reset_gpio, whose form the configuration has checked.
func parseResetPin(text string) resetPin {
	chip, rest, _ := strings.Cut(text, "/")
	line, flag, _ := strings.Cut(rest, "/")
	offset, _ := strconv.Atoi(line)
	return resetPin{chip, offset, flag == "active-low"}
}

func (p resetPin) String() string { return fmt.Sprintf("line %d of %s", p.offset, p.chip) }

// outputLine is a requested line. Values are logical: 1 resets, whatever the level.
type outputLine interface {
	SetValue(value int) error
	Close() error
}

// requestLine asks the kernel for the line as an output that does not reset, by the
// GPIO character device.
func requestLine(p resetPin) (outputLine, error) {
	options := []gpiocdev.LineReqOption{gpiocdev.WithConsumer("airbridged"), gpiocdev.AsOutput(0)}
	if p.activeLow {
		options = append(options, gpiocdev.AsActiveLow)
	}
	line, err := gpiocdev.RequestLine(p.chip, p.offset, options...)
	if err != nil {
		return nil, err
	}
	return line, nil
}

// pulse resets the module. The line is held only meanwhile, and let go of inactive
// whatever happens; a resistor on the board has to keep it so.
func pulse(ctx context.Context, p resetPin, request func(resetPin) (outputLine, error)) error {
	line, err := request(p)
	if err != nil {
		return fmt.Errorf("reset by %s: %w (%s)", p, err, gpioHint(p, err))
	}
	if err = line.SetValue(1); err == nil {
		select {
		case <-time.After(resetPulse):
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err = errors.Join(err, line.SetValue(0), line.Close()); err != nil {
		return fmt.Errorf("reset by %s: %w", p, err)
	}
	return nil
}

// gpioHint says what to do about a line that cannot be had.
func gpioHint(p resetPin, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no /dev/" + p.chip + ": gpiodetect lists the chips, and their numbers may change with the kernel"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, gpiocdev.ErrPermissionDenied):
		return "the daemon's user must be in the group that owns /dev/" + p.chip + ", and the unit must allow the device: DeviceAllow=char-gpiochip rw"
	case errors.Is(err, unix.EBUSY):
		return "something else holds the line: gpioinfo " + p.chip + " names it; a line exported in /sys/class/gpio counts, too"
	case errors.Is(err, gpiocdev.ErrInvalidOffset), errors.Is(err, unix.EINVAL):
		return "gpioinfo " + p.chip + " lists its lines"
	case errors.Is(err, gpiocdev.ErrNotCharacterDevice), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.ENODEV):
		return "/dev/" + p.chip + " is no GPIO chip"
	}
	return "gpioinfo " + p.chip + " shows what the kernel knows of it"
}
