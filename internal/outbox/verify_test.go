package outbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// Verify tells what a stopped daemon left, damage included, and changes nothing.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, Limits{}, Options{})
	for i := range 20 {
		put(t, q.Queue, fmt.Sprint("t", i))
	}
	next(t, q.Queue)
	if _, err := Verify(dir, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("while it runs: %v", err)
	}
	q.stop()
	name := filepath.Join(dir, segmentName(1))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[headSize+5*padded(recordHead+4)+recordHead] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	var got []string
	r, err := Verify(dir, func(m Message) error { got = append(got, m.Topic+string(m.Payload)); return nil })
	if err != nil || r.Messages != 18 || r.Damaged != 1 || r.Segments != 1 || len(r.Notes) != 1 || len(got) != 18 || got[0] != "t1t1" {
		t.Errorf("%+v, %v, %q", r, err, got)
	}
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Error("files were changed")
	}
	stop := errors.New("enough")
	if _, err := Verify(dir, func(Message) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped with %v", err)
	}
	if _, err := Verify(filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}

func snapshot(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var b []byte
			b, err = os.ReadFile(path)
			files[path] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
