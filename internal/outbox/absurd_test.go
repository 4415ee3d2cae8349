package outbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"airbridged/internal/outbox/simdisk"
)

// odd puts something that is no file of the outbox under a name.
var odd = map[string]func(t *testing.T, path string){
	"a directory":        func(t *testing.T, p string) { check(t, os.MkdirAll(filepath.Join(p, "in it"), 0o700)) },
	"a FIFO":             func(t *testing.T, p string) { check(t, syscall.Mkfifo(p, 0o600)) },
	"a device":           func(t *testing.T, p string) { check(t, os.Symlink("/dev/zero", p)) },
	"a terminal":         func(t *testing.T, p string) { check(t, os.Symlink("/dev/ptmx", p)) },
	"a link to itself":   func(t *testing.T, p string) { check(t, os.Symlink(filepath.Base(p), p)) },
	"a link to nothing":  func(t *testing.T, p string) { check(t, os.Symlink("nothing", p)) },
	"a link to a file":   func(t *testing.T, p string) { check(t, os.Symlink(filepath.Join(filepath.Dir(p), "lock"), p)) },
	"an empty file":      func(t *testing.T, p string) { check(t, os.WriteFile(p, nil, 0o600)) },
	"text":               func(t *testing.T, p string) { check(t, os.WriteFile(p, []byte("hello\n"), 0o600)) },
	"a sparse file":      func(t *testing.T, p string) { check(t, os.WriteFile(p, nil, 0o600)); check(t, os.Truncate(p, 40<<30)) },
	"a file of one byte": func(t *testing.T, p string) { check(t, os.WriteFile(p, []byte{0}, 0o600)) },
}

// Whatever stands under a name of the outbox: the start neither hangs nor takes
// memory, nor does a publish, and nothing that was accepted is lost.
func TestAbsurdFiles(t *testing.T) {
	for what, put1 := range odd {
		for _, name := range []string{segmentName(3), spareName, freshName, clockName, clockFresh, keysName, quarantineDir} {
			t.Run(what+" as "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				q := open(t, dir, Limits{}, Options{SegmentSize: testSegment})
				put(t, q.Queue, "before")
				q.stop()
				path := filepath.Join(dir, name)
				if _, err := os.Lstat(path); err == nil {
					check(t, os.RemoveAll(path))
				}
				put1(t, path)
				begin := time.Now()
				q = open(t, dir, Limits{}, Options{SegmentSize: testSegment})
				for i := range 20 { // over several segments
					put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 300); m.Key = fmt.Sprint(i) })
				}
				q.mu.Lock()
				setClock(&q.clock, time.Hour)
				q.mu.Unlock()
				put(t, q.Queue, "last")
				q.stop()
				q = open(t, dir, Limits{}, Options{SegmentSize: testSegment})
				if got := strings.Fields(drain(t, q.Queue)); len(got) != 22 {
					t.Errorf("%q went out", got)
				}
				if err := q.awaitFlush(); err != nil {
					t.Error(err)
				}
				if d := time.Since(begin); d > 5*time.Second {
					t.Errorf("it took %v", d)
				}
				if got := codes(q.Queue); len(got) != 0 {
					t.Errorf("warnings: %q", got)
				}
			})
		}
	}
}

// A segment that was made longer, by 40 GB of nothing, ends no start with
// out-of-memory: what is in it is read, and it is cut to that.
func TestASegmentMadeLonger(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Limits{}, Options{})
	for i := range 10 {
		put(t, q.Queue, fmt.Sprint("t", i))
	}
	q.stop()
	name := filepath.Join(dir, segmentName(1))
	check(t, os.Truncate(name, 40<<30))
	q = open(t, dir, Limits{}, Options{})
	put(t, q.Queue, "after")
	check(t, q.awaitFlush())
	if info, err := os.Stat(name); err != nil || info.Size() > 1<<20 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	if got := len(strings.Fields(drain(t, q.Queue))); got != 11 {
		t.Errorf("%d of 11 went out", got)
	}
	if s := q.Disk(); s.Damaged != 0 || s.Bytes > 2<<20 {
		t.Errorf("disk: %+v", s)
	}
}

// A directory that turns up under the next segment's name while the daemon runs
// makes no publish fail.
func TestADirectoryInTheWay(t *testing.T) {
	disk := simdisk.New()
	q := openOn(t, disk, Limits{})
	for n := uint64(2); n < 6; n++ {
		disk.Odd(segmentName(n))
	}
	disk.Odd(spareName)
	for i := range 20 {
		put(t, q.Queue, fmt.Sprint("t", i), func(m *Message) { m.Payload = make([]byte, 300) })
	}
	disk.Odd(freshName)
	for i := range 20 {
		put(t, q.Queue, fmt.Sprint("u", i), func(m *Message) { m.Payload = make([]byte, 300) })
	}
	if got := len(strings.Fields(drain(t, q.Queue))); got != 40 {
		t.Errorf("%d of 40 went out", got)
	}
	check(t, q.awaitFlush())
}
