package outbox

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"syscall"
	"testing"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// smallStore is a queue of a few messages in three segments, stopped. It returns
// the files and the payloads in order.
func smallStore(t testing.TB) (*simdisk.Disk, []string) {
	t.Helper()
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	var want []string
	for i := range 12 {
		m := put(t, q.Queue, fmt.Sprint("topic", i%3), func(m *Message) { m.Payload = fmt.Appendf(nil, "%02d%s", i, strings.Repeat("x", 300)) })
		want = append(want, string(m.Payload))
	}
	for range 2 {
		next(t, q.Queue)
	}
	q.stop()
	q = openOn(t, disk, Limits{}) // so that the last segment is cut to its content
	if err := q.awaitFlush(); err != nil {
		t.Fatal(err)
	}
	q.stop()
	return disk, want[2:]
}

func openOn(t testing.TB, disk *simdisk.Disk, l Limits) running {
	t.Helper()
	return open(t, "", l, Options{Files: disk, SegmentSize: testSegment})
}

// survivors opens damaged files and returns the payloads that are there.
func survivors(t *testing.T, disk *simdisk.Disk) []string {
	t.Helper()
	var q *Queue
	for try := range 3 { // a loaded machine may stall one of a hundred thousand, not three in a row
		begin := time.Now()
		var err error
		if q, err = Open("", Limits{}, Options{Files: disk, SegmentSize: testSegment}); err != nil {
			t.Fatal(err)
		}
		d := time.Since(begin)
		if d <= time.Second {
			break
		}
		if try == 2 {
			t.Errorf("opening took %v", d)
		}
	}
	var got []string
	for _, m := range read(q, 100) {
		got = append(got, string(m.Payload))
	}
	_ = q.Close()
	return got
}

// missing says how many of want are not in got; everything else must be there,
// in order. Settled messages may be back where their marks were damaged.
func missing(got, want []string) (n int, ok bool) {
	i := 0
	for _, w := range want {
		for i < len(got) && got[i] < w && got[i] < "02" {
			i++ // settled before
		}
		if i < len(got) && got[i] == w {
			i++
		} else {
			n++
		}
	}
	return n, i == len(got)
}

// One flipped bit, wherever it is, costs at most the one message it is in.
func TestEverySingleBitFlip(t *testing.T) {
	disk, want := smallStore(t)
	flips := 0
	for _, name := range disk.Names() {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		for i := range disk.Bytes(name) {
			if i >= sector && i < headSize && i%61 != 0 && (i < firstSettled*sector || i >= (firstSettled+1)*sector) {
				continue // of sectors that are all zeros and of the copy of the header, a sample
			}
			for bit := range 8 {
				c := disk.Damaged(name, func(b []byte) []byte { b[i] ^= 1 << bit; return b })
				flips++
				got := survivors(t, c)
				if n, ok := missing(got, want); !ok || n > 1 {
					t.Fatalf("bit %d of byte %d of %s costs %d messages:\n%q", bit, i, name, n, got)
				}
			}
		}
	}
	t.Logf("%d flips", flips)
}

// A file that lost its end loses the messages that were there, no others.
func TestEveryTruncation(t *testing.T) {
	disk, want := smallStore(t)
	for _, name := range disk.Names() {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		whole := disk.Damaged(name, func([]byte) []byte { return nil })
		_ = whole.Remove(name)
		others := survivors(t, whole)
		for size := range disk.Bytes(name) {
			got := survivors(t, disk.Damaged(name, func(b []byte) []byte { return b[:size] }))
			if _, ok := missing(got, want); !ok || len(got) < len(others) {
				t.Fatalf("%s cut to %d: %q", name, size, got)
			}
		}
	}
}

