package outbox

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// crashImages is how many images the ordinary test run checks at least.
const crashImages = 20_000

// testSegment makes segments small, so that a short workload begins many.
const testSegment = headSize + 2048

var crashSeed = flag.Uint64("crash.seed", 0, "run only this seed of TestCrashImages")

// witness knows what a workload was told, to judge a crash image by.
type witness struct {
	mu       sync.Mutex
	all      []*evidence
	byName   map[string]*evidence
	failures bool // calls of the file system were made to fail
	images   int
}

// evidence is one message of the workload; its payload is its name.
type evidence struct {
	name, topic string
	key         string // of user 1; empty: none
	id          string // once accepted
	latest      bool
	priority    Priority
	settling    bool // Done or Drop was called
	settled     bool // it returned
}

func (w *witness) submit(r *rand.Rand) *evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &evidence{topic: fmt.Sprint("t", r.IntN(6)), latest: r.IntN(8) == 0, priority: Priority(r.IntN(3))}
	e.name = fmt.Sprintf("%d %s", len(w.all), strings.Repeat("x", r.IntN(r.IntN(900)+1)))
	if r.IntN(2) == 0 {
		e.key = fmt.Sprint("key ", len(w.all))
	}
	w.all = append(w.all, e)
	w.byName[e.name] = e
	return e
}

func (w *witness) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// check opens an image and says what is wrong with it.
func (w *witness) check(image *simdisk.Disk) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.images++
	q, err := Open("", Limits{}, Options{Files: image, SegmentSize: testSegment})
	if err != nil {
		return fmt.Errorf("does not open: %w", err)
	}
	page := read(q, len(w.all)+1)
	there := map[*evidence]bool{}
	repeats, last := 0, ""
	for _, m := range page {
		e := w.byName[string(m.Payload)]
		switch {
		case m.ID <= last:
			return fmt.Errorf("%s follows %s", m.ID, last)
		case e == nil:
			return fmt.Errorf("invented: %+v", m)
		case there[e]:
			return fmt.Errorf("twice: %s", e.name)
		case e.topic != m.Topic || e.priority != m.Priority || e.latest != m.Latest || e.id != "" && e.id != m.ID:
			return fmt.Errorf("%+v came back as %+v", e, m)
		}
		there[e], last = true, m.ID
		if e.settled {
			repeats++
		}
	}
	if repeats > maxUnflushed && !w.failures {
		return fmt.Errorf("%d settled messages are back", repeats)
	}
	for _, e := range w.all {
		if e.id != "" && !there[e] && !e.settling && !w.replaced(e, there) {
			return fmt.Errorf("lost: %+v of %d messages; %d are there; notes %v", e, len(w.all), len(page), q.Notes())
		}
		if e.key == "" || e.id == "" {
			continue
		}
		switch first, known, err := q.Repeat(e.message()); {
		case !known || err != nil || first.ID != e.id:
			return fmt.Errorf("the key of %+v stands for %+v (%v, %v)", e, first, known, err)
		case there[e] != (first.State == Queued):
			return fmt.Errorf("the key of %+v says %s; it is there: %v", e, first.State, there[e])
		}
	}
	return nil
}

func (e *evidence) message() Message {
	return Message{Topic: e.topic, Payload: []byte(e.name), QoS: 1, Latest: e.latest, Priority: e.priority, Key: e.key, User: 1}
}

// repeat publishes an accepted message with a key once more.
func (l *workload) repeat() {
	var keyed []*evidence
	l.w.note(func() {
		for _, e := range l.w.all {
			if e.key != "" && e.id != "" {
				keyed = append(keyed, e)
			}
		}
	})
	if len(keyed) == 0 {
		return
	}
	e := keyed[l.r.IntN(len(keyed))]
	if m, err := l.q.Append(context.Background(), e.message()); err != nil || m.ID != e.id {
		l.t.Errorf("repeat of %+v: %+v, %v", e, m, err)
	}
}

// replaced says whether an accepted message may be gone because of a Latest one
// that was accepted later, or may have been.
func (w *witness) replaced(e *evidence, there map[*evidence]bool) bool {
	for _, l := range w.all {
		if l != e && l.latest && l.topic == e.topic && (l.id == "" || l.id > e.id) {
			if there[l] || l.settling || l.id != "" && w.replaced(l, there) {
				return true
			}
		}
	}
	return false
}

// workload runs random operations on a queue until it did enough of them.
type workload struct {
	t *testing.T
	r *rand.Rand
	q *Queue
	w *witness
}

func (l *workload) append() {
	n := 1 + l.r.IntN(4) // at once, so that they share commits
	var all sync.WaitGroup
	for range n {
		e := l.w.submit(l.r)
		all.Go(func() {
			m, err := l.q.Append(context.Background(), e.message())
			if err == nil {
				l.w.note(func() { e.id = m.ID })
			} else if !errors.Is(err, ErrDisk) {
				l.t.Errorf("append: %v", err)
			}
		})
		if l.r.IntN(2) == 0 { // else the order of the later ones would be anybody's guess
			all.Wait()
		}
	}
	all.Wait()
}

