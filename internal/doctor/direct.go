package doctor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"airbridged/client"
	"airbridged/internal/air"
)

// directTime bounds what is asked of the module behind a running daemon, which
// has a moment for it between two commands of its own.
const directTime = 20 * time.Second

// direct asks the module behind a running daemon, with POST /v1/at, what it would
// be asked without one. It returns what was found out: nothing where this user may
// not ask, or the daemon has no module to ask.
func (x *examination) direct(ctx context.Context, c *client.Client) map[string]Finding {
	ctx, cancel := context.WithTimeout(ctx, directTime)
	defer cancel()
	port := newDaemonPort(ctx, c)
	modem := air.New(port, air.Options{Timeouts: air.Timeouts{Command: directTime, Bearer: directTime}})
	var reader sync.WaitGroup
	reader.Go(func() { _ = modem.Run(ctx) })
	defer reader.Wait()
	defer port.close()

	asked := &examination{Options: Options{now: x.now}, ended: ctx.Err, cfg: x.cfg}
	asked.cfg.Cloud.Timeouts.Bearer = 0 // what is not so now is told as it is
	found := map[string]Finding{}
	l := &openedModule{Modem: modem}
	for _, check := range []func(context.Context, *openedModule){asked.sim, asked.signal, asked.network} {
		before := len(asked.report.Findings)
		check(ctx, l)
		if port.broken() || ctx.Err() != nil {
			break // it was not the module that said so
		}
		for _, f := range asked.report.Findings[before:] {
			found[f.Check] = f
		}
		if asked.stopped != "" {
			break
		}
	}
	return found
}

// daemonPort is a serial port whose other end is the daemon: a command that is
// written is asked by POST /v1/at, and the answer can be read as the module would
// have sent it. So the same code asks the module in both ways.
type daemonPort struct {
	ctx    context.Context
	client *client.Client
	line   []byte
	answer chan []byte
	rest   []byte
	gone   chan struct{}
	close  func()

	mu  sync.Mutex
	err error // why the daemon did not do it
}

// maxAnswers bounds the answers that nobody has read yet; one command is asked at
// a time.
const maxAnswers = 4

func newDaemonPort(ctx context.Context, c *client.Client) *daemonPort {
	p := &daemonPort{ctx: ctx, client: c, answer: make(chan []byte, maxAnswers), gone: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.gone) })
	return p
}

// Write takes bytes up to the CR that ends a command, and asks then.
func (p *daemonPort) Write(b []byte) (int, error) {
	p.line = append(p.line, b...)
	command, more, whole := bytes.Cut(p.line, []byte{'\r'})
	if !whole {
		return len(b), nil
	}
	p.line = bytes.Clone(more)
	reply, err := p.client.AT(p.ctx, string(command), false)
	if err != nil {
		p.fail(err)
		return 0, err
	}
	var text bytes.Buffer
	for _, line := range append(reply.Lines, reply.Final) {
		text.WriteString("\r\n" + line + "\r\n")
	}
	select {
	case p.answer <- text.Bytes():
		return len(b), nil
	default:
		p.fail(io.ErrShortWrite)
		return 0, io.ErrShortWrite
	}
}

// Read hands out answers until close.
func (p *daemonPort) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		select {
		case p.rest = <-p.answer:
		case <-p.gone:
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *daemonPort) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errors.Join(p.err, err)
	p.close()
}

// broken says whether the daemon failed to ask, whatever the module would have
// said.
func (p *daemonPort) broken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil
}
