package nspawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something in a container.
const patience = 60 * time.Second

// inside is what a container has besides a minimal Debian.
const inside = "systemd,systemd-sysv,dbus,udev,curl"

// container is a booted Debian, thrown away when the test ends.
type container struct {
	*testing.T
	release string
	cmd     *exec.Cmd
	console bytes.Buffer
	leader  int // its init, in our process numbers
}

// need skips the test where it cannot run, and says what is missing.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("AIRBRIDGED_NSPAWN") == "" {
		t.Skip("boots containers: run it by `make nspawn`")
	}
	if os.Geteuid() != 0 {
		t.Skip("containers need root")
	}
	for _, tool := range []string{"systemd-nspawn", "nsenter", "unshare", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: apt-get install systemd-container", tool)
		}
	}
	if err := able(); err != nil {
		t.Skipf("this machine cannot boot a system in a container: %v", err)
	}
}

// proof is a unit with what the daemon's asks of a kernel, that ends the system which
// is booted into it.
const proof = `[Unit]
SuccessAction=exit
FailureAction=exit
FailureActionExitStatus=9
[Service]
Type=oneshot
ExecStart=true
User=nobody
ProtectSystem=strict
PrivateNetwork=yes
DevicePolicy=closed
LoadCredential=proof:/etc/passwd
SystemCallFilter=@system-service
`

// able says, asked once, why this machine cannot do what the tests need: it boots a copy
// of itself into a service like ours. Where a container may not (without privileges, under
// a seccomp filter, without control groups of its own) that ends at once.
var able = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "airbridged-nspawn")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const prepare = `printf '%s' "$PROOF" >"$2/root/etc/systemd/system/proof.service" && `
	cmd := nspawn(ctx, strings.Replace(overlay, "shift 2", prepare+"shift 2", 1), "/", dir, "--boot", "systemd.unit=proof.service")
	cmd.Env = append(cmd.Env, "PROOF="+proof)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(bytes.TrimSpace(out), 300))
	}
	return nil
})

// nspawn is the command that starts a container of a system in a directory; prepare is the
// overlay, or more. All that ever runs in it ends with the command, however that ends.
func nspawn(ctx context.Context, prepare, system, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "unshare", append([]string{
		"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", prepare, "overlay", system, dir,
		"systemd-nspawn", "--quiet", "--directory=" + dir + "/root", "--register=no", "--keep-unit", "--console=pipe",
		"--private-network", "--link-journal=no", "--hostname=gateway", fmt.Sprintf("--machine=airbridged-%d-%d", os.Getpid(), boots.Add(1)),
	}, args...)...)
	// The unified hierarchy inside, whatever this machine has.
	cmd.Env = append(os.Environ(), "UNIFIED_CGROUP_HIERARCHY=1", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = time.Second
	return cmd
}

// thisMachine is a release of its own: the system that the tests run on, as it is
// when nobody has started anything on it.
const thisMachine = "this machine"

