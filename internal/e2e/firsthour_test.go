package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// docs/first-hour.md is what somebody sees who sets a gateway up and stands beside it when
// things go wrong. A script plays it, so that it stays true to the letter.
func TestFirstHour(t *testing.T) {
	t.Parallel()
	probe := t.TempDir()
	if err := syscall.Mount("none", probe, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("a disk that can be filled takes the right to mount one: ", err)
	}
	if err := syscall.Unmount(probe, 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("../../scripts/first-hour.sh", bin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.String(), out)
	}
	page, err := os.ReadFile("../../docs/first-hour.md")
	if err != nil {
		t.Fatal(err)
	}
	is, want := strings.Split(string(out), "\n"), strings.Split(string(page), "\n")
	for i := range max(len(is), len(want)) {
		if i >= len(is) || i >= len(want) || is[i] != want[i] {
			t.Fatalf("line %d: what comes is\n%s\nthe page says\n%s\nif it is right so: make first-hour",
				i+1, strings.Join(is[min(i, len(is)):min(i+6, len(is))], "\n"), strings.Join(want[min(i, len(want)):min(i+6, len(want))], "\n"))
		}
	}
}
