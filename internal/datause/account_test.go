package datause_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/datause"
	"airbridged/internal/durable"
)

// owner runs an account in a synctest bubble, whose clock begins in 2000: that
// is before the program was made, so the clock counts as not set.
type owner struct {
	*datause.Account
	*durable.Counted
	stop func()

	mu       sync.Mutex
	warnings []string
	held     []bool
}

// told are the warnings so far.
func (w *owner) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.warnings)
}

// holds is what Hold was told so far.
func (w *owner) holds() []bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.held)
}

func open(t *testing.T, dir string, o datause.Options) *owner {
	t.Helper()
	w := &owner{}
	if o.State == nil {
		o.State = durable.OnDisk(dir)
	}
	o.State, o.Day = durable.Count(o.State), max(o.Day, 1)
	o.Warn = func(code, detail string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.warnings = append(w.warnings, code+": "+detail)
	}
	o.Hold = func(over bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.held = append(w.held, over)
	}
	w.Account, w.Counted = datause.Open(o), o.State.(*durable.Counted)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return w
}

// setClock lets virtual time pass until the clock says a moment.
func setClock(text string) {
	to, err := time.ParseInLocation("2006-01-02 15:04", text, time.Local)
	if err != nil {
		panic(err)
	}
	time.Sleep(time.Until(to))
}

func TestAccountOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		setClock("2026-11-10 12:00")
		a := open(t, path, datause.Options{})
		a.CloudBytes("payload", 1000)
		a.CloudBytes("handshake", 500)
		sensor, other := a.Source("root/sensord"), a.Source("alice/curl")
		if a.Source("root/sensord") != sensor || sensor == other || sensor == 0 {
			t.Errorf("sources %d %d", sensor, other)
		}
		a.ProgramBytes(sensor, 700)
		a.ProgramBytes(other, 300)
		a.ProgramBytes(0, 5)
		a.stop()

		time.Sleep(time.Hour)
		b := open(t, path, datause.Options{})
		b.ProgramBytes(b.Source("alice/curl"), 1000)
		b.CloudBytes("payload", 1000)
		r := b.Report()
		b.stop()
		if r.Bytes != 2500 || !reflect.DeepEqual(r.Causes, map[string]uint64{"payload": 2000, "handshake": 500}) {
			t.Errorf("%+v", r)
		}
		want := []datause.Program{{Name: "alice/curl", Bytes: 1300}, {Name: "root/sensord", Bytes: 700}, {Name: datause.Unknown, Bytes: 5}}
		if !reflect.DeepEqual(r.Programs, want) {
			t.Errorf("%+v", r.Programs)
		}
		if a.told() != nil || b.told() != nil || a.holds() != nil || b.holds() != nil {
			t.Errorf("without a budget: %q %q %v %v", a.told(), b.told(), a.holds(), b.holds())
		}
	})
}

// The file is written four times an hour at most, and not at all when nothing
// happens.
func TestFewWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, t.TempDir(), datause.Options{})
		defer func() { a.stop() }()
		synctest.Wait()
		writes, size := 0, uint64(0)
		for range 24 * 60 {
			a.CloudBytes("payload", 100)
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := a.Written(); n != size {
				writes, size = writes+1, n
			}
		}
		if writes < 90 || writes > 96 {
			t.Errorf("%d writes on a busy day", writes)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := a.Written() - size; n > 400 {
			t.Errorf("%d bytes on a day without traffic", n)
		}
	})
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		setClock("2026-11-11 00:00")
		a := open(t, path, datause.Options{Budget: 1000})
		check := func(told, holds int) {
			t.Helper()
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if len(a.told()) != told || len(a.holds()) != holds {
				t.Fatalf("told %q, held %v; want %d and %d", a.told(), a.holds(), told, holds)
			}
		}
		a.CloudBytes("payload", 799)
		check(0, 0)
		a.CloudBytes("payload", 1)
		check(1, 0)
		a.CloudBytes("keepalive", 100)
		check(1, 0)
		a.CloudBytes("keepalive", 100)
		check(2, 1)
		if !a.holds()[0] || !a.Report().Over || !strings.HasPrefix(a.told()[1], "data-budget: 100 % of the month's data budget are used: 1000 of 1000 bytes") {
			t.Errorf("%q %v", a.told(), a.holds())
		}
		a.stop()

		a = open(t, path, datause.Options{Budget: 1000}) // a restart holds again, and tells nobody twice
		check(0, 1)
		a.stop()
		a = open(t, path, datause.Options{Budget: 5000}) // raised: nothing is held
		check(0, 0)
		a.CloudBytes("payload", 3500)
		check(1, 0)
		a.CloudBytes("payload", 5000)
		check(2, 1)

		setClock("2026-12-01 00:00")
		check(2, 2)
		if r := a.Report(); a.holds()[1] || r.Bytes != 0 || r.Over {
			t.Errorf("the new month begins with %+v, held %v", r, a.holds())
		}
		a.stop()
	})
}

