package vm

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// driver is a way for a serial port to come to be in a machine.
type driver struct {
	name, arch string
	modules    []string
	qemu       func(tty string) []string
	device     string // "": the one of ttyS that has a chip, and is not the console
	bauds      []int  // what work_baud is tried with; a 16550A ends at 115200
}

var ftdi = driver{
	name: "ftdi_sio (ttyUSB)", arch: "amd64", modules: []string{"ftdi_sio"}, device: "/dev/ttyUSB0", bauds: []int{230400, 921600},
	qemu: func(tty string) []string {
		return []string{"-chardev", "serial,id=module,path=" + tty, "-device", "usb-serial,chardev=module,id=adapter,bus=xhci.0,port=1"}
	},
}

var drivers = []driver{
	ftdi,
	{
		name: "8250 (ttyS)", arch: "amd64", device: "/dev/ttyS1", bauds: []int{57600},
		qemu: func(tty string) []string {
			return []string{"-chardev", "serial,id=module,path=" + tty, "-device", "isa-serial,chardev=module,index=1"}
		},
	},
	{
		name: "8250_pci (ttyS)", arch: "amd64", bauds: []int{57600},
		qemu: func(tty string) []string {
			return []string{"-chardev", "serial,id=module,path=" + tty, "-device", "pci-serial,chardev=module"}
		},
	},
}

func init() {
	for _, arch := range []string{"armhf", "arm64"} {
		d := ftdi
		d.arch = arch
		drivers = append(drivers, d)
	}
}

// Over each driver: a session, a message each way, the port to itself, and a faster line
// that is really set at both of its ends.
func TestOnline(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.arch+" "+d.name, func(t *testing.T) {
			need(t, processors[d.arch][0])
			sim := newSimulator(t)
			m := boot(t, spec{arch: d.arch, modules: d.modules, qemu: d.qemu(sim.tty)})
			if d.device == "" {
				d.device = "/dev/ttyS" + strings.TrimSpace(m.run(`grep -v -e unknown -e ^0: -e ^serinfo /proc/tty/driver/serial | cut -d: -f1`))
			}
			m.await("port", func() error { _, err := m.try("test -c " + d.device); return err })
			m.configure(d.device, "")
			m.start()
			m.online()
			m.run("airbridgectl pub --wait 30s /b1KCi45LcCP/862991419835241/update from-a-real-kernel")
			if sim.messages()["from-a-real-kernel"] != 1 {
				t.Fatal("acknowledged, and the cloud does not have it")
			}
			memory := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindStringSubmatch(m.run("cat /proc/$(cat /run/pid)/status"))
			if memory == nil {
				t.Fatal("no VmRSS")
			}
			m.stop()
			m.tell(d.name, "memory", "online, a message acknowledged, %s kB resident", memory[1])
			for _, baud := range d.bauds {
				m.run(fmt.Sprintf(`sed -i -e '/^work_baud/d' -e 's/^device = .*/&\nwork_baud = %d/' /etc/airbridged.toml; >/tmp/log`, baud))
				m.start()
				m.online()
				m.run(fmt.Sprintf("airbridgectl pub --wait 30s /b1KCi45LcCP/862991419835241/update at-%d", baud))
				inside := m.run("stty -F " + d.device)
				if !strings.Contains(inside, fmt.Sprintf("speed %d baud", baud)) {
					t.Errorf("the machine's port does not run at %d: %s", baud, inside)
				}
				if outside := speedOf(t, sim.tty); outside != baud {
					t.Errorf("the host's terminal does not run at %d but at %d", baud, outside)
				}
				m.stop()
				m.tell(d.name, "memory", "`work_baud = %d` set at both ends of the line", baud)
			}
		})
	}
}

func speedOf(t *testing.T, tty string) int {
	t.Helper()
	fd, err := unix.Open(tty, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	must(t, err)
	defer unix.Close(fd)
	termios, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	must(t, err)
	return int(termios.Ospeed)
}
