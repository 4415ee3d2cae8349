package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// running opens a queue and runs it until the test, or stop, ends it.
type running struct {
	*Queue
	stop func()
}

func open(t testing.TB, dir string, l Limits, o Options) running {
	t.Helper()
	q, err := Open(dir, l, o)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, q)
}

func run(t testing.TB, q *Queue) running {
	ctx, cancel := context.WithCancel(context.Background())
	var committer sync.WaitGroup
	committer.Go(func() { _ = q.Run(ctx) })
	stop := sync.OnceFunc(func() {
		cancel()
		committer.Wait()
		if err := q.Close(); err != nil && !errors.Is(err, ErrDisk) {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return running{q, stop}
}

// read returns the first messages with what the disk has of them; those that cannot
// be read come without.
func read(q *Queue, limit int) []Message {
	page, _ := q.List("", limit)
	for i := range page {
		if m, err := q.Read(page[i].ID); err == nil {
			page[i] = m
		}
	}
	return page
}

// A daemon is stopped and started: what was accepted and not settled is there,
// in order, with all its properties, under the same id.
func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	q := open(t, dir, Limits{}, Options{})
	ids := map[string]string{}
	for i := range 50 {
		m := put(t, q.Queue, fmt.Sprint("topic", i), func(m *Message) { m.Priority = Priority(i % 3); m.Payload = []byte(strings.Repeat("x", i)) })
		ids[m.Topic] = m.ID
	}
	put(t, q.Queue, "held", qos0)
	for range 10 {
		next(t, q.Queue)
	}
	if err := q.Drop(ids["topic1"]); err != nil {
		t.Fatal(err)
	}
	if m, ok := q.Take(); !ok || m.Topic != "topic30" { // in flight when it stops
		t.Fatalf("took %+v", m)
	}
	q.stop()
	q = open(t, dir, Limits{}, Options{})
	page, total := q.List("", 100)
	if total != 39 || len(page) != 39 {
		t.Fatalf("%d messages are back, want 39", total)
	}
	last := ""
	for _, m := range page {
		if m.ID != ids[m.Topic] || m.ID <= last {
			t.Errorf("%+v, was %s", m, ids[m.Topic])
		}
		if want := m.Size; fmt.Sprint("topic", want) != m.Topic || int(m.Priority) != want%3 || m.State != Queued || m.QoS != 1 {
			t.Errorf("came back as %+v", m)
		}
		last = m.ID
	}
	if m := put(t, q.Queue, "after"); m.ID <= last {
		t.Errorf("%s follows %s", m.ID, last)
	}
	if got := drain(t, q.Queue); !strings.HasPrefix(got, "topic30 topic33 topic36 ") || !strings.HasSuffix(got, " topic44 topic47") {
		t.Errorf("went out as %s", got)
	}
	if s := q.Disk(); s.Damaged != 0 || s.Failing || s.Quarantined != 0 {
		t.Errorf("disk: %+v", s)
	}
}

// Two daemons on one directory would both send everything.
func TestSecondWriterIsRefused(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Limits{}, Options{})
	_, err := Open(dir, Limits{}, Options{})
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), hintBusy) {
		t.Errorf("second: %v", err)
	}
	q.stop()
	open(t, dir, Limits{}, Options{})
}

// Segments come and go: what is preallocated stays within 1 MiB.
func TestSpaceIsReclaimed(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Limits{}, Options{})
	payload := make([]byte, 8000)
	for range 3 {
		for range 300 {
			put(t, q.Queue, "t", func(m *Message) { m.Payload = payload })
		}
		if got := usage(t, dir); got > 300*8100+1<<20 {
			t.Errorf("%d bytes for 300 messages", got)
		}
		for next(t, q.Queue) != "" {
		}
	}
	if err := q.awaitFlush(); err != nil {
		t.Fatal(err)
	}
	if got := usage(t, dir); got > 1<<20 {
		t.Errorf("%d bytes on disk for an empty queue", got)
	}
	q.stop()
	q = open(t, dir, Limits{}, Options{})
	if err := q.awaitFlush(); err != nil {
		t.Fatal(err)
	}
	if s := q.Stats(); s.Messages != 0 {
		t.Errorf("%d messages are back", s.Messages)
	}
}

func usage(t *testing.T, dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}
