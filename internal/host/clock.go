package host

import (
	"context"
	"fmt"
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
	clockAskAgain  = 5 * time.Minute // a second witness that told nothing
)

// A module may take the network's local time for UTC, or UTC for local time: +NITZ of the
// EC718 family is UTC with the zone beside it, and +CCLK may follow it on some firmware.
// What comes of that is a clock that is off by a whole number of quarter hours, to the
// second. So a step of that kind needs a second witness, the platform's own clock; and one
// who contradicts is heard about any step.
const (
	quarterHour   = 15 * time.Minute
	clockLeeway   = time.Minute // of two witnesses: seconds of the network, and half of the platform's way
	quarterLeeway = time.Minute
)

// Witness tells another time, and the moment of this machine at which it was that.
type Witness func(ctx context.Context) (told, at time.Time, err error)

// clockSetter offers the network's time to the system clock, through a program: the
// daemon itself has no right to set it.
type clockSetter struct {
	command []string
	board   *bus.StatusBoard
	log     *zap.Logger
	kept    func() bool // somebody else keeps the clock right
	witness Witness     // the platform's clock; nil: nobody is asked
	ran     time.Time   // when the program was last run
	askNext time.Time   // the witness, not before
	told    time.Time   // when it was last told that the network's time is in doubt
}

// KeepClock runs a program, with the network's time for an argument, whenever the
// system clock is far from it, nobody else keeps it, and the witness does not speak
// against it, until ctx ends.
func KeepClock(ctx context.Context, command []string, board *bus.StatusBoard, witness Witness, log *zap.Logger) error {
	c := &clockSetter{command: command, board: board, log: log, kept: clockIsKept, witness: witness}
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
	if offset.Abs() < clockTolerance || c.kept() || !c.confirmed(ctx, *told, offset, now) {
		return
	}
	c.ran = now
	output, err := RunProgram(ctx, clockArguments(c.command, told.Now(time.Now()).Time))
	c.log.Info("clock command", zap.Strings("command", c.command), zap.Duration("offset", offset.Round(time.Second)), zap.String("output", output), zap.Error(err))
	if err != nil {
		c.board.Emit(bus.Warned("clock-command-failed", err.Error()))
	}
}

// confirmed says whether the clock may be set by what the network told.
func (c *clockSetter) confirmed(ctx context.Context, network bus.NetworkTime, offset time.Duration, now time.Time) bool {
	if c.witness == nil {
		return true
	}
	if now.Before(c.askNext) {
		return false
	}
	told, at, err := c.witness(ctx)
	if ctx.Err() != nil {
		return false
	}
	apart := time.Duration(0)
	if err == nil {
		apart = network.Now(at).Time.Sub(told)
	}
	doubt := inDoubt(offset, apart, err)
	if doubt == "" {
		return true
	}
	c.askNext = now.Add(clockRest)
	if err != nil {
		c.askNext = now.Add(clockAskAgain)
	}
	if c.told.IsZero() || now.Sub(c.told) >= clockRest {
		c.told = now
		c.log.Warn("the network's time is not used", zap.Duration("offset", offset.Round(time.Second)), zap.String("detail", doubt))
		c.board.Emit(bus.Warned("clock-doubted", doubt))
	}
	return false
}

// inDoubt says why the clock must not be set by what the network told; empty: it may be.
// offset is by how much the network is ahead of the clock here, apart by how much it is
// ahead of the platform's, where err says that the platform has told.
func inDoubt(offset, apart time.Duration, err error) string {
	switch {
	case err == nil && apart.Abs() <= clockLeeway:
		return ""
	case err == nil:
		return fmt.Sprintf("the mobile network's time and the platform's differ by %v, so the clock is not set: the module may take its local time for UTC", apart.Abs().Round(time.Second))
	case wholeQuarters(offset):
		return fmt.Sprintf("the mobile network's time and the clock differ by %v, a whole number of quarter hours, as where a module takes its local time for UTC, "+
			"so the clock is not set before the platform has told the time: %v", offset.Abs().Round(time.Second), err)
	}
	return "" // nobody else tells, and it is no matter of a time zone
}

// wholeQuarters says whether a step is one of quarter hours.
func wholeQuarters(d time.Duration) bool {
	d = d.Abs()
	n := d.Round(quarterHour)
	return n > 0 && (d-n).Abs() <= quarterLeeway
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
