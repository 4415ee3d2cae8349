package session

import (
	"os"
	"testing"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/durable"
	"airbridged/internal/recovery"
)

// The last rung is a new process: were the budget its own, a daemon that exits
// would reset the module as often as it likes. A file that a power cut damaged counts
// as none.
func TestResetBudgetOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	state := durable.OnDisk(t.TempDir())
	next := func() *Session {
		s := &Session{
			Options: Options{State: state, Log: zap.NewNop()},
			past:    recovery.NewPast(recovery.Policy{HardResetsPerHour: 4}, nil, time.Now(), nil),
		}
		s.recallResets()
		return s
	}
	left := func() int {
		s := next()
		return s.past.History(recovery.NoAnswer, recovery.Facts{}, time.Now()).ResetsLeft
	}
	for n := range 4 {
		if got := left(); got != 4-n {
			t.Fatalf("a new process has %d resets left after %d, want %d", got, n, 4-n)
		}
		next().bookReset()
	}
	if n := left(); n != 0 {
		t.Errorf("%d resets are left of an hour's four", n)
	}
	if err := os.WriteFile(state.Path(resetsFile), []byte("not json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != 4 {
		t.Errorf("%d resets left with a damaged file, want all", n)
	}
}
