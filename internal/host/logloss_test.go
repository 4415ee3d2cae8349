package host

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"airbridged/internal/bus"
)

// Lines that are lost are told where somebody looks, as long as they are, and for a
// while after; and in the log, once it can be written again.
func TestLossIsTold(t *testing.T) {
	board := bus.NewStatusBoard()
	core, lines := observer.New(zap.InfoLevel)
	log := zap.New(core)
	var l loss
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		st    SinkStats
		warns string // empty: no warning
		logs  int    // lines so far
	}{
		{0, SinkStats{}, "", 0},
		{time.Second, SinkStats{Stuck: 3 * time.Second}, "", 0},
		{time.Second, SinkStats{Stuck: 20 * time.Second}, "nobody has read the log for 20s; 0 lines", 0},
		{time.Second, SinkStats{Stuck: 21 * time.Second, Lost: 7}, "7 lines", 0},
		{time.Second, SinkStats{Lost: 7}, "7 lines", 1},
		{time.Second, SinkStats{Lost: 8, Err: syscall.EPIPE}, "the log cannot be written (broken pipe); 8 lines", 1},
		{time.Hour, SinkStats{Lost: 8, Err: syscall.EPIPE}, "broken pipe", 1},
		{time.Second, SinkStats{Lost: 9}, "9 lines", 2},
		{10 * time.Minute, SinkStats{Lost: 9}, "9 lines", 2},
		{10 * time.Minute, SinkStats{Lost: 9}, "", 2},
	} {
		now = now.Add(step.after)
		l.look(step.st, now, board, log)
		got := ""
		if w := board.Status().Warnings; len(w) > 0 {
			got = w[0].Detail
		}
		if !strings.Contains(got, step.warns) || (got == "") != (step.warns == "") || lines.Len() != step.logs {
			t.Errorf("%+v: warning %q, want %q; %d lines, want %d", step.st, got, step.warns, lines.Len(), step.logs)
		}
	}
}
