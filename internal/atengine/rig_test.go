package atengine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is one direction of a serial line. Each write is read by itself, so that
// a test decides where the read boundaries are.
type wire struct {
	mu     sync.Mutex
	more   *sync.Cond
	chunks [][]byte
	end    error // what a read returns when all is read; nil: it waits
}

func newWire() *wire {
	w := &wire{}
	w.more = sync.NewCond(&w.mu)
	return w
}

func (w *wire) put(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(b) > 0 && w.end == nil {
		w.chunks = append(w.chunks, bytes.Clone(b))
		w.more.Broadcast()
	}
}

// take removes what was written and not read.
func (w *wire) take() (all string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.chunks {
		all += string(c)
	}
	w.chunks = nil
	return all
}

func (w *wire) close(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end == nil {
		w.end = err
		w.more.Broadcast()
	}
}

func (w *wire) Read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.chunks) == 0 && w.end == nil {
		w.more.Wait()
	}
	if len(w.chunks) == 0 {
		return 0, w.end
	}
	n := copy(b, w.chunks[0])
	if w.chunks[0] = w.chunks[0][n:]; len(w.chunks[0]) == 0 {
		w.chunks = w.chunks[1:]
	}
	return n, nil
}

// written is one write of the engine.
type written struct {
	at   time.Time
	text string
}

// port is the engine's end of the line. It remembers every write.
type port struct {
	in, out *wire

	mu       sync.Mutex
	log      []written
	writeErr error
	onWrite  func(text string) // before the module sees the bytes
}

func (p *port) Read(b []byte) (int, error) { return p.in.Read(b) }

func (p *port) Write(b []byte) (int, error) {
	p.mu.Lock()
	err, hook := p.writeErr, p.onWrite
	if err == nil {
		p.log = append(p.log, written{time.Now(), string(b)})
	}
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if hook != nil {
		hook(string(b))
	}
	p.out.put(b)
	return len(b), nil
}

// wrote is everything the engine has written.
func (p *port) wrote() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all strings.Builder
	for _, w := range p.log {
		all.WriteString(w.text)
	}
	return all.String()
}

// writes are the engine's writes since a moment.
func (p *port) writes(since time.Time) (after []written) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.log {
		if !w.at.Before(since) {
			after = append(after, w)
		}
	}
	return after
}

// module is the scripted far end: it reads commands up to their CR and hands
// each to answer, one after the other like a real module.
type module struct {
	port *port
	rest []byte // read, but not yet a command
	done chan struct{}

	mu     sync.Mutex
	answer func(m *module, command string)
}

// becomes changes how the module answers, and returns how it did.
func (m *module) becomes(answer func(m *module, command string)) (before func(m *module, command string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, m.answer = m.answer, answer
	return before
}

func (m *module) run() {
	defer close(m.done)
	for {
		i := bytes.IndexByte(m.rest, '\r')
		if i < 0 {
			if !m.read() {
				return
			}
			continue
		}
		command := string(m.rest[:i])
		m.rest = m.rest[i+1:]
		m.mu.Lock()
		answer := m.answer
		m.mu.Unlock()
		answer(m, command)
	}
}

func (m *module) read() bool {
	buf := make([]byte, 256)
	n, err := m.port.out.Read(buf)
	m.rest = append(m.rest, buf[:n]...)
	return err == nil
}

// data takes n raw bytes, as a module in its data phase does.
func (m *module) data(n int) string {
	for len(m.rest) < n {
		if !m.read() {
			return ""
		}
	}
	data := string(m.rest[:n])
	m.rest = m.rest[n:]
	return data
}

// send sends each text so that it is read by itself.
func (m *module) send(texts ...string) {
	for _, text := range texts {
		m.port.in.put([]byte(text))
	}
}

const ok = "\r\nOK\r\n"

// script answers commands from a table; what is not in it is an ERROR, except
// AT.
func script(table map[string]string) func(m *module, command string) {
	return func(m *module, command string) {
		switch answer, known := table[command]; {
		case known:
			m.send(answer)
		case command == "AT":
			m.send(ok)
		default:
			m.send("\r\nERROR\r\n")
		}
	}
}

// silent is a module that never answers.
func silent(*module, string) {}

// rig is an engine at a scripted module inside a bubble.
type rig struct {
	*testing.T
	engine *Engine
	port   *port
	module *module
	ctx    context.Context
	cancel context.CancelFunc
	ran    chan error // Run's result

	mu     sync.Mutex
	tokens []string // what the URC hook was shown
}

// errUnplugged is the port's own error in the tests.
var errUnplugged = errors.New("device unplugged")

// story runs a test in a bubble. Lines of its own accord are kept unless the
// options have a hook.
func story(t *testing.T, o Options, answer func(m *module, command string), tell func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o, answer)
		defer r.close()
		tell(r)
	})
}

