package doctor

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strings"
)

// resetLineWarning is the code of the daemon's warning about it.
const resetLineWarning = "reset-line"

// resetLine looks whether the daemon could pull the line that resets the module.
func (x *examination) resetLine() {
	if !x.known || x.cfg.Modem.ResetGPIO == "" {
		return
	}
	chip, _, _ := strings.Cut(x.cfg.Modem.ResetGPIO, "/")
	device := x.root + "/dev/" + chip
	info, err := os.Stat(device)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.fail(ResetLine, "gpiodetect lists the chips, and their numbers may change with the kernel", "there is no /dev/%s", chip)
		return
	case err != nil:
		x.fail(ResetLine, "", "%v", err)
		return
	}
	for _, w := range x.status.Warnings { // the daemon's own word
		if w.Code == resetLineWarning {
			x.fail(ResetLine, w.Hint, "%s", w.Detail)
			return
		}
	}
	if x.service != nil && !x.service.AllowsDevice("char-gpiochip") && !x.service.AllowsDevice("/dev/"+chip) {
		x.fail(ResetLine, "the drop-in gpio.conf of the examples allows it; then systemctl restart "+x.base(), "%s does not let the daemon open /dev/%s", x.service.Name, chip)
		return
	}
	if x.service != nil && !x.mayOpen(info) {
		x.fail(ResetLine, "the packaged udev rule gives it to the group gpio: udevadm trigger --subsystem-match=gpio; the drop-in gpio.conf makes the service a member of it",
			"/dev/%s belongs to group %s with mode %#o, and the daemon is not in that group", chip, groupOf(info), info.Mode().Perm())
		return
	}
	x.ok(ResetLine, "/dev/%s is there, and the daemon may open it", chip)
}

// mayOpen says whether the mode of a device lets the service's groups write to it. A group
// root is nobody's to be a member of.
func (x *examination) mayOpen(device fs.FileInfo) bool {
	mode, group := device.Mode().Perm(), groupOf(device)
	if mode&0o006 == 0o006 {
		return true
	}
	if mode&0o060 != 0o060 || group == "root" {
		return false
	}
	groups := x.service.OwnGroups()
	if u, err := user.Lookup("airbridged"); err == nil {
		ids, _ := u.GroupIds()
		for _, id := range ids {
			if g, err := user.LookupGroupId(id); err == nil {
				groups = append(groups, g.Name)
			}
		}
	}
	return slices.Contains(groups, group)
}
