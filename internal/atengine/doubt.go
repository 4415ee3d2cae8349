package atengine

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A line is believed because the module sends nothing else than lines, blocks and
// prompts. Where a block was given up, was not as long as it said, or had a header
// that was damaged on its way, that is not so: what looks like a line may be the
// payload of somebody who can send to this device. From then on nothing is believed
// until the line has been quiet for a while, and the log of URCs says that there was
// reason for doubt.

// Doubt is the text of a URC that says: between the one before it and the one behind
// it lines came that may be none, or an answer that nobody waited for. No line of a
// module is equal to it, for none begins with a NUL.
const Doubt = "\x00doubt"

const (
	// owedFor is how long the rest of a block that was given up is waited for: no
	// module was seen to pause for seconds in the middle of one.
	owedFor = 5 * time.Second
	// longestMessage is the longest payload that can stand where lines do, in bytes:
	// twice what a module can receive.
	longestMessage = 8 << 10
)

// doubt is since when lines are not believed, and what is still to come.
type doubt struct {
	since time.Time // zero: they are
	owed  int       // bytes that a block which was given up may still bring
}

// distrust begins to doubt, or begins anew. It is for the dispatching goroutine, as
// are all functions here but settle.
func (e *Engine) distrust() {
	e.scanner.Distrust()
	e.mu.Lock()
	e.doubt.since = time.Now()
	e.mu.Unlock()
	e.urcs.doubt(time.Now())
}

// noteLies doubts what comes after a block that was not as long as it said.
func (e *Engine) noteLies() {
	if lies := e.scanner.Lies(); lies != e.lost.Load() {
		e.lost.Store(lies)
		e.o.Log.Warn("a block was not as long as it said; nothing is believed until the line is quiet")
		e.distrust()
	}
	e.mu.Lock()
	e.doubt.owed = e.scanner.Owed()
	e.mu.Unlock()
}

// trustAgain ends a doubt that is over, before anything new is scanned.
func (e *Engine) trustAgain() {
	e.mu.Lock()
	over := !e.doubt.since.IsZero() && e.trustedInLocked() <= 0
	if over {
		e.doubt = doubt{}
	}
	e.mu.Unlock()
	if over {
		e.scanner.Trust()
	}
}

// trustedInLocked is how long it takes at least until lines are believed; 0: they
// are. What is owed has to have come, or its time to be over, and then the line to have
// been quiet; and there is an end to that, because some modules talk all the time.
func (e *Engine) trustedInLocked() time.Duration {
	if e.doubt.since.IsZero() {
		return 0
	}
	so := time.Since(e.doubt.since)
	if e.doubt.owed > 0 && so < owedFor {
		return min(owedFor-so, quietFor)
	}
	return max(min(quietFor-time.Since(e.LastByte()), e.doubtMost()-so), 0)
}

// doubtMost bounds a doubt.
func (e *Engine) doubtMost() time.Duration { return owedFor + e.blockTime(longestMessage) }

// settle waits until lines are believed, so that the answer to what is written next
// can be. It waits no longer than one doubt can last.
func (e *Engine) settle(ctx context.Context) error {
	end := time.Now().Add(e.doubtMost())
	for time.Now().Before(end) {
		e.mu.Lock()
		left := e.trustedInLocked()
		e.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if err := e.sleep(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// Settle waits until nothing speaks against believing the module's lines. Do waits
// for it as well; whoever has to know what was doubted during a command calls it
// before [Engine.Mark].
func (e *Engine) Settle(ctx context.Context) error {
	if err := e.settle(ctx); err != nil {
		return fmt.Errorf("waiting for the line to be quiet: %w", err)
	}
	return nil
}

// isEcho says whether a line is the running command's echo, its beginning, or its
// end, where something that the module printed in between has cut it.
func (e *Engine) isEcho(t Token) bool {
	const least = 4 // bytes; less says nothing
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.running
	if r == nil || t.Kind != Line || len(t.Bytes) < min(least, len(r.command.Line)) {
		return false
	}
	return strings.HasPrefix(r.command.Line, string(t.Bytes)) || strings.HasSuffix(r.command.Line, string(t.Bytes))
}
