package atengine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Recorder takes the engine's measurements.
type Recorder interface {
	// Command: verb without AT and punctuation; result one of ok, error, cme,
	// timeout, cancelled, rebooted, port; d from the first byte to the result.
	Command(verb, result string, d time.Duration)
	// Bytes: direction is tx or rx.
	Bytes(direction string, n int)
	// Resync: result is ok or failed.
	Resync(result string)
}

// Tracer is shown all that goes over the line, in order and as it is, secrets
// included: what it keeps of that is its own to redact. Token is called by the
// goroutine of Run, the others by that of Do and Resync, so two at a time. None
// may wait, call the engine or keep what it was shown.
type Tracer interface {
	Command(line string)            // is about to be written, without its CR
	Data(n int)                     // so many bytes of payload are about to be written, behind a prompt
	Token(t Token)                  // was read
	Unanswered(line, result string) // a command got no answer; result as in Recorder.Command
	Resync(result string)           // ended; result as in Recorder.Resync
}

// Options is what an engine is told about the dialect.
type Options struct {
	MaxLine int      // bytes; 0: MaxLine
	Framers []Framer // of raw blocks
	Baud    int      // bit/s, for the deadline of blocks; 0: the slowest usual speed

	// URC is called for every token that is no part of an answer, from the
	// engine's own goroutine: it must not wait and must not call the engine. What
	// it makes of a token that is Cut is not asked.
	URC func(t Token) Fate
	// Reboot tells a line that means that the module restarted: a command in
	// progress ends at once, and the engine is out of step until Resync.
	Reboot func(line []byte) bool
	// Loose are words that count as a line when they stand unterminated for
	// looseIdle, because some firmware forgets the line end after them.
	Loose [][]byte

	Recorder Recorder
	Tracer   Tracer
	Log      *zap.Logger
}

// Fate is what becomes of a token that is no part of an answer.
type Fate uint8

// The fates.
const (
	Drop    Fate = iota // it was dealt with
	Keep                // a line goes into the log, for Await and Since
	Suspect             // it is no line of a module: there may be a block around it whose header was damaged
)

// looseIdle is how long an unterminated loose word must stand alone.
const looseIdle = 100 * time.Millisecond

// readSize is the most that one read takes, in bytes; at 921600 bit/s it is
// what arrives in 44 ms.
const readSize = 4 << 10

// Engine runs AT commands over a port. Run must be running for Do, Await and
// Resync to end. Do and Resync are for one goroutine at a time; all else is
// safe for concurrent use.
type Engine struct {
	port io.ReadWriter
	o    Options
	urcs urcLog
	dead chan struct{} // closed when Run is over

	scanner *Scanner // only for the dispatching goroutine

	baud     atomic.Int64
	begun    time.Time    // so that lastByte does not follow the wall clock
	lastByte atomic.Int64 // nanoseconds from begun to the last byte read; 0: none
	lost     atomic.Uint64
	strays   atomic.Uint64 // final results that answered no command
	echoes   atomic.Bool   // the last command that ended well was echoed
	pulse    chan struct{} // for every chunk read, for Resync
	asked    *running      // the module asks it for data; only for the dispatching goroutine

	mu         sync.Mutex
	running    *running  // the command whose answer is awaited
	ended      time.Time // when the last one was answered
	poison     error     // why the engine is out of step; nil: it is in step
	poisonings uint64    // how often it was put there
	late       *Command  // was given up, and its prompt may still come; nil: none
	deafUntil  time.Time // no byte may be written before: a data phase may be open
	unproved   bool      // late was refused, and whether a data phase is open shows when AT is answered
	doubt      doubt     // whether lines are lines
	verdicts   verdicts  // which command a refusal behind an OK belongs to
	portErr    error     // why Run ended
}

// New returns an engine over a port. The port is the caller's: to end a read
// that blocks, close it.
func New(port io.ReadWriter, o Options) *Engine {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Recorder == nil {
		o.Recorder = nobody{}
	}
	if o.Tracer == nil {
		o.Tracer = notTraced{}
	}
	e := &Engine{port: port, o: o, dead: make(chan struct{}), begun: time.Now(), pulse: make(chan struct{}, 1)}
	e.scanner = NewScanner(o.MaxLine, o.Framers)
	e.urcs = urcLog{changed: make(chan struct{}, 1), gone: e.dead}
	e.baud.Store(int64(o.Baud))
	return e
}

