package recovery

import (
	"slices"
	"time"
)

// How long a module may be silent before it is reset. A boot is announced (a banner,
// the echo back on, the device gone and there again), or the daemon has caused it; the
// family's hardware guide allows 90 s for one. A module that falls silent without any
// of that and had been talking a moment ago hangs, unless the announcement got lost: so
// it gets twice the longest of its last ten boots.
const (
	bootMost    = 90 * time.Second
	bootLeast   = 15 * time.Second
	bootUnknown = 30 * time.Second // while none was seen
	bootsKept   = 10
	deafMost    = 20 * time.Second // more, where it may be waiting for the bytes of a payload
)

// boots is what is known of how a module starts.
type boots struct {
	took    []time.Duration // the last ones, the newest last
	began   time.Time       // of a boot that the daemon caused, and whose end was not seen; zero: none
	talking bool            // the module has answered, and no boot was announced since
}

// Booting says that the module begins to boot, by the daemon's doing.
func (p *Past) Booting(now time.Time) { p.boots.began, p.boots.talking = now, false }

// Answered says that the module answers, and returns how long the last boot took that
// the daemon caused; ok is false where there was none, or it took longer than one may.
func (p *Past) Answered(now time.Time) (took time.Duration, ok bool) {
	began := p.boots.began
	p.boots.began, p.boots.talking = time.Time{}, true
	if began.IsZero() || now.Sub(began) > bootMost {
		return 0, false
	}
	return now.Sub(began), true
}

// Boots takes in how long the module's last boots took, the newest last; more than ten
// are cut, and what cannot be is left out.
func (p *Past) Boots(took []time.Duration) []time.Duration {
	took = slices.DeleteFunc(slices.Clone(took), func(d time.Duration) bool { return d <= 0 || d > bootMost })
	p.boots.took = took[max(0, len(took)-bootsKept):]
	return slices.Clone(p.boots.took)
}

// announced says whether a cause means that the module restarts, or may do so.
func announced(c Cause) bool { return c == Rebooted || c == ModuleOff || c == PortMissing }

// patience is how long the module may be silent before a reset.
func (b *boots) patience(deaf bool) time.Duration {
	most := bootMost
	switch {
	case !b.talking:
	case len(b.took) == 0:
		most = bootUnknown
	default:
		most = min(max(2*slices.Max(b.took), bootLeast), bootMost)
	}
	if deaf {
		most += deafMost
	}
	return most
}
