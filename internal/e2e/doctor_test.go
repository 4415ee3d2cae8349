package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"airbridged/client"
	"airbridged/internal/doctor"
)

// nobody is a user who is in no group of interest (Debian's base-passwd).
const nobody = 65534

// diagnosis is what airbridgectl doctor --json said.
type diagnosis struct {
	t *testing.T
	doctor.Report
	exit int
}

// examine runs the doctor on a gateway's configuration.
func (g *gateway) examine(t *testing.T, change func(*exec.Cmd)) diagnosis {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "airbridgectl"), "doctor", "--json", "--config", g.config)
	if change != nil {
		change(cmd)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	d := diagnosis{t: t, exit: cmd.ProcessState.ExitCode()}
	if err := json.Unmarshal(out, &d.Report); err != nil {
		t.Fatalf("%v in %q, %q", err, out, stderr.String())
	}
	if d.OK != (d.exit == 0) || stderr.Len() > 0 {
		t.Errorf("exit %d, ok is %v, %q", d.exit, d.OK, stderr.String())
	}
	return d
}

// says wants one check to have a verdict and a word in what it says.
func (d diagnosis) says(check string, verdict doctor.Verdict, word string) {
	d.t.Helper()
	i := slices.IndexFunc(d.Findings, func(f doctor.Finding) bool { return f.Check == check })
	if i < 0 {
		d.t.Errorf("there is no check %q: %+v", check, d.Findings)
		return
	}
	f := d.Findings[i]
	if f.Verdict != verdict || !strings.Contains(f.Detail+" "+f.Advice, word) {
		d.t.Errorf("%s: %s, %q, %q; want %s and %q", check, f.Verdict, f.Detail, f.Advice, verdict, word)
	}
	if verdict == doctor.Fail && f.Advice == "" {
		d.t.Errorf("%s fails without a word on what to do", check)
	}
}

// onlyFails wants one check to fail and no other.
func (d diagnosis) onlyFails(check, word string) {
	d.t.Helper()
	d.says(check, doctor.Fail, word)
	for _, f := range d.Findings {
		if f.Verdict == doctor.Fail && f.Check != check {
			d.t.Errorf("%s fails too: %s", f.Check, f.Detail)
		}
	}
}

// allChecks is every check, in order.
var allChecks = []string{
	doctor.Configuration, doctor.Daemon, doctor.Socket, doctor.SerialPort, doctor.Module, doctor.SIM, doctor.Signal, doctor.Network, doctor.Bearer,
	doctor.Names, doctor.Identity, doctor.Login, doctor.MQTT, doctor.Queue, doctor.Disk, doctor.Clock,
}

func (d diagnosis) everyCheckOnce() {
	d.t.Helper()
	var got []string
	for _, f := range d.Findings {
		got = append(got, f.Check)
	}
	if !slices.Equal(got, allChecks) {
		d.t.Errorf("checks: %q", got)
	}
}

// Without a daemon the doctor asks the module itself, and leaves no trace.
func TestDoctorAlone(t *testing.T) {
	t.Parallel()
	for _, personality := range []string{"2g", "air724", "air780e", "air780ep"} {
		t.Run(personality, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, "--personality", personality)
			g := prepareGateway(t, sim.device, "")
			d := g.examine(t, nil)
			d.everyCheckOnce()
			if d.Mode != doctor.Alone || !d.OK {
				t.Errorf("%+v", d.Report)
			}
			for _, check := range []string{doctor.SerialPort, doctor.Module, doctor.SIM, doctor.Signal, doctor.Network, doctor.Bearer, doctor.Names, doctor.Disk} {
				d.says(check, doctor.OK, "")
			}
			d.says(doctor.Daemon, doctor.Warning, "does not run")
			commands := sim.commands(t)
			for _, c := range commands {
				for _, never := range []string{"AT+HTTP", "AT+MCON", "AT+SSLMIP", "AT+MIPSTART", "AT+RESET", "AT+CFUN=", "AT&W"} {
					if strings.HasPrefix(c, never) && !strings.HasSuffix(c, "?") {
						t.Errorf("the module was given %s", c)
					}
				}
			}
			if last := commands[len(commands)-1]; last != "ATE1" {
				t.Errorf("the echo was not switched on again: %s came last", last)
			}
			if i := slices.Index(commands, "AT+SAPBR=0,1"); i < 0 {
				t.Error("the data connection was left open")
			}
			if _, err := os.Stat(filepath.Join(g.dir, "state")); err == nil {
				t.Error("the state directory was made")
			}
			// The daemon finds nothing that is in its way.
			g.start()
			g.reaches("online", "")
		})
	}
}

func TestDoctorAloneFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	const hasty = "[cloud.timeouts]\nbearer = \"2s\"\ncommand = \"1s\"\n"
	for _, c := range []struct {
		name    string
		sim     []string
		do      []string
		config  string
		check   string
		verdict doctor.Verdict
		word    string
		after   string // a check that makes no sense then
	}{
		{"no SIM", []string{"--no-sim"}, nil, "", doctor.SIM, doctor.Fail, "inserted", doctor.Network},
		{"SIM wants its PIN", nil, []string{"sim pin"}, "", doctor.SIM, doctor.Fail, "PIN off", doctor.Signal},
		{"radio is off", nil, nil, "", doctor.SIM, doctor.Fail, "radio is switched off", doctor.Network},
		{"weak signal", []string{"--csq", "5"}, nil, "", doctor.Signal, doctor.Warning, "weak (-103 dBm)", ""},
		{"signal not known", []string{"--csq", "99"}, nil, "", doctor.Signal, doctor.Warning, "antenna", ""},
		{"no network", nil, []string{"service lost"}, hasty, doctor.Network, doctor.Fail, "antenna", doctor.Bearer},
		{"wrong APN", []string{"--apn", "cmnet"}, nil, hasty, doctor.Bearer, doctor.Fail, `"CMIOT"`, doctor.Names},
		{"no name server", nil, []string{"dns lost"}, "", doctor.Names, doctor.Fail, "name server", ""},
		{"network has another time", nil, []string{"network-time 2h"}, "", doctor.Clock, doctor.Warning, "behind the network's time", ""},
		{"wrong speed", nil, []string{"baud 9600"}, "[modem]\nbaud = 115200\n", doctor.Module, doctor.Fail, "set modem.baud to 9600", ""},
		{"module hangs", nil, []string{"hang"}, "", doctor.Module, doctor.Fail, "PWRKEY", doctor.SIM},
		{"firmware without MQTT", []string{"--personality", "unsupported"}, nil, "", doctor.Module, doctor.Fail, "flash", doctor.SIM},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := c.sim
			if !slices.Contains(args, "--personality") {
				args = append(args, "--personality", "air780ep")
			}
			sim := newSimulator(t, args...)
			for _, command := range c.do {
				sim.do(command)
			}
			g := prepareGateway(t, sim.device, c.config)
			if c.name == "radio is off" {
				tell(t, sim.device, "AT+CFUN=0\r")
			}
			d := g.examine(t, nil)
			d.everyCheckOnce()
			d.says(c.check, c.verdict, c.word)
			if c.verdict == doctor.Fail {
				d.onlyFails(c.check, c.word)
			}
			if c.after != "" {
				d.says(c.after, doctor.Skipped, "because of the "+c.check)
			}
		})
	}
}

// tell writes to the module as a person with a terminal program would.
func tell(t *testing.T, device, text string) {
	t.Helper()
	f, err := os.OpenFile(device, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Skip(err) // not a file that can be polled
	}
	for seen := ""; !strings.Contains(seen, "OK"); {
		b := make([]byte, 256)
		n, err := f.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		seen += string(b[:n])
	}
}

