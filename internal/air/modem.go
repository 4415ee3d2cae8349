package air

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/atengine"
)

// Timeouts are the deadlines of everything that is awaited: [cloud.timeouts] of the
// configuration, whose manual page says what they are by default, and why.
type Timeouts struct {
	Command time.Duration // a command's own answer
	Bearer  time.Duration // attach, bearer, SIM and operator
	HTTP    time.Duration // +HTTPACTION
	Connect time.Duration // CONNECT OK
	ConnAck time.Duration // CONNACK OK
	SubAck  time.Duration // SUBACK and UNSUBACK
	PubAck  time.Duration // PUBACK
}

// radioTimeout is what CFUN may take (AT manual 1.6.3 section 1.4).
const radioTimeout = 45 * time.Second

// Recorder counts what a modem does. Its methods are called from the reader's
// goroutine too, and must not wait.
type Recorder interface {
	atengine.Recorder
	URC(kind string) // kind is the text of an [EventKind]
}

// Options configure a [Modem].
type Options struct {
	Baud     int      // speed of the line in bit/s; 0: not known
	Timeouts Timeouts // of what is asked
	// Downlink is called from the reader's goroutine for every message that
	// arrives, with a payload of its own. It must not wait and must not call the
	// Modem.
	Downlink func(topic string, payload []byte)
	// Trace is given all traffic, redacted; bytes is its size on the line. It is
	// called by the reader's goroutine and by the caller of the Modem, must not wait
	// and must not keep text. nil: nobody wants it.
	Trace func(dir TraceDir, text []byte, bytes int)
	// DataPhase, if not nil, is called before every publish that is sent in a data
	// phase: from then on until it has ended the module may take for payload
	// whatever is written, by another process too.
	DataPhase func()
	Recorder  Recorder // may be nil
	Log       *zap.Logger
}

// loose are the lines that some firmware prints without a line end (EC618 before
// V1121: CONNECT OK; before V1161: +CPIN), and their like.
var loose = [][]byte{
	[]byte("OK"), []byte("CONNECT OK"), []byte("CONNECT FAIL"), []byte("CONNACK OK"), []byte("SUBACK"), []byte("PUBACK"),
	[]byte("CLOSED"), []byte("DOWNLOAD"), []byte("+CPIN: READY"),
}

// Modem speaks to one module. Run must be running; all methods that talk to the
// module are for one goroutine, the session's.
type Modem struct {
	eng  *atengine.Engine
	o    Options
	rec  Recorder
	log  *zap.Logger
	caps Capabilities
	baud int

	live      atomic.Bool                 // there may be an MQTT session, and so messages
	asked     atomic.Bool                 // a person's command is under way, and any line may answer it
	expected  atomic.Pointer[[]EventKind] // what completes the command under way; nil: nothing
	hexOut    atomic.Bool                 // the module was put into MQTTMODE=1: publish in hexadecimal
	hexIn     atomic.Bool                 // messages may come in hexadecimal: MQTTMODE is 1, or not known yet; read by the framer
	dialled   atengine.Mark               // when the last Dial began
	httpStuck bool                        // an HTTP session may be open in the module
}

// New returns a Modem on a port. It does not touch the port before Run.
func New(port io.ReadWriter, o Options) *Modem {
	m := &Modem{o: o, rec: o.Recorder, log: o.Log, baud: o.Baud}
	if m.rec == nil {
		m.rec = noRecorder{}
	}
	if m.log == nil {
		m.log = zap.NewNop()
	}
	var trace atengine.Tracer
	if o.Trace != nil {
		trace = &tracer{sink: o.Trace}
	}
	m.hexIn.Store(true) // an earlier run may have left the module in that mode
	m.eng = atengine.New(port, atengine.Options{
		Framers: []atengine.Framer{
			{Name: msubFramer, Ends: msubEnds, Frame: func(buf []byte) (int, atengine.Verdict) { return frameMSUB(buf, m.hexIn.Load()) }},
			{Name: httpReadFramer, Ends: httpReadEnds, Frame: frameHTTPRead},
		},
		Baud:     o.Baud,
		URC:      m.unsolicited,
		Reboot:   m.restarts,
		Loose:    loose,
		Recorder: m.rec,
		Tracer:   trace,
		Log:      m.log,
	})
	return m
}

// Run reads from the port until ctx ends or the port fails. The owner of the
// port closes it to unblock the read.
func (m *Modem) Run(ctx context.Context) error { return m.eng.Run(ctx) }

// Resync brings the engine back in step with the module after a command whose
// answer did not come.
func (m *Modem) Resync(ctx context.Context) error { return m.eng.Resync(ctx) }

// InSync says whether commands can be run: false after one was left without its
// answer, until Resync.
func (m *Modem) InSync() bool { return m.eng.InSync() }

// DeafFor is for how long the module may take whatever is written for payload,
// because a data phase went wrong; 0: it does not. A new Modem on the same module
// knows nothing of it, so its owner has to wait.
func (m *Modem) DeafFor() time.Duration { return m.eng.DeafFor() }

// Echoes says whether the module echoes commands. After Identify, which switches
// that off, it means that the module restarted and lost all its settings: boot
// lines are not visible before the baud rate is trained (AT manual 1.6.3,
// section 4.7), so there may be no other trace.
func (m *Modem) Echoes() bool { return m.eng.Echoes() }

// SetBaud tells the speed of the line, in bit/s, for the deadlines of blocks.
func (m *Modem) SetBaud(baud int) {
	m.baud = baud
	m.eng.SetBaud(baud)
}

// SetCapabilities settles what Publish may use. Before it or Probe was called,
// Publish does what every module can.
func (m *Modem) SetCapabilities(c Capabilities) { m.caps = c }

