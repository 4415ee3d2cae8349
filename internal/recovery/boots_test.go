package recovery

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A module that hung while it was online was back after 99 s to 2 min 12 s, because it
// got the 90 s that a boot may take, though nothing had announced one. What announces a
// boot, or causes one, still gives it those.
func TestPatienceWithASilentModule(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	begin := func(took ...time.Duration) *Past {
		p := NewPast(Policy{BackoffMin: time.Second, BackoffMax: time.Minute, HardResetsPerHour: 4}, now, rand.New(rand.NewPCG(1, 2)))
		p.Boots(took)
		return p
	}
	for _, c := range []struct {
		what string
		took []time.Duration
		then func(*Past)
		deaf bool
		want time.Duration
	}{
		{"never heard", nil, func(*Past) {}, false, 90 * time.Second},
		{"talking, nothing learned", nil, func(p *Past) { p.Answered(now) }, false, 30 * time.Second},
		{"talking, and perhaps waiting for a payload", nil, func(p *Past) { p.Answered(now) }, true, 50 * time.Second},
		{"twice the longest", []time.Duration{7 * time.Second, 14 * time.Second, 9 * time.Second}, func(p *Past) { p.Answered(now) }, false, 28 * time.Second},
		{"at least 15 s", []time.Duration{2 * time.Second}, func(p *Past) { p.Answered(now) }, false, 15 * time.Second},
		{"at most 90 s", []time.Duration{80 * time.Second}, func(p *Past) { p.Answered(now) }, false, 90 * time.Second},
		{"the last ten", slices.Concat([]time.Duration{40 * time.Second}, slices.Repeat([]time.Duration{10 * time.Second}, 10)), func(p *Past) { p.Answered(now) }, false, 20 * time.Second},
		{"no boot takes so long", []time.Duration{2 * time.Hour, -time.Second}, func(p *Past) { p.Answered(now) }, false, 30 * time.Second},
		{"after a reset", []time.Duration{5 * time.Second}, func(p *Past) { p.Answered(now); p.Booting(now) }, false, 90 * time.Second},
		{"after a banner", []time.Duration{5 * time.Second}, func(p *Past) { p.Answered(now); p.Fail(Online, Rebooted, Facts{}, now) }, false, 90 * time.Second},
		{"after the device was gone", []time.Duration{5 * time.Second}, func(p *Past) { p.Answered(now); p.Fail(Online, PortMissing, Facts{}, now) }, false, 90 * time.Second},
		{"and then it answered", []time.Duration{5 * time.Second}, func(p *Past) { p.Booting(now); p.Answered(now) }, false, 15 * time.Second},
	} {
		p := begin(c.took...)
		c.then(p)
		h := p.History(NoAnswer, Facts{Deaf: c.deaf}, now)
		if h.Boot != c.want {
			t.Errorf("%s: %v, want %v", c.what, h.Boot, c.want)
		}
		h.Worked, h.ResetsLeft, h.Climb, h.Attempt = true, 1, 1, 1
		for silent, want := range map[time.Duration]Rung{c.want - time.Second: ReopenRung, c.want: ResetRung} {
			h.Silent = silent
			if d := Next(Probing, NoAnswer, h); d.Rung != want {
				t.Errorf("%s: silent for %v leads to %v, want %v", c.what, silent, d.Rung, want)
			}
		}
	}
}

// Only a boot that the daemon has caused is measured, and only one that ends in time.
func TestBootsAreMeasured(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	p := NewPast(Policy{}, now, rand.New(rand.NewPCG(1, 2)))
	if _, ok := p.Answered(now); ok {
		t.Error("measured without a boot")
	}
	p.Booting(now)
	if took, ok := p.Answered(now.Add(9 * time.Second)); !ok || took != 9*time.Second {
		t.Errorf("%v %v", took, ok)
	}
	if _, ok := p.Answered(now.Add(10 * time.Second)); ok {
		t.Error("measured twice")
	}
	p.Booting(now)
	if _, ok := p.Answered(now.Add(91 * time.Second)); ok {
		t.Error("no boot takes 91 s")
	}
}