// Run reads and dispatches until the port fails or ctx ends; then every
// waiting call is answered with ErrClosed. It returns the port's error, or nil
// when ctx ended first. A read in progress keeps it from returning: the owner
// closes the port as well.
func (e *Engine) Run(ctx context.Context) error {
	chunks := make(chan []byte)
	free := make(chan []byte, 2)
	free <- make([]byte, readSize)
	free <- make([]byte, readSize)
	var readErr error
	go func() {
		defer close(chunks)
		readErr = e.read(ctx, free, chunks)
	}()
	e.dispatch(chunks, free)
	if ctx.Err() != nil {
		readErr = nil
	}
	e.end(readErr)
	return readErr
}

// read is the one goroutine that waits for the port. It does nothing else, so
// that it is back at the port before the kernel's buffer can fill.
func (e *Engine) read(ctx context.Context, free <-chan []byte, chunks chan<- []byte) error {
	for {
		buf := <-free
		n, err := e.port.Read(buf[:readSize])
		if n > 0 {
			chunks <- buf[:n]
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.ErrNoProgress // reading on would spin
		}
	}
}

// dispatch owns the scanner: it feeds what was read, gives up on blocks that do
// not fill, and hands out words whose line end never comes. What came in one read
// is seen whole by whoever waits for a URC, so that what stands behind an
// acknowledgement can still speak against it.
func (e *Engine) dispatch(chunks <-chan []byte, free chan<- []byte) {
	scanner := e.scanner
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	var timed uint64 // the block whose deadline the timer holds
	for {
		select {
		case chunk, ok := <-chunks:
			if !ok {
				return
			}
			e.trustAgain()
			e.lastByte.Store(max(int64(time.Since(e.begun)), 1))
			e.o.Recorder.Bytes("rx", len(chunk))
			scanner.ExpectPrompt(e.wantsPrompt())
			scanner.ExpectEcho(e.wantsEcho())
			scanner.Feed(chunk, e.token)
			free <- chunk[:readSize]
			signal(e.pulse)
		case <-timer.C:
			timed = 0
			scanner.ExpectPrompt(e.wantsPrompt())
			if scanner.Block() == 0 {
				scanner.Flush(e.token)
			} else {
				scanner.Abandon(e.token)
			}
		}
		e.passPrompt()
		e.noteLies()
		e.urcs.tell()
		// The deadline of a block runs from its header; that of a word, and of what
		// may follow a full block, from the last byte.
		switch block := scanner.Block(); {
		case block != 0 && scanner.Missing() == 0:
			timer.Reset(looseIdle)
		case block != 0 && block != timed:
			timer.Reset(e.blockTime(scanner.Missing()))
			timed = block
		case block != 0:
		case e.loose(scanner.Partial()):
			timer.Reset(looseIdle)
		default:
			timer.Stop()
		}
	}
}

// signal wakes a reader that may be waiting; wake-ups coalesce.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// blockTime is how long n more bytes may take: twice their time on the line,
// and half a second for the module's own pauses.
func (e *Engine) blockTime(n int) time.Duration {
	baud := e.baud.Load()
	if baud <= 0 {
		baud = 9600
	}
	return 500*time.Millisecond + 2*time.Duration(n)*10*time.Second/time.Duration(baud)
}

func (e *Engine) loose(partial []byte) bool {
	if len(partial) == 0 {
		return false
	}
	for _, word := range e.o.Loose {
		if string(word) == string(partial) {
			return true
		}
	}
	return isBarePrompt(partial) && e.wantsPrompt()
}

// token gives a token to the running command, or to the URC hook. One that may be
// a piece of a payload says nothing: it is shown to the hook and to nobody else.
func (e *Engine) token(t Token) {
	e.o.Tracer.Token(t)
	switch {
	case t.Cut:
		e.mayPrompt(t)
		e.hook(t)
		return
	case t.Kind == Line && e.o.Reboot != nil && e.o.Reboot(t.Bytes):
		e.fail(ErrRebooted)
	case e.answer(t):
		return
	}
	e.completes(t)
	switch e.hook(t) {
	case Keep:
		e.urcs.add(string(t.Bytes), time.Now())
	case Suspect:
		if !e.isEcho(t) {
			e.distrust()
		}
	}
}