func TestDoctorOnThePort(t *testing.T) {
	t.Parallel()
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		g := prepareGateway(t, filepath.Join(t.TempDir(), "ttyUSB9"), "")
		g.examine(t, nil).onlyFails(doctor.SerialPort, "plugged in")
	})
	t.Run("held by a daemon that does not answer here", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep")
		newGateway(t, sim.device, "").reaches("online", "")
		before := len(sim.commands(t))
		other := prepareGateway(t, sim.device, "")
		d := other.examine(t, nil)
		d.onlyFails(doctor.SerialPort, "(airbridged)")
		d.says(doctor.Module, doctor.Skipped, "serial port")
		for _, c := range sim.commands(t)[before:] {
			if c == "AT" || c == "ATE0" {
				t.Errorf("the port was used: %s", c)
			}
		}
	})
	t.Run("not permitted", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep")
		device := mustResolve(t, sim.device) // the link is in a directory of this user
		g := prepareGateway(t, device, "")
		openToNobody(t, g)
		if err := os.Chmod(device, 0o600); err != nil {
			t.Fatal(err)
		}
		d := g.examine(t, asNobody)
		d.says(doctor.SerialPort, doctor.Fail, `GROUP="dialout", MODE="0660"`)
	})
	t.Run("secret of another user", func(t *testing.T) {
		t.Parallel()
		if os.Getuid() != 0 {
			t.Skip("to become another user takes root")
		}
		g := prepareGateway(t, "/nonexistent/tty", "")
		for _, dir := range []string{g.dir, bin} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		d := g.examine(t, asNobody)
		d.says(doctor.Configuration, doctor.Skipped, "product-secret cannot be read by uid 65534: permission denied")
		if !d.OK {
			t.Errorf("it is no mistake: %+v", d.Report)
		}
	})
}

func mustResolve(t *testing.T, path string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

// openToNobody lets another user read the configuration; the secret comes by the
// environment then.
func openToNobody(t *testing.T, g *gateway) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("to become another user takes root")
	}
	text, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(l string) bool { return strings.HasPrefix(l, "product_secret_file") })
	write(t, g.config, strings.Join(lines, ""), 0o644)
	for _, dir := range []string{g.dir, bin} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func asNobody(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Env = append(os.Environ(), "AIRBRIDGED_PRODUCT_SECRET="+productSecret)
	cmd.Dir = "/"
}

