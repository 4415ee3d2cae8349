package outbox

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// ofTheMoment are errors that say nothing of a file.
var ofTheMoment = []syscall.Errno{
	syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN, syscall.ENOENT, syscall.ESTALE,
}

// reads fails opening and reading of segments.
func reads(err error) func(op, name string) error {
	return func(op, _ string) error {
		if op == "open" || op == "read" {
			return err
		}
		return nil
	}
}

// Seen: fourteen messages are accepted while opening fails with EIO for one second,
// and eight of them are finished as damaged: tries were counted, and every publish
// is one. The files are whole, so nothing is lost.
func TestAFailedReadIsNoVerdict(t *testing.T) {
	for _, errno := range ofTheMoment {
		t.Run(errno.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := simdisk.New()
				q := openOn(t, disk, Limits{})
				disk.Fail(reads(errno))
				tries := 0
				for i := range 14 {
					put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 400) })
					for range 20 { // every wake-up is a try
						if m, ok := q.Take(); ok {
							t.Fatalf("%s was read", m.Topic)
						}
						tries++
					}
					time.Sleep(70 * time.Millisecond)
				}
				disk.Fail(nil)
				time.Sleep(retryEvery)
				if got := len(strings.Fields(drain(t, q.Queue))); got != 14 {
					t.Errorf("%d of 14 went out after %d tries; %+v", got, tries, q.Stats().Dropped)
				}
				if s := q.Disk(); s.Damaged != 0 || s.Quarantined != 0 {
					t.Errorf("disk: %+v", s)
				}
			})
		})
	}
}

// A message that cannot be read is tried once a second, whoever wakes the session
// meanwhile, and messages of QoS 0 do not wait for the disk. (Each one of them began
// a chain of retries of its own: 1,300 tries a second.)
func TestReadingIsRetriedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		put(t, q.Queue, "kept")
		tries := 0
		disk.Fail(func(op, _ string) error {
			if op == "read" {
				tries++
				return syscall.EIO
			}
			return nil
		})
		sent := 0
		go func() {
			for range q.Ready() {
				for m, ok := q.Take(); ok; m, ok = q.Take() {
					sent++
					if err := q.Done(m.ID, Sent, ""); err != nil {
						t.Error(err)
					}
				}
				if t.Context().Err() != nil {
					return
				}
			}
		}()
		for range 100 {
			put(t, q.Queue, "held", qos0)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if sent != 100 {
			t.Errorf("%d of 100 messages of QoS 0 went out", sent)
		}
		if tries > 12 {
			t.Errorf("%d tries in ten seconds", tries)
		}
		close(q.ready)
	})
}

// After ten minutes others pass what cannot be read; that is told, and it is tried
// again each hour.
func TestWhatCannotBeReadIsPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		bad := put(t, q.Queue, "bad")
		put(t, q.Queue, "low", low)
		put(t, q.Queue, "next")
		spot := int64(headSize)
		disk.Fail(nil)
		disk.FailReads(func(_ string, off, _ int64) error {
			if off == spot {
				return syscall.EIO
			}
			return nil
		})
		begin := time.Now()
		for m, ok := q.Take(); ; m, ok = q.Take() {
			if ok {
				if d := time.Since(begin); m.Topic != "next" || d < patience || d > patience+2*retryEvery {
					t.Fatalf("%s passed after %v", m.Topic, d)
				}
				_ = q.Release(m.ID)
				break
			}
			time.Sleep(retryEvery)
		}
		put(t, q.Queue, "later")
		if got := drain(t, q.Queue); got != "next later low" {
			t.Errorf("%q went out", got)
		}
		wantState(t, q.Queue, bad.ID, Queued, "")
		if s := q.Disk(); s.Unreadable != 1 || s.Damaged != 0 {
			t.Errorf("disk: %+v", s)
		}
		if w := q.Warnings(); len(w) != 1 || w[0].Code != WarnFailing || !strings.Contains(w[0].Detail, "1 messages cannot be read") {
			t.Errorf("warnings: %+v", w)
		}
		time.Sleep(retryLater + time.Second)
		put(t, q.Queue, "after an hour")
		if got := drain(t, q.Queue); got != "after an hour" { // it is tried, and passed at once
			t.Errorf("%q went out", got)
		}
		disk.FailReads(nil)
		time.Sleep(retryLater + time.Second)
		if got := drain(t, q.Queue); got != "bad" {
			t.Errorf("%q went out when it can be read again", got)
		}
		if w := q.Warnings(); len(w) != 0 {
			t.Errorf("warnings: %+v", w)
		}
	})
}

