package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"airbridged/client"
)

// acknowledged publishes payloads at once and waits until each is told as acked, and
// each of those is at the cloud. meanwhile is done when all are on their way or wait.
func (g *gateway) acknowledged(t *testing.T, sim *simulator, payloads []string, meanwhile func()) {
	t.Helper()
	ids := make(map[string]string)
	for _, p := range payloads {
		m, err := g.client.Publish(t.Context(), update, []byte(p), client.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ids[m.ID] = p
	}
	meanwhile()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	for id, p := range ids {
		for state := client.State(""); state != client.Acked; time.Sleep(50 * time.Millisecond) {
			m, err := g.client.Message(ctx, id)
			if err != nil {
				t.Fatalf("%q is %s: %v", p, state, err)
			}
			state = m.State
		}
		if !slices.ContainsFunc(sim.messages(), func(r received) bool { return string(r.Payload) == p }) {
			t.Errorf("%q is acked, and the cloud never got it: %+v", p, sim.messages())
		}
	}
	for _, r := range sim.messages() {
		if !slices.Contains(payloads, string(r.Payload)) {
			t.Errorf("the cloud got %q, which nobody published", r.Payload)
		}
	}
}

// On a real terminal, where reads end anywhere: what the cloud sends down, and answers
// that are somebody else's, acknowledge nothing.
func TestAcknowledgedIsAtTheCloud(t *testing.T) {
	t.Parallel()
	t.Run("a payload that spells PUBACK", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep")
		g := newGateway(t, sim.device, "[[subscribe]]\ntopic = \"/${productKey}/${deviceName}/get\"\n")
		g.reaches("online", "")
		sim.do("throttle 1")
		g.acknowledged(t, sim, []string{"first", "second"}, func() {
			for sim.count("AT+MPUB") < 2 {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(300 * time.Millisecond) // the OK of the second
			sim.do("msub-lie 5")
			sim.push(get, []byte("x\r\nPUBACK\r\n\r\nPUBACK\r\n"))
		})
	})
	t.Run("a refusal that is none", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep", "--rtt", "700ms")
		g := newGateway(t, sim.device, "")
		g.reaches("online", "")
		for _, order := range []string{"throttle 2", "on >AT+MPUB inject ERROR", "late AT+MQTTSTATU 30ms"} {
			sim.do(order)
		}
		g.acknowledged(t, sim, []string{"A", "B"}, func() {})
	})
	t.Run("a refusal before the prompt", func(t *testing.T) {
		t.Parallel()
		sim := newSimulator(t, "--personality", "air780ep")
		g := newGateway(t, sim.device, "")
		g.reaches("online", "")
		sim.do("on >AT+MPUBEX inject ERROR")
		g.acknowledged(t, sim, []string{"ten\x00bytes.", "thirteen\x00....", strings.Repeat("\x00", 40)}, func() {})
	})
}
