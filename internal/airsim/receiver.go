package airsim

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

const (
	// defaultRate is what a module without autobaud listens at (Air780E hardware
	// guide).
	defaultRate = 115200
	// uartFIFO is how many bytes may wait inside the module while a command is
	// pending. No flow control is on by default (AT+IFC=0,0), so what comes
	// after them is lost.
	uartFIFO = 8192
	// maxCredit bounds how far the wire clock may trail the wall clock; see
	// Module.lag.
	maxCredit = 50 * time.Millisecond
	// drain is how many bytes of a paced line arrive together at most.
	drain = 512
	// ctrlZ ends a data phase of unknown length.
	ctrlZ = 0x1a
)

// rates are those of AT+IPR (Air AT manual section 4.7).
var rates = []int{1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200, 230400, 460800, 921600}

func usualRate(baud int) bool { return slices.Contains(rates, baud) }

// wireTime is how long n bytes take at a rate, ten bits to a byte.
func wireTime(n, baud int) time.Duration {
	if baud == 0 {
		return 0
	}
	return time.Duration(int64(n) * 10 * int64(time.Second) / int64(baud))
}

// arrival is a run of bytes on its way from the host.
type arrival struct {
	data  []byte    // what has not arrived yet
	start time.Time // when its first bit was on the wire
	done  int       // bytes that have arrived
	baud  int       // the host's rate; 0: right
	pace  int       // the rate it travels at; 0: no time
}

// due is when the next n bytes will have arrived. It is reckoned from the start,
// so that no rounding adds up.
func (a *arrival) due(n int) time.Time { return a.start.Add(wireTime(a.done+n, a.pace)) }

// receiver is the module's input: the wire, the UART's FIFO and the line being
// collected.
type receiver struct {
	arriving []arrival
	free     time.Time // when the wire can take the next byte
	fifo     []byte
	work     []byte // what is being worked on
	line     []byte
	last     string // the command line being executed
	overlong bool
	trained  bool // the rate is known; always so without autobaud
	trains   int  // upper-case ATs that are still needed before it is
	busy     bool // a command is pending; input waits in the FIFO
	data     *dataPhase
	chain    []command // the rest of the line being executed
	stalled  bool      // nothing is taken off the wire: the host's writes block
	lose     int       // bytes of input to lose
}

// dataPhase is a command waiting for raw bytes: HTTPDATA and MPUBEX.
type dataPhase struct {
	want   int // -1: until 0x1A or until quiet
	got    []byte
	taken  func(data []byte)
	number uint64 // of the last byte, for the quiet timer
}

// ready says whether bytes in the FIFO can be worked on.
func (r *receiver) ready() bool { return len(r.fifo) > 0 && !r.busy }

// takeInput puts what the host wrote since on the wire.
func (m *Module) takeInput() {
	if m.port == nil || m.in.stalled {
		return
	}
	for _, s := range m.port.take() {
		a := arrival{data: s.data, start: s.at, baud: s.baud, pace: m.pace()}
		if a.pace != 0 {
			// The wire clock may trail the wall clock by what the
			// last delivery was late, so that being woken late
			// does not slow the line down.
			a.start = a.start.Add(-m.lag())
		}
		m.in.onTheWire(a)
	}
}

// onTheWire queues an arrival behind what is on the wire already; bytes that
// follow each other without a gap become one run.
func (r *receiver) onTheWire(a arrival) {
	if a.start.Before(r.free) {
		a.start = r.free
	}
	if n := len(r.arriving); n > 0 {
		last := &r.arriving[n-1]
		if a.start.Equal(r.free) && last.pace == a.pace && last.baud == a.baud {
			last.data = append(last.data, a.data...)
			r.free = last.due(len(last.data))
			return
		}
	}
	r.free = a.due(len(a.data))
	r.arriving = append(r.arriving, a)
}

// pace is the rate that bytes travel at now; 0 when they take no time.
func (m *Module) pace() int {
	switch {
	case m.o.Baud == 0:
		return 0
	case m.set.rate != 0:
		return m.set.rate
	}
	if m.port != nil {
		if b := m.port.hostBaud(); b != 0 {
			return b
		}
	}
	return m.o.Baud
}

// unit is how many bytes of an arrival are worked on together: up to a CR, up
// to the end of a data phase, or all.
func (m *Module) unit(data []byte) int {
	n := len(data)
	switch {
	case m.in.busy || !m.radio.alive:
	case m.in.data != nil && m.in.data.want >= 0:
		n = min(n, m.in.data.want-len(m.in.data.got))
	case m.in.data != nil:
		if i := bytes.IndexByte(data, ctrlZ); i >= 0 {
			n = i + 1
		}
	default:
		if i := bytes.IndexByte(data, '\r'); i >= 0 {
			n = i + 1
		}
	}
	return n
}

// next is how many bytes of an arrival are taken off the wire together. A paced
// serialLine is cut, so that the host's buffer drains as the bytes go.
func (a *arrival) next(m *Module) int {
	n := m.unit(a.data)
	if a.pace != 0 {
		n = min(n, drain)
	}
	return n
}

// nextArrival is when the next unit has arrived whole.
func (m *Module) nextArrival() (time.Time, bool) {
	if len(m.in.arriving) == 0 || m.in.stalled {
		return time.Time{}, false
	}
	a := &m.in.arriving[0]
	return a.due(a.next(m)), true
}

