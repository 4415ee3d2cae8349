package vm

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// number reads a parameter of make vm.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// fileSystem is one that the daemon's directories lie on.
type fileSystem struct {
	name, module string
	make         []string // and the image's path
	mount        string   // its type and options
}

var fileSystems = []fileSystem{
	{"ext4", "ext4", []string{"mkfs.ext4", "-q", "-F"}, "-t ext4"},
	{"ext4, data=writeback", "ext4", []string{"mkfs.ext4", "-q", "-F"}, "-t ext4 -o data=writeback"},
	{"f2fs", "f2fs", []string{"mkfs.f2fs", "-q", "-f"}, "-t f2fs"},
}

// disk is the argument for qemu that gives a machine an image as a disk, with a log of
// what it writes.
func disk(image, log string) []string {
	return []string{
		"-blockdev", "driver=file,node-name=file,filename=" + image, "-blockdev", "driver=raw,node-name=raw,file=file",
		"-blockdev", "driver=file,node-name=logfile,filename=" + log,
		"-blockdev", "driver=blklogwrites,node-name=data,file=raw,log=logfile,log-sector-size=512",
		"-device", "virtio-blk-pci,drive=data,write-cache=on",
	}
}

// kept is a message that a program was told is kept, and how far the log of the disk was
// by then.
type kept struct {
	id string
	at int64
}

// sample is how far the log of the disk was at a moment.
type sample struct {
	at   time.Time
	size int64
}

// sampleUntil looks at the log's size until stop is closed.
func sampleUntil(stop <-chan struct{}, log string) (all []sample) {
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-stop:
			tick.Stop()
			return all
		case <-tick.C:
		}
		if info, err := os.Stat(log); err == nil && (len(all) == 0 || all[len(all)-1].size < info.Size()) {
			all = append(all, sample{time.Now(), info.Size()})
		}
	}
}

// The power goes at any moment of a run, before any write: of the writes that no flush
// has made safe none, all, or some are on the disk. Whatever a program was told is kept
// has reached the cloud by then, or is there after the next start; no file is empty or
// half, the device's secret is never gone.
func TestPowerCut(t *testing.T) {
	need(t, processors["amd64"][0])
	cuts := number(t, "CUTS", 51)
	for i, fs := range fileSystems {
		t.Run(fs.name, func(t *testing.T) { powerCuts(t, fs, (cuts+len(fileSystems)-1)/len(fileSystems), uint64(i)) })
	}
}

// batch is how many images one machine looks at: a disk each.
const batch = 12