// Mark is the present moment in the order of what the module sent.
func (m *Modem) Mark() atengine.Mark { return m.eng.Mark() }

// LastByte is when the module was last heard.
func (m *Modem) LastByte() time.Time { return m.eng.LastByte() }

// Events wakes up when Since may have something new.
func (m *Modem) Events() <-chan struct{} { return m.eng.Changed() }

// Since returns what the module said of its own accord after a mark, and the
// mark to ask with next time.
func (m *Modem) Since(mark atengine.Mark) ([]Event, atengine.Mark) {
	urcs, next := m.eng.Since(mark)
	events := make([]Event, 0, len(urcs))
	for _, u := range urcs {
		events = append(events, Event{Kind: Classify([]byte(u.Text)), Text: printable([]byte(u.Text))})
	}
	return events, next
}

// unsolicited takes every token that is not part of an answer, in the reader's
// goroutine. The text of an unknown line is not logged: what lost its header may
// be the middle of a secret.
func (m *Modem) unsolicited(t atengine.Token) atengine.Fate {
	kind := classifyToken(t)
	if kind == Rebooted && !m.restarts(t.Bytes) {
		kind = Unknown
	}
	switch kind {
	case Downlink:
		if err := m.downlink(t.Bytes); err != nil {
			kind = DownlinkBad
			m.log.Warn("a downlink message was lost", zap.Error(err), zap.Int("bytes", len(t.Bytes)))
		}
	case Rebooted:
		m.encoding(false) // the module forgot its settings
		m.live.Store(false)
	case DownlinkCached:
		m.log.Warn("the module keeps downlink messages in its slots: MQTTMSGSET=0 did not take")
	case Unknown:
		m.log.Debug("unknown line from the module", zap.Int("bytes", len(t.Bytes)))
	}
	m.rec.URC(string(kind))
	switch {
	case t.Cut:
	case m.damage(t, kind):
		return atengine.Suspect
	case t.Kind == atengine.Line && kind.kept():
		return atengine.Keep
	}
	return atengine.Drop
}

// downlink hands one message on.
func (m *Modem) downlink(block []byte) error {
	topic, payload, err := parseMSUB(block)
	if err == nil && m.o.Downlink != nil {
		m.o.Downlink(topic, payload)
	}
	return err
}

// do sends a command that has no answer but its final result.
func (m *Modem) do(ctx context.Context, line string) (atengine.Reply, error) {
	return m.eng.Do(ctx, atengine.Command{Line: line, Timeout: m.o.Timeouts.Command})
}

// quickMost bounds what the module answers from its own memory, without asking
// the network. With a poll every 30 s a module that fell silent is known within
// 35 s.
const quickMost = 4500 * time.Millisecond

func (m *Modem) quick() time.Duration { return min(m.o.Timeouts.Command, quickMost) }

// tell is do for a command that cannot be refused, or whose refusal does not
// matter. Anything else than a refusal is an error.
func (m *Modem) tell(ctx context.Context, c atengine.Command) error {
	_, err := m.eng.Do(ctx, c)
	if _, no := refusal(err); no {
		return nil
	}
	return err
}

// ask sends a command and returns the last line of its answer.
func (m *Modem) ask(ctx context.Context, line string, timeout time.Duration, mine func([]byte) bool) ([]byte, error) {
	reply, err := m.eng.Do(ctx, atengine.Command{Line: line, Info: mine, Timeout: timeout})
	if err != nil {
		return nil, err
	}
	if len(reply.Info) == 0 {
		return nil, malformed(line + ": no answer but OK")
	}
	return reply.Info[len(reply.Info)-1], nil
}

// named returns an Info function for lines that begin with "name:".
func named(name string) func([]byte) bool {
	return func(line []byte) bool {
		_, ok := answer(line, name)
		return ok
	}
}

// refusal says whether the module answered ERROR or +CME ERROR, and with which
// code; -1 is plain ERROR.
func refusal(err error) (code int, ok bool) {
	var e *atengine.Error
	if !errors.As(err, &e) || !errors.Is(e.Err, atengine.ErrRefused) {
		return 0, false
	}
	return e.Code, true
}

// plain says whether a refusal was ERROR and nothing more: what is told in words that
// nobody knows is told all the same.
func plain(err error) bool {
	var e *atengine.Error
	return errors.As(err, &e) && e.Final == "ERROR"
}

// await waits for the line that completes a command, or for one that says that
// it will not come.
func (m *Modem) await(ctx context.Context, since atengine.Mark, timeout time.Duration, what string, want, ends []EventKind) (atengine.URC, EventKind, error) {
	var kind EventKind
	urc, err := m.eng.Await(ctx, since, timeout, what, func(text string) bool {
		kind = Classify([]byte(text))
		return slices.Contains(want, kind) || slices.Contains(ends, kind) || kind == Rebooted || kind == PowerDown
	})
	switch {
	case err != nil:
		return urc, "", err
	case kind == Rebooted || kind == PowerDown:
		return urc, kind, fmt.Errorf("waiting for %s: %w", what, atengine.ErrRebooted)
	}
	return urc, kind, nil
}

// wireTime is how long n bytes take on the line, for deadlines of long commands.
func (m *Modem) wireTime(n int) time.Duration {
	baud := m.baud
	if baud <= 0 {
		baud = 115200
	}
	return time.Duration(n) * 10 * time.Second / time.Duration(baud)
}

type noRecorder struct{}

func (noRecorder) Command(string, string, time.Duration) {}
func (noRecorder) Bytes(string, int)                     {}
func (noRecorder) Resync(string)                         {}
func (noRecorder) URC(string)                            {}
