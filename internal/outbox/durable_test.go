package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// A commit window gathers what comes within it into one flush.
func TestCommitWindowSharesAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := open(t, "", Limits{}, Options{Files: disk, CommitWindow: 50 * time.Millisecond})
		put(t, q.Queue, "makes the segment")
		before, begin := q.Disk().Flushes, time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { put(t, q.Queue, "t") })
		}
		all.Wait()
		if n := q.Disk().Flushes - before; n != 1 {
			t.Errorf("%d flushes for 20 messages", n)
		}
		if d := time.Since(begin); d != 50*time.Millisecond {
			t.Errorf("it took %v", d)
		}
	})
}

// Done waits for nobody as long as few settlements are outstanding; a power cut
// then repeats at most MaxRepeats messages.
func TestRepeatsAreBounded(t *testing.T) {
	disk := simdisk.New()
	slow := make(chan struct{})
	var hold atomic.Bool
	disk.Fail(func(op, _ string) error {
		if op == "sync" && hold.Load() {
			<-slow
		}
		return nil
	})
	q := open(t, "", Limits{}, Options{Files: disk})
	for i := range 100 {
		put(t, q.Queue, fmt.Sprint("t", i))
	}
	hold.Store(true)
	var sent atomic.Int64
	var session sync.WaitGroup
	session.Go(func() {
		for range 50 {
			m, ok := q.Take()
			if !ok {
				t.Error("nothing to take")
				return
			}
			sent.Add(1) // from here on it counts as sent
			if err := q.Done(m.ID, Acked, ""); err != nil {
				t.Error(err)
			}
		}
	})
	deadline := time.Now().Add(200 * time.Millisecond)
	for time.Now().Before(deadline) {
		if n := sent.Load(); n > MaxRepeats {
			t.Fatalf("%d were sent while none was durable", n)
		}
		time.Sleep(time.Millisecond)
	}
	close(slow)
	session.Wait()
}

// A message whose Append was given up is not sent, even if its commit was under
// way.
func TestGivenUpAppendIsNotKept(t *testing.T) {
	disk := simdisk.New()
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	var hold atomic.Bool
	q := open(t, "", Limits{}, Options{Files: disk})
	put(t, q.Queue, "before")
	disk.Notify(func(op string) {
		if op == "write" && hold.Load() {
			entered <- struct{}{}
			<-release
		}
	})
	hold.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; hold.Store(false); cancel() }()
	if m, err := q.Append(ctx, Message{Topic: "given up", QoS: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", m, err)
	}
	close(release)
	put(t, q.Queue, "after")
	if got := drain(t, q.Queue); got != "before after" {
		t.Errorf("%q went out", got)
	}
	q.stop()
	if got := drain(t, openOn(t, disk, Limits{}).Queue); got != "" {
		t.Errorf("after a restart %q went out", got)
	}
}

// A disk that fails refuses messages and says so once; what is queued drains;
// when it works again messages are taken without anybody's help.
func TestFailingDiskRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		for i := range 40 {
			put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 200) })
		}
		disk.Fail(func(op, _ string) error {
			if op == "read" || op == "open" {
				return nil
			}
			return syscall.EIO
		})
		for range 3 {
			if _, err := q.Append(t.Context(), Message{Topic: "refused", QoS: 1}); !errors.Is(err, ErrDisk) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("append: %v", err)
			}
		}
		for i := range 40 {
			if got := next(t, q.Queue); got != fmt.Sprint("t", i) {
				t.Fatalf("%q went out, want t%d", got, i)
			}
		}
		if s := q.Disk(); !s.Failing {
			t.Error("not said to fail")
		}
		disk.Fail(nil)
		time.Sleep(2 * retryEvery)
		if s := q.Disk(); s.Failing {
			t.Error("said to fail")
		}
		put(t, q.Queue, "after")
		var kinds []string
		for _, n := range q.Notes() {
			kinds = append(kinds, n.Kind)
		}
		if got := strings.Join(kinds, " "); got != NoteDiskFailing+" "+NoteDiskRecovered {
			t.Errorf("noted: %s", got)
		}
		q.stop()
		if got := drain(t, openOn(t, disk, Limits{}).Queue); got != "after" {
			t.Errorf("after a restart %q went out", got)
		}
	})
}

