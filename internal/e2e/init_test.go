package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// initScript is packaging/init/airbridged, as it runs on a system without systemd.
type initScript struct {
	t    testing.TB
	path string
	dir  string
}

// shells are what /bin/sh is on such systems.
var shells = map[string][]string{"dash": {"dash"}, "busybox": {"busybox", "sh"}, "bash": {"bash", "--posix"}}

// newInitScript makes the script run with one shell. defaults stands in for
// /etc/default/airbridged.
func newInitScript(t testing.TB, shell string, g *gateway, defaults string) *initScript {
	t.Helper()
	path, err := exec.LookPath(shells[shell][0])
	if err != nil {
		t.Skip(shell + " is not installed")
	}
	script, err := os.ReadFile("../../packaging/init/airbridged")
	if err != nil {
		t.Fatal(err)
	}
	interpreter := strings.Join(append([]string{path}, shells[shell][1:]...), " ")
	s := &initScript{t: t, path: filepath.Join(g.dir, "init"), dir: g.dir}
	write(t, s.path, strings.Replace(string(script), "#!/bin/sh", "#!"+interpreter, 1), 0o755)
	write(t, filepath.Join(g.dir, "defaults"), fmt.Sprintf("CONFIG=%s\nDAEMON=%s\nCTL=%s\nPIDFILE=%s\nLOG=%s\nRUNUSER=root\n%s\n", g.config,
		filepath.Join(bin, "airbridged"), filepath.Join(bin, "airbridgectl"), s.file("pid"), s.file("log"), defaults), 0o644)
	t.Cleanup(func() {
		s.run("stop")
		if t.Failed() {
			log, _ := os.ReadFile(s.file("log"))
			t.Logf("--- the log ---\n%s", log[max(len(log)-8000, 0):])
		}
	})
	return s
}

func (s *initScript) file(name string) string { return filepath.Join(s.dir, name) }

// run gives the script an order; it returns what it printed and its exit status.
func (s *initScript) run(order string) (string, int) {
	s.t.Helper()
	cmd := exec.Command(s.path, order)
	cmd.Env = append(os.Environ(), "AIRBRIDGED_DEFAULTS="+s.file("defaults"))
	// Not a pipe: the daemon that start leaves behind must not hold it open.
	out, err := os.CreateTemp(s.dir, "out")
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	_ = cmd.Run()
	said, err := os.ReadFile(out.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(said), cmd.ProcessState.ExitCode()
}

// wants runs an order and checks its exit status and a word of what it says.
func (s *initScript) wants(order string, code int, says string) {
	s.t.Helper()
	if said, got := s.run(order); got != code || !strings.Contains(said, says) {
		s.t.Fatalf("%s: exit status %d, want %d and %q, said:\n%s", order, got, code, says, said)
	}
}

// daemon is the process that the script says is running.
func (s *initScript) daemon() int {
	s.t.Helper()
	var pid int
	said, _ := s.run("status")
	if _, err := fmt.Sscanf(said, "airbridged is running, process %d", &pid); err != nil {
		s.t.Fatalf("%v in %s", err, said)
	}
	return pid
}

// A day of the init script, with each shell that might be /bin/sh: the exit
// statuses are those of the LSB.
func TestInitScript(t *testing.T) {
	for shell := range shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t)
			g := prepareGateway(t, sim.device, "")
			s := newInitScript(t, shell, g, "")
			s.wants("status", 3, "not running")
			s.wants("reload", 7, "not running")
			s.wants("stop", 0, "not running")
			s.wants("start", 0, "is started")
			s.wants("start", 0, "running already")
			s.wants("status", 0, "is running")
			g.reaches("online", "")
			first := s.daemon()

			write(t, filepath.Join(g.config+".d", "test.toml"), "[[subscribe]]\ntopic = \"/${productKey}/${deviceName}/get\"\n", 0o644)
			s.wants("reload", 0, "")
			write(t, filepath.Join(g.config+".d", "test.toml"), "[log]\nlevl = 1\n", 0o644)
			s.wants("reload", 78, "levl")
			write(t, filepath.Join(g.config+".d", "test.toml"), "", 0o644)
			if s.daemon() != first {
				t.Error("a reload restarted the daemon")
			}

			// The daemon dies, and comes back by itself.
			if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "another daemon", func() error {
				if pid, err := os.ReadFile(s.file("pid.daemon")); err != nil || string(bytes.TrimSpace(pid)) == fmt.Sprint(first) {
					return fmt.Errorf("%s, %v", pid, err)
				}
				return nil
			})
			eventually(t, "its socket", func() error { _, err := g.client.Status(t.Context()); return err })

			second := s.daemon()
			s.wants("restart", 0, "is started")
			if third := s.daemon(); third == second {
				t.Error("restart left the same daemon")
			}
			s.wants("stop", 0, "is stopped")
			s.wants("status", 3, "not running")

			// Only a person can mend a configuration: it is not started again.
			s.wants("start", 0, "is started")
			write(t, filepath.Join(g.config+".d", "test.toml"), "[log]\nlevl = 1\n", 0o644)
			if err := syscall.Kill(s.daemon(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the end of the script", func() error {
				if said, code := s.run("status"); code != 3 {
					return fmt.Errorf("%s", said)
				}
				return nil
			})

			// A file that a crash left behind names somebody else's process.
			write(t, s.file("pid"), fmt.Sprintln(os.Getppid()), 0o644)
			s.wants("status", 1, "is dead")
			s.wants("stop", 0, "not running")
			if err := syscall.Kill(second, 0); err == nil {
				t.Error("a daemon was left behind")
			}
		})
	}
}

