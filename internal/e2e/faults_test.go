package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"airbridged/client"
)

// Whatever is configured, inserted or switched off wrongly has a clear cause in
// log and status, and never resets the module nor hammers the cloud.
func TestBadInputHasAClearCause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		sim    []string // flags of the simulator
		do     string   // a command for it before the daemon starts
		config string
		cause  string
	}{
		{"unsupported firmware", []string{"--personality", "unsupported"}, "", "", "firmware-unsupported"},
		{"no SIM", []string{"--no-sim"}, "", "", "sim-missing"},
		{"wrong APN", []string{"--apn", "cmnet"}, "", "[cloud.timeouts]\nbearer = \"2s\"\n", "bearer-failed"},
		{"registration switched off", nil, "registration off", "", "registration-disabled"},
		{"device was activated before", nil, "register 6289 count=all", "", "already-activated"},
		{"product unknown", nil, "register 6250 count=all", "", "product-unknown"},
		{"wrong product secret", []string{"--product-secret", "AnotherSecret123"}, "", "", "signature-refused"},
		{"wrong device secret", nil, "", "[device]\ndevice_secret_file = \"$DIR/wrong\"\n", "device-secret-refused"},
		{"wrong device secret, direct", nil, "", "[cloud]\nauth = \"direct\"\n[device]\ndevice_secret_file = \"$DIR/wrong\"\n", "connack-refused"},
		{"cloud asks to slow down", nil, "register 429 count=all", "", "cloud-error"},
		{"no way to the server", nil, "connect fail count=all", "", "connect-failed"},
		{"https fails in the module", nil, "http-status 603 count=all", "", "http-failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := c.sim
			if !strings.Contains(strings.Join(args, " "), "--personality") {
				args = append(args, "--personality", "air780ep")
			}
			sim := newSimulator(t, args...)
			if c.do != "" {
				sim.do(c.do)
			}
			wrong := t.TempDir()
			write(t, filepath.Join(wrong, "wrong"), "mRMyB50qafv74A5FofvhxZ2h9iTL9wX8\n", 0o600)
			g := newGateway(t, sim.device, strings.ReplaceAll(c.config, "$DIR", wrong))
			g.reaches("recovering", c.cause)
			st := g.status()
			if st.Hint == "" {
				t.Errorf("status has no hint: %+v", st)
			}
			g.out.await(t, `"cause":"`+c.cause+`"`)
			// The socket keeps accepting meanwhile.
			if m, err := g.client.Publish(t.Context(), update, []byte("kept"), client.PublishOptions{}); err != nil || m.State != client.Queued {
				t.Errorf("publish while %s: %+v, %v", c.cause, m, err)
			}
			for _, command := range sim.commands(t) {
				if strings.HasPrefix(command, "AT+RESET") || strings.HasPrefix(command, "AT+CFUN=1,1") {
					t.Errorf("the module was reset: %s", command)
				}
			}
		})
	}
}

// Seen: a refused DeviceSecret was told as "check the product secret", and one that was
// corrected was tried after up to five minutes, after a restart. Which one it is and where
// it lies is told, and a reload reads it and tries at once.
func TestCorrectedSecretIsReadByReload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, key, right, cause string
	}{
		{"product secret", "product_secret_file", productSecret, "signature-refused"},
		{"device secret", "device_secret_file", "mRMyB50qafv74A5FofvhxZ2h9iTL9wX8", "device-secret-refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, "--personality", "air780ep", "--device", imei+"=mRMyB50qafv74A5FofvhxZ2h9iTL9wX8")
			file := filepath.Join(t.TempDir(), "secret")
			write(t, file, "AnotherSecret123\n", 0o600)
			g := newGateway(t, sim.device, fmt.Sprintf("[device]\n%s = %q\n[recovery]\nbackoff_max = \"1h\"\n", c.key, file))
			g.reaches("recovering", c.cause)
			if hint := g.status().Hint; !strings.Contains(hint, file) || !strings.Contains(hint, "airbridgectl reload") {
				t.Errorf("the hint does not say where it lies and what to do: %s", hint)
			}
			w := g.watch()
			write(t, file, c.right+"\n", 0o600)
			g.wants(0, "in effect now: device."+c.key, "", "reload")
			w.until("online", "")
		})
	}
}

