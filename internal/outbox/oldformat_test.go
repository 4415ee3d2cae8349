package outbox

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unpack lays the store of testdata/version1.tar.gz, which version 1 of the format
// left in the middle of its work.
func unpack(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Open("testdata/version1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		} else if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		b, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(h.Name)), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A queue that an earlier version of the program left is sent by this one: every
// message with its id, topic, priority and time to live, and nothing that was
// settled.
func TestVersion1IsRead(t *testing.T) {
	want, err := os.ReadFile("testdata/version1.list")
	if err != nil {
		t.Fatal(err)
	}
	q := open(t, unpack(t), Limits{}, Options{})
	var got strings.Builder
	for _, m := range read(q.Queue, 1000) {
		fmt.Fprintf(&got, "%s %s %d %v %d %s\n", m.ID, m.Topic, m.Priority, m.Latest, len(m.Payload), m.TTL)
	}
	if got.String() != string(want) {
		t.Errorf("it has\n%swant\n%s", got.String(), want)
	}
	if s := q.Disk(); s.Damaged != 0 || s.Quarantined != 0 {
		t.Errorf("disk: %+v", s)
	}
	n := q.Stats().Messages
	if left := len(strings.Fields(drain(t, q.Queue))); left != n {
		t.Errorf("%d of %d went out", left, n)
	}
}

// As long as nothing new is asked of the queue it writes what version 1 reads: who
// goes back to that finds its messages.
func TestVersion1IsWrittenUntilMoreIsNeeded(t *testing.T) {
	dir := unpack(t)
	versions := func() (list []uint32) {
		names, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, le.Uint32(b[8:]))
		}
		return list
	}
	q := open(t, dir, Limits{}, Options{})
	for range 20 {
		put(t, q.Queue, "t", func(m *Message) { m.Payload = make([]byte, 1000); m.TTL = time.Hour })
	}
	for _, v := range versions() {
		if v != 1 {
			t.Errorf("version %d was written", v)
		}
	}
	put(t, q.Queue, "t", func(m *Message) { m.Key = "k" })
	if list := versions(); list[len(list)-1] != 2 {
		t.Errorf("a key stands in version %d", list[len(list)-1])
	}
}
