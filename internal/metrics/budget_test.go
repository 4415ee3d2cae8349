package metrics

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// everything records every combination of labels there is, and strange ones.
func everything(m *Metrics, r *rand.Rand) {
	pick := func(set []string) string {
		if i := r.IntN(len(set) + 1); i < len(set) {
			return set[i]
		}
		return fmt.Sprint("strange ", r.Uint64(), "\xff\"\n")
	}
	m.State(pick(states))
	m.Transition(pick(states), pick(states), pick(causes))
	m.Command(pick(verbs), pick(results), time.Second)
	m.Bytes(pick(directions), 1)
	m.URC(pick(kinds))
	m.Published(r.IntN(4)-1, pick(outcomes), time.Second)
	m.Recovery(pick(rungs), pick(verdicts))
	m.CloudBytes(pick(byteCauses), 1)
	m.Request(pick(routes), r.IntN(600), time.Second)
	m.ModemInfo(pick(nil), pick(nil))
	dbm, registered := -r.IntN(113), r.IntN(2) == 0
	m.Signal(&dbm)
	m.Registered(&registered)
}

// Thousands of gateways report to one database: a page has 300 series at most
// and 40 KB, after years, whatever the module, the cloud and the programs do.
func TestBudget(t *testing.T) {
	const rounds = 10_000
	for seed := range uint64(5) {
		m := New("v", "c", labels)
		from := quiet()
		from.Outbox = func() OutboxStats { return OutboxStats{Dropped: map[string]uint64{"strange": 1}} }
		from.Data = func() DataStats { return DataStats{Budget: 1, Forecast: 1} }
		from.Pace = func() *float64 { return new(float64) }
		m.Observe(from)
		r := rand.New(rand.NewPCG(seed, 0))
		for range rounds {
			everything(m, r)
		}
		m.Transition("online", "recovering", "closed") // so that there is a cause
		got := page(t, m)
		// Exactly: fixedSeries must count all that is not budgeted.
		if n := len(series(got)); n != maxSeries {
			t.Errorf("seed %d: %d series, want all of %d", seed, n, maxSeries)
		}
		if len(got) > 40<<10 {
			t.Errorf("seed %d: the page has %d bytes", seed, len(got))
		}
		for _, line := range series(got) {
			if strings.Contains(line, "strange") && !strings.HasPrefix(line, prefix+"modem_info") {
				t.Errorf("a label outside the closed sets: %s", line)
			}
		}
		// What found no place of its own is still counted.
		var transitions int
		for _, line := range series(got) {
			if strings.HasPrefix(line, prefix+"session_transitions_total{") {
				_, value, _ := strings.Cut(line, "} ")
				n, err := strconv.Atoi(value)
				if err != nil {
					t.Error(err)
				}
				transitions += n
			}
		}
		if transitions != rounds+1 {
			t.Errorf("%d of %d transitions are counted", transitions, rounds+1)
		}
	}
}

// A usual life stays far enough below that nothing is folded together.
func TestBudgetLeavesRoomForAUsualLife(t *testing.T) {
	m := New("v", "c", labels)
	anHour(m)
	for i, from := range states[:6] {
		m.Transition(from, states[(i+1)%6], "")
		for _, cause := range []string{"no-answer", "closed", "puback-timeout"} {
			m.Transition(from, "recovering", cause)
		}
		m.Transition("recovering", from, "")
	}
	for _, verb := range verbs {
		m.Command(verb, "ok", time.Second)
	}
	for _, verb := range []string{"MPUB", "MSUB", "SAPBR", "MIPSTART", "HTTPACTION"} {
		m.Command(verb, "timeout", time.Second)
		m.Command(verb, "cme", time.Second)
	}
	for _, kind := range kinds[:20] {
		m.URC(kind)
	}
	for _, rung := range rungs {
		m.Recovery(rung, "ok")
	}
	for _, route := range routes[:min(len(routes), 16)] { // nobody asks for everything
		m.Request("GET "+route, 200, time.Second)
	}
	got := page(t, m)
	for _, folded := range []string{`result="other",verb="other"`, `cause="other"`, `kind="other"`, `rung="other"`, `route="other"`} {
		if strings.Contains(got, folded) {
			t.Errorf("%s is on the page with %d series", folded, len(series(got)))
		}
	}
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	m := New("v", "c", labels)
	var all sync.WaitGroup
	for seed := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 500 {
				everything(m, r)
			}
		})
	}
	all.Go(func() {
		for range 20 {
			page(t, m)
		}
	})
	all.Wait()
	if n := len(series(page(t, m))); n > maxSeries {
		t.Errorf("%d series", n)
	}
}
