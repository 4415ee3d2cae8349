package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"airbridged/client"
)

// warned waits for a warning about state.dir.
func (g *gateway) warned(code string) client.Warning {
	g.t.Helper()
	var found client.Warning
	eventually(g.t, "the warning "+code, func() error {
		st, err := g.client.Status(g.t.Context())
		for _, w := range st.Warnings {
			if w.Code == code && strings.HasPrefix(w.Detail, "state.dir: ") {
				found = w
				return nil
			}
		}
		return fmt.Errorf("%+v, %v", st.Warnings, err)
	})
	return found
}

// Two daemons with one state.dir overwrote each other's credentials. The second one is
// told which directory, by whom it is held and what to do; a lock file that is removed
// opens no second door, because there is none.
func TestTwoDaemonsOnOneStateDirectory(t *testing.T) {
	t.Parallel()
	g := newGateway(t, filepath.Join(t.TempDir(), "none"), "")
	state := filepath.Join(g.dir, "state")
	files, err := filepath.Glob(filepath.Join(state, "*lock*"))
	if err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
	other := prepareGateway(t, filepath.Join(t.TempDir(), "none"), fmt.Sprintf("[state]\ndir = %q\n", state))
	p := start(t, "airbridged", "--config", other.config)
	if code := p.exit(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	for _, want := range []string{"state.dir: " + state + " is in use by another process", fmt.Sprintf("airbridged, process %d", g.cmd.Process.Pid), "a state.dir of its own"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, p.out)
		}
	}
}

// A FIFO or a device as data.json, modem.json, speed.json, line.json or resets.json held
// up the start, and SIGTERM did not end it; a file of 40 GB took all memory. None of them
// is waited for, read or believed.
func TestAbsurdFilesInTheStateDirectory(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t)
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	g.stop()
	state := filepath.Join(g.dir, "state")
	names := []string{"data.json", "modem.json", "speed.json", "line.json", "resets.json", "token.json", "connects.json", "credentials.prev.json", "credentials.damaged.json"}
	put := []func(path string) error{
		func(p string) error { return syscall.Mkfifo(p, 0o600) },
		func(p string) error { return os.Symlink("/dev/zero", p) },
		func(p string) error { return os.Symlink(p, p) },
		func(p string) error { return os.Mkdir(p, 0o700) },
		func(p string) error {
			if err := os.WriteFile(p, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(p, 40<<30)
		},
		func(p string) error { return os.WriteFile(p, make([]byte, 300), 0o600) },
		func(p string) error { return os.WriteFile(p, nil, 0o600) },
	}
	for turn := range put {
		for n, name := range names {
			path := filepath.Join(state, name)
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := put[(turn+n)%len(put)](path); err != nil {
				t.Fatal(err)
			}
		}
		g.start()
		g.reaches("online", "")
		g.stop()
		if code := g.exit(); code != 0 {
			t.Errorf("turn %d: exit status %d", turn, code)
		}
	}
}

// Damaged credentials were told as "cannot be written: check free space".
func TestDamagedCredentials(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t)
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	g.stop()
	path := filepath.Join(g.dir, "state", "credentials.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Repeat("\x00", len(good)), 0o600)
	g.start()
	g.reaches("recovering", "state-unwritable")
	hint := g.status().Hint
	for _, want := range []string{path + " is damaged", "zeros", "backup", "reset the device", "device.device_secret_file"} {
		if !strings.Contains(hint, want) {
			t.Errorf("the hint does not say %q: %s", want, hint)
		}
	}
	write(t, path, string(good), 0o600) // the backup is put back, and nothing has to be restarted
	g.reaches("online", "")
}