// The reader of the log went away, and the script that keeps the daemon running died
// of what it said next, so that nothing was there to start the daemon again.
func TestInitScriptOutlivesItsLogger(t *testing.T) {
	for shell := range shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			g := prepareGateway(t, "/dev/nonexistent", "")
			tools := filepath.Join(g.dir, "tools")
			if err := os.Mkdir(tools, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(tools, "logger"), "#!/bin/sh\nread -r line\n", 0o755)
			s := newInitScript(t, shell, g, "LOG=\nPATH="+tools+":$PATH\n")
			s.wants("start", 0, "is started")
			first := s.daemon()
			eventually(t, "lost lines", func() error {
				st, err := g.client.Status(t.Context())
				if err != nil || len(st.Warnings) == 0 || st.Warnings[0].Code != "log-lost" {
					return fmt.Errorf("%+v, %v", st.Warnings, err)
				}
				return nil
			})
			if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "another daemon", func() error {
				if pid, err := os.ReadFile(s.file("pid.daemon")); err != nil || string(bytes.TrimSpace(pid)) == fmt.Sprint(first) {
					return fmt.Errorf("%s, %v", pid, err)
				}
				return nil
			})
			eventually(t, "its socket", func() error { _, err := g.client.Status(t.Context()); return err })
			s.wants("stop", 0, "is stopped")
			s.wants("status", 3, "not running")
		})
	}
}

// A wrong configuration is told, and nothing is started: LSB status 6.
func TestInitScriptWithMistakes(t *testing.T) {
	g := prepareGateway(t, "/dev/nonexistent", "[modem]\nbuad = 1\n")
	s := newInitScript(t, "dash", g, "")
	s.wants("start", 6, "did you mean")
	s.wants("status", 3, "not running")
}

// Started by root, the daemon is not root: it owns its directories, and writes
// its log although it could not open it.
func TestInitScriptGivesUpRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	for _, without := range []string{"", "setpriv"} {
		t.Run("without "+without, func(t *testing.T) {
			t.Parallel()
			g := prepareGateway(t, "/dev/nonexistent", "")
			secretFile := filepath.Join(g.dir, "product-secret")
			var uid, gid int
			if _, err := fmt.Sscan(nobody.Uid+" "+nobody.Gid, &uid, &gid); err != nil {
				t.Fatal(err)
			}
			// The programs and the directories above must let it through.
			for _, dir := range []string{bin, g.dir} {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chown(secretFile, uid, gid); err != nil {
				t.Fatal(err)
			}
			defaults := "RUNUSER=nobody\n"
			if without != "" {
				if _, err := exec.LookPath("start-stop-daemon"); err != nil {
					t.Skip("start-stop-daemon is not installed")
				}
				defaults += without + "() { :; }\n"
			}
			s := newInitScript(t, "dash", g, defaults)
			s.wants("start", 0, "is started")
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon()))
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", uid); !strings.Contains(string(status), want) {
				t.Errorf("it does not run as nobody:\n%s", status)
			}
			s.wants("stop", 0, "is stopped")
			if log, err := os.ReadFile(s.file("log")); err != nil || !bytes.Contains(log, []byte(`"ready"`)) {
				t.Errorf("the log: %s, %v", log, err)
			}
		})
	}
}

// OpenWrt's procd is told how to run the daemon, unless the configuration would
// keep the device's identity in RAM.
func TestOpenWrtScript(t *testing.T) {
	g := prepareGateway(t, "/dev/nonexistent", "")
	procd := `for f in open_instance close_instance set_param; do eval "procd_$f() { echo $f \"\$@\"; }"; done
. ../../packaging/openwrt/airbridged.init && start_service`
	run := func() (string, error) {
		cmd := exec.Command("dash", "-c", procd)
		cmd.Env = append(os.Environ(), "PROG="+filepath.Join(bin, "airbridged"), "CONFIG="+g.config)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run()
	if err == nil || !strings.Contains(out, "state.dir is in RAM") || strings.Contains(out, "open_instance") {
		t.Fatalf("with %s: %v\n%s", g.dir, err, out)
	}
	lasting := "/opt/airbridged-test"
	write(t, filepath.Join(g.config+".d", "test.toml"), "[state]\ndir = \""+lasting+"\"\n[outbox]\ndir = \""+lasting+"/outbox\"\n", 0o644)
	want := fmt.Sprintf("open_instance\nset_param command %s --config %s\n", filepath.Join(bin, "airbridged"), g.config)
	if out, err = run(); err != nil || !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "close_instance\n") {
		t.Fatalf("%v\n%s", err, out)
	}
	write(t, filepath.Join(g.config+".d", "test.toml"), "[modem]\nbuad = 1\n", 0o644)
	if out, err = run(); err == nil || strings.Contains(out, "open_instance") || !strings.Contains(out, "did you mean") {
		t.Fatalf("%v\n%s", err, out)
	}
}
