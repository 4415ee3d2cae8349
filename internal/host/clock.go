package host

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"airbridged/internal/bus"
)

// When modem.clock_command is run: how often that is considered, by how much the
// clocks have to differ (the network tells whole seconds, and some are seconds off),
// how old the network's word may be, and how long it is left at that.
const (
	clockLook      = 10 * time.Second
	clockTolerance = 30 * time.Second
	clockFresh     = 15 * time.Minute
	clockRest      = time.Hour
)

// clockSetter offers the network's time to the system clock, through a program: the
// daemon itself has no right to set it.
type clockSetter struct {
	command []string
	board   *bus.StatusBoard
	log     *zap.Logger
	kept    func() bool // somebody else keeps the clock right
	ran     time.Time   // when the program was last run
}

// KeepClock runs a program, with the network's time for an argument, whenever the
// system clock is far from it and nobody else keeps it, until ctx ends.
func KeepClock(ctx context.Context, command []string, board *bus.StatusBoard, log *zap.Logger) error {
	c := &clockSetter{command: command, board: board, log: log, kept: clockIsKept}
	return c.run(ctx)
}

// run looks at the clocks until ctx ends.
func (c *clockSetter) run(ctx context.Context) error {
	tick := time.NewTicker(clockLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.compare(ctx, time.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

// compare runs the program if that is due.
func (c *clockSetter) compare(ctx context.Context, now time.Time) {
	told := c.board.Status().NetworkTime
	if told == nil || now.Sub(told.At) > clockFresh || !c.ran.IsZero() && now.Sub(c.ran) < clockRest {
		return
	}
	offset := told.Offset(now)
	if offset.Abs() < clockTolerance || c.kept() {
		return
	}
	c.ran = now
	output, err := RunProgram(ctx, clockArguments(c.command, told.Now(time.Now()).Time))
	c.log.Info("clock command", zap.Strings("command", c.command), zap.Duration("offset", offset.Round(time.Second)), zap.String("output", output), zap.Error(err))
	if err != nil {
		c.board.Emit(bus.Warned("clock-command-failed", err.Error()))
	}
}

// clockArguments puts the time, in UTC, where {} stands, or behind the rest.
func clockArguments(command []string, t time.Time) []string {
	text := t.UTC().Format(time.RFC3339)
	list := slices.Clone(command)
	for i, word := range list[1:] {
		list[i+1] = strings.ReplaceAll(word, "{}", text)
	}
	if slices.Equal(list, command) {
		list = append(list, text)
	}
	return list
}

// clockIsKept says whether the system clock is synchronised: what the kernel was
// told by whoever does that (adjtimex(2), which a service may be forbidden to ask),
// or the mark of systemd-timesyncd.
func clockIsKept() bool {
	if _, err := os.Stat("/run/systemd/timesync/synchronized"); err == nil {
		return true
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