// On a disk that is mounted read-only the daemon starts, uses the credentials and the
// token that it has, and says so as long as it is so.
func TestReadOnlyStateDirectory(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t)
	g := prepareGateway(t, sim.device, "")
	state := filepath.Join(g.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := func(flags uintptr) error { return syscall.Mount("tmpfs", state, "tmpfs", flags, "size=1m,mode=700") }
	if err := mount(0); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
	g.start()
	g.reaches("online", "")
	g.stop()
	if err := mount(syscall.MS_REMOUNT | syscall.MS_RDONLY); err != nil {
		t.Fatal(err)
	}
	g.start()
	g.reaches("online", "")
	if w := g.warned("store-read-only"); !strings.Contains(w.Detail, state) || w.Hint == "" {
		t.Errorf("%+v", w)
	}
	if m, err := g.client.Publish(t.Context(), update, []byte("x"), client.PublishOptions{Wait: patience}); err != nil || m.State != "acked" {
		t.Errorf("%+v, %v", m, err)
	}
	if err := mount(syscall.MS_REMOUNT); err != nil {
		t.Fatal(err)
	}
	sim.do("closed")
	eventually(t, "the end of the warning", func() error {
		if w := g.status().Warnings; len(w) != 0 {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
	counters, err := sim.get("/v1/counters")
	if err != nil || !strings.Contains(string(counters), `"registrations":1`) {
		t.Errorf("%s, %v", counters, err)
	}
}

// The directory is taken away while the daemon runs, and another one comes in its place:
// it says so, and what was registered is there again when it is needed.
func TestStateDirectoryIsTakenAway(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t)
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	state := filepath.Join(g.dir, "state")
	if err := os.Rename(state, state+".away"); err != nil {
		t.Fatal(err)
	}
	g.warned("store-gone")
	sim.do("expire-tokens")
	sim.do("closed")
	eventually(t, "another login", func() error {
		if n := g.status().Counters.Connects; n < 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	g.reaches("online", "")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	sim.do("expire-tokens")
	sim.do("closed")
	eventually(t, "the credentials in the new directory", func() error {
		_, err := os.Stat(filepath.Join(state, "credentials.json"))
		return err
	})
	eventually(t, "the end of the warning", func() error {
		if w := g.status().Warnings; len(w) != 0 {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
	g.reaches("online", "")
	g.stop()
	g.start()
	g.reaches("online", "")
	counters, err := sim.get("/v1/counters")
	if err != nil || !strings.Contains(string(counters), `"registrations":1,`) {
		t.Errorf("%s, %v", counters, err)
	}
}

// The module is swapped while messages wait. About 1,200 of them went out as the new
// device's once, acknowledged and dropped by the cloud. They wait for their module, the
// status says so, and root may send them as the new device's instead.
func TestModuleIsSwapped(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "modem")
	first := newSimulator(t)
	if err := os.Symlink(first.device, link); err != nil {
		t.Fatal(err)
	}
	g := prepareGateway(t, link, "")
	g.start()
	g.reaches("online", "")
	first.do("outage on")
	first.do("closed")
	g.reaches("recovering", "")
	old := "/" + productKey + "/" + imei + "/update"
	publish := func(topic string) client.Message {
		t.Helper()
		m, err := g.client.Publish(t.Context(), topic, []byte(topic), client.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	kept := publish(old)
	// The other module is found after a restart, as it would be in the field.
	g.stop()
	const other = "862991419835258"
	second := newSimulator(t, "--imei", other)
	retarget(t, link, second.device)
	g.start()
	g.reaches("online", "")
	own := "/" + productKey + "/" + other + "/update"
	if m, err := g.client.Publish(t.Context(), own, []byte("mine"), client.PublishOptions{Wait: patience}); err != nil || m.State != "acked" {
		t.Fatalf("%+v, %v", m, err)
	}
	if m, err := g.client.Message(t.Context(), kept.ID); err != nil || m.State != "foreign" {
		t.Errorf("%+v, %v", m, err)
	}
	eventually(t, "the warning", func() error {
		st := g.status()
		if len(st.Warnings) != 1 || st.Warnings[0].Code != "foreign-queue" || !strings.Contains(st.Warnings[0].Detail, imei) {
			return fmt.Errorf("%+v", st.Warnings)
		}
		return nil
	})
	if n := len(second.messages()); n != 1 {
		t.Errorf("the other cloud has %d messages, want its own", n)
	}
	for _, path := range []string{"credentials.json", "credentials.d/" + productKey + "." + imei + ".json"} {
		if _, err := os.Stat(filepath.Join(g.dir, "state", path)); err != nil {
			t.Error(err)
		}
	}
	// Back: its secret and its messages are there.
	first.do("outage off")
	g.stop()
	retarget(t, link, first.device)
	g.start()
	g.reaches("online", "")
	eventually(t, "the message that waited", func() error {
		if m := first.messages(); len(m) != 1 || m[0].Topic != old {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	if os.Getuid() != 0 {
		return
	}
	publish(old)
	first.do("outage on")
	first.do("closed")
	g.reaches("recovering", "")
	publish(old)
	g.stop()
	retarget(t, link, second.device)
	g.start()
	g.reaches("online", "")
	if n, err := g.client.Retarget(t.Context()); err != nil || n < 1 {
		t.Fatalf("%d, %v", n, err)
	}
	eventually(t, "its arrival under the other name", func() error {
		m := second.messages()
		if last := m[len(m)-1]; len(m) < 2 || last.Topic != own || last.Text != old {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	for _, sim := range []*simulator{first, second} {
		counters, err := sim.get("/v1/counters")
		if err != nil || !strings.Contains(string(counters), `"registrations":1,`) {
			t.Errorf("%s, %v", counters, err)
		}
	}
}
