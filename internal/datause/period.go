package datause

import (
	"maps"
	"time"
)

// period is one month of the account. Start is its beginning; zero: the clock
// was never right so far.
type period struct {
	Start    time.Time         `json:"start"`
	Since    time.Time         `json:"since"` // counted since; later than Start in the first month
	Causes   map[string]uint64 `json:"causes"`
	Programs map[string]uint64 `json:"programs"`
	Warned   int               `json:"warned"` // percent of the budget that were told
}

func newPeriod(start time.Time) period {
	return period{Start: start, Since: start, Causes: map[string]uint64{}, Programs: map[string]uint64{}}
}

// sane makes a period that was read useful.
func (p *period) sane() {
	if p.Causes == nil {
		p.Causes = map[string]uint64{}
	}
	if p.Programs == nil {
		p.Programs = map[string]uint64{}
	}
	p.Start, p.Since = p.Start.Local(), p.Since.Local()
}

func (p *period) bytes() (n uint64) {
	for _, b := range p.Causes {
		n += b
	}
	return n
}

// takeIn adds what another period has counted.
func (p *period) takeIn(other period) {
	for cause, n := range other.Causes {
		p.Causes[cause] += n
	}
	for program, n := range other.Programs {
		p.Programs[program] += n
	}
	p.Warned = max(p.Warned, other.Warned)
}

func (p *period) clone() period {
	c := *p
	c.Causes, c.Programs = maps.Clone(p.Causes), maps.Clone(p.Programs)
	return c
}

// plausible says whether the clock can be right: this program is younger than
// any clock before 2026.
func plausible(now time.Time) bool { return now.Year() >= 2026 }

// startOf is the beginning of the month that now is in, when months begin on a
// day (1 to 28) at midnight, local time.
func startOf(now time.Time, day int) time.Time {
	start := time.Date(now.Year(), now.Month(), day, 0, 0, 0, 0, now.Location())
	if start.After(now) {
		start = time.Date(now.Year(), now.Month()-1, day, 0, 0, 0, 0, now.Location())
	}
	return start
}

// endOf is the beginning of the next month.
func endOf(start time.Time) time.Time {
	return time.Date(start.Year(), start.Month()+1, start.Day(), 0, 0, 0, 0, start.Location())
}

// same says whether two beginnings are that of one month. They may lie some hours
// apart: the time zone was changed.
func same(a, b time.Time) bool { return a.Sub(b).Abs() < 36*time.Hour }

// months are the present one and the one that the clock said before it.
type months struct {
	Current period `json:"current"`
	Other   period `json:"other"`
}

// turn follows the clock into the month that begins at start.
//
// Forward into a month that was never seen begins a new one. Back and forth over
// the turn of a month only changes the one that is counted in: a clock that is
// set by a second at midnight does that. Any other step back, or return from a
// step, keeps what was counted: one of the two clocks was wrong, and the bytes
// belong to the month of the right one.
func (m *months) turn(start time.Time) {
	c, o := &m.Current, &m.Other
	switch {
	case same(start, c.Start):
	case c.Start.IsZero():
		c.Start, c.Since = start, start
	case same(start, o.Start) && neighbours(*c, *o):
		*c, *o = *o, *c
	case same(start, o.Start):
		left := *c
		*c = *o
		c.takeIn(left)
		*o = newPeriod(left.Start)
	case start.After(c.Start):
		*o = *c
		*c = newPeriod(start)
	default:
		*o = newPeriod(c.Start)
		c.Start, c.Since = start, start
	}
}

func neighbours(a, b period) bool {
	return same(endOf(a.Start), b.Start) || same(endOf(b.Start), a.Start)
}
