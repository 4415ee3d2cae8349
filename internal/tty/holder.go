package tty

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A holder is a process that has the port open, as far as /proc tells.
type holder struct {
	pid     int
	command string // the kernel's name of it, up to 15 characters; "" unknown
}

func (h holder) String() string {
	switch {
	case h.pid == os.Getpid():
		return "this process"
	case h.command == "":
		return fmt.Sprintf("process %d", h.pid)
	}
	return fmt.Sprintf("process %d (%s)", h.pid, h.command)
}

// Holder names the process that has the port open, as far as this user may see,
// and says what to do about it. It touches nothing and opens nothing but /proc.
func Holder(path string) (who, hint string, found bool) {
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", "", false
	}
	h, found := lockHolder(device)
	if !found {
		h, found = intruder(device)
	}
	if !found {
		return "", "", false
	}
	return h.String(), holderHint(h), true
}

// Sharer names a process that has the port open besides the one that has locked it, as far
// as this user may see, and says what to do about it: two readers share the bytes.
func Sharer(path string) (who, hint string, found bool) {
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", "", false
	}
	owner, locked := lockHolder(device)
	if !locked {
		return "", "", false
	}
	h, found := openHolder(device, func(pid int) bool { return pid == owner.pid || isOtherEnd(pid) })
	if !found {
		return "", "", false
	}
	return h.String(), holderHint(h), true
}

// busy names the holder of a busy port and what to do about it.
func busy(device string) (hint string, err error) {
	h, found := lockHolder(device)
	if !found {
		h, found = openHolder(device, func(int) bool { return false })
	}
	if !found {
		return "ask root who has it: fuser -v " + device +
			"; if nobody has, and it is a pseudo-terminal, a program was killed on it and its exclusive flag stayed: restart the simulator", ErrBusy
	}
	return holderHint(h), fmt.Errorf("%w: held by %s", ErrBusy, h)
}

// holderHint knows the usual suspects by name.
func holderHint(h holder) string {
	switch {
	case h.command == "ModemManager":
		return "tell ModemManager to leave this port alone: a udev rule with ENV{ID_MM_DEVICE_IGNORE}=\"1\", or systemctl disable --now ModemManager"
	case strings.HasPrefix(h.command, "airbridged"):
		return "another airbridged uses this port: systemctl status airbridged, or stop the one started by hand"
	case h.command == "agetty", h.command == "getty":
		return "a login prompt runs on this port: systemctl disable --now serial-getty@<port>, and remove console= from the kernel command line"
	}
	return fmt.Sprintf("stop it first (ps -fp %d shows it), or give modem.device another port", h.pid)
}

// lockHolder looks in /proc/locks for the owner of the flock on the device
// node. That file is readable for every user, unlike other users' descriptors.
func lockHolder(device string) (holder, bool) {
	var st unix.Stat_t
	if unix.Stat(device, &st) != nil {
		return holder{}, false
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return holder{}, false
	}
	defer f.Close()
	// "1: FLOCK  ADVISORY  WRITE 4711 00:1a:5 0 EOF", the device in hexadecimal: proc(5)
	// Device numbers have 32 bits on MIPS.
	node := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) < 6 || field[1] != "FLOCK" || field[5] != node {
			continue
		}
		if pid, err := strconv.Atoi(field[4]); err == nil && pid > 0 {
			return holder{pid, commandOf(pid)}, true
		}
	}
	return holder{}, false
}

// openHolder looks through /proc/PID/fd for a process that has the device open
// and that skip does not excuse. Only root sees everybody's descriptors.
func openHolder(device string, skip func(pid int) bool) (holder, bool) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return holder{}, false
	}
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || !hasOpen(pid, device) || skip(pid) {
			continue
		}
		return holder{pid, commandOf(pid)}, true
	}
	return holder{}, false
}

// intruder finds another process that has the port open without having locked
// it: two readers would share the module's bytes between them, which looks like
// a broken line. The process at the other end of a pseudo-terminal (a
// simulator, socat) often keeps our end open too and is no intruder.
func intruder(device string) (holder, bool) {
	return openHolder(device, func(pid int) bool {
		return pid == os.Getpid() || isOtherEnd(pid)
	})
}

// isOtherEnd says whether a process is at the other end of pseudo-terminals.
func isOtherEnd(pid int) bool { return hasOpen(pid, "/dev/ptmx") || hasOpen(pid, "/dev/pts/ptmx") }

// hasOpen reads links: nothing behind them but the device itself is touched.
func hasOpen(pid int, device string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		link := dir + "/" + name
		if target, err := os.Readlink(link); err == nil && target == device && sameDevice(link, device) {
			return true
		}
	}
	return false
}

// firstPTS and lastPTS are the majors of the slave ends of pseudo-terminals
// (Linux, Documentation/admin-guide/devices.txt).
const firstPTS, lastPTS = 136, 143

// sameDevice says whether two paths of one name are one device. In a container
// they need not be: its /dev/pts/0 has the number of ours, and is another
// terminal on another devpts. What cannot be looked at counts as the same.
func sameDevice(link, device string) bool {
	var theirs, ours unix.Stat_t
	if unix.Stat(link, &theirs) != nil || unix.Stat(device, &ours) != nil {
		return true
	}
	if theirs.Rdev != ours.Rdev {
		return false
	}
	major := unix.Major(uint64(ours.Rdev))
	return major < firstPTS || major > lastPTS || theirs.Dev == ours.Dev
}

func commandOf(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
