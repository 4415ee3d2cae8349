package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in 20 s", what)
		}
	}
}

// A reader that stops reading must not stop the daemon: lines wait in a bounded
// buffer, those beyond it are dropped and counted, and when it reads on it gets what
// waited, whole and in order.
func TestSinkDoesNotWaitForItsReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	s := NewSink(w)
	defer s.Close()
	const lines = 5000
	begun := time.Now()
	for n := range lines {
		fmt.Fprintf(s, "line %d %s\n", n, strings.Repeat("x", 90))
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("writing took %v", took)
	}
	eventually(t, "a write that nobody takes", func() bool { return s.Stats().Stuck > 10*time.Millisecond })
	_ = s.Sync() // ends, although nobody reads
	lost := int(s.Stats().Lost)
	if lost == 0 || lost > lines-sinkLines { // a pipe takes another 64 KiB
		t.Fatalf("%d of %d lines are lost", lost, lines)
	}
	got := bufio.NewScanner(r)
	for last, left := -1, lines-lost; left > 0; left-- {
		var n int
		var rest string
		if !got.Scan() {
			t.Fatal(got.Err())
		}
		if _, err := fmt.Sscanf(got.Text(), "line %d %s", &n, &rest); err != nil || n <= last || len(rest) != 90 {
			t.Fatalf("after line %d: %q", last, got.Text())
		}
		last = n
	}
	fmt.Fprintln(s, "after")
	if !got.Scan() || got.Text() != "after" {
		t.Errorf("%q", got.Text())
	}
	eventually(t, "nothing stuck", func() bool { st := s.Stats(); return st.Stuck == 0 && st.Err == nil })
}

// failing is a file system that is full for a while.
type failing struct {
	strings.Builder
	full bool
}

func (f *failing) Write(b []byte) (int, error) {
	if f.full {
		n, _ := f.Builder.Write(b[:3])
		return n, syscall.ENOSPC
	}
	return f.Builder.Write(b)
}

// A full disk costs the lines of that time, and not the form of those after it.
func TestSinkOnAFullDisk(t *testing.T) {
	f := &failing{full: true}
	s := NewSink(f)
	defer s.Close()
	fmt.Fprintln(s, "one")
	fmt.Fprintln(s, "two")
	_ = s.Sync()
	if st := s.Stats(); st.Lost != 2 || !errors.Is(st.Err, syscall.ENOSPC) {
		t.Errorf("%+v", st)
	}
	f.full = false
	fmt.Fprintln(s, "three")
	_ = s.Sync()
	if st := s.Stats(); st.Lost != 2 || st.Err != nil {
		t.Errorf("%+v", st)
	}
	if got := f.String(); !strings.HasSuffix(got, "\nthree\n") {
		t.Errorf("%q", got)
	}
}

// The process of TestSinkOutlivesItsReader.
func init() {
	if os.Getenv("HOST_TEST_SINK") != "" {
		s := NewSink(os.Stderr)
		_, _ = io.ReadAll(os.Stdin) // until the reader is gone
		fmt.Fprintln(s, "nobody reads this")
		_ = s.Sync()
		fmt.Printf("alive, %d lost\n", s.Stats().Lost)
		os.Exit(0)
	}
}

// The daemon died of SIGPIPE, with 141, when whoever read its log went away; also
// where its parent ignored the signal, because Go takes it for descriptors 1 and 2
// all the same.
func TestSinkOutlivesItsReader(t *testing.T) {
	for _, parent := range []string{"", "trap '' PIPE; "} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		child := exec.Command("sh", "-c", parent+`exec "$0"`, os.Args[0])
		child.Env = append(os.Environ(), "HOST_TEST_SINK=1")
		child.Stderr = w
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		child.Stdout = &out
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		_ = w.Close()
		_ = in.Close()
		if err := child.Wait(); err != nil || out.String() != "alive, 1 lost\n" {
			t.Errorf("parent %q: %v, %q", parent, err, out.String())
		}
	}
}
