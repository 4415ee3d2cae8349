package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"airbridged/client"
)

// A USB module that re-enumerates: the terminal behind the open descriptor is gone,
// and the module comes back under another name behind the same link. Somebody else
// has taken the old name meanwhile. What was published in between arrives.
func TestP29UnpluggedAndBackUnderAnotherName(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	was, err := os.Readlink(sim.device)
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, sim.device, "")
	w := g.watch()
	w.until("online", "")
	sim.do("unplug 2s")
	w.until("recovering", "port-missing")
	if hint := g.status().Hint; hint == "" {
		t.Error("a device that went away has no hint")
	}
	takeName(t, was)
	m, err := g.client.Publish(t.Context(), update, []byte("while unplugged"), client.PublishOptions{})
	if err != nil || m.State != client.Queued {
		t.Fatalf("publish without a module: %+v, %v", m, err)
	}
	w.until("online", "")
	if is, err := os.Readlink(sim.device); err != nil || is == was {
		t.Errorf("the device is %s again (%v): nothing was shown", is, err)
	}
	eventually(t, "the message", func() error { return sim.hasGot("while unplugged") })
}

// takeName opens pseudo-terminals, the lowest free number first, until the name
// that has become free is taken, and holds them all.
func takeName(t *testing.T, name string) {
	t.Helper()
	eventually(t, "another process with "+name, func() error {
		f, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = f.Close() })
		_, err = os.Stat(name)
		return err
	})
}

// P26, the kind end of it: a bridge that takes no bytes for a while costs a write
// its deadline and the port a reopening, not the process.
func TestP26BlockedWriteThatPassesIsSurvived(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	w := g.watch()
	w.until("online", "")
	begun := time.Now()
	sim.do("stall 7s")
	if _, err := g.client.Publish(t.Context(), update, []byte("into a blocked port"), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("recovering", "write-blocked")
	if noticed := time.Since(begun); noticed > 30*time.Second {
		t.Errorf("a blocked write was noticed after %v", noticed)
	}
	w.until("online", "")
	select {
	case <-g.done:
		t.Fatal("the daemon ended")
	default:
	}
	eventually(t, "the message", func() error { return sim.hasGot("into a blocked port") })
}

// A terminal that nobody reads or answers on is a module that is dead: the daemon
// goes on looking, and finds the one that is put in its place.
func TestTerminalThatNobodyReads(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "modem")
	if err := os.Symlink(deadTerminal(t), link); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, link, "[modem]\nbaud = 115200\n")
	w := g.watch()
	w.until("recovering", "no-answer")
	sim := newSimulator(t, "--personality", "air780ep")
	retarget(t, link, sim.device)
	w.until("online", "")
}

// deadTerminal is the name of a pseudo-terminal whose other side is never read.
func deadTerminal(t *testing.T) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/dev/pts/%d", n)
}

// hasGot says whether a payload has reached the cloud.
func (s *simulator) hasGot(payload string) error {
	for _, m := range s.messages() {
		if string(m.Payload) == payload {
			return nil
		}
	}
	return fmt.Errorf("the cloud has not got %q", payload)
}
