package vm

import (
	"strings"
	"testing"
	"time"
)

// gadget is a USB device with a CDC-ACM port, as a module with a USB plug of its own
// has: ttyACM0 on the host's side, ttyGS0 on its own. The numbers are an Air724UG's.
const gadget = `mount -t configfs configfs /sys/kernel/config; set -e; G=/sys/kernel/config/usb_gadget/module; mkdir -p $G; cd $G
echo 0x1782 >idVendor; echo 0x4e00 >idProduct; echo 0xef >bDeviceClass; echo 2 >bDeviceSubClass; echo 1 >bDeviceProtocol
mkdir -p strings/0x409 configs/c.1 functions/acm.0; echo OpenLuat >strings/0x409/manufacturer; echo Air72x >strings/0x409/product
ln -s $G/functions/acm.0 configs/c.1/`

const (
	plugGadget   = `ls /sys/class/udc >/sys/kernel/config/usb_gadget/module/UDC`
	unplugGadget = `echo >/sys/kernel/config/usb_gadget/module/UDC`
)

// A CDC-ACM port hangs up in another way than an adapter does: its driver closes the
// line for whoever holds it.
func TestGadget(t *testing.T) {
	const name = "cdc_acm (ttyACM)"
	need(t, processors["amd64"][0])
	rounds := max(number(t, "ROUNDS", 20)/4, 1)
	m := boot(t, spec{arch: "amd64", modules: []string{"libcomposite", "usb_f_acm", "dummy_hcd", "cdc_acm"}, memory: 400})
	m.run(gadget)
	m.run(`airsim --control /run/airsim --link /run/module --personality air724 --connects-per-minute -1 >/tmp/airsim 2>&1 &`)
	m.await("simulated module", func() error { _, err := m.try("test -c /run/module"); return err })
	m.run(plugGadget)
	m.await("port", func() error { _, err := m.try("test -c /dev/ttyACM0 -a -c /dev/ttyGS0"); return err })
	m.run(`(while :; do /init relay /run/module /dev/ttyGS0; sleep 0.2; done) >/dev/null 2>&1 &`)
	m.configure("/dev/ttyACM0", "")
	m.start()
	m.online()
	m.run("airbridgectl pub --wait 30s /b1KCi45LcCP/862991419835241/update from-a-gadget")
	m.run("/init report told >/dev/null 2>&1 &")
	m.awaitState("online", time.Now().Add(-time.Second))
	before := m.leftOver()
	var noticed, back []time.Duration
	for range rounds {
		gone := time.Now()
		m.run(unplugGadget)
		noticed = append(noticed, m.awaitState("recovering", gone).Sub(gone))
		m.run(plugGadget)
		plugged := time.Now()
		m.awaitState("online", plugged)
		back = append(back, time.Since(plugged))
	}
	m.run("airbridgectl pub --wait 30s /b1KCi45LcCP/862991419835241/update after-it")
	if s := m.run("airbridgectl status"); !strings.Contains(s, "queue      empty") {
		t.Errorf("not everything arrived: %s", s)
	}
	after := m.leftOver()
	if after[0] > before[0]+1 || after[1] > before[1]+4 {
		t.Errorf("descriptors and threads: %v before, %v after", before, after)
	}
	m.stop()
	m.tell(name, "memory", "online; %d times unplugged: usually noticed in %v, back in %v", rounds, middle(noticed), middle(back))
	if n, b := middle(noticed), middle(back); n > noticedWithin*grace || b > backWithin*grace {
		t.Errorf("usually noticed in %v, back in %v", n, b)
	}
}

// The reset line on a chip that is one, qemu's PL061: its pulse, what the chip says of
// it while the daemon runs, and a module that hangs until it is pulled.
func TestResetLine(t *testing.T) {
	need(t, processors["arm64"][0])
	sim := newSimulator(t)
	m := boot(t, spec{arch: "arm64", modules: ftdi.modules, qemu: ftdi.qemu(sim.tty)})
	m.await("port", func() error { _, err := m.try("test -c " + ftdi.device + " -a -c /dev/gpiochip0"); return err })
	m.configure(ftdi.device, "")
	m.run(`sed -i 's|^device = .*|&\nreset_gpio = "gpiochip0/5/active-low"|' /etc/airbridged.toml`)
	m.start()
	m.online()
	m.run("/init line told >/dev/null 2>&1 &")
	must(t, command(sim.program, "do", "--control", sim.control, "hang"))
	pulled, seen := m.awaitLine("out lo")
	must(t, command(sim.program, "do", "--control", sim.control, "reset")) // the line reaches the module
	released, _ := m.awaitLine("out hi", "")
	m.online()
	m.stop()
	pulse := released.Sub(pulled)
	m.tell("gpio-pl061", "memory", "a hanging module reset by `reset_gpio`, active low: a pulse of %v (%s), and online again", pulse.Round(10*time.Millisecond), seen)
	if pulse < 100*time.Millisecond {
		t.Errorf("a pulse of %v", pulse)
	}
}

// awaitLine waits until what is said of the GPIO lines has a text, or one of several;
// "" is no line in use.
func (m *machine) awaitLine(texts ...string) (time.Time, string) {
	m.Helper()
	deadline := time.After(2 * patience)
	for {
		select {
		case l, ok := <-m.told:
			if !ok {
				m.Fatal("the machine says no more")
			}
			state, is := strings.CutPrefix(l.text, "LINE ")
			for _, text := range texts {
				if is && (text != "" && strings.Contains(state, text) || text == state) {
					return l.at, state
				}
			}
		case <-deadline:
			m.Fatalf("no GPIO line with %q\ndaemon: %s", texts, m.log())
		}
	}
}
