package tty

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// helperEnv makes the test binary another program that opens a port: the tests
// of exclusivity need a second process.
const helperEnv = "TTY_TEST_HELPER"

func TestMain(m *testing.M) {
	if role := os.Getenv(helperEnv); role != "" {
		helper(role, os.Args[1])
		return
	}
	goleak.VerifyTestMain(m) // Close leaves nothing behind, whatever happened before
}

// helper opens the port at path in its role, says how that went in one line,
// and keeps it until its input ends.
func helper(role, path string) {
	var err error
	switch role {
	case "daemon":
		var p *Port
		if p, err = Open(path, 115200); err == nil {
			err = p.SetBaud(921600) // its own exclusive flag must not be in its way
		}
	case "terminal program": // neither lock nor flag, like screen or cat
		_, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	case "modem manager": // the flag, but no lock
		var f *os.File
		if f, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0); err == nil {
			err = unix.IoctlSetInt(int(f.Fd()), unix.TIOCEXCL, 0)
		}
	case "container":
		err = openNamesake(path)
	}
	switch {
	case err == nil:
		fmt.Println("open")
	case errors.Is(err, ErrBusy):
		fmt.Println("busy:", err)
	default:
		fmt.Println("failed:", err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// openNamesake is a container: with a devpts of its own, in which a program has
// opened the terminal of that path, and nothing else.
func openNamesake(path string) error {
	runtime.LockOSThread() // what follows is for this thread and its children
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"); err != nil {
		return err
	}
	for {
		_, slave, err := pty.Open()
		if err != nil {
			return err
		}
		if slave.Name() == path {
			program := exec.Command("sleep", "60")
			program.Stdin = slave
			program.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			return program.Start()
		}
	}
}

// otherProcess runs the helper and returns its first line and its pid. It is
// killed (as by SIGKILL in the field) by kill, or at the end of the test.
func otherProcess(t *testing.T, role, path string, uid uint32) (line string, pid int, kill func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", path)
	cmd.Env = append(os.Environ(), helperEnv+"="+role)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var done bool
	kill = func() {
		if !done {
			done = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = stdin.Close()
		}
	}
	t.Cleanup(kill)
	line, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("helper %q said nothing: %v", role, err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid, kill
}

// newPTY returns the module's end and the path of ours.
func newPTY(t testing.TB) (module *os.File, path string) {
	t.Helper()
	module, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	path = slave.Name()
	// The kernel drops a pseudo-terminal's settings with its last descriptor, so
	// the test keeps none but the module's end: as after plugging in.
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = module.Close() })
	return module, path
}

// open opens the port and closes it at the end of the test.
func open(t testing.TB, path string) *Port {
	t.Helper()
	p, err := Open(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// within fails the test when f takes longer than limit.
func within(t testing.TB, limit time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s takes longer than %v", what, limit)
	}
}

// wantError checks the sentinel and the struct around it.
func wantError(t testing.TB, err, sentinel error, op, path string) *Error {
	t.Helper()
	var e *Error
	if !errors.Is(err, sentinel) || !errors.As(err, &e) {
		t.Fatalf("error is %v, want %v in an *Error", err, sentinel)
	}
	if e.Op != op || e.Path != path {
		t.Fatalf("error is about %q of %q, want %q of %q", e.Op, e.Path, op, path)
	}
	return e
}
