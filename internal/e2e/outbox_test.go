package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"airbridged/client"
	"airbridged/internal/outbox"
)

// kills is how often TestKilledUnderLoad kills the daemon; $OUTBOX_KILLS says
// otherwise.
const kills = 10

// The daemon is killed again and again while programs publish and the module
// sends: every message that was answered with 202 arrives, and what arrives more
// often than once is within the stated bound. What half of the programs publish travels
// in batches.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	rounds := kills
	if text := os.Getenv("OUTBOX_KILLS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	const readings, together = update + "/readings", 10
	sim := newSimulator(t, "--personality", "air780ep", "--rtt", "2ms", "--unpack", readings+"=json-array")
	g := prepareGateway(t, sim.device, fmt.Sprintf("[[batch]]\ntopic = %q\nenvelope = \"json-array\"\nmax_messages = %d\n", readings, together))
	var mu sync.Mutex
	accepted := map[string]bool{}
	for round := range rounds {
		g.start()
		var programs sync.WaitGroup
		for p := range 4 {
			programs.Go(func() {
				for i := 0; ; i++ { // until the daemon is gone
					name, topic := fmt.Sprintf(`"round %d program %d message %d"`, round, p, i), update
					if p%2 == 1 {
						topic = readings
					}
					m, err := g.client.Publish(t.Context(), topic, []byte(name), client.PublishOptions{})
					if err != nil {
						return
					}
					if m.State != client.Queued {
						t.Errorf("%s is %s", name, m.State)
					}
					mu.Lock()
					accepted[name] = true
					mu.Unlock()
					time.Sleep(15 * time.Millisecond) // a load that the module nearly keeps up with
				}
			})
		}
		// Once messages of this life go out, and then at any moment.
		before := len(sim.messages())
		eventually(t, "messages going out", func() error {
			if n := len(sim.messages()); n <= before+5 {
				return fmt.Errorf("%d messages", n-before)
			}
			return nil
		})
		time.Sleep(time.Duration(round*7%50) * time.Millisecond)
		if err := g.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-g.done
		programs.Wait()
	}
	g.start()
	eventually(t, "the queue to drain", func() error {
		if n := g.status().Outbox.Messages; n != 0 {
			return fmt.Errorf("%d messages wait", n)
		}
		return nil
	})
	arrived := map[string]int{}
	batches := 0
	for _, m := range sim.messages() {
		if m.Topic != readings {
			arrived[string(m.Payload)]++
			continue
		}
		if len(m.Readings) == 0 || len(m.Readings) > together {
			t.Errorf("a message with %d readings (%s)", len(m.Readings), m.Trouble)
		}
		if len(m.Readings) > 1 {
			batches++
		}
		for _, reading := range m.Readings {
			arrived[reading.Payload]++
		}
	}
	if batches == 0 {
		t.Error("no readings travelled together")
	}
	lost, repeats := 0, 0
	for name := range accepted {
		if arrived[name] == 0 {
			lost++
		}
	}
	for _, n := range arrived {
		repeats += n - 1
	}
	t.Logf("%d kills, %d accepted, %d batches, %d lost, %d repeats", rounds, len(accepted), batches, lost, repeats)
	if lost > 0 {
		t.Errorf("%d of %d accepted messages did not arrive", lost, len(accepted))
	}
	if repeats > rounds*(outbox.MaxRepeats-1+together) {
		t.Errorf("%d repeats after %d kills", repeats, rounds)
	}
}

// A damaged queue is said, set aside, and no reason not to start.
func TestDamagedOutboxStarts(t *testing.T) {
	t.Parallel()
	device := filepath.Join(t.TempDir(), "nobody")
	g := newGateway(t, device, "")
	var ids []string
	for i := range 3 {
		m, err := g.client.Publish(t.Context(), update, fmt.Appendf(nil, "message %d", i), client.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	g.stop()
	segments, err := filepath.Glob(filepath.Join(g.dir, "outbox", "*.seg"))
	if err != nil || len(segments) != 1 {
		t.Fatalf("segments: %v, %v", segments, err)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[4096+100] ^= 1 // in the first record
	write(t, segments[0], string(b), 0o600)
	g.start()
	g.out.await(t, `"code":"outbox-damaged"`)
	if n := g.status().Outbox.Messages; n != 2 {
		t.Errorf("%d messages are left of 3", n)
	}
	if _, err := g.client.Message(t.Context(), ids[2]); err != nil {
		t.Errorf("the last one: %v", err)
	}
	if kept, err := filepath.Glob(filepath.Join(g.dir, "outbox", "quarantine", "*")); err != nil || len(kept) != 1 {
		t.Errorf("quarantine has %v, %v", kept, err)
	}
}
