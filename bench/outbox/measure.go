package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"airbridged/internal/outbox"
)

// rates measures durable appends a second.
func rates(fresh func() string, each time.Duration) error {
	fmt.Printf("\ndurable appends/s %10s %10s %10s\n", "1 writer", "16", "64")
	for _, s := range stores {
		fmt.Printf("%-17s", s.name)
		for _, writers := range []int{1, 16, 64} {
			st, err := s.open(fresh(), writers)
			if err != nil {
				return err
			}
			n, err := hammer(st, writers, each)
			if err != nil {
				return err
			}
			fmt.Printf(" %10.0f", float64(n)/each.Seconds())
			if err := st.close(); err != nil {
				return err
			}
		}
		fmt.Println()
	}
	return nil
}

func hammer(st store, writers int, d time.Duration) (int64, error) {
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	deadline := time.Now().Add(d)
	for range writers {
		all.Go(func() {
			payload := make([]byte, payloadSize)
			for time.Now().Before(deadline) {
				if err := st.append(payload); err != nil {
					failed.Store(&err)
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return n.Load(), nil
}

// lone compares one append with one bare fdatasync of as many bytes in a file
// whose blocks are written, turn and turn about.
func lone(fresh func() string, each time.Duration) error {
	q, err := newOwn(fresh(), 0)
	if err != nil {
		return err
	}
	name := fresh()
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	const size = 1 << 20
	if _, err := f.Write(make([]byte, size)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	var bare, appended []time.Duration
	record := make([]byte, 40+len(topic)+payloadSize)
	payload := make([]byte, payloadSize)
	for deadline, at := time.Now().Add(2*each), 0; time.Now().Before(deadline); at = (at + len(record)) % (size - len(record)) {
		begin := time.Now()
		if _, err := f.WriteAt(record, int64(at)); err != nil {
			return err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return err
		}
		bare = append(bare, time.Since(begin))
		begin = time.Now()
		if err := q.append(payload); err != nil {
			return err
		}
		appended = append(appended, time.Since(begin))
	}
	fmt.Printf("\nalone, %d each      %10s %10s %10s\n", len(bare), "p50", "p99", "p99.9")
	for _, r := range []struct {
		name string
		d    []time.Duration
	}{{"bare fdatasync", bare}, {"outbox append", appended}} {
		slices.Sort(r.d)
		at := func(p float64) time.Duration { return r.d[int(p*float64(len(r.d)-1))].Round(time.Microsecond) }
		fmt.Printf("%-20s %10v %10v %10v\n", r.name, at(.5), at(.99), at(.999))
	}
	p99 := int(.99 * float64(len(bare)-1))
	fmt.Printf("p99 ratio %.2f (aim 1.5)\n", float64(appended[p99])/float64(bare[p99]))
	return q.close()
}

// device returns the statistics file of the block device that a directory is on.
func device(dir string) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return "", err
	}
	major, minor := st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00
	return fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, minor), nil
}

// written is how many bytes a device has written, the file system's journal and
// everybody else's included: on a busy machine use -dir with a file system of its
// own, such as a loop mount.
func written(statFile string) (int64, error) {
	b, err := os.ReadFile(statFile)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 7 {
		return 0, fmt.Errorf("%s: %q", statFile, b)
	}
	sectors, err := strconv.ParseInt(fields[6], 10, 64)
	return sectors * 512, err
}

// bytesWritten measures what the device writes per message: the least of some
// tries, since others write too.
func bytesWritten(fresh func() string, _ time.Duration) error {
	stat, err := device(filepath.Dir(fresh()))
	if err != nil {
		return err
	}
	if _, err := written(stat); err != nil {
		fmt.Printf("\nbytes to the device: not measured: %v\n", err)
		return nil
	}
	fmt.Printf("\nbytes to the device  %14s %14s %20s\n", "alone, each", "group of 32", "per payload byte")
	for _, s := range stores {
		alone, err := leastWritten(stat, func() (store, error) { return s.open(fresh(), 1) }, 300, 1)
		if err != nil {
			return err
		}
		open := func() (store, error) { return s.open(fresh(), 1) }
		if s.name == "outbox" {
			open = func() (store, error) { return newOwn(fresh(), 3*time.Millisecond) } // so that a group is one commit
		}
		group, err := leastWritten(stat, open, 100, groupSize)
		if err != nil {
			return err
		}
		fmt.Printf("%-20s %14d %14d %20.2f\n", s.name, alone, group, float64(group)/(groupSize*payloadSize))
	}
	return reused(fresh, stat)
}

// reused measures groups that go into a segment that was used before, as they do
// while the queue drains about as fast as it fills: its blocks are written
// already, so the journal has nothing to add.
func reused(fresh func() string, stat string) error {
	const groups = 40 // fit into one segment
	var least int64
	var handed uint64
	for range 4 {
		o, err := newOwn(fresh(), 3*time.Millisecond)
		if err != nil {
			return err
		}
		if err := repeat(70, func() error { return o.group(groupOf(groupSize)) }); err != nil { // one segment and a half
			return err
		}
		if _, err := o.drain(70 * groupSize); err != nil { // the first becomes the spare
			return err
		}
		if err := repeat(30, func() error { return o.group(groupOf(groupSize)) }); err != nil { // into which this leads
			return err
		}
		before, err := written(stat)
		if err != nil {
			return err
		}
		begin := o.Disk()
		if err := repeat(groups, func() error { return o.group(groupOf(groupSize)) }); err != nil {
			return err
		}
		after, err := written(stat)
		if err != nil {
			return err
		}
		handed = (o.Disk().Written - begin.Written) / groups
		if n := (after - before) / groups; least == 0 || n < least {
			least = n
		}
		if err := o.close(); err != nil {
			return err
		}
	}
	fmt.Printf("%-20s %14s %14d %20.2f\n", "outbox, reused", "", least, float64(least)/(groupSize*payloadSize))
	fmt.Printf("%-20s %14s %14d %20.2f\n", "  handed over", "", handed, float64(handed)/(groupSize*payloadSize))
	return nil
}

const groupSize = 32

func groupOf(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = make([]byte, payloadSize)
	}
	return list
}

// leastWritten is how much the device writes for one group.
func leastWritten(stat string, open func() (store, error), groups, size int) (least int64, err error) {
	const tries = 4
	list := groupOf(size)
	for range tries {
		st, err := open()
		if err != nil {
			return 0, err
		}
		if err := st.group(list); err != nil {
			return 0, err
		}
		before, err := written(stat)
		if err != nil {
			return 0, err
		}
		if err := repeat(groups, func() error { return st.group(list) }); err != nil {
			return 0, err
		}
		after, err := written(stat)
		if err != nil {
			return 0, err
		}
		if n := (after - before) / int64(groups); least == 0 || n < least {
			least = n
		}
		if err := st.close(); err != nil {
			return 0, err
		}
	}
	return least, nil
}

func repeat(n int, f func() error) error {
	for range n {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// drain measures how fast a backlog is read and acknowledged one by one.
func drain(fresh func() string, _ time.Duration) error {
	const n = 5000
	fmt.Printf("\ndrain of %d, one by one\n", n)
	for _, s := range stores {
		st, err := s.open(fresh(), 1)
		if err != nil {
			return err
		}
		list := groupOf(500)
		if err := repeat(n/len(list), func() error { return st.group(list) }); err != nil {
			return err
		}
		begin := time.Now()
		drained, err := st.drain(n)
		if err == nil && drained != n {
			err = fmt.Errorf("%s drained %d of %d", s.name, drained, n)
		}
		if err != nil {
			return err
		}
		fmt.Printf("%-20s %10.0f messages/s\n", s.name, n/time.Since(begin).Seconds())
		if err := st.close(); err != nil {
			return err
		}
	}
	return nil
}

// backlog measures memory and the time to open, with many messages queued.
func backlog(fresh func() string, _ time.Duration) error {
	fmt.Printf("\n%-20s %14s %14s %16s\n", "queued", "reopened in", "bytes/message", "resident MiB")
	for _, n := range []int{100_000, 1_000_000} {
		dir := fresh()
		q, err := newOwn(dir, 0)
		if err != nil {
			return err
		}
		list := make([][]byte, 500)
		for i := range list {
			list[i] = make([]byte, 64)
		}
		if err := repeat(n/len(list), func() error { return q.group(list) }); err != nil {
			return err
		}
		if err := q.close(); err != nil {
			return err
		}
		q = nil
		before := heap()
		begin := time.Now()
		opened, err := outbox.Open(dir, outbox.Limits{}, outbox.Options{})
		if err != nil {
			return err
		}
		took := time.Since(begin)
		if got := opened.Stats().Messages; got != n {
			return fmt.Errorf("%d of %d messages are back", got, n)
		}
		used := heap() - before
		fmt.Printf("%-20d %14v %14.1f %16d\n", n, took.Round(time.Millisecond), float64(used)/float64(n), resident())
		if err := opened.Close(); err != nil {
			return err
		}
	}
	return nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()) >> 20
}
