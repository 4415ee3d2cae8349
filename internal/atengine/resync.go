package atengine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Bounds of Resync. It takes at most resyncTries x (quietMost + resyncTimeout +
// quietMost) = 35 s, 6 s if the module is dead; and before that the data phase of
// the command that was given up, twice if its prompt comes late; and each time that
// there is reason for doubt, as long as a doubt can last.
const (
	quietFor      = 200 * time.Millisecond // without a byte: the module has said what it had to say, and no block is under way
	quietMost     = 3 * time.Second        // to wait for that; a stream of URCs need not end
	resyncTimeout = time.Second            // for the OK
	resyncTries   = 5
)

// Resync brings the engine back in step: it waits out a data phase that may be
// open, drains until the module is quiet, and sends AT until that is answered
// by exactly one OK. URCs go their usual way meanwhile. Errors wrap ErrTimeout
// when the module does not answer, ErrClosed, or the cause of ctx; the engine
// stays out of step then.
func (e *Engine) Resync(ctx context.Context) error {
	err := e.resync(ctx)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	e.o.Recorder.Resync(result)
	e.o.Tracer.Resync(result)
	e.o.Log.Debug("resync", zap.String("result", result), zap.Error(err))
	return err
}

func (e *Engine) resync(ctx context.Context) error {
	err := error(ErrTimeout)
	for range resyncTries {
		if err = e.waitOutDataPhase(ctx); err != nil { // a late prompt may have opened one
			return err
		}
		if err = e.drain(ctx); err != nil {
			return err
		}
		if err = e.settle(ctx); err != nil {
			return err
		}
		var inStep bool
		inStep, err = e.callAndAnswer(ctx)
		if inStep {
			return nil
		}
		e.swallowed(err)
		if ctx.Err() != nil { // even if the answer failed to come in the same moment
			return fmt.Errorf("resync: %w", context.Cause(ctx))
		}
		if errors.Is(err, ErrClosed) {
			return err
		}
	}
	return fmt.Errorf("resync: %w", err)
}

// callAndAnswer sends AT and says whether it was answered by one OK, and
// nothing else that looks like the answer to something.
func (e *Engine) callAndAnswer(ctx context.Context) (inStep bool, err error) {
	e.mu.Lock()
	select {
	case <-e.dead:
		err = e.closedLocked()
		e.mu.Unlock()
		return false, err
	default:
	}
	e.verdicts.next(time.Now())
	poisonings, strays := e.poisonings, e.strays.Load()
	r := &running{
		command: &Command{Line: "AT", Timeout: resyncTimeout},
		prompt:  make(chan struct{}), done: make(chan struct{}),
	}
	e.running = r
	e.mu.Unlock()
	if err := e.exchange(ctx, r); err != nil {
		return false, fmt.Errorf("resync: %w", err)
	}
	if err := e.drain(ctx); err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.poisonings != poisonings || e.strays.Load() != strays {
		return false, ErrOutOfSync // restarted meanwhile, or answered twice
	}
	e.poison, e.late, e.unproved = nil, nil, false
	return true, nil
}

// swallowed waits for the end of a data phase if an AT was not answered that should
// show whether there is one.
func (e *Engine) swallowed(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unproved && errors.Is(err, ErrTimeout) {
		e.unproved = false
		e.deafLocked(e.late.dataPhase())
	}
}

// waitOutDataPhase returns when no data phase can be open any more. A prompt
// that comes late prolongs it.
func (e *Engine) waitOutDataPhase(ctx context.Context) error {
	for {
		e.mu.Lock()
		left := time.Until(e.deafUntil)
		e.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if err := e.sleep(ctx, left); err != nil {
			return err
		}
	}
}

// drain returns when the module has been quiet for quietFor, or after
// quietMost in any case.
func (e *Engine) drain(ctx context.Context) error {
	most := time.NewTimer(quietMost)
	defer most.Stop()
	quiet := time.NewTimer(quietFor)
	defer quiet.Stop()
	for {
		select {
		case <-quiet.C:
			return nil
		case <-most.C:
			return nil
		case <-e.pulse:
			quiet.Reset(quietFor)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the line to be quiet: %w", context.Cause(ctx))
		case <-e.dead:
			return e.closed()
		}
	}
}

// Listen writes nothing and waits until the module has been quiet for a moment, so that
// an answer behind an answer is seen. It does not wait for a stream that does not end.
func (e *Engine) Listen(ctx context.Context) error {
	select {
	case <-e.pulse: // of what was read before
	default:
	}
	return e.drain(ctx)
}

func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("resync: %w", context.Cause(ctx))
	case <-e.dead:
		return e.closed()
	}
}

func (e *Engine) closed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closedLocked()
}