// rootfs returns a directory with a release, made with debootstrap unless
// $AIRBRIDGED_NSPAWN_CACHE has it.
func rootfs(t *testing.T, release string) string {
	t.Helper()
	if release == thisMachine {
		return "/"
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		t.Skip("debootstrap is missing: apt-get install debootstrap")
	}
	cache := os.Getenv("AIRBRIDGED_NSPAWN_CACHE")
	if cache == "" {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, release)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	fresh := dir + ".new"
	_ = os.RemoveAll(fresh)
	begin := time.Now()
	if out, err := exec.Command("debootstrap", "--variant=minbase", "--include="+inside, release, fresh).CombinedOutput(); err != nil {
		t.Fatalf("debootstrap %s: %v\n%s", release, err, tail(out, 2000))
	}
	if err := os.Rename(fresh, dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("debootstrap %s: %v", release, time.Since(begin).Round(time.Second))
	return dir
}

// overlay mounts $1 at $2/root with all that is written kept in memory, in a mount
// namespace that ends with the process, and becomes the rest of its arguments. What
// this machine's image starts, and what forbids packages to start anything, is none
// of the tests' business.
const overlay = `mount -t tmpfs -o mode=755 overlay "$2" && mkdir "$2/up" "$2/work" "$2/root" &&
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/up,workdir=$2/work" "$2/root" &&
rm -f "$2/root/usr/sbin/policy-rc.d" "$2/root/var/lib/man-db/auto-update" && rm -rf "$2/root/etc/systemd/system/"*.wants && shift 2 && exec "$@"`

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// boots counts them, for their names.
var boots atomic.Int32

// boot starts a release with its own network, processes and init. Nothing that
// happens in it reaches the directory that it was booted from.
func boot(t *testing.T, release string) *container {
	t.Helper()
	c := enter(t, release, "systemd", "--boot")
	c.await("a booted system", func() error {
		if said, _ := c.try("systemctl", "is-system-running"); !strings.HasPrefix(said, "running") {
			return fmt.Errorf("it is %s", said)
		}
		return nil
	})
	c.Logf("%s booted: %s", release, firstLine(c.sh("systemctl --version")))
	return c
}

// enter starts a program as the init of a release, by the arguments that systemd-nspawn
// has for it; comm is what its first process is called then.
func enter(t *testing.T, release, comm string, args ...string) *container {
	t.Helper()
	c := &container{T: t, release: release}
	dir := t.TempDir()
	c.cmd = nspawn(context.Background(), overlay, rootfs(t, release), dir, args...)
	c.cmd.Stdout, c.cmd.Stderr = &c.console, &c.console
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.powerOff)
	c.await("its init", func() error {
		manager, err := child(c.cmd.Process.Pid)
		if errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("systemd-nspawn ended: %v\n%s", err, c.console.Bytes())
		}
		if err == nil {
			c.leader, err = child(manager)
		}
		if err != nil {
			return err
		}
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.leader)); string(name) != comm+"\n" {
			return fmt.Errorf("process %d is %s", c.leader, name)
		}
		return nil
	})
	return c
}

// child is the one that a process has.
func child(pid int) (int, error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(children)))
}

func firstLine(s string) string { s, _, _ = strings.Cut(s, "\n"); return s }

// powerOff ends the container; its processes die with its init.
func (c *container) powerOff() {
	if c.Failed() {
		said, _ := c.try("sh", "-c", "systemctl --no-pager status 'airbridged*' airsim; journalctl --no-pager -n 150 -o short-monotonic")
		c.Logf("--- %s ---\n%s", c.release, tail([]byte(said), 20000))
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// try runs a command in the container and returns all it printed.
func (c *container) try(args ...string) (said string, code int) {
	return c.feed("", args...)
}

// feed is try with something on standard input.
func (c *container) feed(stdin string, args ...string) (said string, code int) {
	c.Helper()
	enter := []string{"--target", strconv.Itoa(c.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--"}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		c.Fatalf("%s: %v", args, err)
	}
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}

// sh runs a shell line that has to succeed.
func (c *container) sh(line string) string {
	c.Helper()
	said, code := c.try("sh", "-euc", line)
	if code != 0 {
		c.Fatalf("%s: exit %d\n%s", line, code, said)
	}
	return said
}

// fails runs a shell line that has to fail with an exit code.
func (c *container) fails(code int, line string) string {
	c.Helper()
	said, got := c.try("sh", "-euc", line)
	if got != code {
		c.Errorf("%s: exit %d, want %d\n%s", line, got, code, said)
	}
	return said
}

// put writes a file.
func (c *container) put(path, mode, text string) {
	c.Helper()
	if said, code := c.feed(text, "sh", "-euc", fmt.Sprintf("mkdir -p %s; cat >%s; chmod %s %s", filepath.Dir(path), path, mode, path)); code != 0 {
		c.Fatalf("%s: %s", path, said)
	}
}

// copyIn puts a file of ours into the container.
func (c *container) copyIn(from, to string) {
	c.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		c.Fatal(err)
	}
	c.put(to, "755", string(data))
}

// property is one of a unit's.
func (c *container) property(unit, name string) string {
	c.Helper()
	return c.sh("systemctl show --value -p " + name + " " + unit)
}

// has wants a text in what was said.
func (c *container) has(said, text string) {
	c.Helper()
	if !strings.Contains(said, text) {
		c.Errorf("%q is not in\n%s", text, said)
	}
}

// await asks until there is no error.
func (c *container) await(what string, ask func() error) {
	c.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
