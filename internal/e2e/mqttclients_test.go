package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clientsVariable names a directory with node_modules of mqtt.js; make mqtt-clients
// sets it. Without it the tests that need more than CI installs are left out.
const clientsVariable = "MQTT_CLIENTS"

// acknowledgedBy are the payloads that a client has said to be acknowledged.
func acknowledgedBy(p *program) (list []string) {
	for line := range strings.Lines(p.out.String()) {
		if payload, ok := strings.CutPrefix(strings.TrimSpace(line), "acknowledged "); ok && payload != "?" {
			list = append(list, payload)
		}
	}
	return list
}

// lives has a client of another language publish and listen, while the daemon is
// killed and started, and stopped and started: it comes back by itself each time,
// hears what the cloud sends, and nothing that it saw acknowledged is lost.
func lives(t *testing.T, g *gateway, sim *simulator, p *program) {
	t.Helper()
	hears := func(payload string) {
		t.Helper()
		eventually(t, "the client", func() error {
			sim.push(getTopic, []byte(payload))
			if !strings.Contains(p.out.String(), "down "+payload) {
				return fmt.Errorf("%q has not come down", payload)
			}
			return nil
		})
	}
	more := func() {
		t.Helper()
		before := len(acknowledgedBy(p))
		eventually(t, "the client", func() error {
			if n := len(acknowledgedBy(p)); n < before+20 {
				return fmt.Errorf("%d more messages are acknowledged", n-before)
			}
			return nil
		})
	}
	hears("first")
	more()
	g.kill()
	g.start()
	hears("after a kill")
	more()
	g.stop()
	g.start()
	hears("after a stop")
	more()
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
	acknowledged := acknowledgedBy(p)
	got := sim.arrived(updateTopic, acknowledged...)
	t.Logf("%d acknowledged, %d arrived, %d of them twice or unacknowledged", len(acknowledged), len(got), len(got)-len(acknowledged))
}

// paho for Python 1.6.1, Debian 12's, which has TCP only.
func TestPahoPython(t *testing.T) {
	if os.Getenv(clientsVariable) == "" {
		t.Skip("make mqtt-clients runs it")
	}
	for _, version := range []string{"3.1.1", "5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, "--personality", "air780ep")
			port := freePort(t)
			g, _ := mqttGateway(t, sim, fmt.Sprintf("listen = \"127.0.0.1:%s\"\n", port))
			lives(t, g, sim, startPath(t, "/usr/bin/python3", "testdata/mqtt/client.py", "127.0.0.1", port, version, updateTopic, getTopic))
		})
	}
}

// mqtt.js 5 on the Unix socket.
func TestMQTTJS(t *testing.T) {
	modules := os.Getenv(clientsVariable)
	if modules == "" {
		t.Skip("make mqtt-clients runs it")
	}
	for _, version := range []string{"3.1.1", "5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, "--personality", "air780ep")
			g, socket := mqttGateway(t, sim, "")
			script := filepath.Join(modules, "client-"+version+".cjs")
			text, err := os.ReadFile("testdata/mqtt/client.cjs")
			if err != nil {
				t.Fatal(err)
			}
			write(t, script, string(text), 0o644)
			t.Cleanup(func() { os.Remove(script) })
			lives(t, g, sim, startPath(t, lookPath(t, "node"), script, "mqtt+unix://"+socket, version, updateTopic, getTopic))
		})
	}
}

// A bridge that is given a topic which can never go comes again and again, every
// second as it is set; the daemon slows it to one try in about eight, says which
// program it is, and serves others at once.
func TestABridgeThatRepeats(t *testing.T) {
	if os.Getenv(clientsVariable) == "" {
		t.Skip("make mqtt-clients runs it")
	}
	sim := newSimulator(t, "--personality", "air780ep")
	tcp, port := "127.0.0.1:"+freePort(t), freePort(t)
	g, socket := mqttGateway(t, sim, fmt.Sprintf("listen = %q\n", tcp))
	conf := filepath.Join(g.dir, "mosquitto.conf")
	write(t, conf, fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nconnection gw\naddress %s\nrestart_timeout 1\ntopic # out 1 \"\" $airbridge/\n", port, tcp), 0o644)
	startPath(t, "/usr/sbin/mosquitto", "-c", conf)
	pub := startPath(t, lookPath(t, "mosquitto_pub"), "-p", port, "-q", "1", "-t", "x", "-m", "poison", "--repeat", "1000", "--repeat-delay", "1")
	_ = pub
	eventually(t, "the warning", func() error {
		for _, w := range g.status().Warnings {
			if w.Code == "program-repeats" && strings.Contains(w.Detail, "$airbridge/x") {
				return nil
			}
		}
		return fmt.Errorf("%+v", g.status().Warnings)
	})
	time.Sleep(20 * time.Second) // until the delay has grown
	before := g.connects()
	time.Sleep(24 * time.Second)
	if n := g.connects() - before; n > 4 {
		t.Errorf("%d connections in 24 s", n)
	}
	begin := time.Now()
	if out, code := mosquitto(t, "mosquitto_pub", socket, "-q", "1", "-t", updateTopic, "-m", "other"); code != 0 || time.Since(begin) > 2*time.Second {
		t.Errorf("another client: exit %d after %v, %s", code, time.Since(begin), out)
	}
	if got := sim.arrived(updateTopic, "other"); !slices.Equal(got, []string{"other"}) {
		t.Errorf("%q arrived", got)
	}
}

// connects is how many CONNECTs were accepted.
func (g *gateway) connects() (n int) {
	for line := range strings.Lines(g.metricsPage()) {
		_, _ = fmt.Sscanf(line, `airbridged_mqtt_connects_total{result="accepted"} %d`, &n)
	}
	return n
}
