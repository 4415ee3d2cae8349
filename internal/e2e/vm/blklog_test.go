package vm

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

// writes is what a disk was given, in order, as qemu's blklogwrites wrote it down: the
// format of the kernel's dm-log-writes (drivers/md/dm-log-writes.c).
type writes struct {
	path    string
	entries []write
}

type write struct {
	sector, sectors int64
	flags           uint64
	data, at        int64 // offsets in the log: of what was written, of the entry
}

const (
	flush     = 1 << 0
	fua       = 1 << 1 // on the medium before it is answered
	discard   = 1 << 2
	logMagic  = 0x6a736677736872
	sectorLen = 512
)

func readWrites(path string) (*writes, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, 28)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, err
	}
	if magic := binary.LittleEndian.Uint64(head); magic != logMagic {
		return nil, fmt.Errorf("%s: no log of writes: %x", path, magic)
	}
	unit := int64(binary.LittleEndian.Uint32(head[24:]))
	w := &writes{path: path}
	for at := unit; at+32 <= info.Size(); {
		entry := make([]byte, 32)
		if _, err := f.ReadAt(entry, at); err != nil {
			return nil, err
		}
		e := write{
			sector: int64(binary.LittleEndian.Uint64(entry)), sectors: int64(binary.LittleEndian.Uint64(entry[8:])),
			flags: binary.LittleEndian.Uint64(entry[16:]), data: at + unit, at: at,
		}
		if e.sectors == 0 && e.flags == 0 {
			break
		}
		length := e.sectors * sectorLen
		if e.flags&discard != 0 {
			length = 0
		}
		if e.data+length > info.Size() {
			break
		}
		w.entries = append(w.entries, e)
		at = e.data + (length+unit-1)/unit*unit
	}
	return w, nil
}

// mode is what becomes of the writes that no flush made safe.
type mode int

const (
	none mode = iota // all of them are lost
	all              // none is
	some             // each is kept, lost or torn by chance: a disk may write in any order
)

func (m mode) String() string { return [...]string{"none", "all", "some"}[m] }

// cut makes the image of the disk as it is after a power cut before entry n, from the
// image before the first, and says how many writes no flush had made safe, and how many
// of them were lost.
func (w *writes) cut(base, image string, n int, keep mode, random *rand.Rand) (unflushed, lost int, err error) {
	entries := w.entries[:n]
	last := -1
	for i, e := range entries {
		if e.flags&flush != 0 {
			last = i
		}
	}
	if err := copyFile(base, image); err != nil {
		return 0, 0, err
	}
	log, err := os.Open(w.path)
	if err != nil {
		return 0, 0, err
	}
	defer log.Close()
	disk, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		return 0, 0, err
	}
	defer disk.Close()
	for i, e := range entries {
		length := e.sectors * sectorLen
		if e.flags&discard != 0 || length == 0 {
			continue
		}
		if i > last && e.flags&fua == 0 {
			unflushed++
			switch {
			case keep == none, keep == some && random.IntN(2) == 0:
				lost++
				continue
			case keep == some && e.sectors > 8 && random.IntN(3) == 0:
				length = (1 + random.Int64N(e.sectors-1)) * sectorLen
			}
		}
		if _, err := io.Copy(io.NewOffsetWriter(disk, e.sector*sectorLen), io.NewSectionReader(log, e.data, length)); err != nil {
			return 0, 0, err
		}
	}
	return unflushed, lost, disk.Close()
}

// copyFile keeps the holes of a sparse file.
func copyFile(from, to string) error {
	return command("cp", "--sparse=always", from, to)
}

// A log of four writes, cut at each of them.
func TestACutKeepsWhatWasFlushed(t *testing.T) {
	dir := t.TempDir()
	log, base := dir+"/log", dir+"/base"
	must(t, os.WriteFile(base, make([]byte, 4*sectorLen), 0o600))
	b := make([]byte, sectorLen)
	binary.LittleEndian.PutUint64(b, logMagic)
	binary.LittleEndian.PutUint64(b[8:], 1)
	binary.LittleEndian.PutUint32(b[24:], sectorLen)
	entry := func(sector, sectors, flags uint64, fill byte) {
		e := make([]byte, sectorLen)
		binary.LittleEndian.PutUint64(e, sector)
		binary.LittleEndian.PutUint64(e[8:], sectors)
		binary.LittleEndian.PutUint64(e[16:], flags)
		b = append(b, e...)
		for range sectors * sectorLen {
			b = append(b, fill)
		}
	}
	entry(0, 1, 0, 'a')
	entry(0, 0, flush, 0)
	entry(1, 1, 0, 'b')
	entry(2, 1, fua, 'c')
	must(t, os.WriteFile(log, b, 0o600))
	w, err := readWrites(log)
	must(t, err)
	if len(w.entries) != 4 {
		t.Fatalf("%d entries", len(w.entries))
	}
	for _, c := range []struct {
		n    int
		keep mode
		want string
	}{{0, all, "\x00\x00\x00\x00"}, {1, none, "\x00\x00\x00\x00"}, {1, all, "a\x00\x00\x00"}, {2, none, "a\x00\x00\x00"}, {4, none, "a\x00c\x00"}, {4, all, "abc\x00"}} {
		if _, _, err := w.cut(base, dir+"/image", c.n, c.keep, rand.New(rand.NewPCG(1, 1))); err != nil {
			t.Fatal(err)
		}
		image, err := os.ReadFile(dir + "/image")
		must(t, err)
		if got := string([]byte{image[0], image[sectorLen], image[2*sectorLen], image[3*sectorLen]}); got != c.want {
			t.Errorf("cut before %d, %v: %q, not %q", c.n, c.keep, got, c.want)
		}
	}
}
