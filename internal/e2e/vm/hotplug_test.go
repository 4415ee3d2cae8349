package vm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is promised of an adapter that is pulled out: that it is noticed, and that there
// is a session again after it is back. An emulated processor under load is given more
// time; the report says what it needed.
const (
	noticedWithin = time.Second
	backWithin    = 10 * time.Second
	grace         = 6 // times as long fails the test
)

// unplug takes the adapter away; plug puts it back.
func (m *machine) unplug() error { return m.order("device_del", map[string]any{"id": "adapter"}) }

func (m *machine) plug() {
	m.Helper()
	m.await("free socket for the adapter", func() error { // the removal takes a moment
		return m.order("device_add", map[string]any{"driver": "usb-serial", "id": "adapter", "chardev": "module", "bus": "xhci.0", "port": "1"})
	})
}

// An adapter is pulled out again and again, at rest, under load, while the daemon opens
// its port or probes the module behind it: each time that is noticed, the session comes
// back, nothing that was accepted is lost, and nothing is left over in the process.
func TestUnplugged(t *testing.T) {
	need(t, processors["amd64"][0])
	rounds := number(t, "ROUNDS", 20)
	sim := newSimulator(t, "--latency")
	m := boot(t, spec{arch: "amd64", modules: ftdi.modules, qemu: ftdi.qemu(sim.tty)})
	m.await("port", func() error { _, err := m.try("test -c " + ftdi.device); return err })
	m.configure(ftdi.device, "")
	m.start()
	m.online()
	m.run("/init report told >/dev/null 2>&1 & echo $! >/run/report")
	m.awaitState("online", time.Now())
	before := m.leftOver()
	random := rand.New(rand.NewPCG(1, 1))
	accepted := map[string]bool{}
	var noticed, back []time.Duration
	var lastBack string
	for round := range rounds {
		stage := []string{"at rest", "publishing", "opening", "probing"}[round%4]
		tag := fmt.Sprintf("round%d", round)
		if stage == "publishing" {
			for i := range 5 {
				name := fmt.Sprintf("%s-%d", tag, i)
				m.run("airbridgectl pub /b1KCi45LcCP/862991419835241/update " + name)
				accepted[name] = true
			}
			time.Sleep(time.Duration(random.Int64N(int64(500 * time.Millisecond)))) // any moment of an exchange
		}
		gone := time.Now()
		must(t, m.unplug())
		noticed = append(noticed, m.awaitState("recovering", gone).Sub(gone))
		switch stage {
		case "opening": // back before anybody has let go of it
		case "probing":
			for range 2 {
				m.plug()
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second)))) // any moment of the way up
				must(t, m.unplug())
			}
		default:
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		}
		m.plug()
		plugged := time.Now()
		m.await("port", func() error { _, err := m.try("test -c " + ftdi.device); return err })
		there := time.Now()
		m.awaitState("online", plugged)
		back = append(back, time.Since(there))
		if back[len(back)-1] == slices.Max(back) {
			lastBack = stage
		}
	}
	m.await("drained queue", func() error {
		if s := m.run("airbridgectl status"); !strings.Contains(s, "queue      empty") {
			return fmt.Errorf("%s", s)
		}
		return nil
	})
	got := sim.messages()
	for name := range accepted {
		if got[name] == 0 {
			t.Errorf("%s was accepted and is lost", name)
		}
	}
	m.run("kill $(cat /run/report)")
	after := m.leftOver()
	if after[0] > before[0]+1 || after[1] > before[1]+4 {
		t.Errorf("descriptors and threads: %v before, %v after", before, after)
	}
	m.stop()
	m.tell(ftdi.name, "memory", "%d times unplugged: noticed in %v, at most %v; back in %v after the port, at most %v (%s); %d messages accepted meanwhile, 0 lost; descriptors %d before, %d after",
		rounds, middle(noticed), slices.Max(noticed).Round(time.Millisecond), middle(back), slices.Max(back).Round(10*time.Millisecond), lastBack, len(accepted), before[0], after[0])
	if n, b := middle(noticed), middle(back); n > noticedWithin*grace || b > backWithin*grace {
		t.Errorf("usually noticed in %v, back in %v", n, b)
	}
}

// awaitState returns when a state was reported that came after a moment.
func (m *machine) awaitState(want string, after time.Time) time.Time {
	m.Helper()
	deadline := time.After(patience)
	for {
		select {
		case l, ok := <-m.told:
			if !ok {
				m.Fatal("the machine says no more")
			}
			if f := strings.Fields(l.text); len(f) > 1 && f[0] == "STATE" && f[1] == want && !l.at.Before(after) {
				return l.at
			}
		case <-deadline:
			m.Fatalf("not %s within %v\ndaemon: %s", want, patience, m.log())
		}
	}
}

// leftOver counts the daemon's descriptors and threads.
func (m *machine) leftOver() [2]int {
	m.Helper()
	var n [2]int
	if _, err := fmt.Sscan(m.run("ls /proc/$(cat /run/pid)/fd | wc -l; ls /proc/$(cat /run/pid)/task | wc -l"), &n[0], &n[1]); err != nil {
		m.Fatal(err)
	}
	return n
}

func middle(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2].Round(time.Millisecond)
}