// The outbox leaves others their part of the file system.
func TestShareOfTheFileSystem(t *testing.T) {
	for _, c := range []struct {
		name        string
		size, other int64
		segments    int
	}{
		{"half is the outbox's", 20 * testSegment, 0, 10},
		{"a twentieth stays free", 20 * testSegment, 15 * testSegment, 4},
	} {
		disk := simdisk.New()
		disk.Capacity = c.size
		disk.Put("other", make([]byte, c.other))
		q := openOn(t, disk, Limits{})
		var err error
		for err == nil {
			_, err = q.Append(t.Context(), Message{Topic: "t", Payload: make([]byte, 500), QoS: 1})
		}
		if !errors.Is(err, ErrDisk) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", c.name, err)
		}
		if n := q.Disk().Segments; n != c.segments {
			t.Errorf("%s: %d segments", c.name, n)
		}
		for next(t, q.Queue) != "" {
		}
		if err := q.awaitFlush(); err != nil { // and what is drained is given back
			t.Error(err)
		}
		put(t, q.Queue, "again")
	}
}

// A real file system of four megabytes is filled, drained and filled again.
func TestTinyFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	q := open(t, dir, Limits{}, Options{})
	full := 0
	for round := range 3 {
		n := 0
		for {
			_, err := q.Append(t.Context(), Message{Topic: fmt.Sprint(n), Payload: make([]byte, 4000), QoS: 1})
			if err != nil {
				if !errors.Is(err, ErrDisk) {
					t.Fatal(err)
				}
				break
			}
			n++
		}
		if round > 0 && n < full*9/10 {
			t.Errorf("round %d took %d messages, the first %d", round, n, full)
		}
		if full = n; n < 100 {
			t.Fatalf("%d messages in 4 MiB", n)
		}
		// Somebody else takes the last byte: it drains all the same.
		hog := dir + "/hog"
		if err := fill(hog); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if got := next(t, q.Queue); got != fmt.Sprint(i) {
				t.Fatalf("%s went out, want %d", got, i)
			}
		}
		if err := q.awaitFlush(); err != nil {
			t.Fatalf("acknowledgements on a full disk: %v", err)
		}
		if err := os.Remove(hog); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes a file until there is no space.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// What is left of a time to live survives a restart; a clock that was not set,
// or is behind, does not shorten it.
func TestTimeToLiveOverARestart(t *testing.T) {
	const hour = int64(time.Hour)
	for _, c := range []struct {
		name        string
		origin, now int64
		want        time.Duration
	}{
		{"an hour has passed", clockSet, clockSet + hour, time.Hour},
		{"it is over", clockSet, clockSet + 3*hour, -time.Hour},
		{"the clock is behind", clockSet + 5*hour, clockSet + hour, 2 * time.Hour},
		{"the clock is not set yet", clockSet + 5*hour, 100, 2 * time.Hour},
		{"the clock was not set then", 100, clockSet, 2 * time.Hour},
		{"the clock is ten years ahead", clockSet, clockSet + 10*365*24*hour, 2 * time.Hour},
	} {
		if got := left(c.origin, c.now, 2*time.Hour); got != c.want {
			t.Errorf("%s: %v left, want %v", c.name, got, c.want)
		}
	}
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	put(t, q.Queue, "short", ttl(time.Second))
	m := put(t, q.Queue, "long", ttl(time.Hour))
	q.stop()
	time.Sleep(1100 * time.Millisecond) // wall clock time, which is what counts here
	q = openOn(t, disk, Limits{})
	got, err := q.Get(m.ID)
	if err != nil || got.TTL.Round(time.Second) != time.Hour {
		t.Fatalf("%+v, %v", got, err)
	}
	if d := got.ExpiresAt.Sub(m.ExpiresAt); d < -time.Second || d > time.Second {
		t.Errorf("expires %v later than before", d)
	}
	if got := drain(t, q.Queue); got != "long" {
		t.Errorf("%q went out", got)
	}
	if n := q.Stats().Dropped[ReasonExpired]; n != 1 {
		t.Errorf("%d expired", n)
	}
}

// Setting the clock while messages wait shows their true time, and expires
// nothing.
func TestClockStep(t *testing.T) {
	const by = 50 * 365 * 24 * time.Hour
	c := newClock()
	at, none := c.elapsed(time.Now())
	setClock(&c, by)
	after, noticed := c.elapsed(time.Now())
	if none != 0 || noticed < by-time.Minute || noticed > by+time.Minute {
		t.Errorf("noticed %v before and %v after the clock was set by %v", none, noticed, by)
	}
	if d := time.Duration(after - at); d < 0 || d > time.Minute {
		t.Errorf("%v elapsed meanwhile", d)
	}
	if d := time.Since(c.at(at)); d < 0 || d > time.Minute {
		t.Errorf("what was accepted just now shows as accepted %v ago", d)
	}
	if _, again := c.elapsed(time.Now()); again != 0 {
		t.Errorf("noticed again: %v", again)
	}
}