// A tenth of a month took 100 bytes: the whole one will take about 1000.
func TestForecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setClock("2026-10-31 23:59")
		a := open(t, t.TempDir(), datause.Options{})
		defer func() { a.stop() }()
		setClock("2026-11-01 05:59")
		a.CloudBytes("payload", 100)
		if r := a.Report(); r.Forecast != 0 || r.Bytes != 100 {
			t.Errorf("a forecast from less than six hours: %+v", r)
		}
		setClock("2026-11-04 00:00")
		r := a.Report()
		if r.Forecast < 990 || r.Forecast > 1010 || !r.Until.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.Local)) {
			t.Errorf("%+v", r)
		}
	})
}

// A gateway without a battery for its clock starts in the past every time. What
// it counts before the clock is set belongs to the month that was.
func TestClockThatIsNotSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		a := datause.Open(datause.Options{State: durable.OnDisk(path), Day: 1}) // the bubble's clock says 2000
		a.CloudBytes("payload", 100)
		if r := a.Report(); !r.Since.IsZero() || r.Bytes != 100 || r.Forecast != 0 {
			t.Errorf("%+v", r)
		}
		setClock("2026-11-10 00:00")
		if r := a.Report(); r.Bytes != 100 || !r.Since.Equal(time.Date(2026, 11, 10, 0, 0, 0, 0, time.Local)) {
			t.Errorf("after the clock was set: %+v", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		november := `{"current":{"start":"2026-11-01T00:00:00Z","since":"2026-11-01T00:00:00Z","causes":{"payload":900},"programs":{},"warned":80},"other":{}}`
		if err := os.WriteFile(filepath.Join(path, "data.json"), []byte(november), 0o600); err != nil {
			t.Fatal(err)
		}
		a := open(t, path, datause.Options{Budget: 1000}) // in 2000
		a.CloudBytes("payload", 150)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if r := a.Report(); r.Bytes != 1050 || !r.Over || len(a.told()) != 1 {
			t.Errorf("%+v, told %q", r, a.told())
		}
		a.stop()
	})
}

// Damage costs the numbers of the month, and is told; not the start.
func TestDamagedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		for _, text := range []string{"", "{", `{"current":3}`, "null", `{"current":{"causes":null}}`} {
			if err := os.WriteFile(filepath.Join(path, "data.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			a := open(t, path, datause.Options{})
			a.CloudBytes("payload", 1)
			a.ProgramBytes(a.Source("x"), 1)
			synctest.Wait()
			if bad := text == "" || text == "{" || text == `{"current":3}`; (len(a.told()) == 1) != bad {
				t.Errorf("%q: told %q", text, a.told())
			}
			if r := a.Report(); r.Bytes != 1 {
				t.Errorf("%q: %+v", text, r)
			}
			a.stop()
		}
	})
}

// A directory that cannot be written is told once, not every quarter of an hour,
// and stops nothing.
func TestUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, filepath.Join(t.TempDir(), "no", "such"), datause.Options{})
		for range 4 {
			a.CloudBytes("payload", 1)
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		if len(a.told()) != 1 || !strings.Contains(a.told()[0], "cannot be stored") {
			t.Errorf("told %q", a.told())
		}
		a.stop()
	})
}

// However many programs come and go, over however many starts, the account stays
// small.
func TestManyPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		var total int
		for start := range 5 {
			a := open(t, path, datause.Options{})
			for i := range 100 {
				source := a.Source(fmt.Sprint("program ", start, i))
				if source == 0 || source > 31 {
					t.Fatalf("source %d does not fit", source)
				}
				a.ProgramBytes(source, 1)
				total++
			}
			r := a.Report()
			sum := 0
			for _, p := range r.Programs {
				sum += int(p.Bytes)
			}
			if len(r.Programs) > 33 || sum != total {
				t.Errorf("%d programs with %d of %d bytes", len(r.Programs), sum, total)
			}
			a.stop()
		}
	})
}

// troubled is a directory that cannot be read for a while.
type troubled struct {
	durable.Directory
	until time.Time
}

func (d troubled) Read(name string) ([]byte, error) {
	if time.Now().Before(d.until) {
		return nil, syscall.EIO
	}
	return d.Directory.Read(name)
}

// A disk that failed for a moment at the start cost the month: the account began
// at nothing, and a quarter of an hour later that was what the file said.
func TestAFailedReadDoesNotCostTheMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		a := open(t, path, datause.Options{})
		a.CloudBytes("payload", 1000)
		synctest.Wait()
		a.stop()
		a = open(t, path, datause.Options{State: troubled{durable.OnDisk(path), time.Now().Add(40 * time.Minute)}})
		a.CloudBytes("payload", 10)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if r := a.Report(); r.Bytes != 10 || a.Written() != 0 {
			t.Errorf("while the disk fails: %d bytes counted, %d written", r.Bytes, a.Written())
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if r := a.Report(); r.Bytes != 1010 {
			t.Errorf("%d bytes, want what was kept and what came since", r.Bytes)
		}
		a.stop()
		a = open(t, path, datause.Options{})
		if r := a.Report(); r.Bytes != 1010 {
			t.Errorf("%d bytes after the next start", r.Bytes)
		}
		a.stop()
	})
}