func powerCuts(t *testing.T, fs fileSystem, cuts int, seed uint64) {
	dir, err := os.MkdirTemp("", "cuts") // without a comma: qemu reads it
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	base, image, log := dir+"/base", dir+"/image", dir+"/log"
	must(t, os.WriteFile(base, nil, 0o600))
	must(t, os.Truncate(base, 128<<20))
	must(t, command(fs.make[0], append(fs.make[1:], base)...))
	must(t, copyFile(base, image))
	must(t, os.WriteFile(log, nil, 0o600))
	modules := append([]string{"crc32c_generic", "crc32_generic", fs.module}, ftdi.modules...)

	sim := newSimulator(t, "--rtt", "150ms", "--quota-qos1", "0") // many wait at any cut, and all of them go out after it
	m := boot(t, spec{arch: "amd64", modules: modules, qemu: append(ftdi.qemu(sim.tty), disk(image, log)...)})
	m.await("disk", func() error {
		_, err := m.try("mount " + fs.mount + " /dev/vda /var/lib/airbridged")
		return err
	})
	m.configure(ftdi.device, "")
	m.start()
	m.online()
	// A neighbour that writes past the cache and never syncs, so that much is not
	// flushed at the cut.
	m.run(`(i=0; while :; do dd if=/dev/zero of=/var/lib/airbridged/neighbour$((i%4)) bs=16k count=32 oflag=direct conv=notrunc 2>/dev/null; i=$((i+1)); sleep 0.2; done) >/dev/null 2>&1 &`)
	m.run("/init publish told m 3 100ms >/dev/null 2>&1 &")
	stop, sampled := make(chan struct{}), make(chan []sample, 1)
	go func() { sampled <- sampleUntil(stop, log) }()
	var accepted []kept
	for end := time.After(20 * time.Second); ; {
		select {
		case l := <-m.told:
			if id, ok := strings.CutPrefix(l.text, "ID "); ok {
				info, err := os.Stat(log)
				must(t, err)
				accepted = append(accepted, kept{id, info.Size()})
			}
			continue
		case <-end:
		}
		break
	}
	m.cutPower()
	close(stop)
	samples, arrived := <-sampled, sim.arrivals()
	if len(accepted) < 20 {
		t.Fatalf("only %d messages were accepted", len(accepted))
	}
	w, err := readWrites(log)
	must(t, err)
	first := sort.Search(len(w.entries), func(i int) bool { return w.entries[i].at >= accepted[0].at })

	random := rand.New(rand.NewPCG(seed, 2))
	var lost, most, waiting int
	for done := 0; done < cuts; done += batch {
		n := min(batch, cuts-done)
		var args []string
		var expected [][]string
		for i := range n {
			at := first + random.IntN(len(w.entries)-first+1)
			name := fmt.Sprintf("%s/cut%d", dir, i)
			unflushed, _, err := w.cut(base, name, at, mode((done+i)%3), random)
			must(t, err)
			most = max(most, unflushed)
			position := int64(1) << 62
			if at < len(w.entries) {
				position = w.entries[at].at
			}
			// What was accepted before the cut, and had not arrived by then.
			then := sort.Search(len(samples), func(i int) bool { return samples[i].size >= position })
			var ids []string
			for _, k := range accepted {
				if at, ok := arrived[k.id]; k.at <= position && !(ok && (then == len(samples) || !at.After(samples[then].at))) {
					ids = append(ids, k.id)
				}
			}
			expected = append(expected, ids)
			args = append(args, "-drive", "if=none,format=raw,id=cut"+strconv.Itoa(i)+",file="+name, "-device", "virtio-blk-pci,drive=cut"+strconv.Itoa(i))
		}
		m := boot(t, spec{arch: "amd64", modules: modules, qemu: append(ftdi.qemu(sim.tty), args...)})
		m.configure(ftdi.device, "")
		for i := range n {
			device := "/dev/vd" + string(rune('a'+i))
			m.await("disk", func() error { _, err := m.try("mount " + fs.mount + " " + device + " /var/lib/airbridged"); return err })
			if empty := m.run(`find /var/lib/airbridged -type f -size 0 ! -name lock ! -name 'neighbour*'`); empty != "" {
				t.Errorf("empty after the cut: %s", empty)
			}
			if _, err := m.try("test -s /var/lib/airbridged/credentials.json"); err != nil {
				t.Errorf("the device's secret is gone: %s", m.run("ls -la /var/lib/airbridged"))
			}
			for text := range strings.Lines(m.run(`cd /var/lib/airbridged && for f in *.json; do tr -d '\n' <$f; echo; done`)) {
				if !json.Valid([]byte(text)) {
					t.Errorf("half a file after the cut: %q", text)
				}
			}
			earlier := sim.messages()
			m.start()
			m.await("drained queue", func() error {
				s := m.run("airbridgectl status 2>&1; true")
				if !strings.Contains(s, "queue      empty") || !strings.Contains(s, "online") {
					return fmt.Errorf("%s", s)
				}
				return nil
			})
			m.stop()
			m.run("umount /var/lib/airbridged")
			got := sim.messages()
			for _, id := range expected[i] {
				waiting++
				if got[id] == earlier[id] {
					lost++
					t.Errorf("%s was accepted, had not arrived, and is gone after the cut", id)
				}
			}
		}
		m.cutPower()
	}
	m.tell(ftdi.name, fs.name, "%d power cuts, before any write, of %d writes in a run with %d messages accepted; at most %d writes unflushed at a cut; of %d that had to be there %d lost, no empty file, the device's secret there",
		cuts, len(w.entries)-first, len(accepted), most, waiting, lost)
}
