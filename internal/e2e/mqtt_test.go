package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	updateTopic = "/" + productKey + "/" + imei + "/update"
	getTopic    = "/" + productKey + "/" + imei + "/get"
)

// mqttGateway is a gateway whose MQTT socket is open, and TCP where port is set.
func mqttGateway(t testing.TB, sim *simulator, extra string) (g *gateway, socket string) {
	t.Helper()
	g = prepareGateway(t, sim.device, "")
	socket = filepath.Join(g.dir, "mqtt.sock")
	write(t, filepath.Join(g.config+".d", "mqtt.toml"), fmt.Sprintf("[mqtt]\nsocket = %q\n%s", socket, extra), 0o644)
	g.start()
	return g, socket
}

// kill ends the daemon as a crash does.
func (g *gateway) kill() {
	_ = g.cmd.Process.Signal(syscall.SIGKILL)
	<-g.done
}

// mosquitto runs one of the clients to its end.
func mosquitto(t testing.TB, name, socket string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, append([]string{"--unix", socket}, args...)...)
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// arrived waits until the cloud has had every payload of a list, and returns all
// that came to a topic, in order.
func (s *simulator) arrived(topic string, payloads ...string) (got []string) {
	s.t.Helper()
	eventually(s.t, "the cloud", func() error {
		got = nil
		for _, m := range s.messages() {
			if m.Topic == topic {
				got = append(got, string(m.Payload))
			}
		}
		for _, p := range payloads {
			if !slices.Contains(got, p) {
				return fmt.Errorf("%q is not among %q", p, got)
			}
		}
		return nil
	})
	return got
}

// Mosquitto's own clients with every version of the protocol and every QoS, retain
// set as scripts set it: all of it arrives, each once.
func TestMosquittoClients(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g, socket := mqttGateway(t, sim, "")
	g.reaches("online", "")
	var want []string
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		for _, qos := range []string{"0", "1", "2"} {
			payload := version + " " + qos
			if out, code := mosquitto(t, "mosquitto_pub", socket, "-V", version, "-q", qos, "-r", "-t", updateTopic, "-m", payload); code != 0 {
				t.Errorf("%s: exit %d, %s", payload, code, out)
			}
			want = append(want, payload)
		}
		lines := exec.Command("mosquitto_pub", "--unix", socket, "-V", version, "-q", "1", "-t", updateTopic, "-l")
		lines.Stdin = strings.NewReader(version + " line 1\n" + version + " line 2\n")
		if out, err := lines.CombinedOutput(); err != nil {
			t.Errorf("%s -l: %v, %s", version, err, out)
		}
		want = append(want, version+" line 1", version+" line 2")
	}
	if got := sim.arrived(updateTopic, want...); len(got) != len(want) {
		t.Errorf("%d messages arrived: %q", len(got), got)
	}

	// What can never go ends a script of 3.1.1 with 7, and is never a success.
	if out, code := mosquitto(t, "mosquitto_pub", socket, "-V", "mqttv311", "-q", "1", "-t", "$airbridge/x", "-m", "x"); code != 7 {
		t.Errorf("exit %d, %s", code, out)
	}
	if out, _ := mosquitto(t, "mosquitto_pub", socket, "-V", "mqttv5", "-q", "1", "-t", updateTopic, "-m", strings.Repeat("x", 20_000)); !strings.Contains(out, "too large") {
		t.Errorf("a message that is too large: %q", out)
	}
}

// What the cloud sends reaches mosquitto_sub, which comes back by itself when the
// daemon is killed, and when it is stopped in good order.
func TestMosquittoSubComesBack(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g, socket := mqttGateway(t, sim, "")
	for _, version := range []string{"mqttv311", "mqttv5"} {
		sub := startPath(t, lookPath(t, "mosquitto_sub"), "--unix", socket, "-V", version, "-q", "1", "-t", getTopic, "-v")
		for i, end := range []func(){func() {}, g.kill, func() { g.stop() }} {
			end()
			if i > 0 {
				g.start()
			}
			payload := fmt.Sprint(version, " ", i)
			eventually(t, "mosquitto_sub", func() error {
				sim.push(getTopic, []byte(payload))
				if !strings.Contains(sub.out.String(), getTopic+" "+payload) {
					return fmt.Errorf("%s has not come", payload)
				}
				return nil
			})
		}
		sub.stop()
	}
}

