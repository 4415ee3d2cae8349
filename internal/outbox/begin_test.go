package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"airbridged/internal/outbox/simdisk"
)

// Many publishes of one program are on their way at once; they are kept in their
// order, share flushes, and each is durable when it says so.
func TestBeginKeepsManyAtOnce(t *testing.T) {
	disk := simdisk.New()
	q := open(t, "", Limits{}, Options{Files: disk})
	put(t, q.Queue, "makes the segment")
	before := q.Disk().Flushes
	var all []*Appending
	for i := range 200 {
		var last *Appending
		if i > 0 {
			last = all[i-1]
		}
		a, err := q.Begin(Message{Topic: fmt.Sprint("t", i), Payload: []byte("x"), QoS: 1, Priority: Normal}, last)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	for i, a := range all {
		<-a.Done()
		if m, err := a.Result(); err != nil || m.ID == "" || m.Topic != fmt.Sprint("t", i) || m.State != Queued {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if n := q.Disk().Flushes - before; n > 100 {
		t.Errorf("%d flushes for 200 messages: they do not share them", n)
	}
	image := disk.Survivor()
	back := openOn(t, image, Limits{})
	for i := range 201 {
		want := "makes the segment"
		if i > 0 {
			want = fmt.Sprint("t", i-1)
		}
		if got := next(t, back.Queue); got != want {
			t.Fatalf("%q is at place %d after a power cut, want %q", got, i, want)
		}
	}
}

// The disk fails for the first of three publishes of one program and works for the
// others, which wait behind it: had they been kept, the repeat of the first would
// come after them. A publish of another program is kept.
func TestNobodyOvertakesAFailedOne(t *testing.T) {
	disk := simdisk.New()
	q := open(t, "", Limits{}, Options{Files: disk})
	put(t, q.Queue, "makes the segment")
	writing, goOn := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	disk.Fail(func(op, _ string) error {
		if op == "write" && once.CompareAndSwap(false, true) {
			close(writing)
			<-goOn
			return syscall.EIO
		}
		return nil
	})
	begin := func(topic string, after *Appending) *Appending {
		a, err := q.Begin(Message{Topic: topic, QoS: 1, Priority: Normal}, after)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := begin("first", nil)
	<-writing
	second := begin("second", first)
	third := begin("third", second)
	other := begin("other", nil)
	close(goOn)
	for _, a := range []*Appending{first, second, third} {
		if _, err := a.Result(); !errors.Is(err, syscall.EIO) || !errors.Is(err, ErrDisk) {
			t.Errorf("%v, want the disk's error", err)
		}
	}
	if _, err := other.Result(); err != nil {
		t.Errorf("another program's message: %v", err)
	}
	if _, err := begin("again", nil).Result(); err != nil {
		t.Error(err)
	}
	if got := drain(t, q.Queue); got != "makes the segment other again" {
		t.Errorf("%q went out", got)
	}
}

// What can be refused at once is, by the words of Append; QoS 0 and a queue in
// memory are done at once.
func TestBeginRefusesAtOnce(t *testing.T) {
	q := open(t, "", Limits{Messages: 1}, Options{Files: simdisk.New()})
	if _, err := q.Begin(Message{QoS: 1}, nil); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	a, err := q.Begin(Message{Topic: "t", QoS: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Begin(Message{Topic: "t", QoS: 1}, a); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	held, err := q.Begin(Message{Topic: "t"}, a)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := held.Result(); err != nil || m.State != Held {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := a.Result(); err != nil || m.State != Queued {
		t.Errorf("%+v, %v", m, err)
	}
	q.stop()
	if _, err := q.Begin(Message{Topic: "t", QoS: 1}, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	memory := New(Limits{})
	a, err = memory.Begin(Message{Topic: "t", QoS: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.Done():
	default:
		t.Error("a queue in memory keeps it later")
	}
	_, _ = memory.Append(context.Background(), Message{Topic: "t"})
}
