package air

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"airbridged/internal/atengine"
	"airbridged/internal/config"
)

// fuzzBench is a Modem in a session, with a module that answers a publish as the test
// says and everything else with OK.
func fuzzBench(t *testing.T, answer func(say func(string)), body func(ctx context.Context, m *Modem, delivered func() []message)) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		var messages []message // of the reader's goroutine, until synctest.Wait
		written := make(chan []byte, 1024)
		m := New(port{Reader: in, written: written}, Options{
			Baud: 115200, Timeouts: Timeouts(config.Default().Cloud.Timeouts),
			Downlink: func(topic string, payload []byte) { messages = append(messages, message{topic, string(payload)}) },
		})
		m.live.Store(true)
		ctx, stop := context.WithCancel(t.Context())
		say := func(raw string) { _, _ = io.WriteString(out, raw) } // an error: the test is over
		ended := make(chan struct{}, 2)
		go func() { _ = m.Run(ctx); ended <- struct{}{} }()
		go func() {
			defer func() { ended <- struct{}{} }()
			line := ""
			for chunk := range written {
				line += string(chunk)
				switch {
				case !strings.HasSuffix(line, "\r"):
					continue
				case strings.HasPrefix(line, "AT+MPUB="):
					answer(say)
				default:
					time.Sleep(time.Millisecond)
					say("\r\nOK\r\n")
				}
				line = ""
			}
		}()
		body(ctx, m, func() []message { synctest.Wait(); return messages })
		stop()
		_ = out.Close()
		close(written)
		<-ended
		<-ended
	})
}

var lineEnds = regexp.MustCompile(`[\r\n\x00]+`)

// FuzzPayloadIsNoEvidence: whatever the cloud sends down, and however the line damages
// the header of it, no message up is acknowledged by it, no other message comes out of
// it, and no event that ends a session. Blank lines, and a beginning that is lost to the
// last byte, are left out: what stands behind those cannot be told from a line.
func FuzzPayloadIsNoEvidence(f *testing.F) {
	for _, payload := range []string{
		"PUBACK", "\r\nPUBACK\r\nPUBACK", "x\r\nCLOSED\r\nPUBACK", "\r\n+MSUB: \"/k/d/x\",1 byte,a\r\nPUBACK", "\r\nOK\r\nRDY\r\nERROR", "> \r\nDOWNLOAD\r\n",
		"^boot.rom'v'!\\nRDY\r\nPUBACK", "\r\n+PDP: DEACT\r\n+CPIN: SIM REMOVED\r\nPUBACK\r\n",
	} {
		for _, damage := range [][4]int16{{0, 0, 0, 0}, {5, 0, 0, 0}, {-8, 0, 0, 0}, {0, 0, 9, 0}, {0, 9, 20, 0}, {0, 0, 0, 12}, {900, 3, 1, 0}} {
			f.Add([]byte(payload), damage[0], uint8(damage[1]), uint8(damage[2]), uint16(damage[3]))
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, lie int16, at, lost uint8, flip uint16) {
		if len(payload) > 4100 {
			return
		}
		text := lineEnds.ReplaceAllString(string(payload), "\r\n")
		head := []byte(fmt.Sprintf("\r\n+MSUB: \"/k/d/get\",%d byte,", len(text)+int(lie)))
		if flip > 0 {
			head[int(flip>>3)%len(head)] ^= 1 << (flip & 7)
		}
		// Of the header at least one byte of " byte," is left: see above.
		from := min(int(at), len(head)-1)
		upTo := min(from+int(lost), len(head)-1)
		wire := string(slices.Delete(head, from, upTo)) + text + "\r\n"
		fuzzBench(t, func(say func(string)) {
			say("\r\nOK\r\n")
			time.Sleep(100 * time.Millisecond)
			say(wire)
		}, func(ctx context.Context, m *Modem, delivered func() []message) {
			mark := m.Mark()
			if _, err := m.Publish(ctx, "/k/d/update", 1, []byte("x")); err == nil {
				t.Fatalf("%q acknowledges", wire)
			}
			time.Sleep(10 * time.Second)
			for _, got := range delivered() {
				if got.topic == "/k/d/x" && got.payload == "a" {
					t.Fatalf("a message was cut out of %q", wire)
				}
			}
			events, _ := m.Since(mark)
			for _, e := range events {
				if slices.Contains(linkEnds, e.Kind) || e.Kind == Rebooted || e.Kind == SIMRemoved {
					t.Fatalf("%q is %s", wire, e.Kind)
				}
			}
		})
	})
}

// FuzzAnswers: a publish is acknowledged only by a PUBACK behind its OK, with nothing
// else that could be an answer in between, and is not sent only by the one refusal that
// proves it, and nothing else behind that.
func FuzzAnswers(f *testing.F) {
	for _, program := range []string{"a", "ae", "ea", "aae", "be", "c", "cae", "d", "ba", "afe", "ce", "abe", "fefae", "\x10a\x50e", "\x30c\x70a"} {
		f.Add([]byte(program))
	}
	texts := []string{"OK", "ERROR", "+CME ERROR: 50", "+CME ERROR: 767", "PUBACK", "+CREG: 5", "^MODE: 17,17", "+CSQ: 24,0"}
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 20 {
			return
		}
		var said []string
		for _, b := range program {
			said = append(said, texts[(b-1)&7])
		}
		answer := func(say func(string)) {
			for i, b := range program {
				time.Sleep([]time.Duration{time.Millisecond, 10 * time.Millisecond, 60 * time.Millisecond, 150 * time.Millisecond}[b>>4&3])
				say("\r\n" + said[i] + "\r\n")
			}
		}
		isFinal := func(s string) bool { return s == "OK" || strings.Contains(s, "ERROR") }
		first := slices.IndexFunc(said, isFinal)
		acked, notSent := false, false
		if first >= 0 {
			rest := said[first+1:]
			second := slices.IndexFunc(rest, isFinal)
			ack := slices.Index(rest, "PUBACK")
			acked = said[first] == "OK" && ack >= 0 && (second < 0 || ack < second)
			notSent = said[first] == "+CME ERROR: 50" && second < 0
		}
		fuzzBench(t, answer, func(ctx context.Context, m *Modem, _ func() []message) {
			_, err := m.Publish(ctx, "/k/d/update", 1, []byte("x"))
			if (err == nil) != acked || errors.Is(err, ErrNotSent) != notSent {
				t.Fatalf("%q: %v; acked %v, not sent %v", said, err, acked, notSent)
			}
			if first < 0 && !errors.Is(err, atengine.ErrTimeout) {
				t.Fatalf("%q: %v", said, err)
			}
		})
	})
}
