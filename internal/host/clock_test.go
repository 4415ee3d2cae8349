package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"airbridged/client/api"
	"airbridged/internal/bus"
)

func TestClockArguments(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 2, 3, 0, time.FixedZone("", 8*3600))
	for _, c := range []struct{ command, want []string }{
		{[]string{"date", "-u", "-s"}, []string{"date", "-u", "-s", "2026-11-23T01:02:03Z"}},
		{[]string{"set", "--time={}", "--utc"}, []string{"set", "--time=2026-11-23T01:02:03Z", "--utc"}},
		{[]string{"set"}, []string{"set", "2026-11-23T01:02:03Z"}},
	} {
		if got := clockArguments(c.command, at); !slices.Equal(got, c.want) {
			t.Errorf("%q is %q, want %q", c.command, got, c.want)
		}
	}
}

// The program is run when the clocks differ, nobody else keeps the clock, and the
// network's word is new; once an hour, whatever becomes of it.
func TestClockCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ran")
	board := bus.NewStatusBoard()
	kept := false
	c := &clockSetter{
		command: []string{"sh", "-c", `echo "$1" >>"$0"`, file}, board: board, log: zap.NewNop(), kept: func() bool { return kept },
	}
	now := time.Now()
	tells := func(offset, age time.Duration) {
		board.Update(func(st *bus.Status) {
			st.NetworkTime = &bus.NetworkTime{Told: now.Round(0).Add(offset - age), At: now.Add(-age)}
		})
	}
	ran := func() int {
		text, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	steps := []struct {
		what string
		do   func()
		want int
	}{
		{"not known", func() {}, 0},
		{"nearly the same", func() { tells(-25*time.Second, time.Minute) }, 0},
		{"told too long ago", func() { tells(time.Hour, 20*time.Minute) }, 0},
		{"kept by somebody else", func() { kept = true; tells(time.Hour, time.Minute) }, 0},
		{"an hour ahead", func() { kept = false }, 1},
		{"at once again", func() {}, 1},
		{"59 minutes later", func() { now = now.Add(59 * time.Minute); tells(-56*365*24*time.Hour, time.Minute) }, 1},
		{"an hour later", func() { now = now.Add(time.Minute) }, 2},
	}
	for _, s := range steps {
		s.do()
		c.compare(t.Context(), now)
		if n := ran(); n != s.want {
			t.Errorf("%s: ran %d times, want %d", s.what, n, s.want)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	got, err := time.Parse(time.RFC3339, first)
	if d := time.Until(got) - time.Hour; err != nil || d < -time.Minute || d > time.Minute {
		t.Errorf("was given %q: %v", first, err)
	}
}

// A program that fails is told of, and left alone for an hour.
func TestClockCommandFails(t *testing.T) {
	board := bus.NewStatusBoard()
	watch := board.Watch()
	defer watch.Close()
	now := time.Now()
	board.Update(func(st *bus.Status) {
		st.NetworkTime = &bus.NetworkTime{Told: now.Round(0).Add(time.Hour), At: now}
	})
	c := &clockSetter{command: []string{"sh", "-c", "echo not permitted >&2; exit 1"}, board: board, log: zap.NewNop(), kept: func() bool { return false }}
	for range 3 {
		c.compare(t.Context(), now)
	}
	board.Emit(bus.Warned("end", ""))
	var seen []string
	for {
		e, err := watch.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e.Code == "end" {
			break
		}
		if e.Type == api.WarningEvent {
			seen = append(seen, fmt.Sprint(e.Code, " ", e.Detail))
		}
	}
	if len(seen) != 1 || !strings.Contains(seen[0], "clock-command-failed sh: exit status 1: not permitted") {
		t.Errorf("told %q", seen)
	}
}
