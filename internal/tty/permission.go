package tty

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// permissionHint says what keeps the daemon's user from a device node, and what opens it.
// st is nil where the node could not be examined.
func permissionHint(device string, st fs.FileInfo, err error) string {
	switch {
	case errors.Is(err, unix.EPERM): // a mode says EACCES
		return "the service's sandbox keeps it closed: its driver was not loaded when the service started (systemctl restart airbridged), " +
			"or it is a UART of the board (the drop-in uart.conf of the examples; DevicePolicy= and DeviceAllow=)"
	case st == nil:
		return "a directory on the way to it is closed to the daemon's user: name the device node itself"
	}
	return LetIn(device, st, "the service's user") + "; under systemd also check DeviceAllow="
}

// LetIn says how somebody gets to open a port whose mode keeps him out: by its group
// where that one may read and write, else by a udev rule. The group root would let him do
// far more than that.
func LetIn(device string, st fs.FileInfo, who string) string {
	words := fmt.Sprintf("%s has mode %#o", device, st.Mode().Perm())
	gid := uint32(0)
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		gid = sys.Gid
	}
	if st.Mode().Perm()&0o060 == 0o060 && gid != 0 {
		group := groupName(gid)
		return fmt.Sprintf("%s and group %s: add %s to that group (usermod -aG %[2]s USER, or SupplementaryGroups=%[2]s in the unit)", words, group, who)
	}
	name := strings.TrimPrefix(device, "/dev/")
	if real, err := filepath.EvalSymlinks(device); err == nil {
		name = strings.TrimPrefix(real, "/dev/")
	}
	words += fmt.Sprintf(", so no group helps (its own is %s): a udev rule gives it to one, "+
		`SUBSYSTEM=="tty", KERNEL=="%s", GROUP="dialout", MODE="0660", then udevadm trigger; %s has to be in dialout`, groupName(gid), filepath.Base(name), who)
	if st.Mode().Perm() == 0o620 || st.Mode().Perm() == 0o600 {
		words += "; such a mode is what a login prompt leaves behind (systemctl disable --now serial-getty@" + strings.ReplaceAll(name, "/", "-") + ")"
	}
	return words
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
