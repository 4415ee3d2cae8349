package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"airbridged/client"
)

// With --broker the simulated cloud relays to a real one: a real mosquitto
// subscriber sees what a program published through the module, and what a real
// publisher sends comes down to a program.
func TestRealBrokerSeesTheMessages(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"mosquitto", "mosquitto_sub", "mosquitto_pub"} {
		if _, err := exec.LookPath(lookup(tool)); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	port := freePort(t)
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	write(t, conf, fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\npersistence false\n", port), 0o644)
	broker := startPath(t, lookup("mosquitto"), "-v", "-c", conf)
	broker.out.await(t, "running")

	sub := startPath(t, lookup("mosquitto_sub"), "-h", "127.0.0.1", "-p", port, "-q", "1", "-t", update, "-F", "%t %p", "-C", "2")
	broker.out.await(t, "SUBACK")
	sim := newSimulator(t, "--personality", "air780ep", "--broker", "tcp://127.0.0.1:"+port)
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	down := subscribe(t, t.Context(), g, get)
	for _, payload := range []string{"21.5", `{"t":"quoted \"text\""}`} {
		if _, err := g.client.Publish(t.Context(), update, []byte(payload), client.PublishOptions{Wait: patience}); err != nil {
			t.Fatal(err)
		}
	}
	sub.exit()
	want := update + " 21.5\n" + update + ` {"t":"quoted \"text\""}` + "\n"
	if got := sub.out.String(); got != want {
		t.Fatalf("the real subscriber printed %q, want %q", got, want)
	}
	pub := exec.Command(lookup("mosquitto_pub"), "-h", "127.0.0.1", "-p", port, "-q", "1", "-t", get, "-m", "from a real broker")
	if out, err := pub.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
	if m := nextMessage(t, t.Context(), down); string(m.Payload) != "from a real broker" {
		t.Fatalf("received %q", m.Payload)
	}
}

// lookup finds a program that Debian may have put where only root looks.
func lookup(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return "/usr/sbin/" + name
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	return port
}