// A device that is not there, held by somebody else, or that comes later.
func TestPortTroubles(t *testing.T) {
	t.Parallel()
	t.Run("missing, then plugged in", func(t *testing.T) {
		t.Parallel()
		link := filepath.Join(t.TempDir(), "modem")
		g := newGateway(t, link, "")
		g.reaches("recovering", "port-missing")
		sim := newSimulator(t, "--personality", "air780ep")
		target, err := os.Readlink(sim.device)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		g.reaches("online", "")
	})
	t.Run("held by another process", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep")
		first := newGateway(t, sim.device, "")
		first.reaches("online", "")
		second := newGateway(t, sim.device, "")
		second.reaches("recovering", "port-busy")
		if st := second.status(); !strings.Contains(st.Hint, "airbridged") && !strings.Contains(st.Hint, fmt.Sprint(first.cmd.Process.Pid)) {
			t.Errorf("the hint does not say who holds the port: %q", st.Hint)
		}
		w := second.watch()
		first.stop()
		w.until("attaching", "") // and no further: the cloud will not register the device twice
	})
}

// P29: the module re-enumerates: the device under the symlink is another one,
// and the old one is gone. The daemon lets go and opens the new one.
func TestP29ReEnumeration(t *testing.T) {
	t.Parallel()
	one := newSimulator(t, "--personality", "air780ep")
	two := newSimulator(t, "--personality", "air780ep")
	link := filepath.Join(t.TempDir(), "modem")
	retarget(t, link, one.device)
	g := newGateway(t, link, "[device]\ndevice_name = \"gateway-1\"\n")
	w := g.watch()
	w.until("online", "")
	retarget(t, link, two.device)
	one.stop()
	w.until("recovering", "")
	w.until("online", "")
	if len(two.commands(t)) == 0 {
		t.Error("the new device was never spoken to")
	}
}

func retarget(t *testing.T, link, device string) {
	t.Helper()
	target, err := os.Readlink(device)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
}

// P26: a peer that stops reading blocks the write for ever. The daemon notices,
// tries the port anew, and in the end exits non-zero for systemd to start it
// afresh; it never hangs.
func TestP26BlockedWriteEndsTheProcess(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	w := g.watch()
	w.until("online", "")
	sim.do("stall 10m")
	w.until("recovering", "write-blocked")
	if code := g.exit(); code != 1 {
		t.Fatalf("exit code %d, want 1", code)
	}
}