func lookPath(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// A bridge of mosquitto, with 3.1.1 and with 5: what its programs publish, retained
// and with QoS 2 too, reaches the cloud; what the cloud sends reaches them; and it
// finds its way again when the daemon is killed, with what was published meanwhile.
func TestMosquittoBridge(t *testing.T) {
	broker := "/usr/sbin/mosquitto"
	if _, err := os.Stat(broker); err != nil {
		t.Skip(err)
	}
	for _, version := range []string{"mqttv311", "mqttv50"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, "--personality", "air780ep")
			tcp, port := "127.0.0.1:"+freePort(t), freePort(t)
			g, _ := mqttGateway(t, sim, fmt.Sprintf("listen = %q\n", tcp))
			conf := filepath.Join(g.dir, "mosquitto.conf")
			write(t, conf, fmt.Sprintf(`listener %s 127.0.0.1
allow_anonymous true
connection gateway
address %s
bridge_protocol_version %s
restart_timeout 1
topic %s out 1
topic %s in 1
`, port, tcp, version, updateTopic, getTopic), 0o644)
			startPath(t, broker, "-c", conf)
			pub := func(payload string) {
				t.Helper()
				eventually(t, "mosquitto", func() error {
					out, err := exec.Command("mosquitto_pub", "-p", port, "-q", "2", "-r", "-t", updateTopic, "-m", payload).CombinedOutput()
					if err != nil {
						return fmt.Errorf("%w: %s", err, out)
					}
					return nil
				})
			}
			pub("before")
			sub := startPath(t, lookPath(t, "mosquitto_sub"), "-p", port, "-q", "1", "-t", getTopic)
			sim.arrived(updateTopic, "before")
			eventually(t, "the bridge", func() error {
				sim.push(getTopic, []byte("down"))
				if !strings.Contains(sub.out.String(), "down") {
					return fmt.Errorf("nothing has come down")
				}
				return nil
			})
			g.kill()
			pub("meanwhile")
			g.start()
			pub("after")
			sim.arrived(updateTopic, "before", "meanwhile", "after")
			for _, p := range sim.messages() {
				if strings.HasPrefix(p.Topic, "$SYS") {
					t.Errorf("%s reached the cloud", p.Topic)
				}
			}
		})
	}
}

// The outbox is full: nothing is refused and nothing is answered; when there is
// room everything is accepted, and arrives once. paho's client notices nothing.
func TestPahoIsHeldWhileTheOutboxIsFull(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	sim.do("outage on")
	g, socket := mqttGateway(t, sim, "[outbox]\nmax_messages = 3\n")
	c := paho.NewClient(paho.NewClientOptions().AddBroker("unix://" + socket).SetClientID("held").SetKeepAlive(2 * time.Second).SetOrderMatters(true))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer c.Disconnect(0)
	var tokens []paho.Token
	var want []string
	for i := range 10 {
		payload := fmt.Sprint("held ", i)
		tokens, want = append(tokens, c.Publish(updateTopic, 1, false, payload)), append(want, payload)
	}
	eventually(t, "the status", func() error {
		st := g.status()
		if st.MQTT == nil || st.MQTT.Clients != 1 || st.MQTT.Held != 7 || st.Outbox.Messages != 3 {
			return fmt.Errorf("%+v, %+v", st.MQTT, st.Outbox)
		}
		return nil
	})
	time.Sleep(5 * time.Second) // more than two keep-alives
	if !c.IsConnectionOpen() {
		t.Error("the connection was lost while messages were held")
	}
	for i, token := range tokens[3:] {
		if token.WaitTimeout(0) {
			t.Errorf("message %d was answered although there was no room", i+3)
		}
	}
	sim.do("outage off")
	for _, token := range tokens {
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	if got := sim.arrived(updateTopic, want...); !slices.Equal(got, want) {
		t.Errorf("%q arrived, want %q", got, want)
	}
}

// A client is killed: its will reaches the cloud. The daemon is killed under load:
// nothing that was acknowledged is lost.
func TestWillAndKill(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g, socket := mqttGateway(t, sim, "")
	sub := startPath(t, lookPath(t, "mosquitto_sub"), "--unix", socket, "-t", getTopic, "--will-topic", updateTopic, "--will-payload", "I died", "--will-qos", "1")
	eventually(t, "the client", func() error {
		if st := g.status(); st.MQTT == nil || st.MQTT.Clients != 1 {
			return fmt.Errorf("%+v", st.MQTT)
		}
		return nil
	})
	_ = sub.cmd.Process.Signal(syscall.SIGKILL)
	sim.arrived(updateTopic, "I died")

	var acknowledged []string
	for round := range 3 {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("unix://" + socket).SetClientID("loader").SetAutoReconnect(false))
		eventually(t, "the socket", func() error {
			token := c.Connect()
			token.WaitTimeout(patience)
			return token.Error()
		})
		lost := make(chan struct{})
		go func() {
			defer close(lost)
			for i := 0; ; i++ {
				payload := fmt.Sprint(round, "/", i)
				token := c.Publish(updateTopic, byte(1+i%2), false, payload)
				if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
					return
				}
				if !c.IsConnectionOpen() {
					return // paho ends a token well whose connection is gone
				}
				acknowledged = append(acknowledged, payload)
			}
		}()
		time.Sleep(300 * time.Millisecond)
		g.kill()
		<-lost
		c.Disconnect(0)
		g.start()
	}
	if len(acknowledged) < 10 {
		t.Errorf("only %d messages were acknowledged", len(acknowledged))
	}
	sim.arrived(updateTopic, acknowledged...)
}