// What was damaged in the middle is counted, noted and kept for whoever wants to
// look at it.
func TestDamageIsTold(t *testing.T) {
	disk, want := smallStore(t)
	names, _ := disk.List(".")
	first := ""
	for _, name := range names {
		if strings.HasSuffix(name, suffix) && (first == "" || name < first) {
			first = name
		}
	}
	// The fifth and last record of the first segment: only the next segment knows of it.
	disk.Bytes(first)[headSize+4*padded(recordHead+6+302)+100] ^= 1
	q := openOn(t, disk, Limits{})
	notes := q.Notes()
	if len(notes) != 1 || notes[0].Kind != NoteDamage || !strings.Contains(notes[0].Text, first) {
		t.Errorf("notes: %+v", notes)
	}
	if s := q.Disk(); s.Damaged != 1 || s.Quarantined != 1 {
		t.Errorf("disk: %+v", s)
	}
	if disk.Bytes(quarantineDir+"/"+first) == nil {
		t.Error("no copy in quarantine")
	}
	if got := len(strings.Fields(drain(t, q.Queue))); got != len(want)-1 {
		t.Errorf("%d went out of %d", got, len(want))
	}
}

// A record that goes bad while the daemon runs is dropped when its turn comes.
func TestDamageFoundByTake(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	bad := put(t, q.Queue, "bad")
	put(t, q.Queue, "good")
	disk.Bytes(segmentName(1))[headSize+recordHead] ^= 1
	if got := drain(t, q.Queue); got != "good" {
		t.Errorf("%q went out", got)
	}
	wantState(t, q.Queue, bad.ID, Dropped, ReasonDamaged)
	if n := q.Stats().Dropped[ReasonDamaged]; n != 1 {
		t.Errorf("%d counted", n)
	}
}

// A newer format is not touched.
func TestNewerVersionIsRefused(t *testing.T) {
	disk, _ := smallStore(t)
	for _, name := range disk.Names() {
		if strings.HasSuffix(name, suffix) {
			for _, at := range []int{0, headerCopy} {
				b := disk.Bytes(name)[at:][:sector]
				le.PutUint32(b[8:], formatVersion+1)
				le.PutUint32(b[12:], 0)
				le.PutUint32(b[12:], crc32.Checksum(b, castagnoli))
			}
		}
	}
	before := len(disk.Names())
	_, err := Open("", Limits{}, Options{Files: disk, SegmentSize: testSegment})
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), hintVersion) {
		t.Errorf("open: %v", err)
	}
	if len(disk.Names()) != before {
		t.Error("files were changed")
	}
}

// Every call of the file system fails once, with either error: nothing that was
// accepted is lost, nothing refused is sent, and the queue works again.
func TestEveryCallFailsOnce(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		calls := 1 << 30
		for nth := 1; nth <= calls; nth++ {
			calls = failOnce(t, errno, nth)
		}
		t.Logf("%v at each of %d calls", errno, calls)
	}
}

// failOnce fails the nth call and returns how many there were.
func failOnce(t *testing.T, errno syscall.Errno, nth int) (calls int) {
	disk := simdisk.New()
	disk.Fail(func(op, name string) error {
		if op == "read" || op == "open" {
			return nil // these are tried again much later
		}
		if calls++; calls == nth {
			return errno
		}
		return nil
	})
	q, err := Open("", Limits{}, Options{Files: disk, SegmentSize: testSegment})
	if err != nil {
		return calls
	}
	r := run(t, q)
	var want []string
	add := func(i int) {
		m, err := q.Append(context.Background(), Message{Topic: fmt.Sprint("t", i), Payload: make([]byte, 300), QoS: 1})
		switch {
		case err == nil:
			want = append(want, m.Topic)
		case !errors.Is(err, ErrDisk) || !errors.Is(err, errno) || !strings.Contains(err.Error(), hintDisk):
			t.Fatalf("call %d: %v", nth, err)
		}
	}
	for i := range 8 {
		add(i)
	}
	for range len(want) / 2 {
		if got := next(t, q); got != want[0] {
			t.Fatalf("call %d: %s went out, want %s", nth, got, want[0])
		}
		want = want[1:]
	}
	for i := range 8 {
		add(8 + i)
	}
	if len(want) < 8 {
		t.Fatalf("call %d: %d messages are left", nth, len(want))
	}
	_ = q.awaitFlush()
	r.stop()
	disk.Fail(nil)
	q2 := openOn(t, disk, Limits{})
	got := strings.Fields(drain(t, q2.Queue))
	for len(got) > len(want) && got[0] != want[0] {
		got = got[1:] // settled messages that repeat: only if the failure was in their way
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("call %d: after the restart %q, want %q", nth, got, want)
	}
	q2.stop()
	return calls
}
