package airsim

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// burst is how many bytes of a paced line reach the host together, like the
// FIFO of a USB adapter.
const burst = 64

// chunk is a run of output bytes and when its last bit has left.
type chunk struct {
	end  time.Time
	data []byte
}

// sender is the module's output.
type sender struct {
	queue []chunk
	free  time.Time // when the wire can take the next byte
	lose  int       // bytes of output to lose
	last  time.Time // the end of the last chunk that was delivered
	// early is how long ago the bytes to come began to travel: an echo
	// starts with the first byte, not when the line is complete.
	early time.Duration
}

// sendLine prints a line in the form CR LF text CR LF (Air AT manual section 1).
func (m *Module) sendLine(text string) {
	end := lineEnds[m.set.ends]
	m.emit(text, []byte(end+text+end))
}

// lineEnds are the ends around a line: the manual's, and those of firmware that
// gets them wrong.
var lineEnds = map[string]string{"crlf": "\r\n", "lf": "\n", "cr": "\r", "crcrlf": "\r\r\n"}

// sendBlock prints a header line or prefix with a payload that is not a line.
func (m *Module) sendBlock(header string, payload []byte) {
	end := lineEnds[m.set.ends]
	m.emit(header+string(payload), []byte(end+header+string(payload)+end))
}

// sendPrompt prints a prompt exactly as it is.
func (m *Module) sendPrompt(raw string) { m.emit(strings.TrimSpace(raw), []byte(raw)) }

// echo sends back what was typed. It travels while the typing does, so it is on
// the wire one byte after the last one came.
func (m *Module) echo(b []byte) {
	b = bytes.Trim(b, "\n")
	if len(b) == 0 {
		return
	}
	m.out.early = wireTime(len(b)-1, m.pace())
	if f := m.faults.take(m, "echo"); f.how != "" {
		m.transmit(b[:len(b)/2])
		m.transmit([]byte("\r\n" + f.text + "\r\n"))
		b = b[len(b)/2:]
	}
	m.transmit(append([]byte(nil), b...))
	m.out.early = 0
}

// emit sends one line, block or prompt through the wire faults. label is what
// they match and what the transcript shows.
func (m *Module) emit(label string, raw []byte) {
	if !m.audible() {
		return
	}
	rule, hit := m.faults.wire(m, label)
	if !hit {
		m.put(label, raw)
		return
	}
	m.happened("%s %q", rule.verb, label)
	switch rule.verb {
	case "drop":
	case "delay":
		m.after(rule.delay, func() { m.put(label, raw) })
	case "dup":
		m.put(label, raw)
		m.put(label, raw)
	case "corrupt":
		m.putAs(label, m.corrupted(raw))
	case "shorten":
		n := min(rule.code, len(raw))
		at := m.rng.IntN(len(raw) - n + 1)
		m.putAs(label, append(append([]byte(nil), raw[:at]...), raw[at+n:]...))
	case "strip":
		m.put(label, bytes.Trim(raw, "\r\n"))
	case "split":
		at := 1 + m.rng.IntN(max(1, len(raw)-1))
		m.transmit(raw[:at])
		m.hold(rule.delay)
		m.put(label, raw[at:])
	}
}

// corrupted flips one bit of one byte that is not part of the line ends.
func (m *Module) corrupted(raw []byte) []byte {
	raw = append([]byte(nil), raw...)
	lead := len(raw) - len(bytes.TrimLeft(raw, "\r\n"))
	body := len(bytes.Trim(raw, "\r\n"))
	if body > 0 {
		raw[lead+m.rng.IntN(body)] ^= 1 << m.rng.IntN(7)
	}
	return raw
}

// audible says whether anything of what the module prints could be read: a hung
// module prints nothing, and most firmware nothing that is visible before the
// rate is known (Air AT manual section 4.7).
func (m *Module) audible() bool { return (m.in.trained || m.p.loud) && !m.faults.hung }

// put transmits a labelled output and lets the hooks see it.
func (m *Module) put(label string, raw []byte) {
	m.record(m.transmit(raw), DirLine, label)
	m.hooks(DirLine, label)
}

// putAs is put for bytes that a fault has changed, which it takes down.
func (m *Module) putAs(label string, raw []byte) {
	m.note("became %q", raw)
	m.put(label, raw)
}

// hold keeps the wire idle in the middle of a line.
func (m *Module) hold(d time.Duration) {
	if m.out.free.Before(m.now) {
		m.out.free = m.now
	}
	m.out.free = m.out.free.Add(d)
}

// transmit puts bytes on the wire and returns when the last of them has left.
func (m *Module) transmit(raw []byte) time.Time {
	m.counters.BytesOut += uint64(len(raw))
	if lost := min(m.out.lose, len(raw)); lost > 0 {
		m.out.lose -= lost
		raw = raw[lost:]
		m.happened("%d bytes to the host lost", lost)
		m.note("became %q", raw)
	}
	if m.port == nil || len(raw) == 0 {
		return m.now
	}
	if !m.matches(m.port.hostBaud()) {
		raw = m.garbled(len(raw))
	}
	raw = m.damaged(raw, m.port.hostBaud())
	begin := m.now.Add(-m.out.early)
	if m.out.free.After(begin) {
		begin = m.out.free
	}
	pace := m.pace()
	if pace == 0 && !begin.After(m.now) && len(m.out.queue) == 0 {
		m.counters.Unread += uint64(m.port.deliver(raw))
		return m.now
	}
	for sent := 0; sent < len(raw); {
		n := len(raw) - sent
		if pace != 0 {
			n = min(n, burst)
		}
		m.out.queue = append(m.out.queue, chunk{end: begin.Add(wireTime(sent+n, pace)), data: raw[sent : sent+n]})
		sent += n
	}
	m.out.free = begin.Add(wireTime(len(raw), pace))
	return m.out.free
}

// garbled is what a host at another rate reads.
func (m *Module) garbled(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(0x80 | m.rng.IntN(0x80))
	}
	return b
}

// damaged is what arrives of bytes on a line that may be too fast for its cable.
// A host that never said its rate has the module's.
func (m *Module) damaged(b []byte, baud int) []byte {
	if baud == 0 {
		baud = m.set.rate
	}
	g := m.faults.garble
	if g.above == 0 || baud <= g.above {
		return b
	}
	b = append([]byte(nil), b...)
	for i := range b {
		if m.rng.Float64() < g.prob {
			b[i] ^= 1 << m.rng.IntN(8)
		}
	}
	return b
}

// deliver hands the first chunk to the host.
func (m *Module) deliver() {
	c := m.out.queue[0]
	m.out.queue = m.out.queue[1:]
	m.out.last = c.end
	if m.port != nil {
		m.counters.Unread += uint64(m.port.deliver(c.data))
	}
}

// lag is how late, by the wall clock, the last byte reached the host: timers
// overshoot by up to a millisecond, and goroutines take their time. The host
// answers that much later than it would have on a real wire, so its next bytes
// are taken to have started that much earlier. The average rate is exact as long
// as the overshoot is shorter than what follows.
func (m *Module) lag() time.Duration {
	return min(max(0, m.port.lastHanded().Sub(m.out.last)), maxCredit)
}

// flushed runs f when all that was sent so far has left the module.
func (m *Module) flushed(f func()) {
	m.after(max(0, m.out.free.Sub(m.now)), f)
}

// happened counts and records the effect of a fault.
func (m *Module) happened(format string, args ...any) {
	m.counters.Faults++
	m.note("fault: %s", fmt.Sprintf(format, args...))
}
