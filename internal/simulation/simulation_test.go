package simulation

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// What go test runs without parameters: shorter days, so that more of them begin,
// register and are broken off; make simulate lives whole days.
const (
	shortDay     = 6
	shortSeconds = 5
)

// TestSimulation lives days, each decided by a seed, until the promises are broken or
// the seeds or seconds are used up: make simulate.
//
// SEED=n replays one, and TIMELINE=file writes all that happened; otherwise SEEDS=n of them from FIRST=m on, for at most
// SECONDS=s. HOURS=h is the length of a day, its last hour without faults.
func TestSimulation(t *testing.T) {
	hours := int(number(t, "HOURS", shortDay))
	if seed := number(t, "SEED", 0); seed != 0 {
		replay(t, seed, hours)
		return
	}
	w := work{First: number(t, "FIRST", 1), Count: number(t, "SEEDS", 1<<40), Hours: hours}
	if seconds := number(t, "SECONDS", shortSeconds); seconds != 0 {
		w.Until = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	s := newSums(hours)
	crew(t, w, func(o outcome) {
		if o.Broken != "" {
			t.Error(o.Broken)
			return
		}
		s.add(o)
		if time.Since(s.told) > 5*time.Second {
			s.told = time.Now()
			fmt.Fprintln(os.Stderr, s.progress())
		}
	})
	fmt.Fprint(os.Stderr, s.progress()+"\n"+s.report())
	if os.Getenv("LATE") != "" {
		fmt.Fprintln(os.Stderr, "late:\n"+strings.Join(s.Late, "\n"))
	}
}

// replay shows the end of one seed's day, and the hash that two runs have in common.
func replay(t *testing.T, seed uint64, hours int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as the worker that found it
	var all io.Writer
	if name := os.Getenv("TIMELINE"); name != "" {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		buffered := bufio.NewWriter(f)
		defer buffered.Flush()
		all = buffered
	}
	r := liveAndTell(t, newPlan(seed, time.Duration(hours)*time.Hour), all)
	if r.broken != "" {
		t.Errorf("seed %d breaks a promise: %s", seed, r.broken)
	} else {
		fmt.Println(r.timeline.last(int(number(t, "LINES", shown))))
	}
	fmt.Printf("seed %d: %d lines of timeline, hash %016x, %+v\n", seed, r.timeline.next, r.timeline.hash, r.tally)
}

// sums adds days up.
type sums struct {
	hours       int
	begun, told time.Time
	days        int
	tally
	recoveries, detections map[string][]time.Duration
}

func newSums(hours int) *sums {
	return &sums{
		hours: hours, begun: time.Now(), told: time.Now(), tally: tally{Strikes: map[string]int{}},
		recoveries: map[string][]time.Duration{}, detections: map[string][]time.Duration{},
	}
}

func (s *sums) add(o outcome) {
	s.days++
	s.Accepted += o.Tally.Accepted
	s.Acked += o.Tally.Acked
	s.Unknown += o.Tally.Unknown
	s.Down += o.Tally.Down
	s.Alike += o.Tally.Alike
	s.Duplicates += o.Tally.Duplicates
	s.Refused += o.Tally.Refused
	s.Lives += o.Tally.Lives
	s.Logins += o.Tally.Logins
	s.Registrations += o.Tally.Registrations
	s.Batches += o.Tally.Batches
	for _, late := range o.Tally.Late {
		s.Late = append(s.Late, fmt.Sprintf("seed %d at %s", o.Seed, late))
	}
	for kind, n := range o.Tally.Strikes {
		s.Strikes[kind] += n
	}
	for kind, d := range o.Recoveries {
		s.recoveries[kind] = append(s.recoveries[kind], d...)
	}
	for kind, d := range o.Detections {
		s.detections[kind] = append(s.detections[kind], d...)
	}
}

func (s *sums) progress() string {
	groups := map[string]int{}
	for kind, n := range s.Strikes {
		groups[groupOf(kind)] += n
	}
	var list []string
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		list = append(list, fmt.Sprintf("%s %d", group, groups[group]))
	}
	return fmt.Sprintf("%d seeds clean, %.1f seeds/s, %.2f virtual device-years; faults: %s",
		s.days, float64(s.days)/time.Since(s.begun).Seconds(), float64(s.days*s.hours)/24/365, strings.Join(list, ", "))
}

// groupOf says what a kind of fault strikes.
func groupOf(kind string) string {
	for group, kinds := range map[string]string{
		"daemon":  "restart kill kill-write power-cut cut-write",
		"disk":    "disk-full disk-fails disk-reads disk-starved disk-read-only disk-gone state-full",
		"power":   "reboot brown-out silence hang unplug power-off stall",
		"network": "service sim pdp-deact sapbr-deact detach attach bearer half-open dns csq",
		"cloud":   "kick outage expire-tokens throttle connack auth register registration disable connects http-status http-never http-body connect close",
	} {
		if slices.Contains(strings.Fields(kinds), kind) {
			return group
		}
	}
	return "line"
}

// report is what all the days came to.
func (s *sums) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages accepted, %d acked, %d refused; %d unknown outcomes, %d duplicates; %d batches; %d processes, %d logins, %d registrations\n",
		s.Accepted, s.Acked, s.Refused, s.Unknown, s.Duplicates, s.Batches, s.Lives, s.Logins, s.Registrations)
	fmt.Fprintf(&b, "%d messages down; %d messages up acknowledged by one of them, of which the line left nothing that tells it from a PUBACK\n", s.Down, s.Alike)
	for _, kind := range slices.Sorted(maps.Keys(s.recoveries)) {
		fmt.Fprintf(&b, "back online, %s: %s\n", kind, spread(s.recoveries[kind]))
	}
	var ends []time.Duration // what ends a session by itself
	for _, kind := range slices.Sorted(maps.Keys(s.detections)) {
		if endsSession(kind) {
			ends = append(ends, s.detections[kind]...)
		}
		fmt.Fprintf(&b, "noticed, %s: %s\n", kind, spread(s.detections[kind]))
	}
	fmt.Fprintf(&b, "noticed, all that ends a session by itself, but half-open: %s\n", spread(ends))
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(s.Strikes)) {
		list = append(list, fmt.Sprintf("%s %d", kind, s.Strikes[kind]))
	}
	fmt.Fprintf(&b, "faults: %s\n", strings.Join(list, ", "))
	return b.String()
}

// spread is median, 99th percentile and maximum.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "never"
	}
	slices.Sort(d)
	at := func(share float64) time.Duration {
		return d[int(share*float64(len(d)-1))].Round(100 * time.Millisecond)
	}
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d", at(0.5), at(0.99), at(1), len(d))
}
