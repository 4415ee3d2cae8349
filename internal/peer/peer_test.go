package peer

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestProgram(t *testing.T) {
	uid := uint32(os.Getuid())
	name := users.name(uid)
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	for _, c := range []struct {
		why  string
		who  Cred
		want string
	}{
		{"a process", Cred{PID: int32(child.Process.Pid), UID: uid}, name + "/sleep"},
		{"one that is gone or hidden", Cred{PID: 1 << 30, UID: uid}, name},
		{"a user without a name", Cred{PID: 1 << 30, UID: 3_999_999_999}, "uid 3999999999"},
	} {
		if got := c.who.Program(); got != c.want && !(c.want == name+"/sleep" && strings.HasPrefix(got, name+"/")) {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
	if got := printable([]byte("ev\x1b[2Jil\n")); got != "ev?[2Jil?" {
		t.Errorf("%q", got)
	}
}

// The kernel names this very process at the other end of its own socket, and
// nobody at the end of a pipe.
func TestOf(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	want := Cred{int32(os.Getpid()), uint32(os.Getuid()), uint32(os.Getgid())}
	if got, err := Of(far); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got, err := Of(a); err == nil {
		t.Errorf("%+v at the end of a pipe", got)
	}
}
