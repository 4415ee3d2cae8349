package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"airbridged/client"
)

// waits is how many messages wait for a subscription.
func (g *gateway) waits(name string) (int, error) {
	c := client.New(g.socket)
	defer c.Close()
	list, err := c.Subscriptions(g.t.Context())
	if err != nil {
		return 0, err
	}
	for _, s := range list {
		if s.Name == name {
			return s.Waiting, nil
		}
	}
	return 0, errors.New("there is no such subscription")
}

// keeps pushes messages until the cloud has the subscription, and then so many that are
// all kept; it returns what is to come, all of it.
func (g *gateway) keeps(sim *simulator, name string, payloads ...string) {
	g.t.Helper()
	g.reaches("online", "")
	begun, err := g.waits(name)
	if err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, "the subscription", func() error {
		sim.push(getTopic, []byte("probe"))
		if n, err := g.waits(name); err != nil || n == begun {
			return fmt.Errorf("%d messages wait (%v)", n, err)
		}
		return nil
	})
	before := g.quiet()
	for _, p := range payloads {
		sim.push(getTopic, []byte(p))
	}
	g.down(before + uint64(len(payloads)))
}

// down waits until the daemon has had so many messages of the cloud since its start.
func (g *gateway) down(n uint64) {
	g.t.Helper()
	eventually(g.t, "the module", func() error {
		if got := g.status().Counters.Downlink; got < n {
			return fmt.Errorf("%d of %d messages came down", got, n)
		}
		return nil
	})
}

// quiet waits until nothing comes down any more, and returns how many messages did since
// the start of the daemon.
func (g *gateway) quiet() (n uint64) {
	g.t.Helper()
	eventually(g.t, "the module", func() error {
		before := n
		time.Sleep(200 * time.Millisecond)
		if n = g.status().Counters.Downlink; n != before || n == 0 {
			return errors.New("messages still come down")
		}
		return nil
	})
	return n
}

// withoutProbes leaves out what keeps has pushed on its way.
func withoutProbes(list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "probe" || s == "" })
}

// mosquitto_sub with a session is away while the daemon is killed, and stopped. What the
// cloud sends meanwhile is all there when it comes back, in its order, and comes once.
func TestMosquittoSessionOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g, socket := mqttGateway(t, sim, "")
	for _, version := range []string{"mqttv311", "mqttv5"} {
		args := []string{"-V", version, "-c", "-i", version, "-q", "1", "-t", getTopic}
		if version == "mqttv5" {
			args = append(args, "-x", "3600")
		}
		if out, code := mosquitto(t, "mosquitto_sub", socket, append(args, "-E")...); code != 0 {
			t.Fatalf("%s: exit %d, %s", version, code, out)
		}
		g.keeps(sim, version, "1", "2", "3")
		g.kill()
		g.start()
		g.keeps(sim, version, "4")
		g.stop()
		g.start()
		g.keeps(sim, version, "5", "6")
		var got []string
		eventually(t, "mosquitto_sub", func() error {
			out, _ := mosquitto(t, "mosquitto_sub", socket, append(args, "-W", "1")...)
			got = append(got, withoutProbes(strings.Split(out, "\n"))...)
			if n, err := g.waits(version); err != nil || n > 0 || len(got) < 6 {
				return fmt.Errorf("%d messages wait (%v), %q came", n, err, got)
			}
			return nil
		})
		got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "Timed out") })
		if want := []string{"1", "2", "3", "4", "5", "6"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q came, want %q", version, got, want)
		}
		if out, code := mosquitto(t, "mosquitto_sub", socket, "-V", version, "-i", version, "-q", "1", "-t", getTopic, "-E"); code != 0 { // a clean session ends it
			t.Errorf("%s: exit %d, %s", version, code, out)
		}
	}
}

// paho's client is connected with a session, and handles messages one after the other,
// while the daemon is killed twice under it. It loses none.
func TestPahoSessionIsKilledUnder(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g, socket := mqttGateway(t, sim, "")
	var mu sync.Mutex
	var got []string
	handle := func(_ paho.Client, m paho.Message) {
		mu.Lock()
		defer mu.Unlock()
		if p := string(m.Payload()); !slices.Contains(got, p) {
			got = append(got, p)
		}
	}
	o := paho.NewClientOptions().AddBroker("unix://" + socket).SetClientID("pump").SetCleanSession(false).SetOrderMatters(true)
	o.SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond).SetMaxReconnectInterval(100 * time.Millisecond).SetDefaultPublishHandler(handle)
	c := paho.NewClient(o)
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer c.Disconnect(0)
	if token := c.Subscribe(getTopic, 1, nil); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	g.reaches("online", "")
	hear := func(first, n int) {
		t.Helper()
		eventually(t, "the first", func() error { // until the cloud has the subscription
			sim.push(getTopic, []byte(fmt.Sprint(first)))
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(got, fmt.Sprint(first)) {
				return errors.New("it has not come")
			}
			return nil
		})
		before := g.quiet()
		for i := first + 1; i < first+n; i++ {
			sim.push(getTopic, []byte(fmt.Sprint(i)))
		}
		g.down(before + uint64(n) - 1)
	}
	for round := range 2 {
		hear(round*20, 20)
		g.kill()
		g.start()
		g.reaches("online", "")
	}
	eventually(t, "paho", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(got) != 40 {
			return fmt.Errorf("%d of 40 came", len(got))
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	for i, p := range got {
		if p != fmt.Sprint(i) {
			t.Fatalf("%q", got)
		}
	}
}
