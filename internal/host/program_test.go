package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a program prints is kept in part and on one line; arguments reach it as they
// are; the daemon's secrets do not.
func TestRunProgram(t *testing.T) {
	t.Setenv("AIRBRIDGED_PRODUCT_SECRET", "VWll9fiYWKiwraBk")
	for _, c := range []struct {
		name    string
		command []string
		output  string
		err     string // contained in the error; empty: none
	}{
		{"arguments", []string{"printf", "%s|", "a b", "$HOME", "*", ";"}, "a b|$HOME|*|;|", ""},
		{"output", []string{"printf", `one\ntwo\r\n\033[31mthree\000\377`}, "one two  [31mthree", ""},
		{"much output", []string{"head", "-c", "1000000", "/dev/zero"}, "", ""},
		{"environment", []string{"printenv", "AIRBRIDGED_PRODUCT_SECRET"}, "", "exit status 1"},
		{"failure", []string{"sh", "-c", "echo no such line >&2; exit 3"}, "no such line", "sh: exit status 3: no such line"},
		{"missing", []string{"/nonexistent/reset"}, "", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			output, err := RunProgram(t.Context(), c.command)
			if output != c.output {
				t.Errorf("output %q, want %q", output, c.output)
			}
			switch {
			case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want %q", err, c.err)
			case err != nil && len(err.Error()) > programOutput+200:
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
		})
	}
}

// A program that does not end is killed with all it started, and one that leaves
// something behind that holds its output is not waited for.
func TestProgramIsKilledWithItsChildren(t *testing.T) {
	for _, c := range []struct {
		name, script string
		limit        time.Duration
		fails        bool
	}{
		{"does not end", `sleep 300 & echo $! >"$0"; wait`, time.Second, true},
		{"leaves something behind", `sleep 300 & echo $! >"$0"`, 10 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithTimeout(t.Context(), c.limit)
			defer cancel()
			begun := time.Now()
			_, err := RunProgram(ctx, []string{"sh", "-c", c.script, file})
			if c.fails != errors.Is(err, context.DeadlineExceeded) || !c.fails && err != nil {
				t.Errorf("error %v", err)
			}
			if d := time.Since(begun); d > 20*time.Second {
				t.Errorf("it took %v", d)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(20 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("process %d is still there", pid)
				}
			}
		})
	}
}

// alive says whether a process runs; one that is dead and not waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