// receive takes one unit off the wire into the FIFO.
func (m *Module) receive() {
	a := &m.in.arriving[0]
	n := a.next(m)
	data, baud := a.data[:n], a.baud
	a.data = a.data[n:]
	a.done += n
	if len(a.data) == 0 {
		m.in.arriving = m.in.arriving[1:]
	}
	m.port.arrived(n)
	m.counters.BytesIn += uint64(n)
	if lost := min(m.in.lose, len(data)); lost > 0 {
		m.in.lose -= lost
		data = data[lost:]
		m.happened("%d bytes from the host lost", lost)
	}
	switch {
	case !m.radio.alive || m.faults.hung:
		return
	case !m.matches(baud):
		return // framing errors: nothing that could train or be a command
	case m.set.rate == 0 && !m.in.trained && baud != 0 && !usualRate(baud):
		return
	}
	data = m.damaged(data, baud)
	if free := uartFIFO - len(m.in.fifo); len(data) > free {
		m.counters.Overrun += uint64(len(data) - free)
		data = data[:free]
	}
	m.in.fifo = append(m.in.fifo, data...)
	m.pump()
}

// matches says whether the host's rate is one the module understands now.
func (m *Module) matches(baud int) bool {
	return baud == 0 || m.set.rate == 0 || baud == m.set.rate
}

// pump works on the FIFO until it is empty or a command is pending.
func (m *Module) pump() {
	for m.in.ready() && m.radio.alive {
		n := m.unit(m.in.fifo)
		m.in.work = append(m.in.work[:0], m.in.fifo[:n]...)
		m.in.fifo = m.in.fifo[:copy(m.in.fifo, m.in.fifo[n:])]
		if m.in.data != nil {
			m.consumeData(m.in.work)
			continue
		}
		m.collect(m.in.work)
		if m.in.work[n-1] == '\r' {
			m.lineDone()
		}
	}
}

// collect adds bytes to the command line. Control characters other than CR and
// backspace are ignored (ITU-T V.250 section 5.2.2), a LF after the CR with them.
func (m *Module) collect(b []byte) {
	if m.set.echo && m.in.trained {
		m.echo(b)
	}
	for _, c := range b {
		switch {
		case c == '\b' || c == 0x7f:
			if n := len(m.in.line); n > 0 {
				m.in.line = m.in.line[:n-1]
			}
		case c < 0x20:
		case len(m.in.line) >= m.p.maxLine:
			m.in.overlong = true
		default:
			m.in.line = append(m.in.line, c)
		}
	}
}

// lineDone executes the collected line.
func (m *Module) lineDone() {
	text, overlong := string(m.in.line), m.in.overlong
	m.in.line, m.in.overlong = m.in.line[:0], false
	if text == "" {
		return
	}
	if !m.in.trained && !m.train(text) {
		return
	}
	m.counters.Commands++
	m.in.last = text
	m.record(m.now, DirCommand, text)
	power := m.power
	m.hooks(DirCommand, text)
	if m.power != power || m.faults.hung {
		return // a hook has just restarted or hung the module
	}
	commands, ok := parseLine(text)
	if overlong || !ok {
		m.answer(m.unknown(), 0)
		return
	}
	m.in.chain = commands
	m.nextCommand()
}

// train looks for the upper-case AT that autobaud needs; lower case does not
// train (Air AT manual section 4.7, vendor quick guide). What stands before it
// was received while the rate was wrong.
func (m *Module) train(text string) bool {
	if !strings.HasPrefix(text, "AT") {
		return false
	}
	if m.in.trains > 0 {
		m.in.trains--
		return false
	}
	m.in.trained = true
	return true
}

// consumeData takes bytes of a data phase. They are not echoed, and everything
// counts: a LF that followed the command's CR is the first byte.
func (m *Module) consumeData(b []byte) {
	d := m.in.data
	if d.want >= 0 {
		d.got = append(d.got, b...)
		if len(d.got) == d.want {
			m.dataDone(d)
		}
		return
	}
	n := len(b)
	end := b[n-1] == ctrlZ
	if end {
		n--
	}
	d.got = append(d.got, b[:min(n, max(0, m.p.maxPayload-len(d.got)))]...)
	if end {
		m.dataDone(d)
		return
	}
	m.quiet(d)
}

// dataDone ends the data phase and hands its bytes to the command.
func (m *Module) dataDone(d *dataPhase) {
	m.in.data = nil
	m.record(m.now, DirData, string(d.got))
	power := m.power
	m.hooks(DirData, string(d.got))
	if m.power == power && !m.faults.hung {
		d.taken(d.got)
	}
}

// quiet ends a data phase of unknown length after 5 s without a byte (Air AT
// manual, MPUBEX).
func (m *Module) quiet(d *dataPhase) {
	d.number++
	number := d.number
	m.after(5*time.Second, func() {
		if m.in.data == d && d.number == number {
			m.dataDone(d)
		}
	})
}

// waitForData prints the prompt and takes the bytes that follow. When they do
// not come within the limit the command fails, and the bytes so far are gone.
func (m *Module) waitForData(prompt string, want int, limit time.Duration, taken func(data []byte)) {
	begin := func(print bool) {
		d := &dataPhase{want: want, taken: taken}
		m.in.data, m.in.busy = d, false
		if print {
			m.sendPrompt(prompt)
		}
		if want < 0 {
			m.quiet(d)
			return
		}
		m.after(limit, func() { m.dataMissing(d) })
	}
	switch f := m.faults.take(m, "prompt"); f.how {
	case "never":
		begin(false)
	case "late":
		m.in.busy = true
		m.after(f.delay, func() { begin(true) })
	default:
		begin(true)
	}
}

// dataMissing gives up a data phase that did not fill in time.
func (m *Module) dataMissing(d *dataPhase) {
	if m.in.data != d {
		return
	}
	m.in.data = nil
	m.counters.DataLost++
	m.record(m.now, DirData, string(d.got))
	m.note("data phase gave up with %d of %d bytes", len(d.got), d.want)
	m.finish(plainError())
}