func (e *Engine) hook(t Token) Fate {
	if e.o.URC == nil {
		return Drop
	}
	return e.o.URC(t)
}

// fail ends the running command with err and puts the engine out of step.
func (e *Engine) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.poisonLocked(err)
	e.abandonLocked(err)
}

// abandonLocked ends the running command with err, though the module may go on with
// it: a line that only looked like a restart, or a port that is gone, does not keep
// the prompt from coming, and what is written then is payload.
func (e *Engine) abandonLocked(err error) {
	r := e.running
	if r == nil {
		return
	}
	e.running = nil
	if r.command.Prompt != "" {
		e.late = r.command
	}
	if r.command.Prompt != "" || r.command.DataPhase > 0 {
		e.deafLocked(r.command.dataPhase())
	}
	if r.command.Completes != nil {
		e.verdicts.owe(r.command, time.Now())
	}
	r.end(err)
}

func (e *Engine) poisonLocked(err error) {
	e.poison = err
	e.poisonings++
	e.verdicts.next(time.Now())
}

// end answers everything that still waits, once.
func (e *Engine) end(err error) {
	e.mu.Lock()
	e.portErr = err
	e.abandonLocked(e.closedLocked())
	e.mu.Unlock()
	close(e.dead)
}

func (e *Engine) closedLocked() error {
	if e.portErr == nil || errors.Is(e.portErr, ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, e.portErr)
}

// wantsPrompt says whether a > at a line start is a prompt just now: a command
// waits for it, or one that was given up may still get it.
func (e *Engine) wantsPrompt() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.running; r != nil && r.command.Prompt == ">" {
		return r.armed && !r.prompted
	}
	return e.late != nil && e.late.Prompt == ">"
}

// wantsEcho names the command whose echo may come, from a module that echoes.
func (e *Engine) wantsEcho() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.running; r != nil && !r.echoed && e.Echoes() {
		return r.command.Line
	}
	return ""
}

// Await returns the first kept URC after since that matches, or an error that
// wraps ErrTimeout after timeout, ErrClosed when the port is gone, or the cause
// of ctx. what names the awaited thing in the error.
func (e *Engine) Await(ctx context.Context, since Mark, timeout time.Duration, what string, match func(text string) bool) (URC, error) {
	return e.urcs.await(ctx, since, timeout, what, match)
}

// Since returns the kept URCs after m, oldest first, and the present mark.
func (e *Engine) Since(m Mark) ([]URC, Mark) {
	found, now, _ := e.urcs.after(m)
	return found, now
}

// Changed is woken when a URC was kept; wake-ups coalesce.
func (e *Engine) Changed() <-chan struct{} { return e.urcs.changed }

// Mark returns the present moment in the order of URCs.
func (e *Engine) Mark() Mark { return e.urcs.mark() }

// InSync says whether commands can be run: false after a command was left
// without its answer, until Resync.
func (e *Engine) InSync() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.poison == nil
}

// DeafFor returns for how long no byte may be written, because a data phase may
// be open in which it would become payload; 0 when there is none. Resync waits
// for it; whoever opens the port anew has to as well.
func (e *Engine) DeafFor() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(time.Until(e.deafUntil), 0)
}

// Echoes says whether the last command that ended with success was echoed: on a
// module whose echo was switched off, the trace of a restart that nobody saw.
func (e *Engine) Echoes() bool { return e.echoes.Load() }

// LastByte returns when the module last sent anything; zero if it never did.
func (e *Engine) LastByte() time.Time {
	if ns := e.lastByte.Load(); ns != 0 {
		return e.begun.Add(time.Duration(ns))
	}
	return time.Time{}
}

// LostBlocks counts the blocks that were not as long as they were announced.
func (e *Engine) LostBlocks() uint64 { return e.lost.Load() }

// SetBaud tells the speed of the line, in bit/s, for the deadline of blocks.
func (e *Engine) SetBaud(baud int) { e.baud.Store(int64(baud)) }

// nobody measures nothing and keeps nothing.
type nobody struct{}

func (nobody) Command(string, string, time.Duration) {}
func (nobody) Bytes(string, int)                     {}
func (nobody) Resync(string)                         {}
func (nobody) Data(int)                              {}
func (nobody) Token(Token)                           {}
func (nobody) Unanswered(string, string)             {}

// notTraced is nobody as a Tracer: both have a Command.
type notTraced struct{ nobody }

func (notTraced) Command(string) {}
