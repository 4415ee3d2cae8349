package simulation

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// outcome is what a worker tells of one seed, as a line of JSON.
type outcome struct {
	Seed       uint64
	Begun      bool   // it is being run; the outcome follows
	Broken     string // the failure, ready to print
	Hash       string
	Tally      tally
	Recoveries map[string][]time.Duration
	Detections map[string][]time.Duration
}

// work is which seeds a worker runs.
type work struct {
	First, Stride, Count uint64
	Hours                int
	Until                time.Time // zero: as long as it takes
}

// replayed: one seed in so many is lived twice, to see that it replays.
const replayed = 64

const (
	workVariable   = "SIMULATION_WORK"
	memoryVariable = "SIMULATION_MEMORY"
)

// TestWorker is a process that runs seeds one after the other, on one core: the
// goroutines of a day take turns, and more cores would only make them wait for each
// other. Results go to file descriptor 3.
func TestWorker(t *testing.T) {
	text := os.Getenv(workVariable)
	if text == "" {
		t.Skip("only as a part of TestSimulation")
	}
	var w work
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		t.Fatal(err)
	}
	out := json.NewEncoder(os.NewFile(3, "results"))
	for seed := w.First; seed < w.First+w.Count; seed += w.Stride {
		if !w.Until.IsZero() && time.Now().After(w.Until) {
			return
		}
		if out.Encode(outcome{Seed: seed, Begun: true}) != nil {
			return // nobody listens any more
		}
		o := run(t, seed, w.Hours)
		if seed%replayed == 0 && o.Broken == "" {
			if again := run(t, seed, w.Hours); again.Hash != o.Hash {
				o.Broken = fmt.Sprintf("seed %d does not replay: %s and %s", seed, o.Hash, again.Hash)
			}
		}
		if err := out.Encode(o); err != nil || o.Broken != "" {
			return
		}
	}
}

// run is one seed in this process.
func run(t *testing.T, seed uint64, hours int) outcome {
	r := live(t, newPlan(seed, time.Duration(hours)*time.Hour))
	o := outcome{
		Seed: seed, Hash: fmt.Sprintf("%016x", r.timeline.hash), Tally: r.tally,
		Recoveries: r.recoveries, Detections: r.detections,
	}
	if r.broken != "" {
		o.Broken = fmt.Sprintf("seed %d breaks a promise: %s\nreplay with: make simulate SEED=%d HOURS=%d", seed, r.broken, seed, hours)
	}
	return o
}

// crew runs seeds in a process for each core and hands on what they tell, until all
// is done or a seed failed. A process that dies is a failure of its seed.
func crew(t *testing.T, w work, tell func(outcome)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	memory := memoryDir(t)
	var mu sync.Mutex
	pass := func(o outcome) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return // another one failed
		}
		if tell(o); o.Broken != "" {
			stop()
		}
	}
	var all sync.WaitGroup
	cores := uint64(runtime.GOMAXPROCS(0))
	for i := range cores {
		mine := w
		mine.First, mine.Stride, mine.Count = w.First+i, cores, w.Count-min(i, w.Count)
		all.Go(func() {
			if seed, err := worker(ctx, binary, memory, mine, pass); err != nil {
				pass(outcome{Seed: seed, Broken: fmt.Sprintf("seed %d: %v", seed, err)})
			}
		})
	}
	all.Wait()
}

// worker runs one process and returns the seed that it died of.
func worker(ctx context.Context, binary, memory string, w work, tell func(outcome)) (seed uint64, err error) {
	text, err := json.Marshal(w)
	if err != nil {
		return 0, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer read.Close()
	var printed bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "-test.run=^TestWorker$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), workVariable+"="+string(text), memoryVariable+"="+memory, "GOMAXPROCS=1", "GOGC=400")
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &printed, &printed, []*os.File{write}
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(read)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var o outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return seed, err
		}
		if seed = o.Seed; !o.Begun {
			tell(o)
		}
	}
	if err := cmd.Wait(); err != nil {
		return seed, fmt.Errorf("%w\n%s", err, tail(printed.Bytes(), 6000))
	}
	return seed, nil
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// number reads a parameter of make simulate.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
