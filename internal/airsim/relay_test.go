package airsim

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"airbridged/internal/airsim/simcloud"
)

// miniBroker is as much of an MQTT 3.1.1 broker as the relay needs.
type miniBroker struct {
	l    net.Listener
	done sync.WaitGroup

	mu       sync.Mutex
	conn     net.Conn
	filters  map[string]bool
	messages chan [2]string
}

func newMiniBroker(t *testing.T) *miniBroker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &miniBroker{l: l, filters: map[string]bool{}, messages: make(chan [2]string, 16)}
	b.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conn, b.filters = conn, map[string]bool{}
			b.mu.Unlock()
			b.done.Go(func() { b.serve(conn) })
		}
	})
	return b
}

func (b *miniBroker) close() {
	_ = b.l.Close()
	b.drop()
	b.done.Wait()
}

// drop cuts the client off and forgets its filters.
func (b *miniBroker) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.filters = map[string]bool{}
	if b.conn != nil {
		_ = b.conn.Close()
	}
}

func (b *miniBroker) has(filter string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.filters[filter]
}

func (b *miniBroker) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	text := func(p []byte) (string, []byte) {
		n := int(binary.BigEndian.Uint16(p))
		return string(p[2 : 2+n]), p[2+n:]
	}
	for {
		head, err := r.ReadByte()
		if err != nil {
			return
		}
		size, err := binary.ReadUvarint(r)
		if err != nil {
			return
		}
		p := make([]byte, size)
		if _, err := io.ReadFull(r, p); err != nil {
			return
		}
		var answer []byte
		switch head >> 4 {
		case 1: // CONNECT
			answer = []byte{0x20, 2, 0, 0}
		case 3: // PUBLISH
			topic, rest := text(p)
			if head&6 != 0 {
				answer = []byte{0x40, 2, rest[0], rest[1]}
				rest = rest[2:]
			}
			b.messages <- [2]string{topic, string(rest)}
		case 8, 10: // SUBSCRIBE, UNSUBSCRIBE
			filter, _ := text(p[2:])
			b.mu.Lock()
			b.filters[filter] = head>>4 == 8
			b.mu.Unlock()
			answer = []byte{0x90, 3, p[0], p[1], 1}
			if head>>4 == 10 {
				answer = []byte{0xb0, 2, p[0], p[1]}
			}
		case 12: // PINGREQ
			answer = []byte{0xd0, 0}
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// send publishes to the client, QoS 0.
func (b *miniBroker) send(topic, payload string) {
	p := []byte{0x30, byte(2 + len(topic) + len(payload)), 0, byte(len(topic))}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = b.conn.Write(append(append(p, topic...), payload...))
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A real subscriber sees what the device publishes, and what others publish to
// its topics goes down to it; after a loss of the broker too.
func TestRelay(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := newMiniBroker(t)
	m, err := New(simcloud.New(simcloud.GuideOptions()), Options{Personality: "air780ep"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- m.Run(ctx) }()
	h := host{t, m.Open()}
	h.online()
	go func() { done <- m.cloud.Relay(ctx, "tcp://"+b.l.Addr().String()) }()
	eventually(t, "the device's filter at the broker", func() bool { return b.has(guideGet) })

	h.ask(pubOne, acked)
	if got := <-b.messages; got != [2]string{guideUpdate, "one"} {
		t.Errorf("the broker got %q", got)
	}
	b.send(guideGet, "hello")
	h.ask("", `+MSUB: "`+guideGet+`",5 byte,hello`+"\r\n")

	b.drop()
	eventually(t, "the filter after the broker came back", func() bool { return b.has(guideGet) })
	b.send(guideGet, "again")
	h.ask("", `,5 byte,again`+"\r\n")

	h.ask(`AT+MUNSUB="`+guideGet+`"`+"\r", "UNSUBACK\r\n")
	eventually(t, "the filter given up", func() bool { return !b.has(guideGet) })
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	_ = h.port.Close()
	b.close()
}

func TestRelayNeedsABroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	err = simcloud.New(simcloud.Options{}).Relay(t.Context(), "tcp://"+address)
	if err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("Relay: %v", err)
	}
}
