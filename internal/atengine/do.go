package atengine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// running is the command whose answer is awaited.
type running struct {
	command *Command
	armed   bool          // written whole but for its CR: lines may now be its answer; guarded by the engine's mutex
	whole   bool          // all of it is written, or being written: success may come; guarded likewise
	prompt  chan struct{} // closed when the module asked for data
	done    chan struct{} // closed when the answer is complete, with the mutex held
	reply   Reply
	err     error

	// Only for the dispatching goroutine.
	echoed   bool // its echo was seen and dropped
	prompted bool // the module asked for data

	completed bool // a line that completes it came before its OK; guarded by the engine's mutex
}

// end completes the answer once; what comes later cannot change it.
func (r *running) end(err error) {
	r.err = err
	close(r.done)
}

// Do runs one command and returns its answer. Errors are *Error and wrap:
// ErrUnsafe, nothing was written; ErrRefused, the module said ERROR, and after a
// command with a prompt the engine is out of step; ErrTimeout, ErrRebooted, the cause of ctx: the engine is out of step
// afterwards; ErrOutOfSync, it already was; ErrClosed, the port is gone.
func (e *Engine) Do(ctx context.Context, c Command) (Reply, error) {
	verb := c.verb()
	if err := c.checkSafe(); err != nil {
		return Reply{}, err
	}
	if ctx.Err() != nil {
		return Reply{}, &Error{Verb: verb, Err: context.Cause(ctx)}
	}
	if err := e.settle(ctx); err != nil {
		return Reply{}, &Error{Verb: verb, Err: err}
	}
	r, err := e.begin(&c)
	if err != nil {
		return Reply{}, &Error{Verb: verb, Err: err}
	}
	start := time.Now()
	err = e.exchange(ctx, r)
	took := time.Since(start)
	result := outcome(err)
	e.o.Recorder.Command(label(verb), result, took)
	if !answered(err) {
		e.o.Tracer.Unanswered(c.Line, result)
	}
	e.o.Log.Debug("command", zap.String("verb", verb), zap.String("result", result), zap.Duration("took", took))
	if err != nil {
		var refused *Error
		if errors.As(err, &refused) {
			refused.Verb = verb
			return Reply{}, refused
		}
		return Reply{}, &Error{Verb: verb, Err: err}
	}
	return r.reply, nil
}

// begin claims the engine for a command.
func (e *Engine) begin(c *Command) (*running, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.dead:
		return nil, e.closedLocked()
	default:
	}
	if e.poison != nil {
		return nil, fmt.Errorf("%w: %w", ErrOutOfSync, e.poison)
	}
	if e.running != nil {
		return nil, errors.New("another command is running: the engine is for one goroutine")
	}
	r := &running{command: c, prompt: make(chan struct{}), done: make(chan struct{})}
	e.running = r
	e.verdicts.next(time.Now())
	return r, nil
}

// exchange writes the command and waits for its answer. Whatever keeps the
// answer away poisons the engine.
func (e *Engine) exchange(ctx context.Context, r *running) error {
	if err := e.send(r); err != nil {
		return e.giveUp(r, err)
	}
	timeout := r.command.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	if r.command.Prompt != "" {
		select {
		case <-r.prompt:
			if !e.startData(r) {
				return r.err // asked and refused in one breath: the data would be commands
			}
			e.o.Tracer.Data(len(r.command.Data))
			if err := e.write(r.command.Data); err != nil {
				return e.giveUp(r, err)
			}
			r.reply.WrittenAt = time.Now()
		case <-r.done:
			return r.err
		case <-timer.C:
			return e.giveUp(r, ErrTimeout)
		case <-ctx.Done():
			return e.giveUp(r, context.Cause(ctx))
		}
	}
	select {
	case <-r.done:
		return r.err
	case <-timer.C:
		return e.giveUp(r, ErrTimeout)
	case <-ctx.Done():
		return e.giveUp(r, context.Cause(ctx))
	}
}

// send writes the command. It is armed between its body and its CR: the module
// cannot answer before the CR, so whatever was read until then is not an answer.
func (e *Engine) send(r *running) error {
	e.o.Tracer.Command(r.command.Line)
	if err := e.write([]byte(r.command.Line)); err != nil {
		return err
	}
	e.mu.Lock()
	r.armed = true
	r.whole = r.command.Prompt == "" || len(r.command.Data) == 0
	r.reply.Mark = e.urcs.mark()
	e.mu.Unlock()
	if err := e.write(carriageReturn); err != nil {
		return err
	}
	r.reply.WrittenAt = time.Now()
	return nil
}

// passPrompt tells a command of its prompt, once all that came with it is
// scanned: there may be a refusal behind it.
func (e *Engine) passPrompt() {
	if e.asked != nil {
		close(e.asked.prompt)
		e.asked = nil
	}
}

// startData says whether the data may be written: not if the command has ended
// since its prompt.
func (e *Engine) startData(r *running) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.whole = true
	return e.running == r
}

// carriageReturn ends a command. A line feed behind it could be taken for the
// first byte of a payload (seen with CIPSEND and MPUBEX).
var carriageReturn = []byte{'\r'}