// A segment of which nothing can be read holds up the others for ten minutes in
// all, not for each of its messages.
func TestAWholeSegmentIsPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := open(t, "", Limits{}, Options{Files: disk, SegmentSize: 16 << 10})
		for i := range 200 {
			put(t, q.Queue, fmt.Sprint("a", i))
		}
		q.stop()
		q = open(t, "", Limits{}, Options{Files: disk, SegmentSize: 16 << 10})
		put(t, q.Queue, "b")
		tries := 0
		disk.Fail(func(op, name string) error {
			if op == "read" && name == segmentName(1) {
				tries++
				return syscall.EIO
			}
			return nil
		})
		begin := time.Now()
		got := ""
		for ; got == ""; got = next(t, q.Queue) {
			time.Sleep(retryEvery)
		}
		if d := time.Since(begin); got != "b" || d > patience+5*retryEvery {
			t.Errorf("%q went out after %v", got, d)
		}
		if tries > int(patience/retryEvery)+maxPassed+10 {
			t.Errorf("%d tries", tries)
		}
		if n := q.Disk().Unreadable; n != 200 {
			t.Errorf("%d are said to be unreadable", n)
		}
		disk.Fail(nil)
		time.Sleep(retryLater + time.Second)
		if n := len(strings.Fields(drain(t, q.Queue))); n != 200 {
			t.Errorf("%d of 200 went out in the end", n)
		}
	})
}

// Other programs take every descriptor: what waits is sent all the same, segment by
// segment, and nothing is taken for damaged. (Any local user could bring that about
// through the metrics port.)
func TestReadingNeedsNoDescriptorOfOthers(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	for i := range 60 {
		put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 400); m.Priority = Priority(i % 3) })
	}
	if n := q.Disk().Segments; n < 12 {
		t.Fatalf("only %d segments", n)
	}
	disk.Descriptors(disk.Opened())
	if got := len(strings.Fields(drain(t, q.Queue))); got != 60 {
		t.Errorf("%d of 60 went out", got)
	}
	if n := q.Stats().Dropped[ReasonDamaged]; n != 0 {
		t.Errorf("%d damaged", n)
	}
	disk.Descriptors(0)
	q.stop()
	if n := disk.Opened(); n != 0 {
		t.Errorf("%d descriptors stay open", n)
	}
}

// Only what does not check when it comes from the disk once more is damaged, and
// its file stays in quarantine after all of it is settled.
func TestDamageIsReadTwiceAndKept(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	good := put(t, q.Queue, "once")
	flipped := false
	disk.Garble(func(_ string, b []byte) {
		if !flipped && len(b) > recordHead && !strings.HasPrefix(string(b), "ABOUTBOX") {
			b[recordHead] ^= 1
			flipped = true
		}
	})
	if got := next(t, q.Queue); got != "once" || !flipped {
		t.Errorf("%q went out, flipped %v", got, flipped)
	}
	wantState(t, q.Queue, good.ID, Acked, "")
	disk.Garble(nil)
	bad := put(t, q.Queue, "bad")
	name := segmentName(1)
	disk.Bytes(name)[headSize+padded(recordHead+8)+recordHead] ^= 1
	if got := next(t, q.Queue); got != "" {
		t.Errorf("%q went out", got)
	}
	wantState(t, q.Queue, bad.ID, Dropped, ReasonDamaged)
	for i := range 20 {
		put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 400) })
	}
	drain(t, q.Queue)
	if err := q.awaitFlush(); err != nil {
		t.Fatal(err)
	}
	if disk.Bytes(name) != nil || disk.Bytes(quarantineDir+"/"+name) == nil {
		t.Errorf("files: %q", disk.Names())
	}
	if b := disk.Bytes(quarantineDir + "/" + name); string(b[headSize+padded(recordHead+8)+recordHead+1:][:2]) != "ad" {
		t.Error("what is in quarantine is not what was damaged")
	}
}