func (l *workload) send() {
	m, ok := l.q.Take()
	if !ok {
		return
	}
	if l.r.IntN(6) == 0 {
		if err := l.q.Release(m.ID); err != nil {
			l.t.Errorf("release: %v", err)
		}
		return
	}
	e := l.w.byName[string(m.Payload)]
	l.w.note(func() { e.settling = true })
	if err := l.q.Done(m.ID, Acked, ""); err != nil {
		l.t.Errorf("done: %v", err)
	}
	l.w.note(func() { e.settled = true })
}

func (l *workload) drop() {
	page := read(l.q, 20)
	if len(page) == 0 {
		return
	}
	e := l.w.byName[string(page[l.r.IntN(len(page))].Payload)]
	if e == nil {
		return // replaced since
	}
	l.w.note(func() { e.settling = true })
	if err := l.q.Drop(e.id); err != nil && !errors.Is(err, ErrDisk) && !errors.Is(err, ErrFinal) {
		l.t.Errorf("drop: %v", err)
	}
}

// crashWorkload runs one seed and returns how many images it checked.
func crashWorkload(t *testing.T, seed uint64) int {
	r := rand.New(rand.NewPCG(seed, 1))
	disk := simdisk.New()
	disk.NoAllocate = seed%2 == 0
	w := &witness{byName: map[string]*evidence{}, failures: seed%3 == 0}
	chaos := rand.New(rand.NewPCG(seed, 2)) // the committer's, which the workload's must not depend on
	failed := false
	disk.Notify(func(op string) {
		for range 4 {
			if failed {
				return
			}
			image := disk.Cut(chaos)
			if err := w.check(image); err != nil {
				failed = true
				t.Errorf("seed %d, after %s, image %d: %v", seed, op, w.images, err)
			} else if chaos.IntN(8) == 0 {
				second(t, seed, chaos, w, image)
			}
		}
	})
	if w.failures {
		luck := rand.New(rand.NewPCG(seed, 3)) // guarded by the file system's lock
		disk.Fail(func(string, string) error {
			if luck.IntN(25) == 0 {
				return []error{syscall.EIO, syscall.ENOSPC}[luck.IntN(2)]
			}
			return nil
		})
	}
	q, err := Open("", Limits{}, Options{Files: disk, SegmentSize: testSegment})
	if err != nil {
		return w.images // EIO at the first call
	}
	running := run(t, q)
	l := &workload{t, r, q, w}
	if seed%5 == 0 {
		q.HoldBack(Low) // so that a few are left in many segments, and are moved
	}
	for range 60 {
		switch n := r.IntN(11); {
		case n == 10:
			l.repeat()
		case n < 5:
			l.append()
		case n < 9:
			l.send()
		default:
			l.drop()
		}
	}
	running.stop()
	movedInCrashes.Add(q.Disk().Moved)
	return w.images
}

// movedInCrashes is how many bytes of records were moved under crashes.
var movedInCrashes atomic.Uint64

// second opens an image for good, lets it do its repairs, and cuts the power
// again: after each of these changes too nothing may be missing.
func second(t *testing.T, seed uint64, r *rand.Rand, w *witness, image *simdisk.Disk) {
	image.Notify(func(op string) {
		again := image.Cut(r)
		if err := w.check(again); err != nil && !t.Failed() {
			t.Errorf("seed %d, after %s of the second start: %v", seed, op, err)
		}
	})
	q, err := Open("", Limits{}, Options{Files: image, SegmentSize: testSegment})
	if err != nil {
		t.Errorf("seed %d, second start: %v", seed, err)
		return
	}
	q.commit(false)
	if err := q.roll(100); err != nil {
		t.Errorf("seed %d, second start: %v", seed, err)
	}
	q.flushSettled(true)
	image.Notify(nil)
	if err := q.Close(); err != nil {
		t.Errorf("seed %d, second start: %v", seed, err)
	}
}

// TestCrashImages cuts the power after every change that a random workload makes
// to the disk: accepted is a subset of recovered is a subset of submitted.
func TestCrashImages(t *testing.T) {
	if *crashSeed != 0 {
		crashWorkload(t, *crashSeed)
		return
	}
	images, begin := 0, time.Now()
	for seed := uint64(1); images < crashImages && !t.Failed(); seed++ {
		images += crashWorkload(t, seed)
	}
	moved := movedInCrashes.Load()
	t.Logf("%d images in %v; %d bytes of records were moved", images, time.Since(begin).Round(time.Millisecond), moved)
	if moved == 0 {
		t.Error("no records were moved, so that was not tried")
	}
}

// TestCrashForever does the same with new seeds for as long as $CRASH_TIME says,
// and counts: make crash.
func TestCrashForever(t *testing.T) {
	text := os.Getenv("CRASH_TIME")
	if text == "" {
		t.Skip("runs only with CRASH_TIME, e.g. 10m")
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	images, begin, told := 0, time.Now(), time.Now()
	for time.Since(begin) < d && !t.Failed() {
		images += crashWorkload(t, rand.Uint64())
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Printf("%d images clean after %v\n", images, time.Since(begin).Round(time.Second))
		}
	}
	if !t.Failed() {
		fmt.Printf("%d images, all clean, in %v\n", images, time.Since(begin).Round(time.Second))
	}
}
