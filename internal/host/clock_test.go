package host

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// A module that takes local time for UTC would have set the clock back by eight hours, to
// the second. Before a step of whole quarter hours the platform is asked; it is told, and
// not done, where that says otherwise or nothing. One who contradicts is heard about any
// other step, too; one who is silent does not hold that up.
func TestClockNeedsASecondWitness(t *testing.T) {
	t.Parallel()
	silent := errors.New("no session")
	for name, c := range map[string]struct {
		ahead    time.Duration // the network, of the clock
		platform time.Duration // the platform, of the clock
		err      error
		sets     bool
	}{
		"8 h back, and the platform knows better": {ahead: -8 * time.Hour},
		"8 h back, and nobody else to ask":        {ahead: -8*time.Hour + 20*time.Second, err: silent},
		"8 h back, and that is right":             {ahead: -8 * time.Hour, platform: -8*time.Hour + 5*time.Second, sets: true},
		"a quarter of an hour, nobody to ask":     {ahead: 15 * time.Minute, err: silent},
		"5 h 45 min, as in Nepal":                 {ahead: -(5*time.Hour + 45*time.Minute), err: silent},
		"7 min, nobody to ask":                    {ahead: 7 * time.Minute, err: silent, sets: true},
		"7 min, and the platform says so":         {ahead: 7 * time.Minute, platform: 7 * time.Minute, sets: true},
		"7 min, and the platform does not":        {ahead: 7 * time.Minute},
		"50 years, nobody to ask":                 {ahead: 50*365*24*time.Hour + 7*time.Minute, err: silent, sets: true},
		"50 years, but 8 h less":                  {ahead: 50*365*24*time.Hour + 7*time.Minute, platform: 50*365*24*time.Hour + 8*time.Hour + 7*time.Minute},
		"a platform that is as far off":           {ahead: -8 * time.Hour, platform: 8 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "ran")
			board := bus.NewStatusBoard()
			now := time.Now()
			board.Update(func(st *bus.Status) { st.NetworkTime = &bus.NetworkTime{Told: now.Round(0).Add(c.ahead), At: now} })
			watch := board.Watch()
			defer watch.Close()
			asked := 0
			s := &clockSetter{
				command: []string{"touch", file, "-d"}, board: board, log: zap.NewNop(), kept: func() bool { return false },
				witness: func(context.Context) (time.Time, time.Time, error) {
					asked++
					return now.Round(0).Add(c.platform), now, c.err
				},
			}
			for i := range 10 {
				s.compare(t.Context(), now.Add(time.Duration(i)*clockLook))
			}
			_, err := os.Stat(file)
			if sets := err == nil; sets != c.sets || asked != 1 {
				t.Errorf("set: %v, want %v; asked %d times", sets, c.sets, asked)
			}
			board.Emit(bus.Warned("end", ""))
			doubts := 0
			for e := range events(t, watch) {
				if e.Code == "clock-doubted" {
					doubts++
				}
			}
			if want := map[bool]int{false: 1}[c.sets]; doubts != want {
				t.Errorf("told %d times", doubts)
			}
		})
	}
}

// events are those up to the one that says end.
func events(t *testing.T, watch *bus.Watch) iter.Seq[api.Event] {
	return func(yield func(api.Event) bool) {
		for {
			e, err := watch.Next(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if e.Code == "end" || !yield(e) {
				return
			}
		}
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
