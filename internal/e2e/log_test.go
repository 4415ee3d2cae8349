package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"airbridged/client"
)

// withLog runs a gateway whose log goes to a pipe, and returns the pipe's end.
func withLog(t *testing.T, shell string) (g *gateway, sim *simulator, log *os.File) {
	t.Helper()
	sim = newSimulator(t)
	g = prepareGateway(t, sim.device, "")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil { // soon full
		t.Fatal(err)
	}
	g.program = &program{
		t: t, name: "airbridged", out: newOutput(), done: make(chan struct{}),
		cmd: exec.Command("sh", "-c", shell+`exec "$0" --config "$1"`, filepath.Join(bin, "airbridged"), g.config),
	}
	g.cmd.Stderr = w
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		defer close(g.done)
		g.err = g.cmd.Wait()
	}()
	t.Cleanup(func() {
		r.Close()
		g.stop()
	})
	return g, sim, r
}

// goesOn is what has to work whatever becomes of the log, and its end.
func (g *gateway) goesOn(sim *simulator) {
	g.t.Helper()
	g.reaches("online", "")
	for n := range 3 {
		m, err := g.client.Publish(g.t.Context(), update, fmt.Appendf(nil, "message %d", n), client.PublishOptions{Wait: patience})
		if err != nil || m.State != "acked" {
			g.t.Fatalf("%+v, %v", m, err)
		}
	}
	if got := len(sim.messages()); got != 3 {
		g.t.Errorf("the cloud has %d messages, want 3", got)
	}
	g.stop()
	if code := g.exit(); code != 0 {
		g.t.Errorf("exit status %d", code)
	}
}

// told waits for the warning that the log is lost.
func (g *gateway) told(detail string) {
	g.t.Helper()
	eventually(g.t, "the warning", func() error {
		st, err := g.client.Status(g.t.Context())
		if err != nil || len(st.Warnings) != 1 || st.Warnings[0].Code != "log-lost" || !strings.Contains(st.Warnings[0].Detail, detail) {
			return fmt.Errorf("%+v, %v", st.Warnings, err)
		}
		return nil
	})
}

// The daemon died of SIGPIPE, with 141, when the reader of its log went away; where its
// parent ignored the signal, too.
func TestTheLogsReaderGoesAway(t *testing.T) {
	for name, shell := range map[string]string{"by default": "", "ignored by the parent": "trap '' PIPE; "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, sim, log := withLog(t, shell)
			eventually(t, "the socket", func() error { _, err := g.client.Status(t.Context()); return err })
			log.Close()
			g.told("broken pipe")
			g.goesOn(sim)
		})
	}
}

// A reader that stops reading held up every goroutine that had something to say, and
// the daemon with them.
func TestTheLogsReaderStopsReading(t *testing.T) {
	t.Parallel()
	g, sim, _ := withLog(t, "")
	eventually(t, "the socket", func() error { _, err := g.client.Status(t.Context()); return err })
	g.told("nobody has read the log for")
	g.goesOn(sim)
}