func TestDoctorOnTheDisk(t *testing.T) {
	t.Parallel()
	t.Run("full", func(t *testing.T) {
		t.Parallel()
		g := prepareGateway(t, "/nonexistent/tty", "")
		dir := filepath.Join(g.dir, "outbox")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip("a small file system takes root with CAP_SYS_ADMIN: ", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
		d := g.examine(t, nil)
		d.says(doctor.Disk, doctor.Fail, "too little to keep messages")
	})
	t.Run("damaged queue", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep", "--no-sim")
		g := newGateway(t, sim.device, "")
		for range 3 {
			if _, err := g.client.Publish(t.Context(), update, []byte("reading"), client.PublishOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		g.stop()
		segments, err := filepath.Glob(filepath.Join(g.dir, "outbox", "*.seg"))
		if err != nil || len(segments) != 1 {
			t.Fatalf("segments: %v, %v", segments, err)
		}
		b, err := os.ReadFile(segments[0])
		if err != nil {
			t.Fatal(err)
		}
		b[4096+100] ^= 1
		write(t, segments[0], string(b), 0o600)
		d := g.examine(t, nil)
		d.says(doctor.Queue, doctor.Warning, "2 messages wait, and 1 records are damaged")
	})
}

func TestDoctorFindsMistakesInTheConfiguration(t *testing.T) {
	t.Parallel()
	g := prepareGateway(t, "/nonexistent/tty", "[modem]\nbuad = 9600\n[log]\nlevel = \"loud\"\n")
	d := g.examine(t, nil)
	d.onlyFails(doctor.Configuration, "did you mean modem.baud?, and 1 more")
	d.says(doctor.SerialPort, doctor.Skipped, "configuration")
}

// A daemon is asked, and its module is left alone.
func TestDoctorAsksTheDaemon(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		sim    []string
		do     []string // before the daemon starts
		config string
		cause  string // what the daemon says; "": online
		check  string
		ok     string // a check before that one
		word   string
	}{
		{"online", nil, nil, "", "", "", doctor.MQTT, ""},
		{"no SIM", []string{"--no-sim"}, nil, "", "sim-missing", doctor.SIM, doctor.Module, "inserted"},
		{"wrong APN", []string{"--apn", "cmnet"}, nil, "[cloud.timeouts]\nbearer = \"2s\"\n", "bearer-failed", doctor.Bearer, doctor.Network, "modem.apn"},
		{"wrong product secret", []string{"--product-secret", "AnotherSecret123"}, nil, "", "signature-refused", doctor.Identity, doctor.Bearer, "and the ProductSecret (file /"},
		{"activated before", nil, []string{"register 6289 count=all"}, "", "already-activated", doctor.Identity, doctor.Bearer, "console"},
		{"login refused", nil, []string{"connack refuse count=all"}, "", "connack-refused", doctor.Login, doctor.Identity, "device secret"},
		{"no way to the server", nil, []string{"connect fail count=all"}, "", "connect-failed", doctor.MQTT, doctor.Login, "cloud.mqtt_host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, append(c.sim, "--personality", "air780ep")...)
			for _, command := range c.do {
				sim.do(command)
			}
			g := newGateway(t, sim.device, "[recovery]\nbackoff_max = \"1h\"\nbackoff_min = \"30m\"\n"+c.config)
			state := "online"
			if c.cause != "" {
				state = "recovering"
			}
			g.reaches(state, c.cause)
			d := g.examine(t, nil)
			d.everyCheckOnce()
			if d.Mode != doctor.WithDaemon {
				t.Errorf("mode is %s", d.Mode)
			}
			d.says(doctor.Daemon, doctor.OK, state)
			d.says(doctor.SerialPort, doctor.OK, "(airbridged)")
			d.says(c.ok, doctor.OK, "")
			if c.check == "" {
				if !d.OK {
					t.Errorf("%+v", d.Report)
				}
				return
			}
			d.onlyFails(c.check, c.word)
			d.says(c.check, doctor.Fail, c.cause)
		})
	}
	t.Run("its own configuration, and a second reader", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep")
		g := newGateway(t, sim.device, "")
		g.reaches("online", "")
		// Seen: FAIL without --config, although the daemon knows its file.
		out := g.wants(0, g.config+" has no mistakes", "", "doctor")
		if !strings.Contains(out, "\nnothing to do\n") && !strings.Contains(out, "\ndo this first (") {
			t.Errorf("%s", out)
		}
		if os.Getuid() != 0 {
			g.wants(0, "only root can see", "", "doctor")
			return
		}
		second, err := os.OpenFile(mustResolve(t, sim.device), os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			t.Skip(err) // TIOCEXCL holds for a root without CAP_SYS_ADMIN, too
		}
		defer second.Close()
		g.wants(0, "half of it is lost to each", "", "doctor")
	})
	t.Run("not permitted", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep")
		g := newGateway(t, sim.device, "")
		g.reaches("online", "")
		openToNobody(t, g)
		if err := os.Chmod(mustResolve(t, sim.device), 0o666); err != nil {
			t.Fatal(err)
		}
		d := g.examine(t, asNobody)
		d.onlyFails(doctor.Socket, "socket.group")
		if out := d.Report.Findings; slices.ContainsFunc(out, func(f doctor.Finding) bool { return strings.Contains(f.Advice, "-aG root") }) {
			t.Errorf("it gives away the machine: %+v", out)
		}
		d.says(doctor.SerialPort, doctor.Skipped, "the daemon may hold it")
	})
}
