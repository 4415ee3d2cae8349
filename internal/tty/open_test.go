package tty

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody stands for the service user: not root, no group.
const nobody = 65534

// Two airbridged on one port would answer each other's commands. TIOCEXCL stops
// the second one only when it is not root, so the lock must stop root.
func TestP28SecondDaemonIsRefused(t *testing.T) {
	_, path := newPTY(t)
	line, pid, _ := otherProcess(t, "daemon", path, 0)
	if line != "open" {
		t.Fatalf("the first daemon: %s", line)
	}
	_, err := Open(path, 115200)
	wantError(t, err, ErrBusy, "open", path)
	if want := fmt.Sprintf("process %d (exe)", pid); !strings.Contains(err.Error(), want) {
		t.Errorf("error does not name the holder %q: %v", want, err)
	}
}

func TestP28SecondOpenerInTheSameProcessIsRefused(t *testing.T) {
	_, path := newPTY(t)
	open(t, path)
	_, err := Open(path, 115200)
	wantError(t, err, ErrBusy, "open", path)
	if !strings.Contains(err.Error(), "this process") {
		t.Errorf("error does not say that we hold it ourselves: %v", err)
	}
}

// A program without lock or flag would take every second answer away from us.
func TestP28ForeignProgramIsNoticed(t *testing.T) {
	for _, role := range []string{"terminal program", "modem manager"} {
		t.Run(role, func(t *testing.T) {
			_, path := newPTY(t)
			line, pid, kill := otherProcess(t, role, path, 0)
			if line != "open" {
				t.Fatalf("%s: %s", role, line)
			}
			_, err := Open(path, 115200)
			e := wantError(t, err, ErrBusy, "open", path)
			if want := fmt.Sprintf("process %d ", pid); !strings.Contains(e.Err.Error(), want) {
				t.Errorf("error does not name %q: %v", want, err)
			}
			if want := fmt.Sprintf("ps -fp %d", pid); !strings.Contains(e.Hint, want) {
				t.Errorf("hint is %q, want it to contain %q", e.Hint, want)
			}
			kill()
			if os.Getuid() == 0 { // else the killed program's flag binds us
				open(t, path)
			}
		})
	}
}

func asServiceUser(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	_, path := newPTY(t)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// The service user is refused by the kernel (TIOCEXCL) before any lock.
func TestP28ServiceUserIsRefused(t *testing.T) {
	path := asServiceUser(t)
	open(t, path)
	line, _, _ := otherProcess(t, "daemon", path, nobody)
	if want := fmt.Sprintf("busy: open %s: serial port is in use: held by process %d (", path, os.Getpid()); !strings.HasPrefix(line, want) {
		t.Errorf("the service user got %q, want %q...", line, want)
	}
}

// Nor may a program that knows no locks, as long as it is not root.
func TestP28ForeignProgramIsRefused(t *testing.T) {
	path := asServiceUser(t)
	p := open(t, path)
	for range 2 {
		line, _, _ := otherProcess(t, "terminal program", path, nobody)
		if !strings.HasPrefix(line, "failed: ") || !strings.HasSuffix(line, unix.EBUSY.Error()) {
			t.Errorf("a terminal program on our port got %q", line)
		}
		if err := p.SetBaud(9600); err != nil { // and still so after this
			t.Fatal(err)
		}
	}
}

// Seen: a container started, whose login prompt was on its own /dev/pts/0, and
// the daemon on our /dev/pts/0 found that in /proc and refused its port for good.
func TestTerminalOfAContainerIsAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a devpts, and see another process's descriptors")
	}
	_, path := newPTY(t)
	if line, _, _ := otherProcess(t, "container", path, 0); line != "open" {
		t.Skipf("no container here: %s", line)
	}
	open(t, path)
}

// On a pseudo-terminal the kernel keeps the exclusive flag after the last close
// (seen with socat: busy for ever). Close must take it away, and the service
// user must be able to change the speed of its own exclusive port.
func TestP28NoStaleBusyAfterClose(t *testing.T) {
	path := asServiceUser(t)
	p := open(t, path)
	if err := p.SetBaud(9600); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if line, _, _ := otherProcess(t, "daemon", path, nobody); line != "open" {
		t.Errorf("the service user after root closed the port: %s", line)
	}
}

// The port of a killed daemon is free at once; the lock died with it. (The
// exclusive flag dies with a real port, and does not bind root.)
func TestP28KilledDaemonLeavesNoLock(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a pseudo-terminal keeps the exclusive flag")
	}
	_, path := newPTY(t)
	line, _, kill := otherProcess(t, "daemon", path, 0)
	if line != "open" {
		t.Fatal(line)
	}
	kill()
	open(t, path)
}

// Listing ports opens other people's ports and resets their speed.
func TestP28NoPortListing(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source here", err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") && strings.Contains(string(source), "GetPortsList") {
			t.Errorf("%s lists ports", name)
		}
	}
}

// A reset command that the daemon starts must not keep the port open behind it,
// not even when it is started in the middle of a change of speed: the library
// opens without close-on-exec.
func TestStartedProgramsDoNotInheritThePort(t *testing.T) {
	_, path := newPTY(t)
	p := open(t, path)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if err := p.SetBaud(9600); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for range 50 {
		links, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
		if err != nil {
			t.Error(err, string(links))
		}
		if strings.Contains(string(links), path) {
			t.Errorf("inherited:\n%s", links)
			break
		}
	}
	close(stop)
	<-stopped
}

func TestOpenErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "modem")
	if err := os.Symlink("ttyUSB3", dangling); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, hint string }{
		{"nothing there", filepath.Join(dir, "ttyUSB0"), "plugged in"},
		{"dangling symlink", dangling, "points to ttyUSB3"},
		{"a file for a directory", filepath.Join(file, "tty"), "plugged in"},
		{"a file", file, "must name a serial port"},
		{"a directory", dir, "must name a serial port"},
		{"a FIFO nobody writes to", fifo, "must name a serial port"},
		{"a device that is no terminal", "/dev/null", "must name a serial port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(c.path, 115200)
			e := wantError(t, err, ErrMissing, "open", c.path)
			if !strings.Contains(e.Hint, c.hint) || !strings.Contains(err.Error(), c.hint) {
				t.Errorf("error %q with hint %q, want %q in both", err, e.Hint, c.hint)
			}
		})
	}
}

func TestNodeWithoutDeviceIsMissing(t *testing.T) {
	module, path := newPTY(t)
	hold, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0) // keeps the node
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	if err := module.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, 115200)
	wantError(t, err, ErrMissing, "open", path)
}

// What is advised about a port that is closed to the daemon goes by its mode. Seen:
// "usermod -aG root USER" and "usermod -aG tty USER" for modes 0600 and 0620, which do
// not help, and the first one gives away far more than a port.
func TestPermissionHintGoesByTheMode(t *testing.T) {
	for _, c := range []struct {
		name      string
		mode      os.FileMode
		gid       int // Debian's numbers
		want, not string
	}{
		{"a group that may", 0o660, 20, "usermod -aG dialout USER", "udev"},
		{"a login prompt's", 0o620, 5, "systemctl disable --now serial-getty@", "usermod"},
		{"nobody's but the owner's", 0o600, 20, `GROUP="dialout", MODE="0660"`, "usermod"},
		{"the group root", 0o660, 0, `GROUP="dialout", MODE="0660"`, "usermod"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := asServiceUser(t)
			if err := errors.Join(os.Chown(path, 0, c.gid), os.Chmod(path, c.mode)); err != nil {
				t.Fatal(err)
			}
			line, _, _ := otherProcess(t, "daemon", path, nobody)
			for _, want := range []string{"no permission for the serial port: permission denied", fmt.Sprintf("has mode %#o", c.mode), c.want} {
				if !strings.Contains(line, want) {
					t.Errorf("%q is not in %q", want, line)
				}
			}
			if strings.Contains(line, c.not) || strings.Contains(line, "-aG root") {
				t.Errorf("it says %q", line)
			}
		})
	}
}

// The sandbox of the service says "not permitted" where a mode says "denied", and no
// group helps against it.
func TestPermissionHintKnowsTheSandbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "port")
	if err := os.WriteFile(path, nil, 0o660); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	e := openError(path, path, info, unix.EPERM)
	if !errors.Is(e, ErrPermission) || !strings.Contains(e.Hint, "uart.conf") || strings.Contains(e.Hint, "usermod") {
		t.Errorf("%v", e)
	}
}

func TestImpossibleSpeedIsRefused(t *testing.T) {
	_, path := newPTY(t)
	for _, baud := range []int{-1, 0, 49, 4_000_001} {
		if _, err := Open(path, baud); err == nil || !strings.Contains(err.Error(), "line speed") {
			t.Errorf("Open at %d: %v", baud, err)
		}
	}
	p := open(t, path)
	if err := p.SetBaud(0); err == nil || !strings.Contains(err.Error(), "line speed") {
		t.Errorf("SetBaud(0): %v", err)
	}
}

// termios reads the settings over a descriptor of its own, as another program would.
func termios(t *testing.T, path string) *unix.Termios {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	set, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The module has no flow control and the line must be raw: a 0x13 in a payload
// must not stop it, a 0x03 must not kill us.
func TestP30LineIsRawWithoutFlowControl(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a second look at an exclusive port needs root")
	}
	_, path := newPTY(t)
	p := open(t, path)
	check := func(baud uint32) {
		t.Helper()
		set := termios(t, path)
		if set.Cflag&unix.CRTSCTS != 0 || set.Iflag&(unix.IXON|unix.IXOFF|unix.IXANY) != 0 {
			t.Errorf("flow control is on: cflag %#x iflag %#x", set.Cflag, set.Iflag)
		}
		if set.Cflag&unix.CSIZE != unix.CS8 || set.Cflag&(unix.PARENB|unix.CSTOPB) != 0 {
			t.Errorf("not 8N1: cflag %#x", set.Cflag)
		}
		if set.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || set.Iflag&(unix.ICRNL|unix.INLCR|unix.IGNCR|unix.ISTRIP) != 0 || set.Oflag&unix.OPOST != 0 {
			t.Errorf("not raw: lflag %#x iflag %#x oflag %#x", set.Lflag, set.Iflag, set.Oflag)
		}
		if set.Ospeed != baud {
			t.Errorf("speed is %d, want %d", set.Ospeed, baud)
		}
	}
	check(115200)
	for _, baud := range []int{9600, 921600, 250000} { // the last is no standard speed
		if err := p.SetBaud(baud); err != nil {
			t.Fatal(err)
		}
		check(uint32(baud))
	}
}

func TestUsualSuspectsGetTheirOwnHint(t *testing.T) {
	for command, want := range map[string]string{
		"ModemManager": "ID_MM_DEVICE_IGNORE",
		"airbridged":   "another airbridged",
		"agetty":       "serial-getty",
		"minicom":      "ps -fp 7",
	} {
		if hint := holderHint(holder{7, command}); !strings.Contains(hint, want) {
			t.Errorf("%s: hint %q does not say %q", command, hint, want)
		}
	}
}
