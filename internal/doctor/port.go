package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"airbridged/internal/tty"
)

// usbModules are the modules that are known by their USB ids (Linux driver option,
// commit da90e45d5afc; vendor manuals of the families).
var usbModules = map[string]string{
	"1782:4e00": "an Air72x module (UIS8910)",
	"19d1:0001": "an Air780 module (EC618, EC718)",
	"1286:4e3d": "an Air720 module (ASR1802)",
	"0525:a4a7": "a module in download mode",
}

// usb tells which modules are plugged in, and which serial ports they have.
func (x *examination) usb() (words, advice string) {
	devices, _ := filepath.Glob(x.root + "/sys/bus/usb/devices/*/idVendor")
	for _, file := range devices {
		dir := filepath.Dir(file)
		id := word(file) + ":" + word(filepath.Join(dir, "idProduct"))
		name, known := usbModules[id]
		if !known {
			continue
		}
		words = fmt.Sprintf("%s (%s) is plugged in at USB %s", name, id, filepath.Base(dir))
		ports := usbPorts(dir)
		switch {
		case strings.Contains(name, "download"):
			return words, "it waits to be flashed: switch its power off and on without the boot key"
		case len(ports) == 0:
			return words + " and has no serial port", "the driver is missing: modprobe option && echo " + strings.Replace(id, ":", " ", 1) +
				" > /sys/bus/usb-serial/drivers/option1/new_id (Air72x), or modprobe cdc_acm (Air780)"
		}
		return words + " with the ports " + strings.Join(ports, ", "), "set modem.device to the one that answers AT; a name below /dev/serial/by-path stays the same"
	}
	return "", ""
}

// usbPorts are the serial ports of one USB device: its interfaces have them as
// tty/ttyACM0 (cdc_acm) or ttyUSB0 (usb-serial).
func usbPorts(dir string) []string {
	var ports []string
	for _, pattern := range []string{"/*/ttyUSB*", "/*/tty/ttyACM*"} {
		found, _ := filepath.Glob(dir + pattern)
		for _, f := range found {
			ports = append(ports, "/dev/"+filepath.Base(f))
		}
	}
	return ports
}

// word is the content of a small file without blanks around.
func word(file string) string {
	b, _ := os.ReadFile(file)
	return strings.TrimSpace(string(b))
}

// portShown is the path of the port, and where it leads.
func portShown(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		return path + " (" + real + ")"
	}
	return path
}

// portMissing tells of a port that cannot be opened, with what USB says.
func (x *examination) portMissing(detail, advice string) {
	if words, todo := x.usb(); words != "" {
		detail, advice = detail+"; "+words, todo
	}
	x.stop(SerialPort, advice, "%s", detail)
}

// portError tells why the port does not open.
func (x *examination) portError(err error) {
	var te *tty.Error
	if !errors.As(err, &te) {
		x.stop(SerialPort, "", "%v", err)
		return
	}
	if errors.Is(err, tty.ErrMissing) {
		x.portMissing(fmt.Sprintf("%s: %v", te.Path, te.Err), te.Hint)
		return
	}
	x.stop(SerialPort, te.Hint, "%s: %v", te.Path, te.Err)
}

// modemManager warns of a program that talks to modules it was not told to leave
// alone. It is about USB ports: others it does not touch by itself.
func (x *examination) modemManager(device string) (warning, advice string) {
	commands, _ := filepath.Glob(x.root + "/proc/[0-9]*/comm")
	for _, file := range commands {
		if word(file) == "ModemManager" && x.mayProbe(device) {
			return "; ModemManager runs and may talk to it at any time",
				`install the udev rule of this project (it sets ID_MM_DEVICE_IGNORE), or systemctl disable --now ModemManager`
		}
	}
	return "", ""
}

// mayProbe says whether udev has not told ModemManager to leave the port alone
// (files of /run/udev/data are named by device number).
func (x *examination) mayProbe(device string) bool {
	real, err := filepath.EvalSymlinks(device)
	if err != nil || !strings.HasPrefix(filepath.Base(real), "ttyUSB") && !strings.HasPrefix(filepath.Base(real), "ttyACM") {
		return false
	}
	var st unix.Stat_t
	if unix.Stat(real, &st) != nil {
		return false
	}
	data, err := os.ReadFile(fmt.Sprintf("%s/run/udev/data/c%d:%d", x.root, unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))))
	return err == nil && !bytes.Contains(data, []byte("ID_MM_DEVICE_IGNORE=1")) && !bytes.Contains(data, []byte("ID_MM_PORT_IGNORE=1"))
}
