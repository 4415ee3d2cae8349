package e2e

import (
	"bytes"
	"strings"
	"testing"

	"airbridged/client"
)

// On a terminal whose speed is real, the daemon raises the line to work_baud; the
// next daemon finds the module there at once; and after a restart, which puts the
// module back to its own speed, it is found and raised again.
func TestWorkBaud(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780e", "--baud", "115200")
	g := newGateway(t, sim.device, "[modem]\nwork_baud = 921600\n[cloud.timeouts]\ncommand = \"2s\"\n")
	raised := func() (n int) {
		for _, command := range sim.commands(t) {
			if strings.HasPrefix(command, "AT+IPR=921600") {
				n++
			}
		}
		return n
	}
	carries := func(text string, want int) {
		t.Helper()
		payload := append(bytes.Repeat([]byte("x"), 1000), text...)
		if m, err := g.client.Publish(t.Context(), update, payload, client.PublishOptions{Wait: patience}); err != nil || m.State != client.Acked {
			t.Fatalf("%s: %+v, %v", text, m, err)
		}
		if n := raised(); n != want {
			t.Errorf("%s: raised %d times, want %d", text, n, want)
		}
	}
	carries("first", 1)
	g.stop()
	g.start()
	carries("found at 921600", 1)
	sim.do("reboot")
	carries("found at 115200", 2)
	sim.do("garble-above 460800 prob=0.03")
	sim.do("reboot")
	carries("falls back", 3)
	g.out.await(t, `"code":"work-baud-failed"`)
}
