package datause

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"airbridged/internal/durable"
)

// Names of the programs that have none of their own.
const (
	Unknown = "(before the restart)" // messages that an earlier process accepted
	Others  = "(others)"             // of more than 30 programs
)

// maxPrograms bounds the names that are told apart. Sources are numbers from 0,
// which is Unknown, to maxPrograms+1, which is Others: five bits.
const maxPrograms = 30

const (
	lookEvery = time.Minute      // at the clock and the budget
	saveEvery = 15 * time.Minute // at most, unless a warning was given
)

// forecastAfter is how long must have been counted before a forecast is made.
const forecastAfter = 6 * time.Hour

// Options says where the account is kept and what is allowed.
type Options struct {
	State  durable.Directory // keeps the account over restarts
	Budget int64             // bytes a month; 0: no budget
	Day    int               // of the month on which it begins anew, 1 to 28

	// Warn is told of 80 % and 100 %, and of a file that cannot be read or
	// written. Hold is told whether the budget is used up; nil: nobody asks.
	// Both are called by the goroutine in Run, with no lock held.
	Warn func(code, detail string)
	Hold func(over bool)
}

// Account counts. Its methods may be called by any goroutine.
type Account struct {
	o       Options
	note    durable.Note[months]
	trouble error // of Open, for Run to tell
	unread  bool  // the note is there and could not be read so far; after Open, Run's

	mu      sync.Mutex
	months  months
	sources []string // names by number
	changed bool     // since it was saved
}

// accountFile is the account's name in the state directory.
const accountFile = "data.json"

// Open reads the account of an earlier process. A damaged one is as good as none.
// One that cannot be read now is read later, and what was counted meanwhile added
// to it: a disk that fails for a moment does not cost the month. Run tells of
// both.
func Open(o Options) *Account {
	a := &Account{
		o: o, note: durable.NewNote[months](o.State, accountFile),
		months: months{Current: newPeriod(time.Time{}), Other: newPeriod(time.Time{})}, sources: []string{Unknown},
	}
	a.trouble = a.read()
	a.look(time.Now())
	return a
}

// read takes in what an earlier process has kept.
func (a *Account) read() error {
	kept, err := a.note.Load()
	a.unread = err != nil && !errors.Is(err, fs.ErrNotExist) && !durable.Verdict(err)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	kept.Current.sane()
	kept.Other.sane()
	a.mu.Lock()
	counted := a.months.Current
	a.months = kept
	a.mu.Unlock()
	a.look(time.Now())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.months.Current.takeIn(counted)
	return nil
}

// CloudBytes counts bytes on the air by their cause.
func (a *Account) CloudBytes(cause string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.months.Current.Causes[cause] += uint64(max(n, 0))
	a.changed = true
}

// ProgramBytes counts bytes on the air for the program that sent a message.
func (a *Account) ProgramBytes(source uint8, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := Others
	if int(source) < len(a.sources) {
		name = a.sources[source]
	}
	programs := a.months.Current.Programs
	if _, known := programs[name]; !known && len(programs) > maxPrograms+1 {
		name = Others // of the month, over several starts
	}
	programs[name] += uint64(max(n, 0))
	a.changed = true
}

// Source returns the number of a program, for ProgramBytes; the same one for the
// same name as long as the process lives. There are maxPrograms, and one for all
// others.
func (a *Account) Source(name string) uint8 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.sources, name); i > 0 {
		return uint8(i)
	}
	if len(a.sources) > maxPrograms {
		return maxPrograms + 1
	}
	a.sources = append(a.sources, name)
	return uint8(len(a.sources) - 1)
}

// Program is what one program used.
type Program struct {
	Name  string
	Bytes uint64
}

// Report is the account as it stands.
type Report struct {
	Since, Until time.Time // counted since, and the end of the month; zero: the clock was never right
	Bytes        uint64
	Causes       map[string]uint64
	Programs     []Program // the greatest first; messages up only
	Budget       int64     // 0: none
	Forecast     uint64    // bytes by the end of the month, at the present rate; 0: too early to say
	Over         bool      // the budget is used up
}

