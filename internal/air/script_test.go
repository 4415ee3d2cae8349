package air

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"airbridged/internal/config"
)

// exchange is one command that a test's module expects, and what it does then.
type exchange struct {
	want    string
	answers []string
	data    string   // what must follow after answers, raw
	then    []string // what comes after data
}

// on expects a command. An answer is a line of its own; "~2s" is a wait, and
// "raw:" sends bytes as they are.
func on(want string, answers ...string) exchange { return exchange{want: want, answers: answers} }

// takes expects raw data behind the answers so far, and answers again.
func (e exchange) takes(data string, then ...string) exchange {
	e.data, e.then = data, then
	return e
}

// refuse is a plain ERROR to several commands.
func refuse(wants ...string) []exchange {
	var script []exchange
	for _, w := range wants {
		script = append(script, on(w, "ERROR"))
	}
	return script
}

// ok is OK to several commands.
func ok(wants ...string) []exchange {
	var script []exchange
	for _, w := range wants {
		script = append(script, on(w, "OK"))
	}
	return script
}

func script(parts ...any) []exchange {
	var all []exchange
	for _, p := range parts {
		switch p := p.(type) {
		case exchange:
			all = append(all, p)
		case []exchange:
			all = append(all, p...)
		}
	}
	return all
}

// message is a downlink message that was handed on.
type message struct{ topic, payload string }

// bench is a Modem with a scripted module behind it.
type bench struct {
	*Modem
	t   *testing.T
	ctx context.Context
	out *io.PipeWriter
	log *observer.ObservedLogs

	mu       sync.Mutex
	messages []message
	kinds    map[string]int
}

// tally is the Recorder of a bench.
type tally struct {
	noRecorder
	b *bench
}

func (t tally) URC(kind string) {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.b.kinds[kind]++
}

func (b *bench) received() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]message(nil), b.messages...)
}

func (b *bench) counted(kind EventKind) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kinds[string(kind)]
}

// says sends what the module prints of its own accord, and waits until it has
// been taken in.
func (b *bench) says(answers ...string) {
	b.send(answers)
	synctest.Wait()
}

func (b *bench) send(answers []string) {
	for _, a := range answers {
		if wait, found := strings.CutPrefix(a, "~"); found {
			d, err := time.ParseDuration(wait)
			if err != nil {
				b.t.Error(err)
			}
			time.Sleep(d)
			continue
		}
		if raw, found := strings.CutPrefix(a, "raw:"); found {
			a = raw
		} else {
			a = "\r\n" + a + "\r\n"
		}
		if _, err := io.WriteString(b.out, a); err != nil {
			return // the test is over
		}
	}
}

// port is the host's end of the line.
type port struct {
	io.Reader
	written chan []byte
}

// Write never blocks: a test writes less than the channel holds.
func (p port) Write(b []byte) (int, error) {
	select {
	case p.written <- append([]byte(nil), b...):
		return len(b), nil
	default:
		return 0, fmt.Errorf("the scripted module does not read")
	}
}

// play runs body against a module that follows a script, in virtual time. Every
// exchange must happen, in order, and nothing else may be written.
func play(t *testing.T, o Options, exchanges []exchange, body func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		core, logs := observer.New(zapcore.DebugLevel)
		b := &bench{t: t, out: out, log: logs, kinds: map[string]int{}}
		if o.Baud == 0 {
			o.Baud = 115200
		}
		o.Recorder, o.Log = tally{b: b}, zap.New(core)
		o.Downlink = func(topic string, payload []byte) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.messages = append(b.messages, message{topic, string(payload)})
		}
		p := port{Reader: in, written: make(chan []byte, 1024)}
		if o.Timeouts == (Timeouts{}) {
			o.Timeouts = Timeouts(config.Default().Cloud.Timeouts)
		}
		b.Modem = New(p, o)
		ctx, stop := context.WithCancel(t.Context())
		b.ctx = ctx
		var owned sync.WaitGroup
		owned.Go(func() { _ = b.Run(ctx) })
		owned.Go(func() { b.follow(exchanges, p.written) })
		defer func() {
			stop()
			close(p.written)
			out.Close()
			owned.Wait()
		}()
		body(b)
		synctest.Wait()
	})
}

// follow is the module.
func (b *bench) follow(exchanges []exchange, written <-chan []byte) {
	var held string
	read := func(done func(string) int) string {
		for {
			if n := done(held); n > 0 {
				got := held[:n]
				held = held[n:]
				return got
			}
			chunk, open := <-written
			if !open {
				return ""
			}
			held += string(chunk)
		}
	}
	command := func(s string) int { return strings.IndexByte(s, '\r') + 1 }
	for _, e := range exchanges {
		got := read(command)
		if got != e.want+"\r" {
			b.t.Errorf("the module got %q, the script has %q", got, e.want)
			return
		}
		b.send(e.answers)
		if e.data == "" {
			continue
		}
		if got := read(func(s string) int { return min(len(s), len(e.data)) / len(e.data) * len(e.data) }); got != e.data {
			b.t.Errorf("%s: the module got the data %q, the script has %q", e.want, got, e.data)
			return
		}
		b.send(e.then)
	}
	if got := read(func(s string) int { return len(s) }); got != "" {
		b.t.Errorf("the module got %q beyond the script", got)
	}
}

// ok fails the test on an error.
func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("at %v: %v", time.Now(), err)
	}
}
