package simulation

import (
	"os"
	"strings"
	"testing"
	"time"

	"airbridged/internal/session"
)

// A referee that never blows his whistle proves nothing. With one rule switched off
// at a time, the simulation has to find what is lost without it within a minute.
func TestBrokenRulesAreNoticed(t *testing.T) {
	program := ""
	if os.Getenv(mutantVariable) == "" {
		program = buildMutants(t)
	}
	for _, c := range []struct {
		name   string
		mutant string // a rule that is broken in the source; empty: none is
		change func(*plan)
		notice []string // one of them is what the referee says
	}{
		{"no barrier after an unknown outcome", "barrier", nil, []string{"two in flight", "the cloud never got it"}},
		{"no barrier, and only both ends are looked at", "barrier", func(p *plan) { p.blind, p.only, p.between = true, "puback late 33s", time.Minute }, []string{"the cloud never got it"}},
		{"no resync after silence", "resync", nil, []string{"two in flight", "the cloud never got it", "which nobody published", "never reached the cloud", "arrived", "not online"}},
		{"a payload is believed", "payload", nil, []string{"the cloud never got it", "was cut out of a payload", "two in flight"}},
		{"a payload is believed, and only both ends are looked at", "payload", func(p *plan) { p.blind = true }, []string{"the cloud never got it", "was cut out of a payload"}},
		{"a refusal is believed", "refusal", nil, []string{"two in flight", "the cloud never got it", "which nobody published"}},
		{"a secret is used before it is on disk", "credentials", nil, []string{"would lose for good"}},
		{"the disk syncs nothing", "", func(p *plan) { p.lying = true }, []string{"is not in the outbox any more", "repeat that were settled", "told that it is not"}},
		{"no limit on connects", "", func(p *plan) {
			p.only, p.between = restart, time.Second
			p.breaks = func(r *session.Recovery) { r.ConnectsPerMinute = 1000 }
		}, []string{"CONNECTs in"}},
		{"no budget of resets", "", func(p *plan) {
			p.only, p.between = "hang", 10*time.Second
			p.breaks = func(r *session.Recovery) { r.HardResetsPerHour = 1000 }
		}, []string{"resets of the module in"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.mutant != "" && program != "" {
				inMutant(t, program, c.mutant)
				return
			}
			begun := time.Now()
			for seed := uint64(1); time.Since(begun) < time.Minute; seed++ {
				p := newPlan(seed, 6*time.Hour)
				if c.change != nil {
					c.change(&p)
				}
				r := live(t, p)
				if r.broken == "" {
					continue
				}
				what, _, _ := strings.Cut(r.broken, "\n")
				t.Logf("seed %d, after %v: %s", seed, time.Since(begun).Round(time.Millisecond), what)
				for _, notice := range c.notice {
					if strings.Contains(what, notice) {
						return
					}
				}
				t.Fatalf("another promise than expected was broken:\n%s", r.broken)
			}
			t.Error("nothing was noticed within a minute")
		})
	}
}
