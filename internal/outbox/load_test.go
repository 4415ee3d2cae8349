package outbox

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// stored is a stopped queue of so many messages, a few in each segment.
func stored(t *testing.T, n int) *simdisk.Disk {
	t.Helper()
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	for i := range n {
		put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 300) })
	}
	check(t, q.awaitFlush())
	q.stop()
	return disk
}

// At the start a segment cannot be read. Seen: it was moved to quarantine, whole as it
// was. It is read as soon as that is possible, and what is younger waits for it, so
// that the order stands.
func TestASegmentThatCannotBeReadAtTheStart(t *testing.T) {
	for _, errno := range ofTheMoment {
		synctest.Test(t, func(t *testing.T) {
			disk := stored(t, 20)
			disk.Fail(func(op, name string) error {
				if (op == "open" || op == "read") && name == segmentName(2) {
					return errno
				}
				return nil
			})
			q := openOn(t, disk, Limits{})
			if got := codes(q.Queue); !slices.Equal(got, []string{WarnFailing}) {
				t.Errorf("%v: warnings %q", errno, got)
			}
			put(t, q.Queue, "new")
			put(t, q.Queue, "held", qos0)
			if got := drain(t, q.Queue); !strings.HasPrefix(got, "t0 t1 ") || !strings.HasSuffix(got, " held") || strings.Contains(got, "t19") {
				t.Errorf("%v: %q went out", errno, got)
			}
			time.Sleep(patience / 2)
			disk.Fail(nil)
			time.Sleep(2 * retryEvery)
			if got := drain(t, q.Queue); !strings.HasSuffix(got, "t19 new") || len(strings.Fields(got)) < 15 {
				t.Errorf("%v: %q went out when it can be read", errno, got)
			}
			if s := q.Disk(); s.Damaged != 0 || s.Quarantined != 0 {
				t.Errorf("%v: disk %+v", errno, s)
			}
			if got := codes(q.Queue); len(got) != 0 {
				t.Errorf("%v: warnings %q", errno, got)
			}
		})
	}
}

// One spot of it cannot be read: after ten minutes the others go, the file stays, and
// the spot is tried again every hour.
func TestASpotThatCannotBeReadAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 16 << 10
		disk := simdisk.New()
		q := open(t, "", Limits{}, Options{Files: disk, SegmentSize: size})
		for i := range 90 {
			put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 300) })
		}
		check(t, q.awaitFlush())
		q.stop()
		disk.FailReads(func(name string, off, n int64) error {
			if name == segmentName(2) && off < 3*block && off+n > 2*block {
				return syscall.EIO
			}
			return nil
		})
		q = open(t, "", Limits{}, Options{Files: disk, SegmentSize: size})
		first := len(strings.Fields(drain(t, q.Queue)))
		if first == 0 || first > 40 {
			t.Errorf("%d went out at once", first)
		}
		time.Sleep(patience + 2*retryEvery)
		second := len(strings.Fields(drain(t, q.Queue)))
		missing := 90 - first - second
		if missing < 5 || missing > 15 {
			t.Errorf("%d and %d went out, %d are missing; in the spot there is room for 12", first, second, missing)
		}
		if got := codes(q.Queue); !slices.Equal(got, []string{WarnFailing}) {
			t.Errorf("warnings: %q", got)
		}
		check(t, q.awaitFlush())
		if disk.Bytes(segmentName(2)) == nil {
			t.Fatal("the file is gone, and what could not be read with it")
		}
		disk.FailReads(nil)
		time.Sleep(retryLater + time.Second)
		if got := len(strings.Fields(drain(t, q.Queue))); got != missing {
			t.Errorf("%d of the %d that were missing went out in the end", got, missing)
		}
		if s := q.Disk(); s.Damaged != 0 || s.Quarantined != 0 {
			t.Errorf("disk: %+v", s)
		}
		if got := codes(q.Queue); len(got) != 0 {
			t.Errorf("warnings: %q", got)
		}
		q.stop()
		if got := drain(t, open(t, "", Limits{}, Options{Files: disk, SegmentSize: size}).Queue); got != "" {
			t.Errorf("%q went out again", got)
		}
	})
}

// A newer Latest message does not come back to life, nor does what it replaced, when
// the older segment can be read at last.
func TestWhatIsReadLaterIsReplacedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		put(t, q.Queue, "t")
		put(t, q.Queue, "other")
		q.stop()
		time.Sleep(time.Millisecond)
		disk.Fail(func(op, name string) error {
			if (op == "open" || op == "read") && name == segmentName(1) {
				return syscall.EIO
			}
			return nil
		})
		q = openOn(t, disk, Limits{})
		put(t, q.Queue, "t", latest, func(m *Message) { m.Payload = []byte("new") })
		disk.Fail(nil)
		time.Sleep(2 * retryEvery)
		m, _ := q.Take()
		if m.Topic != "other" {
			t.Errorf("%s went out first", m.Topic)
		}
		check(t, q.Done(m.ID, Acked, ""))
		if m, _ = q.Take(); string(m.Payload) != "new" || q.Stats().Messages != 1 {
			t.Errorf("%q went out, of %d", m.Payload, q.Stats().Messages)
		}
	})
}
