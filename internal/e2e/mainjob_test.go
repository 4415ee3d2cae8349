package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"airbridged/client"
)

const (
	update = "/" + productKey + "/" + imei + "/update"
	get    = "/" + productKey + "/" + imei + "/get"
)

// The whole main job, for every module and both ways to log in: from power-on
// through every state to an acknowledged message and a received one.
func TestMainJob(t *testing.T) {
	t.Parallel()
	for _, personality := range []string{"2g", "air724", "air780e", "air780ep"} {
		for _, auth := range []string{"https", "direct"} {
			t.Run(personality+"/"+auth, func(t *testing.T) {
				t.Parallel()
				sim := newSimulator(t, "--personality", personality)
				g := newGateway(t, sim.device, fmt.Sprintf("[cloud]\nauth = %q\n[[subscribe]]\ntopic = \"/${productKey}/${deviceName}/get\"\n", auth))
				seen := g.reaches("online", "")
				want := []string{"attaching", "registering", "connecting", "online"}
				if auth == "https" {
					want = []string{"attaching", "registering", "authenticating", "connecting", "online"}
				}
				if got := states(seen); !endsWith(got, want) {
					t.Fatalf("states %v, want them to end with %v", got, want)
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if m, err := g.client.Publish(ctx, update, []byte("test0"), client.PublishOptions{QoS: client.AtMostOnce, Wait: patience}); err != nil || m.State != client.Sent {
					t.Fatalf("QoS 0: %+v, %v", m, err)
				}
				if m, err := g.client.Publish(ctx, update, []byte("test1"), client.PublishOptions{Wait: patience}); err != nil || m.State != client.Acked {
					t.Fatalf("QoS 1: %+v, %v", m, err)
				}
				got := sim.messages()
				if len(got) != 2 || string(got[0].Payload) != "test0" || got[0].QoS != 0 || string(got[1].Payload) != "test1" || got[1].QoS != 1 || got[1].Topic != update {
					t.Fatalf("the cloud received %+v", got)
				}

				down := subscribe(t, ctx, g, get)
				sim.push(get, []byte("qos0 payload"))
				if m := nextMessage(t, ctx, down); string(m.Payload) != "qos0 payload" || m.Topic != get {
					t.Fatalf("received %+v", m)
				}

				// Asked to stop, it leaves in good order; started again, it knows its
				// secret, and does not register twice.
				g.stop()
				if code := g.exit(); code != 0 {
					t.Fatalf("exit code %d after SIGTERM", code)
				}
				g.start()
				if got := states(g.reaches("online", "")); contains(got, "registering") {
					t.Fatalf("after a restart it went through %v: registered again", got)
				}
			})
		}
	}
}

// subscribe listens and waits until the cloud has acknowledged the filter.
func subscribe(t *testing.T, ctx context.Context, g *gateway, filter string) *client.Stream[client.Item] {
	t.Helper()
	s, err := g.client.Subscribe(ctx, filter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for {
		item, err := s.Next()
		if err != nil {
			t.Fatalf("waiting for %s to be granted: %v", filter, err)
		}
		if item.Granted == filter || len(item.Subscribed) == 1 && item.Subscribed[0].Granted {
			return s
		}
	}
}

func nextMessage(t *testing.T, ctx context.Context, s *client.Stream[client.Item]) client.Received {
	t.Helper()
	for {
		item, err := s.Next()
		switch {
		case err != nil:
			t.Fatalf("waiting for a message: %v", err)
		case item.Gap > 0:
			t.Fatalf("%d messages were missed", item.Gap)
		case item.Message != nil:
			return *item.Message
		}
	}
}

func states(events []client.Event) []string {
	var list []string
	for _, e := range events {
		if e.Type == "state" {
			list = append(list, e.To)
		}
	}
	return list
}

func endsWith(list, tail []string) bool {
	return len(list) >= len(tail) && strings.Join(list[len(list)-len(tail):], " ") == strings.Join(tail, " ")
}

func contains(list []string, s string) bool {
	return strings.Contains(" "+strings.Join(list, " ")+" ", " "+s+" ")
}

// Eight programs publish at once: everything arrives once, in order for each
// program, and the module never has two messages in flight.
func TestEightProgramsAtOnce(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780ep")
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	const programs, each = 8, 25
	var wg sync.WaitGroup
	for p := range programs {
		wg.Go(func() {
			c := client.New(g.socket)
			defer c.Close()
			for i := range each {
				m, err := c.Publish(t.Context(), update, fmt.Appendf(nil, "%d:%d", p, i), client.PublishOptions{})
				if err != nil || m.State != client.Queued {
					t.Errorf("program %d message %d: %+v, %v", p, i, m, err)
					return
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all messages acknowledged", func() error {
		if st := g.status(); st.Outbox.Messages != 0 {
			return fmt.Errorf("%d messages wait", st.Outbox.Messages)
		}
		return nil
	})
	next := make([]int, programs)
	for _, m := range sim.messages() {
		var p, i int
		if _, err := fmt.Sscanf(string(m.Payload), "%d:%d", &p, &i); err != nil {
			t.Fatalf("payload %q: %v", m.Payload, err)
		}
		if next[p] != i {
			t.Fatalf("program %d: message %d arrived when %d was due", p, i, next[p])
		}
		next[p]++
	}
	for p, n := range next {
		if n != each {
			t.Errorf("program %d: %d of %d messages arrived", p, n, each)
		}
	}
	inFlight, most := 0, 0
	for _, e := range sim.transcript(t) {
		switch {
		case e.Dir == ">" && (strings.HasPrefix(e.Text, "AT+MPUB=\"") || strings.HasPrefix(e.Text, "AT+MPUBEX=\"")):
			inFlight++
		case e.Dir == "<" && e.Text == "PUBACK":
			inFlight--
		}
		most = max(most, inFlight)
	}
	if most != 1 || inFlight != 0 {
		t.Errorf("up to %d messages were in flight at once, %d at the end; want 1 and 0", most, inFlight)
	}
}

// Programs that publish whatever they receive must not starve or corrupt
// anything, and a subscriber that never reads must not hold anybody up.
func TestP18P19EchoingAndSleepingSubscribers(t *testing.T) {
	t.Parallel()
	sim := newSimulator(t, "--personality", "air780e")
	g := newGateway(t, sim.device, "")
	g.reaches("online", "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = subscribe(t, ctx, g, get) // never read again
	echo := subscribe(t, ctx, g, get)
	const n = 50
	done := make(chan error, 1)
	go func() {
		for range n {
			item, err := echo.Next()
			for err == nil && item.Message == nil {
				item, err = echo.Next()
			}
			if err == nil {
				_, err = g.client.Publish(ctx, update, item.Message.Payload, client.PublishOptions{})
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range n {
		sim.push(get, fmt.Appendf(nil, "echo %d", i))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all echoes at the cloud", func() error {
		if got := len(sim.messages()); got != n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
	start := time.Now()
	if _, err := g.client.Publish(ctx, update, []byte("prompt?"), client.PublishOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("a publish took %v beside a subscriber that never reads", d)
	}
}

// Payloads made to look like protocol arrive byte for byte in both directions,
// or are refused with the byte that is in the way; never mangled.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	for _, personality := range []string{"2g", "air724", "air780ep"} {
		t.Run(personality, func(t *testing.T) {
			t.Parallel()
			sim := newSimulator(t, "--personality", personality)
			g := newGateway(t, sim.device, "")
			g.reaches("online", "")
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			down := subscribe(t, ctx, g, get)
			payloads := hostilePayloads()
			var accepted [][]byte
			refused := 0
			for _, p := range payloads {
				m, err := g.client.Publish(ctx, update, p, client.PublishOptions{Wait: patience})
				var problem *client.Problem
				switch {
				case err == nil && m.State == client.Acked:
					accepted = append(accepted, p)
				case asProblem(err, &problem) && (problem.Status == 422 || problem.Status == 413):
					refused++
				default:
					t.Fatalf("payload %.60q: %+v, %v", p, m, err)
				}
			}
			got := sim.messages()
			if len(got) != len(accepted) {
				t.Fatalf("%d payloads were acknowledged, the cloud got %d", len(accepted), len(got))
			}
			for i, m := range got {
				if !bytes.Equal(m.Payload, accepted[i]) {
					t.Fatalf("payload %.60q arrived as %.60q", accepted[i], m.Payload)
				}
			}
			if personality != "2g" && refused > 0 {
				t.Errorf("%d payloads were refused by a module that carries any byte", refused)
			}
			if personality == "2g" && (refused == 0 || len(accepted) < len(payloads)/2) {
				t.Errorf("%d refused and %d carried by a module without MPUBEX", refused, len(accepted))
			}
			for _, p := range payloads {
				sim.push(get, p)
				if m := nextMessage(t, ctx, down); !bytes.Equal(m.Payload, p) {
					t.Fatalf("downlink %.60q arrived as %.60q", p, m.Payload)
				}
			}
		})
	}
}

// hostilePayloads returns 500 payloads, the same each time.
func hostilePayloads() [][]byte {
	seeds := []string{
		"", " ", `"`, `""`, `\`, `\\22`, `\22`, `{"a":"b\n"}`, "\r\nOK\r\n", "\r\n+CME ERROR: 3\r\n", "ERROR", "OK", "\r\nERROR\r\n",
		"+MSUB: \"x\",3 byte,abc", "\r\n+MSUB: \"/a/b/get\",5 byte,hello\r\n", ">", "> ", "\r\n>", "CLOSED", "\r\nCLOSED\r\n",
		"AT+RESET\r", "\x1a", "\x1b", "\x00", "a\x00b", "\xff", "\xff\xfe\x00\x01", "温度=21.5", "🌡", "CONNACK OK", "PUBACK", "\r\nPUBACK\r\n",
		"^boot.rom'v'!\\n", "RDY", "\r\nRDY\r\n", "\t", "\r", "\n", "\r\r\n", "a,b,c", "DOWNLOAD", "\x7f",
	}
	var list [][]byte
	for i := 0; len(list) < 500; i++ {
		s := seeds[i%len(seeds)]
		switch i / len(seeds) {
		case 0:
			list = append(list, []byte(s))
		case 1:
			list = append(list, []byte(s+s))
		case 2:
			list = append(list, []byte("x"+s+"y"))
		default:
			list = append(list, []byte(strings.Repeat(s+seeds[(i*7)%len(seeds)], 1+i%9)))
		}
	}
	return list
}
