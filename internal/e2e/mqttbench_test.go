package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"airbridged/internal/mqttd/packet"
)

// wireClient is as little of a client as there can be, so that what is measured is
// the other side.
type wireClient struct {
	nc net.Conn
	in *packet.Reader
}

func dialWire(b testing.TB, network, address, id string) *wireClient {
	b.Helper()
	nc, err := net.Dial(network, address)
	if err != nil {
		b.Fatal(err)
	}
	c := &wireClient{nc, packet.NewReader(nc, 1<<20)}
	c.send(b, &packet.Connect{Level: 4, CleanStart: true, ClientID: id})
	if a, ok := c.next(b).(*packet.Connack); !ok || a.Code != 0 {
		b.Fatalf("CONNACK %+v", a)
	}
	return c
}

func (c *wireClient) send(b testing.TB, p packet.Packet) {
	if _, err := c.nc.Write(packet.Append(nil, p, 4)); err != nil {
		b.Error(err)
	}
}

func (c *wireClient) next(b testing.TB) packet.Packet {
	first, body, err := c.in.Next()
	if err != nil {
		b.Error(err)
		return nil
	}
	p, err := packet.Decode(first, body, 4)
	if err != nil {
		b.Error(err)
	}
	return p
}

// publishes has n programs publish 128 bytes with QoS 1, each the next one when the
// last is acknowledged, for a time, and returns how many were a second.
func publishes(b testing.TB, network, address, topic string, n int, d time.Duration) float64 {
	b.Helper()
	var all sync.WaitGroup
	var done atomic.Int64
	payload := make([]byte, 128)
	for i := range payload {
		payload[i] = 'x'
	}
	begin := time.Now()
	for i := range n {
		c := dialWire(b, network, address, fmt.Sprint("bench", i))
		all.Go(func() {
			defer c.nc.Close()
			for id := uint16(1); time.Since(begin) < d; id = id%65535 + 1 {
				c.send(b, &packet.Publish{QoS: 1, ID: id, Topic: topic, Payload: payload})
				if a, ok := c.next(b).(*packet.Ack); !ok || a.ID != id {
					b.Errorf("%+v", a)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds()
}

// quietGateway is one whose module never answers, so that only the local side works.
func quietGateway(b testing.TB) (g *gateway, socket string) {
	b.Helper()
	g = prepareGateway(b, filepath.Join(b.TempDir(), "no-modem"), "[log]\nlevel = \"info\"\n")
	socket = filepath.Join(g.dir, "mqtt.sock")
	write(b, filepath.Join(g.config+".d", "mqtt.toml"), fmt.Sprintf("[mqtt]\nsocket = %q\n[outbox]\nmax_bytes = \"1GiB\"\nmax_messages = 10000000\n", socket), 0o644)
	g.start()
	return g, socket
}

// BenchmarkMQTTDurable: QoS 1 publishes a second, on disk at the PUBACK, beside
// mosquitto at its nearest to that: a queueing subscriber away, autosave_on_changes
// with interval 1. Same disk, same run, each in turn.
func BenchmarkMQTTDurable(b *testing.B) {
	const each = 5 * time.Second
	for _, n := range []int{1, 16, 64} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				_, socket := quietGateway(b)
				ours := publishes(b, "unix", socket, updateTopic, n, each)
				theirs := publishes(b, "tcp", durableMosquitto(b), updateTopic, n, each)
				b.ReportMetric(ours, "publishes/s")
				b.ReportMetric(theirs, "mosquitto/s")
				b.ReportMetric(ours/theirs, "times")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func durableMosquitto(b testing.TB) (address string) {
	b.Helper()
	dir, port := b.TempDir(), freePort(b)
	conf := filepath.Join(dir, "mosquitto.conf")
	write(b, conf, fmt.Sprintf(`listener %s 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location %s/
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
`, port, dir), 0o644)
	startPath(b, "/usr/sbin/mosquitto", "-c", conf)
	address = "127.0.0.1:" + port
	eventually(b, "mosquitto", func() error {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			nc.Close()
		}
		return err
	})
	nc, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	c := &wireClient{nc, packet.NewReader(nc, 1<<20)}
	c.send(b, &packet.Connect{Level: 4, ClientID: "away"})
	c.next(b)
	c.send(b, packet.NewSubscribe(4, 1, nil, packet.Subscription{Filter: "#", QoS: 1}))
	c.next(b)
	nc.Close()
	return address
}

// BenchmarkMQTTClients: what 1,000 clients that are connected and subscribed cost in
// memory, each; at most 40 KiB.
func BenchmarkMQTTClients(b *testing.B) {
	for b.Loop() {
		g, socket := quietGateway(b)
		before := residentKiB(b, g.cmd.Process.Pid)
		for i := range 1000 {
			c := dialWire(b, "unix", socket, fmt.Sprint("c", i))
			defer c.nc.Close()
			c.send(b, packet.NewSubscribe(4, 1, nil, packet.Subscription{Filter: getTopic, QoS: 1}))
			c.next(b)
		}
		time.Sleep(time.Second)
		each := float64(residentKiB(b, g.cmd.Process.Pid)-before) / 1000
		b.ReportMetric(each, "KiB/client")
		if each > 40 {
			b.Errorf("%.1f KiB for each client, the bound is 40", each)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func residentKiB(b testing.TB, pid int) int {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// BenchmarkMQTTFanOut: the time from the cloud's push to the last byte at 100
// subscribers of one topic, one of them stopped, at the 99th percentile of all
// deliveries.
func BenchmarkMQTTFanOut(b *testing.B) {
	for b.Loop() {
		sim := newSimulator(b, "--personality", "air780ep")
		g, socket := mqttGateway(b, sim, "")
		g.reaches("online", "")
		const subscribers, messages = 100, 200
		var all sync.WaitGroup
		var mu sync.Mutex
		var took []time.Duration
		sent := make([]atomic.Int64, messages)
		for i := range subscribers + 1 {
			c := dialWire(b, "unix", socket, fmt.Sprint("s", i))
			c.send(b, packet.NewSubscribe(4, 1, nil, packet.Subscription{Filter: getTopic}))
			c.next(b)
			if i == subscribers {
				defer c.nc.Close() // it reads nothing
				break
			}
			all.Go(func() {
				defer c.nc.Close()
				for range messages {
					p, ok := c.next(b).(*packet.Publish)
					if !ok {
						return
					}
					n, _ := strconv.Atoi(string(p.Payload))
					d := time.Since(time.Unix(0, sent[n].Load()))
					mu.Lock()
					took = append(took, d)
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Second) // until the cloud has the filter
		for n := range messages {
			sent[n].Store(time.Now().UnixNano())
			sim.push(getTopic, []byte(strconv.Itoa(n)))
			time.Sleep(5 * time.Millisecond)
		}
		all.Wait()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	}
	b.ReportMetric(0, "ns/op")
}