func newRig(t *testing.T, o Options, answer func(m *module, command string)) *rig {
	r := &rig{T: t, ran: make(chan error, 1)}
	if o.Framers == nil {
		o.Framers = testFramers()
	}
	if o.Baud == 0 {
		o.Baud = 115200
	}
	hook := o.URC
	o.URC = func(tok Token) Fate {
		r.mu.Lock()
		r.tokens = append(r.tokens, show(tok))
		r.mu.Unlock()
		if hook != nil {
			return hook(tok)
		}
		return keepLines(tok)
	}
	r.port = &port{in: newWire(), out: newWire()}
	r.module = &module{port: r.port, answer: answer, done: make(chan struct{})}
	r.engine = New(r.port, o)
	r.ctx, r.cancel = context.WithCancel(t.Context())
	go func() { r.ran <- r.engine.Run(r.ctx) }()
	go r.module.run()
	return r
}

// keepLines keeps all lines and nothing else.
func keepLines(t Token) Fate {
	if t.Kind == Line {
		return Keep
	}
	return Drop
}

// close shuts down like an owner does, and checks that nothing stays behind;
// the bubble checks the goroutines.
func (r *rig) close() {
	r.Helper()
	r.cancel()
	r.port.in.close(io.EOF)
	r.port.out.close(io.EOF)
	select {
	case <-r.ran:
	case <-time.After(time.Second):
		r.Fatal("Run did not return within 1 s of its port's end")
	}
	if _, err := r.engine.Do(context.Background(), Command{Line: "AT"}); !errors.Is(err, ErrClosed) {
		r.Errorf("Do after the end: %v, want ErrClosed", err)
	}
	<-r.module.done
}

// seen is what the URC hook was shown so far.
func (r *rig) seen() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tokens)
}

func (r *rig) wantSeen(want ...string) {
	r.Helper()
	if got := r.seen(); !slices.Equal(got, want) {
		r.Errorf("the URC hook saw\n %v, want\n %v", got, want)
	}
}

// do runs a command that must end well.
func (r *rig) do(c Command) Reply {
	r.Helper()
	reply, err := r.engine.Do(r.ctx, c)
	if err != nil {
		r.Fatalf("%s: %v", c.Line, err)
	}
	return reply
}

// fails runs a command that must end with target.
func (r *rig) fails(c Command, target error) error {
	r.Helper()
	reply, err := r.engine.Do(r.ctx, c)
	if !errors.Is(err, target) {
		r.Fatalf("%s: %v, want %v", c.Line, err, target)
	}
	var e *Error
	if !errors.As(err, &e) {
		r.Errorf("%s: %T is not an *Error", c.Line, err)
	}
	if reply.Info != nil || reply.Final != "" {
		r.Errorf("%s: a failed command has the reply %+v", c.Line, reply)
	}
	return err
}

func (r *rig) resync() {
	r.Helper()
	if err := r.engine.Resync(r.ctx); err != nil {
		r.Fatalf("Resync: %v", err)
	}
	if !r.engine.InSync() {
		r.Fatal("not in step after Resync")
	}
}

// wantDoubt waits for the reason for doubt that comes after a mark.
func (r *rig) wantDoubt(since Mark) {
	r.Helper()
	if _, err := r.engine.Await(r.ctx, since, time.Minute, "a doubt", is(Doubt)); err != nil {
		r.Error(err)
	}
}

// wantInfo checks what a command got.
func (r *rig) wantInfo(reply Reply, want ...string) {
	r.Helper()
	got := make([]string, 0, len(reply.Info))
	for _, line := range reply.Info {
		got = append(got, string(line))
	}
	if !slices.Equal(got, want) {
		r.Errorf("information %q, want %q", got, want)
	}
}

// named matches lines and blocks that begin with prefix.
func named(prefix string) func([]byte) bool {
	return func(line []byte) bool { return bytes.HasPrefix(line, []byte(prefix)) }
}

func is(word string) func(string) bool { return func(text string) bool { return text == word } }

func signal29() Command { return Command{Line: "AT+CSQ", Info: named("+CSQ:")} }

// publish is a command with a data phase.
func publish(payload string) Command {
	return Command{Line: `AT+MPUBEX="t",1,0,5`, Prompt: ">", Data: []byte(payload)}
}
