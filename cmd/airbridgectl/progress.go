package main

import (
	"fmt"
	"time"
)

// progressTime is how often a progress line is painted at most.
const progressTime = 200 * time.Millisecond

// ongoing tells on stderr how far a long operation is, if that is a
// terminal and somebody is there to see it. The zero value tells nobody.
type ongoing struct {
	line *paintedLine
	next time.Time
}

func (e *env) ongoing() *ongoing {
	return &ongoing{line: newPaintedLine(e.stderr), next: time.Now().Add(progressTime)}
}

// tell paints how far it is; most of the time it does nothing.
func (o *ongoing) tell(format string, args ...any) {
	if now := time.Now(); o.line != nil && now.After(o.next) {
		o.next = now.Add(progressTime)
		_ = o.line.paint(fmt.Sprintf(format, args...))
	}
}

// done leaves nothing of it.
func (o *ongoing) done() { o.line.wipe() }
