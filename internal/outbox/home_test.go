package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/outbox/files"
	"airbridged/internal/outbox/simdisk"
)

// refused appends a message that must be refused because of the disk.
func refused(t testing.TB, q *Queue) error {
	t.Helper()
	_, err := q.Append(t.Context(), Message{Topic: "refused", QoS: 1})
	if !errors.Is(err, ErrDisk) {
		t.Errorf("append: %v, want ErrDisk", err)
	}
	return err
}

// codes are those of the present warnings.
func codes(q *Queue) (list []string) {
	for _, w := range q.Warnings() {
		list = append(list, w.Code)
		if w.Detail == "" || w.Hint == "" {
			list = append(list, "without detail or hint")
		}
	}
	return list
}

// Ways to take a store away while it is used.
var takenAway = map[string]func(t *testing.T, dir string){
	"removed": func(t *testing.T, dir string) { check(t, os.RemoveAll(dir)) },
	"renamed": func(t *testing.T, dir string) { check(t, os.Rename(dir, dir+".away")) },
	"its place taken": func(t *testing.T, dir string) {
		check(t, os.Rename(dir, dir+".away"))
		check(t, os.Mkdir(dir, 0o700))
	},
	"the newest segment removed": func(t *testing.T, dir string) { check(t, os.Remove(newestIn(t, dir))) },
	"the newest segment renamed": func(t *testing.T, dir string) { check(t, os.Rename(newestIn(t, dir), filepath.Join(dir, "other"))) },
	"the newest segment replaced": func(t *testing.T, dir string) {
		name := newestIn(t, dir)
		check(t, os.Remove(name))
		check(t, os.WriteFile(name, []byte("something else"), 0o600))
	},
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newestIn(t testing.TB, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(names) == 0 {
		t.Fatalf("no segments in %s: %v", dir, err)
	}
	return slices.Max(names)
}

// Seen: outbox.dir or its newest segment is removed, renamed or mounted over; every
// later message is answered 202 and then dropped as damaged. The first one after
// that must be refused, the next ones are kept in a directory that is there, and
// what was accepted before is sent from what is open.
func TestAStoreIsTakenAway(t *testing.T) {
	for name, take := range takenAway {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "outbox")
			q := open(t, dir, Limits{}, Options{})
			for i := range 5 {
				put(t, q.Queue, fmt.Sprint("before", i))
			}
			take(t, dir)
			refused(t, q.Queue)
			for i := range 5 {
				put(t, q.Queue, fmt.Sprint("after", i))
			}
			if got := codes(q.Queue); slices.Contains(got, WarnFailing) || slices.Contains(got, WarnReadOnly) {
				t.Errorf("warnings: %q", got)
			}
			m, ok := q.Take()
			if !ok || m.Topic != "before0" {
				t.Fatalf("took %s", m.Topic)
			}
			check(t, q.Done(m.ID, Acked, ""))
			check(t, q.awaitFlush())
			q.stop()
			q = open(t, dir, Limits{}, Options{}) // what is there now is what the next process finds
			got := drain(t, q.Queue)
			if !strings.HasSuffix(got, "after0 after1 after2 after3 after4") || strings.Contains(got, "refused") || strings.Contains(got, "before0") {
				t.Errorf("%q went out after a restart", got)
			}
			if name != "removed" && !strings.Contains(got, "before1 before2 before3 before4 after0") {
				t.Errorf("%q went out after a restart: what was moved along is missing", got)
			}
			if n := q.Disk().Damaged; n != 0 {
				t.Errorf("%d damaged", n)
			}
		})
	}
}

// Something is mounted over the directory: nothing is kept there, what was accepted
// is sent, and it goes on when that is unmounted.
func TestAStoreIsMountedOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	q := open(t, dir, Limits{}, Options{})
	put(t, q.Queue, "before")
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	mounted := true
	t.Cleanup(func() {
		if mounted {
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	for range 3 {
		refused(t, q.Queue)
	}
	if got := codes(q.Queue); len(got) == 0 || got[0] != WarnGone {
		t.Errorf("warnings: %q", got)
	}
	if got := drain(t, q.Queue); got != "before" {
		t.Errorf("%q went out", got)
	}
	check(t, syscall.Unmount(dir, syscall.MNT_DETACH))
	mounted = false
	put(t, q.Queue, "after")
	if got := codes(q.Queue); len(got) != 0 {
		t.Errorf("warnings: %q", got)
	}
}

// Nobody publishes: it is noticed all the same, and told.
func TestAStoreThatIsGoneIsNoticedWithoutPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		put(t, q.Queue, "before")
		disk.MountOver(simdisk.New())
		time.Sleep(lookEvery + time.Second)
		if got := codes(q.Queue); !slices.Contains(got, WarnGone) {
			t.Errorf("warnings: %q", got)
		}
		disk.Return()
		time.Sleep(2 * retryEvery)
		if got := codes(q.Queue); len(got) != 0 {
			t.Errorf("warnings: %q", got)
		}
		put(t, q.Queue, "after")
		if got := drain(t, q.Queue); got != "before after" {
			t.Errorf("%q went out", got)
		}
	})
}

