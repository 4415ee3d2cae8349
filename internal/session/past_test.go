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
	o := Options{State: durable.OnDisk(t.TempDir()), Log: zap.NewNop(), Recovery: Recovery{HardResetsPerHour: 4}}
	left := func() int {
		p := newPast(o, nil)
		return p.History(recovery.NoAnswer, recovery.Facts{}, time.Now()).ResetsLeft
	}
	for n := range 4 {
		if got := left(); got != 4-n {
			t.Fatalf("a new process has %d resets left after %d, want %d", got, n, 4-n)
		}
		p := newPast(o, nil)
		p.bookReset()
	}
	if n := left(); n != 0 {
		t.Errorf("%d resets are left of an hour's four", n)
	}
	if err := os.WriteFile(o.State.Path("resets.json"), []byte("not json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != 4 {
		t.Errorf("%d resets left with a damaged file, want all", n)
	}
}
