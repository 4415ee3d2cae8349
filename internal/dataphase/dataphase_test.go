package dataphase

import (
	"os"
	"testing"
	"time"

	"airbridged/internal/durable"
)

// A process that is killed leaves what it booked; one that closed the port of a module
// that listened leaves nothing. What another clock wrote is not believed for longer
// than a data phase can last.
func TestRecordOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	state, now := durable.OnDisk(t.TempDir()), time.Now()
	left := func() time.Duration { return Open(state, now).Left(now) }
	if d := left(); d > 0 {
		t.Fatalf("without a file the module is deaf for %v", d)
	}
	r := Open(state, now)
	if err := r.Begins(now); err != nil {
		t.Fatal(err)
	}
	if d := left(); d != most {
		t.Errorf("after a kill the next process waits %v, want %v", d, most)
	}
	if err := r.Closed(5*time.Second, now); err != nil {
		t.Fatal(err)
	}
	if d := left(); d != 5*time.Second+unheard {
		t.Errorf("after 5 s of deafness at the close the next process waits %v", d)
	}
	now = now.Add(time.Minute)
	if err := r.Closed(0, now); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state.Path(file)); !os.IsNotExist(err) {
		t.Errorf("a module that listened leaves the file: %v", err)
	}
	if err := r.note.Save(record{now.AddDate(10, 0, 0)}); err != nil {
		t.Fatal(err)
	}
	if d := left(); d != most {
		t.Errorf("a clock that was ten years ahead makes the module deaf for %v", d)
	}
}

// A program that sends one message after the other in a data phase costs one small
// write in 20 s.
func TestBookingAheadSparesTheFlash(t *testing.T) {
	t.Parallel()
	state, now := durable.OnDisk(t.TempDir()), time.Now()
	r := Open(state, now)
	writes, kept := 0, time.Time{}
	for range 60 {
		if err := r.Begins(now); err != nil {
			t.Fatal(err)
		}
		if !r.kept.Equal(kept) {
			writes, kept = writes+1, r.kept
		}
		now = now.Add(time.Second)
	}
	if writes != 3 {
		t.Errorf("a minute of publishes costs %d writes, want 3", writes)
	}
}