// A disk is unplugged and comes back under another device number: it is recognised
// by its segments, and nothing is sent twice or lost.
func TestAStoreIsMountedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		for i := range 12 {
			put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 400) })
		}
		next(t, q.Queue)
		check(t, q.awaitFlush())
		again := disk.Survivor() // every call on the old one fails from now on
		disk.MountOver(again)
		disk.Revive()
		refused(t, q.Queue)
		time.Sleep(2 * retryEvery)
		put(t, q.Queue, "after")
		if got := len(strings.Fields(drain(t, q.Queue))); got != 12 {
			t.Errorf("%d went out", got)
		}
		q.stop()
		if got := drain(t, openOn(t, again, Limits{}).Queue); got != "" {
			t.Errorf("%q went out after a restart", got)
		}
	})
}

// The file system goes read-only, as ext4 does after an error. Seen: nothing is sent
// any more, for segments were opened read-write to be read. What is kept is sent, new
// messages are refused, QoS 0 goes on, it is told, and it ends by itself.
func TestAFileSystemGoesReadOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := simdisk.New()
		q := openOn(t, disk, Limits{})
		for i := range 20 {
			put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 400) })
		}
		disk.ReadOnly(true)
		time.Sleep(lookEvery + time.Second)
		if got := codes(q.Queue); len(got) != 1 || got[0] != WarnReadOnly {
			t.Errorf("warnings: %q", got)
		}
		if err := refused(t, q.Queue); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), hintReadOnly) {
			t.Error(err)
		}
		calls := 0
		disk.Fail(func(string, string) error { calls++; return nil })
		begin := time.Now()
		for range 100 {
			put(t, q.Queue, "held", qos0)
			time.Sleep(100 * time.Millisecond)
		}
		disk.Fail(nil)
		if each := float64(calls) / time.Since(begin).Seconds(); each > 40 {
			t.Errorf("%.0f calls a second", each)
		}
		if got := len(strings.Fields(drain(t, q.Queue))); got != 120 {
			t.Errorf("%d of 120 went out", got)
		}
		disk.ReadOnly(false)
		time.Sleep(2 * retryEvery)
		if got := codes(q.Queue); len(got) != 0 {
			t.Errorf("warnings: %q", got)
		}
		put(t, q.Queue, "after")
		q.stop()
		if got := drain(t, openOn(t, disk, Limits{}).Queue); got != "after" {
			t.Errorf("%q went out after a restart", got)
		}
	})
}

// A start on a read-only file system: what is there is sent, once; also where there
// is not even a directory.
func TestStartOnAReadOnlyFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	remount := func(flags uintptr) {
		t.Helper()
		check(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""))
	}
	store, none := filepath.Join(dir, "outbox"), filepath.Join(dir, "none")
	q := open(t, store, Limits{}, Options{})
	for i := range 5 {
		put(t, q.Queue, fmt.Sprint("t", i))
	}
	q.stop()
	remount(syscall.MS_RDONLY)
	q = open(t, store, Limits{}, Options{})
	if got := codes(q.Queue); !slices.Equal(got, []string{WarnReadOnly}) {
		t.Errorf("warnings: %q", got)
	}
	refused(t, q.Queue)
	if got := drain(t, q.Queue); got != "t0 t1 t2 t3 t4" {
		t.Errorf("%q went out", got)
	}
	other := open(t, none, Limits{}, Options{})
	if got := codes(other.Queue); !slices.Equal(got, []string{WarnReadOnly}) {
		t.Errorf("without a directory: warnings %q", got)
	}
	refused(t, other.Queue)
	remount(0)
	put(t, other.Queue, "after")
	put(t, q.Queue, "after")
	q.stop()
	other.stop()
	for _, d := range []string{store, none} {
		q := open(t, d, Limits{}, Options{})
		if got := drain(t, q.Queue); got != "after" {
			t.Errorf("%s: %q went out after a restart", d, got)
		}
		q.stop()
	}
}

// Two queues on one directory would both send everything: a lock file that is
// removed opens no second door.
func TestTheLockIsOnTheDirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Limits{}, Options{})
	check(t, os.Remove(filepath.Join(dir, "lock")))
	if _, err := Open(dir, Limits{}, Options{}); !errors.Is(err, ErrBusy) || !errors.Is(err, files.ErrLocked) {
		t.Errorf("second: %v", err)
	}
}
