package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A soak runs daemon and simulator for a long time while programs publish,
// subscribe, come and go, and faults strike. Whatever happens, no message is
// lost or falsely acknowledged, the daemon stays the same process, and nothing
// in it grows: memory, descriptors, goroutines, queue.
//
// SOAK_TIME=1h says for how long (make soak), SOAK_SEED=n which faults and
// programs, SOAK_DIR where samples, faults, summary and plot are written. A plain
// test run soaks for 20 s, which proves the messages and the machinery; whether
// memory grows takes longer to tell.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newSoak(t, soakTime(t), soakSeed(t))
	s.begin()
	s.run()
	s.settle()
	s.judge()
}

// A run of growthTime and longer is held to the strict bounds.
const growthTime = 10 * time.Minute

// limits are how much the line fitted to the second half of a run may rise from
// its beginning to its end. A sawtooth of the garbage collector and a queue that
// fills and drains have no slope; a leak of one descriptor a minute has. Short
// runs are still warming up in their second half.
var (
	limits      = map[string]float64{"anonymous MiB": 2, "descriptors": 3, "goroutines": 3, "queued messages": 30}
	shortLimits = map[string]float64{"anonymous MiB": 24, "descriptors": 25, "goroutines": 50, "queued messages": 100}
)

type soak struct {
	*testing.T
	length time.Duration
	dir    string // for the results
	sim    *simulator
	g      *gateway
	random *rand.Rand
	start  time.Time
	book   *ledger
	load   *load
	taken  []sample
	struck []strike
}

// strike is a fault that struck.
type strike struct {
	at    time.Duration
	order string
}

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK_TIME")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK_TIME: %v", err)
	}
	return d
}

func soakSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SOAK_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SOAK_SEED: %v", err)
	}
	return n
}

func newSoak(t *testing.T, length time.Duration, seed uint64) *soak {
	s := &soak{T: t, length: length, dir: os.Getenv("SOAK_DIR"), random: rand.New(rand.NewPCG(seed, seed)), book: newLedger()}
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.sim = newSimulator(t, "--personality", "air780ep", "--baud", "115200", "--rtt", "80ms", "--seed", strconv.FormatUint(seed, 10))
	control := filepath.Join(filepath.Dir(s.sim.device), "airsim.sock")
	config := fmt.Sprintf(soakConfig, filepath.Join(bin, "airsim"), control)
	if length < growthTime {
		config += shortTimeouts
	}
	s.g = prepareGateway(t, s.sim.device, config)
	return s
}

// soakConfig lets the module be reset as often as the faults ask for it; a short
// run has no time for the usual time-outs.
const (
	soakConfig = `
[modem]
reset_command = [%q, "do", "--control", %q, "reset"]
[log]
level = "info"
[recovery]
backoff_max = "20s"
hard_resets_per_hour = 60
status_poll = "5s"
`
	shortTimeouts = `
[cloud.timeouts]
connect = "5s"
connack = "5s"
suback = "5s"
`
)

// begin starts the daemon and what uses it. A long run first fills the memory of
// final states, which holds 10,000: it would grow for an hour otherwise, to a
// bound, and look like a leak until then.
func (s *soak) begin() {
	s.g.start()
	s.book.follow(s.T, s.sim)
	if s.length >= growthTime {
		fillHistory(s.T, s.g)
	}
	s.g.reaches("online", "")
	s.start = time.Now()
	s.load = startLoad(s.T, s.g, s.sim, s.book, s.random)
}

// run lets time pass: samples at a steady pace, faults at random. The last
// tenth is calm.
func (s *soak) run() {
	every := max(s.length/720, 500*time.Millisecond)
	sampling := time.NewTicker(every)
	defer sampling.Stop()
	striking := time.NewTimer(s.gap())
	defer striking.Stop()
	for s.elapsed() < s.length {
		select {
		case <-sampling.C:
			s.sample()
		case <-striking.C:
			if s.elapsed() < s.length*9/10 {
				striking.Reset(s.strike())
			}
		case <-s.g.done:
			s.Fatalf("the daemon ended after %v", s.elapsed())
		}
	}
}

func (s *soak) elapsed() time.Duration { return time.Since(s.start) }

// gap is the time to the next fault: 40 s on average, or six of them in a short
// run.
func (s *soak) gap() time.Duration {
	mean := min(s.length/6, 40*time.Second)
	return mean/4 + time.Duration(s.random.ExpFloat64()*float64(mean)*3/4)
}

// strike orders a fault, plans its mending, and returns when the next one is due.
func (s *soak) strike() time.Duration {
	f := soakFaults[s.random.IntN(len(soakFaults))]
	if f.harsh && s.length < growthTime {
		f = soakFaults[0]
	}
	s.struck = append(s.struck, strike{s.elapsed(), f.order})
	s.sim.do(f.order)
	next := s.gap()
	if f.mend != "" {
		s.sim.do("at " + (next / 2).String() + " " + f.mend)
	}
	return next
}

// settle ends the faults and the load, and waits until every message has met its
// fate.
func (s *soak) settle() {
	for _, order := range soakMends {
		s.sim.do(order)
	}
	s.load.stop()
	deadline := time.Now().Add(5 * time.Minute)
	for s.load.outstanding() > 0 {
		if time.Now().After(deadline) {
			s.Errorf("%d messages still have no final state; status %+v", s.load.outstanding(), s.g.status())
			break
		}
		select {
		case <-s.g.done:
			s.Fatal("the daemon ended while the queue drained")
		case <-time.After(100 * time.Millisecond):
		}
	}
	s.load.wait()
}

// judge writes the results and says what is wrong with them.
func (s *soak) judge() {
	found := s.book.verdict()
	st := s.g.status()
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %d faults, %d samples\n%s", s.elapsed().Round(time.Second), len(s.struck), len(s.taken), found)
	fmt.Fprintf(&b, "publishes of unknown outcome: %d; MQTT sessions: %d\n", st.Counters.Unknown, st.Counters.Connects)
	fmt.Fprintf(&b, "messages down: %d sent, %d received by the two programs that stayed\n", s.load.pushed.Load(), s.load.received.Load())
	allowed := limits
	if s.length < growthTime {
		allowed = shortLimits
	}
	for _, g := range growths(s.taken) {
		fmt.Fprintf(&b, "%s: %.1f at most, rises by %.2f over the second half (bound %.0f)\n", g.what, g.most, g.rise, allowed[g.what])
		if g.rise > allowed[g.what] {
			s.Errorf("%s grew by %.2f over the second half, more than %.0f", g.what, g.rise, allowed[g.what])
		}
	}
	if len(found.wrong) > 0 {
		s.Errorf("%s", strings.Join(found.wrong, "\n"))
	}
	if found.accepted == 0 || found.accepted != found.acked {
		s.Errorf("%d accepted, %d acknowledged", found.accepted, found.acked)
	}
	if found.repeats > int(st.Counters.Unknown) {
		s.Errorf("%d messages arrived again, though only %d publishes had an unknown outcome", found.repeats, st.Counters.Unknown)
	}
	if s.load.received.Load() == 0 {
		s.Error("no message came down")
	}
	s.write(b.String())
	s.Logf("results in %s\n%s", s.dir, b.String())
}