// A wrong configuration: every mistake at once, with line and what to do, exit
// 78, on start and with --check-config alike.
func TestWrongConfigurationListsEveryMistake(t *testing.T) {
	t.Parallel()
	g := prepareGateway(t, "/dev/null", "[modem]\nbuad = 9600\n[cloud]\nkeepalive = \"5s\"\nmqtt_port = 0\n[socket]\nmode = \"rw\"\n")
	for _, args := range [][]string{{"--config", g.config}, {"--check-config", "--config", g.config}} {
		p := start(t, "airbridged", args...)
		if code := p.exit(); code != 78 {
			t.Errorf("airbridged %v: exit code %d, want 78", args, code)
		}
		for _, want := range []string{"buad", "modem.baud", "keepalive", "mqtt_port", "mode", "test.toml:2:", "test.toml:4:"} {
			if !strings.Contains(p.out.String(), want) {
				t.Errorf("airbridged %v does not mention %q:\n%s", args, want, p.out)
			}
		}
	}
	for name, spoil := range map[string]func(){
		"missing file":        func() { os.Remove(g.config) },
		"unreadable secret":   func() { os.Remove(filepath.Join(g.dir, "product-secret")) },
		"blanks in a secret":  func() { write(t, filepath.Join(g.dir, "product-secret"), "VWll9fi YWKiwraBk\n", 0o600) },
		"secret for everyone": func() { os.Chmod(filepath.Join(g.dir, "product-secret"), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			g = prepareGateway(t, "/dev/null", "")
			spoil()
			p := start(t, "airbridged", "--config", g.config)
			if code := p.exit(); code != 78 {
				t.Errorf("exit code %d, want 78:\n%s", code, p.out)
			}
			if strings.Contains(p.out.String(), "YWKiwraBk") {
				t.Errorf("the secret was printed:\n%s", p.out)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--help"}, 0, "--check-config"},
		{[]string{"--version"}, 0, "commit"},
		{[]string{"--nonsense"}, 2, "nonsense"},
		{[]string{"stray"}, 2, "stray"},
		{[]string{"--dump"}, 2, "--check-config"},
		{[]string{"--config", "/nonexistent/airbridged.toml"}, 78, "/nonexistent/airbridged.toml"},
	} {
		p := start(t, "airbridged", c.args...)
		if code := p.exit(); code != c.code {
			t.Errorf("airbridged %v: exit code %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(p.out.String(), c.want) {
			t.Errorf("airbridged %v does not print %q:\n%s", c.args, c.want, p.out)
		}
	}
}

// A second daemon on the same socket would take the first one's programs away.
func TestSecondDaemonOnTheSameSocketIsRefused(t *testing.T) {
	t.Parallel()
	g := newGateway(t, filepath.Join(t.TempDir(), "none"), "")
	second := start(t, "airbridged", "--config", g.config)
	if code := second.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(second.out.String(), g.socket) {
		t.Errorf("the message does not name the socket:\n%s", second.out)
	}
	if err := g.client.Healthy(t.Context()); err != nil {
		t.Errorf("the first daemon no longer answers: %v", err)
	}
	// After SIGKILL the socket is left behind, and is no obstacle.
	_ = g.cmd.Process.Kill()
	<-g.done
	if c, err := net.Dial("unix", g.socket); err == nil {
		c.Close()
		t.Fatal("somebody answers on a dead daemon's socket")
	}
	g.start()
}

// Terminating in the middle of a publish ends within the grace, with the
// message either acknowledged or kept back, and exit code 0.
func TestStopWithAMessageInFlight(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	sim.do("puback never")
	if _, err := g.client.Publish(t.Context(), update, []byte("in flight"), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the message in flight", func() error {
		if n := g.status().Outbox.InFlight; n != 1 {
			return fmt.Errorf("%d in flight", n)
		}
		return nil
	})
	start := time.Now()
	g.stop()
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("the stop took %v", d)
	}
	commands := sim.commands(t)
	if last := commands[len(commands)-1]; last != "AT+MIPCLOSE" {
		t.Errorf("the last command was %s: the session was not closed", last)
	}
}

// SIGHUP applies what can change while the daemon runs, all or nothing, and
// says what needs a restart.
func TestReload(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	override := filepath.Join(g.config+".d", "zz.toml")
	hup := func(text, want string) {
		t.Helper()
		write(t, override, text, 0o644)
		if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		g.out.await(t, want)
	}
	hup("[log]\nlevel = \"loud\"\n", "reload refused")
	hup("[cloud]\nkeepalive = \"60s\"\n[log]\nlevel = \"info\"\n[[subscribe]]\ntopic = \"/${productKey}/${deviceName}/set\"\n", `"needs_restart":["cloud.keepalive"]`)
	eventually(t, "the new subscription", func() error {
		for _, c := range sim.commands(t) {
			if strings.HasPrefix(c, `AT+MSUB="/`+productKey+"/"+imei+`/set"`) {
				return nil
			}
		}
		return errors.New("not subscribed yet")
	})
}

// Prometheus finds the page on loopback TCP, with the contract's names on it.
func TestMetricsOnLoopback(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:" + freePort(t)
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "[metrics]\nlisten = \""+address+"\"\n")
	g.reaches("online", "")
	if _, err := g.client.Publish(t.Context(), update, []byte("x"), client.PublishOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`airbridged_session_state{state="online"} 1`, `airbridged_publish_total{outcome="acked",qos="1"} 1`,
		`airbridged_modem_info{firmware="AirM2M_780EP_V1007_LTE_AT",model="Air780EP"} 1`, "airbridged_modem_signal_dbm -65",
		"airbridged_outbox_messages 0", "airbridged_publish_ack_seconds_count", `airbridged_at_command_seconds_count{result="ok",verb="MPUB"} `,
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", page)
	}
}
