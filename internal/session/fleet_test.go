package session

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/config"
	"airbridged/internal/recovery"
)

// FleetSize is how many gateways lose the cloud in the same second.
const FleetSize = 10_000

// FleetShape is one way in which a whole fleet loses the cloud.
type FleetShape struct {
	Name   string
	Away   time.Duration // until the cloud takes logins again
	Fails  func(g *gateway) recovery.Cause
	Switch bool // power is cut and comes back: every daemon starts in the same second
	Polite bool // no second may hold more than 1 % of the reconnects
}

// FleetShapes are the outages that the policy is held against, and, to be honest
// about what it does not spread, shorter ones.
func FleetShapes() []FleetShape {
	return []FleetShape{
		{Name: "cloud away for 5 minutes", Away: 5 * time.Minute, Fails: (*gateway).unreachable, Polite: true},
		{Name: "cloud away for 30 minutes", Away: 30 * time.Minute, Fails: (*gateway).unreachable, Polite: true},
		{Name: "cloud away for 3 hours", Away: 3 * time.Hour, Fails: (*gateway).unreachable, Polite: true},
		{Name: "cloud silent for 30 minutes: no answer to any connect", Away: 30 * time.Minute, Fails: (*gateway).swallowed, Polite: true},
		{Name: "cloud refuses every login for 10 minutes", Away: 10 * time.Minute, Fails: (*gateway).refused, Polite: true},
		{Name: "power cut: all are switched on in the same second", Switch: true, Polite: true},
		{Name: "power cut, and the cloud is away for 10 minutes more", Switch: true, Away: 10 * time.Minute, Fails: (*gateway).unreachable, Polite: true},
		{Name: "cloud away for 2 minutes", Away: 2 * time.Minute, Fails: (*gateway).unreachable},
		{Name: "cloud away for 30 seconds", Away: 30 * time.Second, Fails: (*gateway).unreachable},
		{Name: "cloud closes all sessions and is there at once"},
	}
}

// FleetResult is what became of a fleet.
type FleetResult struct {
	Peak      int           // the most logins in any one second once the cloud was back
	At        time.Duration // when that second was, after the cloud was back
	Half, All time.Duration // when half of the fleet, and all of it, was back
}

// A gateway is the policy of one: what counts, decides, draws and holds back is
// the session's own; the module and the cloud are a few latencies.
type gateway struct {
	*Session
	begun time.Time // of the outage, for this gateway
}

func newGateway(seed uint64) *gateway {
	defaults := Recovery(config.Default().Recovery)
	defaults.StartSpread = 150 * time.Second
	random := rand.New(rand.NewPCG(seed, 0x666c656574))
	return &gateway{begun: time.Now(), Session: &Session{
		random:  random,
		gate:    &gate{limit: defaults.ConnectsPerMinute, spread: defaults.StartSpread},
		past:    newPast(Options{Recovery: defaults}, random),
		network: network{attached: true},
		device:  device{cloud: Cloud{HTTPSAuth: seed%2 == 0}},
	}}
}

// takes lets a stretch of time pass, from least to most.
func (g *gateway) takes(least, most time.Duration) {
	time.Sleep(recovery.Between(least, most, g.random))
}

// The ways in which a connect fails, with the time that takes.
func (g *gateway) unreachable() recovery.Cause {
	g.takes(200*time.Millisecond, 3*time.Second)
	return recovery.ConnectFailed
}

func (g *gateway) swallowed() recovery.Cause { time.Sleep(time.Minute); return recovery.ConnectFailed }

func (g *gateway) refused() recovery.Cause {
	g.takes(1700*time.Millisecond, 2600*time.Millisecond)
	return recovery.ConnAckRefused
}

// climb spends the time that a rung and the states behind it take.
func (g *gateway) climb(d recovery.Decision) {
	switch d.Rung {
	case recovery.BearerRung:
		g.takes(500*time.Millisecond, 3*time.Second)
	case recovery.RadioRung:
		time.Sleep(radioRest)
		g.takes(2*time.Second, 5*time.Second)
	case recovery.ResetRung:
		g.past.Reset(time.Now())
		g.takes(2*time.Second, 3*time.Second)
	}
	if d.Resume == recovery.Probing {
		g.takes(3*time.Second, 6*time.Second)
	}
	if d.Resume == recovery.Authenticating {
		g.takes(1600*time.Millisecond, 2200*time.Millisecond)
		g.device.fresh = true
	}
}

// back runs one gateway until it is back, and returns how long after the
// beginning its login reached the cloud.
func (g *gateway) back(shape FleetShape) time.Duration {
	if shape.Switch {
		g.takes(3*time.Second, 6*time.Second) // probing and attaching
		time.Sleep(g.gate.draw(g.random))
	} else {
		g.past.Online()
		g.fail(recovery.Online, recovery.Closed)
	}
	for {
		time.Sleep(g.gate.wait(time.Now(), 0))
		g.gate.recent = append(g.gate.recent, time.Now())
		if time.Since(g.begun) >= shape.Away {
			g.takes(1400*time.Millisecond, 2300*time.Millisecond) // TCP and TLS
			return time.Since(g.begun)
		}
		g.fail(recovery.Connecting, shape.Fails(g))
	}
}

// fail is what Session.recover does with a failure.
func (g *gateway) fail(from recovery.State, c recovery.Cause) {
	d, pause := g.past.Fail(from, c, g.facts(&recovery.Failure{Cause: c}), time.Now())
	g.climb(d)
	time.Sleep(pause)
}

// RunFleet lets a whole fleet go through one outage. The gateways share nothing
// but the moment at which it begins, so they are run one after the other.
func RunFleet(t *testing.T, shape FleetShape) (r FleetResult) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		times := make([]time.Duration, FleetSize)
		seconds := map[time.Duration]int{}
		for i := range times {
			times[i] = max(newGateway(uint64(i)).back(shape)-shape.Away, 0)
			seconds[times[i].Truncate(time.Second)]++
		}
		slices.Sort(times)
		r.Half, r.All = times[FleetSize/2], times[FleetSize-1]
		for at, n := range seconds {
			if c := cmp.Compare(n, r.Peak); c > 0 || c == 0 && at < r.At {
				r.Peak, r.At = n, at
			}
		}
	})
	return r
}

// Ten thousand gateways that lose the cloud in the same second do not come back
// in the same second.
func TestFleetComesBackSpreadOut(t *testing.T) {
	t.Parallel()
	for _, shape := range FleetShapes() {
		t.Run(shape.Name, func(t *testing.T) {
			t.Parallel()
			r := RunFleet(t, shape)
			line := fmt.Sprintf("%d of %d logins in second %v, half back after %v, all after %v", r.Peak, FleetSize, r.At, r.Half.Round(time.Second), r.All.Round(time.Second))
			t.Log(line)
			if shape.Polite && r.Peak > FleetSize/100 {
				t.Errorf("more than 1 %% of the reconnects in one second: %s", line)
			}
		})
	}
}
