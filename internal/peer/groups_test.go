package peer

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test be its own client: a process of other groups than this one.
func TestMain(m *testing.M) {
	if path := os.Getenv("PEER_TEST_CONNECT"); path != "" {
		c, err := net.Dial("unix", path)
		if err != nil {
			os.Exit(1)
		}
		_, _ = bufio.NewReader(c).ReadString('\n')
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A program is in the groups that the kernel says it is in, and in no other, whatever
// the group database says: systemd's SupplementaryGroups= are in no file.
func TestGroups(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to be in other groups")
	}
	many := make([]uint32, 200)
	for i := range many {
		many[i] = uint32(70000 + i)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, groups := range map[string][]uint32{"none": {}, "two": {70001, 70002}, "more than fit at first": many} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{"PEER_TEST_CONNECT=" + path}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 0, Gid: 70000, Groups: groups}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Groups(far)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, groups) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if who, err := Of(far); err != nil || who.GID != 70000 {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
		_, _ = far.Write([]byte("\n"))
		_, _ = far.Close(), l.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got, err := Groups(a); err == nil {
		t.Errorf("%v at the end of a pipe", got)
	}
}