// Report returns the account as it stands.
func (a *Account) Report() Report {
	now := time.Now()
	a.look(now)
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.months.Current.clone()
	r := Report{Bytes: p.bytes(), Causes: p.Causes, Budget: a.o.Budget}
	r.Over = a.o.Budget > 0 && r.Bytes >= uint64(a.o.Budget)
	for name, n := range p.Programs {
		r.Programs = append(r.Programs, Program{name, n})
	}
	slices.SortFunc(r.Programs, func(x, y Program) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(x.Name, y.Name))
	})
	if p.Start.IsZero() {
		return r
	}
	r.Since, r.Until = p.Since, endOf(p.Start)
	if passed := now.Sub(p.Since); passed >= forecastAfter && plausible(now) {
		left := max(0, r.Until.Sub(now))
		r.Forecast = r.Bytes + uint64(float64(r.Bytes)*left.Seconds()/passed.Seconds())
	}
	return r
}

// Run follows the clock and the budget and saves the account until ctx ends, and
// once more then.
func (a *Account) Run(ctx context.Context) error {
	switch {
	case a.unread:
		a.warn("data-account", "what was used this month cannot be read now, that is tried again every minute: "+a.trouble.Error())
	case a.trouble != nil:
		a.warn("data-account", "what was used this month is not known, counting begins anew: "+a.trouble.Error())
	}
	var over, failing bool
	save := func() {
		err := a.save()
		if err != nil && !failing {
			a.warn("data-account", "the account of the data used cannot be stored, a restart would forget it: "+err.Error())
		}
		failing = err != nil
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for saved := time.Now(); ; {
		if a.unread && a.read() == nil {
			a.warn("data-account", "what was used this month could be read, and is counted again")
		}
		a.look(time.Now())
		told := a.tell()
		if now := a.Report().Over; now != over && a.o.Hold != nil {
			over = now
			a.o.Hold(over)
		}
		if told || time.Since(saved) >= saveEvery {
			save()
			saved = time.Now()
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			save()
			return nil
		}
	}
}

// look follows the clock.
func (a *Account) look(now time.Time) {
	if !plausible(now) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &a.months.Current
	fresh := c.Start.IsZero()
	start := startOf(now, a.o.Day)
	if same(start, c.Start) {
		return
	}
	a.months.turn(start)
	if fresh {
		c.Since = now // the first month has no past
	}
	a.changed = true
}

// tell warns of the budget when a mark is passed, and says whether it did.
func (a *Account) tell() bool {
	if a.o.Budget <= 0 {
		return false
	}
	r := a.Report()
	percent := int(r.Bytes * 100 / uint64(a.o.Budget))
	mark := 0
	for _, m := range []int{80, 100} {
		if percent >= m {
			mark = m
		}
	}
	if !a.mark(mark) {
		return false
	}
	detail := fmt.Sprintf("%d %% of the month's data budget are used: %d of %d bytes", percent, r.Bytes, r.Budget)
	if r.Forecast > 0 {
		detail += fmt.Sprintf(", about %d by %s at this rate", r.Forecast, r.Until.Format(time.DateOnly))
	}
	a.warn("data-budget", detail)
	return true
}

// mark notes the mark that was reached, and says whether it is a higher one. It
// goes down when the budget was raised.
func (a *Account) mark(now int) (higher bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &a.months.Current
	higher = now > c.Warned
	a.changed = a.changed || now != c.Warned
	c.Warned = now
	return higher
}

func (a *Account) warn(code, detail string) {
	if a.o.Warn != nil {
		a.o.Warn(code, detail)
	}
}

// save replaces the file, if there is something new. What could not be read yet is
// not replaced.
func (a *Account) save() error {
	if a.unread {
		if err := a.read(); a.unread {
			return err
		}
	}
	now, changed := a.snapshot()
	if !changed {
		return nil
	}
	if err := a.note.Save(now); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.changed = true
		return err
	}
	return nil
}

// snapshot copies what is to be saved, and says whether that is anything new.
func (a *Account) snapshot() (now months, changed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed, a.changed = a.changed, false
	return months{Current: a.months.Current.clone(), Other: a.months.Other.clone()}, changed
}