// setClock is what a clock sees of the wall clock being set: it says another time
// than it would have.
func setClock(c *clock, by time.Duration) { c.wall = c.wall.Add(-by) }

// A clock that is set while messages wait makes the origins in their records
// wrong. Seen: a gateway starts with the time at which it was switched off, as many
// do; messages that live an hour are accepted; the time signal sets the clock two
// weeks on; the daemon is restarted, and all of them had expired.
func TestClockStepOverARestart(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	before := put(t, q.Queue, "before", ttl(2*time.Hour))
	q.mu.Lock()
	setClock(&q.clock, -90*time.Minute) // it was ahead: the true age is 90 minutes more
	q.mu.Unlock()
	after := put(t, q.Queue, "after", ttl(2*time.Hour))
	q.stop()
	for range 2 {
		q = openOn(t, disk, Limits{})
		for _, c := range []struct {
			id   string
			left time.Duration
		}{{before.ID, 30 * time.Minute}, {after.ID, 2 * time.Hour}} {
			m, err := q.Get(c.id)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Until(m.ExpiresAt) - c.left; d < -time.Minute || d > time.Minute {
				t.Errorf("%s has %v left, want %v", m.Topic, time.Until(m.ExpiresAt), c.left)
			}
		}
		// Setting the clock now says nothing of what another process has accepted.
		q.mu.Lock()
		setClock(&q.clock, 365*24*time.Hour)
		q.mu.Unlock()
		put(t, q.Queue, "later")
		q.stop()
	}
	if list, _ := readSteps(disk); len(list) != 1 {
		t.Errorf("remembered: %+v", list)
	}
}

// What is remembered of the clock goes with the messages it concerns, and a file
// that is damaged or not finished is as good as none.
func TestStepsAreForgotten(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	put(t, q.Queue, "one")
	for range maxClockSteps + 5 {
		q.mu.Lock()
		setClock(&q.clock, time.Minute)
		q.mu.Unlock()
		q.Stats()
	}
	q.stop()
	if list, _ := readSteps(disk); len(list) != maxClockSteps {
		t.Errorf("%d steps are remembered, want %d", len(list), maxClockSteps)
	}
	for _, content := range []string{"", "{", `{"steps":[{"after":-1}]}`, "\x00\x00"} {
		for _, name := range []string{clockName, clockFresh} {
			f, err := disk.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte(content), 0); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
		}
		q = openOn(t, disk, Limits{})
		if n := q.Stats().Messages; n != 1 {
			t.Errorf("%q: %d messages", content, n)
		}
		q.stop()
	}
	q = openOn(t, disk, Limits{})
	if got := drain(t, q.Queue); got != "one" {
		t.Errorf("%q went out", got)
	}
	put(t, q.Queue, "two")
	q.mu.Lock()
	setClock(&q.clock, time.Minute)
	q.mu.Unlock()
	if got := drain(t, q.Queue); got != "two" {
		t.Errorf("%q went out", got)
	}
	q.stop()
	if list, _ := readSteps(disk); len(list) != 0 {
		t.Errorf("remembered: %+v", list)
	}
}

// After Run has ended Append refuses, and what is settled later is still written
// by Close.
func TestStopping(t *testing.T) {
	disk := simdisk.New()
	q, err := Open("", Limits{}, Options{Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var committer sync.WaitGroup
	committer.Go(func() { _ = q.Run(ctx) })
	put(t, q, "in flight")
	m, _ := q.Take()
	cancel()
	committer.Wait()
	if _, err := q.Append(context.Background(), Message{Topic: "late", QoS: 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := q.Done(m.ID, Acked, ""); err != nil {
		t.Error(err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if got := drain(t, openOn(t, disk, Limits{}).Queue); got != "" {
		t.Errorf("%q went out again", got)
	}
}

// Many programs and one session on a real disk: nothing is lost, each program's
// order stands.
func TestManyProgramsOnDisk(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Limits{}, Options{})
	const programs, messages = 16, 50
	var all sync.WaitGroup
	for p := range programs {
		all.Go(func() {
			for i := range messages {
				put(t, q.Queue, fmt.Sprint("p", p), func(m *Message) { m.Payload = fmt.Append(nil, i) })
			}
		})
	}
	seen := map[string]int{}
	for n := 0; n < programs*messages; {
		m, ok := q.Take()
		if !ok {
			<-q.Ready()
			continue
		}
		if got := string(m.Payload); got != fmt.Sprint(seen[m.Topic]) {
			t.Fatalf("%s: %s after %d", m.Topic, got, seen[m.Topic])
		}
		seen[m.Topic]++
		n++
		if err := q.Done(m.ID, Acked, ""); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}