func (e *Engine) write(b []byte) error {
	n, err := e.port.Write(b)
	e.o.Recorder.Bytes("tx", n)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// giveUp ends a command whose answer did not come, unless it came after all in
// this very moment. From here on the engine is out of step.
func (e *Engine) giveUp(r *running, err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running != r {
		<-r.done // answered: end was called with the mutex held
		return r.err
	}
	e.poisonLocked(err)
	e.abandonLocked(err)
	return err
}

// deafLocked forbids any byte for d: what is written into a data phase that was
// left open becomes payload.
func (e *Engine) deafLocked(d time.Duration) {
	if until := time.Now().Add(d); until.After(e.deafUntil) {
		e.deafUntil = until
	}
}

func (c *Command) dataPhase() time.Duration {
	if c.DataPhase > 0 {
		return c.DataPhase
	}
	return DefaultDataPhase
}

// answer takes a token that belongs to the running command, and says whether it
// did. It copies what it keeps.
func (e *Engine) answer(t Token) bool {
	e.mu.Lock()
	r := e.running
	armed := r != nil && r.armed
	e.mu.Unlock()
	switch {
	case r == nil:
		return e.stray(t)
	case t.Kind == Overlong:
		return false
	case t.Kind == Line && !r.echoed && string(t.Bytes) == r.command.Line:
		r.echoed = true
		return true
	case !armed:
		return e.stray(t)
	case e.latePrompt(t):
		return true
	case isPrompt(t, r.command.Prompt):
		if !r.prompted {
			r.prompted = true
			e.asked = r
		}
		return true
	case t.Kind == Line && e.finish(r, t.Bytes):
		return true
	case r.command.Info != nil && r.command.Info(t.Bytes):
		r.reply.Info = append(r.reply.Info, bytes.Clone(t.Bytes))
		return true
	}
	return false
}

// isPrompt tells the prompt that a command waits for: > is a token of its own,
// a word is a line.
func isPrompt(t Token, prompt string) bool {
	return prompt != "" && (t.Kind == Prompt || t.Kind == Line && string(t.Bytes) == prompt)
}

// finish ends the running command if the line is its final result.
func (e *Engine) finish(r *running, line []byte) bool {
	code, success, is := final(line)
	if !is {
		success = r.command.Final != nil && r.command.Final(line)
	}
	if !is && !success {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.running != r: // it was given up in this very moment
	case success && !r.whole: // before its data was written, success is not this command's
		e.urcs.doubt(time.Now())
	case success:
		r.reply.Final, r.reply.Ended = string(line), e.urcs.mark()
		e.echoes.Store(r.echoed)
		e.running, e.ended = nil, time.Now()
		if r.command.Completes != nil && !r.completed {
			e.verdicts.open = r.command
		}
		r.end(nil)
	default:
		e.running, e.ended = nil, time.Now()
		e.refusedLocked(r)
		r.end(&Error{Code: code, Final: string(line), Err: ErrRefused})
	}
	return true
}

// promptGrace is how long a prompt is waited for behind a refusal of the command
// that should bring it.
const promptGrace = time.Second

// refusedLocked is silent for a while after a command with a data phase was refused:
// the refusal may have been the answer to something else, and then the module takes
// what is written next for payload. Before its prompt a short silence and a lone AT
// show whether it does, if an AT alone cannot be the whole payload; behind it only
// the end of the data phase is sure.
func (e *Engine) refusedLocked(r *running) {
	c := r.command
	if c.Prompt == "" {
		return
	}
	e.poisonLocked(ErrRefused)
	if r.prompted || len(c.Data) <= len("AT\r") {
		e.deafLocked(c.dataPhase())
	} else {
		e.deafLocked(promptGrace)
		e.unproved = true
	}
	if !r.prompted {
		e.late = c
	}
}

// stray takes what can only be the answer of a command that was given up, so
// that it is neither kept as a URC nor taken for the next answer. One behind the
// answer of another command says that one of the two was not its own.
func (e *Engine) stray(t Token) bool {
	if e.latePrompt(t) {
		return true
	}
	if t.Kind != Line {
		return false
	}
	_, success, is := final(t.Bytes)
	if is && !success && e.refusedLate(t.Bytes) {
		return true
	}
	if is {
		e.strays.Add(1)
		e.urcs.doubt(time.Now()) // so the answer before it may have been somebody else's
		if e.inQuiet() {
			e.distrust() // no command is there to be late: what it stands in may be a payload
		}
	}
	return is
}

// inQuiet says whether the module has nothing to answer: no command runs, none was
// given up, and the last answer is a while ago.
func (e *Engine) inQuiet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.running == nil && e.poison == nil && e.late == nil && time.Since(e.ended) > quietFor
}

// latePrompt notes the prompt of a command that was given up: from then on the
// module swallows what is sent. It comes once, so that a module that repeats it
// cannot keep Resync waiting for ever.
func (e *Engine) latePrompt(t Token) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.late == nil || !isPrompt(t, e.late.Prompt) {
		return false
	}
	e.deafLocked(e.late.dataPhase())
	e.late, e.unproved = nil, false
	e.urcs.doubt(time.Now()) // where the command was refused, that was no answer to it
	return true
}

// mayPrompt keeps silent behind what may be the prompt of a command that was given up.
func (e *Engine) mayPrompt(t Token) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.late != nil && (isPrompt(t, e.late.Prompt) || isBarePrompt(t.Bytes)) {
		e.deafLocked(e.late.dataPhase())
	}
}

// answered says whether a command got its final result, good or bad.
func answered(err error) bool { return err == nil || errors.Is(err, ErrRefused) }

// outcome is the metric label of what became of a command.
func outcome(err error) string {
	var refused *Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refused) && refused.Code == PlainError:
		return "error"
	case errors.As(err, &refused):
		return "cme"
	case errors.Is(err, ErrTimeout):
		return "timeout"
	case errors.Is(err, ErrRebooted):
		return "rebooted"
	case errors.Is(err, ErrClosed):
		return "port"
	}
	return "cancelled"
}
