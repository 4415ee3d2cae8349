package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"airbridged/client"
)

// ctl runs airbridgectl on the gateway's socket.
func (g *gateway) ctl(args ...string) (code int, stdout, stderr string) {
	g.t.Helper()
	return runCtl(g.t, exec.Command(filepath.Join(bin, "airbridgectl"), append([]string{"--socket", g.socket}, args...)...))
}

func runCtl(t testing.TB, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// wants checks what airbridgectl did.
func (g *gateway) wants(wantCode int, wantOut, wantErr string, args ...string) string {
	g.t.Helper()
	code, out, errs := g.ctl(args...)
	if code != wantCode || !strings.Contains(out, wantOut) || !strings.Contains(errs, wantErr) {
		g.t.Errorf("airbridgectl %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// acked publishes a message and waits for its PUBACK.
func (g *gateway) acked(payload string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	if m, err := g.client.Publish(ctx, update, []byte(payload), client.PublishOptions{Wait: patience}); err != nil || m.State != client.Acked {
		g.t.Errorf("publish: %s, %v", m.State, err)
	}
}

// An operator asks the module, forces something on it, and reads afterwards what
// went over the line; the session stands all of it, and nobody else may.
func TestOperatorAsksTheModule(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	g.wants(0, "+CSQ: ", "", "at", "AT+CSQ")
	g.wants(0, imei+"\nOK\n", "", "at", "AT+CGSN")
	var reply struct {
		Lines []string
		OK    bool
	}
	if out := g.wants(0, `"final":"OK"`, "", "at", "--json", "AT+MQTTSTATU"); json.Unmarshal([]byte(out), &reply) != nil || !reply.OK || len(reply.Lines) != 1 {
		t.Errorf("%s", out)
	}
	g.wants(1, "ERROR", "", "at", "--force", "AT+FROB")
	g.reaches("online", "")
	g.wants(0, update+"\n", "", "topic", "update")
	g.wants(0, "device.product_key = \""+productKey+"\"", "", "config")
	g.wants(0, "acked", "drops it without a word", "pub", "--wait", "1m", "/"+productKey+"/another/update", "x")
	before := len(sim.commands(t))
	g.wants(1, "", "hint:", "at", "AT+CFUN=1,1")
	g.wants(1, "", "take what follows for data", "at", "--force", "AT+CIPSEND=5")
	g.wants(1, "", "0x0D", "at", "--force", "AT+CSQ\rAT+RESET")
	for _, c := range sim.commands(t)[before:] {
		if strings.Contains(c, "CFUN") || strings.Contains(c, "CIPSEND") || strings.Contains(c, "RESET") {
			t.Errorf("the module was given %s", c)
		}
	}

	// What is forced may break the session: it begins anew, and messages go on.
	w := g.watch()
	w.until("online", "")
	g.wants(0, "OK\n", "begins anew", "at", "--force", `AT+MCONFIG="a","b","forcedpassword"`)
	w.until("probing", "")
	w.until("online", "")
	g.acked("after a forced command")

	trace := g.wants(0, "> AT+MCONFIG=[1 bytes],[1 bytes],[14 bytes]", "", "trace")
	for _, want := range []string{"> AT+CSQ\n", "< +CSQ: ", "- online -> probing\n", "- connecting -> online", "< PUBACK"} {
		if !strings.Contains(trace, want) {
			t.Errorf("%q is not in the trace", want)
		}
	}
	if all := trace + g.out.String(); strings.Contains(all, "forcedpassword") || strings.Contains(trace, update) {
		t.Error("the trace or the log quotes what was forced")
	}

	// The traffic before a rung that cuts deep is in a file.
	sim.do("pdp-deact plain")
	w.until("recovering", "bearer-failed")
	w.until("online", "")
	dumps, err := filepath.Glob(filepath.Join(g.dir, "state", "traces", "*-bearer-*.ndjson"))
	if err != nil || len(dumps) != 1 {
		t.Fatalf("dumps: %v, %v", dumps, err)
	}
	if out := g.wants(0, "< +PDP DEACT\n", "", "trace", dumps[0]); !strings.HasSuffix(out, "- online -> recovering, cause bearer-failed\n") {
		t.Errorf("the dump ends with %q", out[max(0, len(out)-200):])
	}
	if os.Geteuid() == 0 {
		g.notForNobody(t, "at", "AT+CSQ")
		g.notForNobody(t, "reprovision", "--yes")
	}
	sim.do("unplug 1h")
	w.until("recovering", "port-missing")
	eventually(t, "exit 75 without a module", func() error {
		if code, _, errs := g.ctl("at", "AT"); code != 75 {
			return fmt.Errorf("exit %d: %s", code, errs)
		}
		return nil
	})
}

// notForNobody runs airbridgectl as a user who may open the socket and no more.
func (g *gateway) notForNobody(t *testing.T, args ...string) {
	t.Helper()
	for _, path := range []string{g.dir, g.socket} {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(copyOf(t, "airbridgectl"), "airbridgectl"), append([]string{"--socket", g.socket}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if code, out, errs := runCtl(t, cmd); code != 77 || out != "" || !strings.Contains(errs, "65534") {
		t.Errorf("%s as nobody: exit %d %q %q", args[0], code, out, errs)
	}
}

// The device was made anew in the console. Root registers it once more; the old
// secret stays beside the new one.
func TestOperatorReprovisions(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("registering once more is for root")
	}
	sim := newSimulator(t)
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	state := filepath.Join(g.dir, "state")
	old, err := os.ReadFile(filepath.Join(state, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Given out before and still in use: refused, and nothing is worse than it was.
	g.wants(1, "", "6289", "reprovision", "--yes")
	g.reaches("online", "")
	w := g.watch()
	w.until("online", "")
	sim.do("rotate-secret")
	sim.do("recreate")
	w.until("recovering", "device-secret-refused")
	if hint := g.status().Hint; !strings.Contains(hint, filepath.Join(state, "credentials.json")) || !strings.Contains(hint, "reprovision --yes") {
		t.Errorf("the hint does not say where it lies and what to do: %s", hint)
	}
	eventually(t, "a new secret", func() error {
		code, out, errs := g.ctl("reprovision", "--yes")
		if code == 75 {
			return errors.New(errs) // the session had no moment
		}
		if code != 0 || out != "registered\n" {
			t.Fatalf("exit %d %q %q", code, out, errs)
		}
		return nil
	})
	w.until("online", "")
	g.acked("with the new secret")
	prev, err := os.ReadFile(filepath.Join(state, "credentials.prev.json"))
	if err != nil || string(prev) != string(old) {
		t.Errorf("the generation before is not the old secret: %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(state, "credentials.json")); err != nil || string(now) == string(old) {
		t.Errorf("the secret is the old one: %v", err)
	}
}
