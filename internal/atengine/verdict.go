package atengine

import "time"

// Some commands are answered by OK when they are only accepted, and a line of its own
// completes them ([Command.Completes]). Where that fails some firmware says so by a
// second final result, ERROR behind the OK. It belongs to the command that was
// accepted last, and to no other, as long as the book has no other that may still get
// one. A second final result in any other place is no evidence, see [Doubt].

// verdictOwed is how long a command that was accepted and never completed may still be
// told its result. It is longer than any completion is waited for.
const verdictOwed = 2 * time.Minute

// verdicts is the book of commands that were accepted and not completed.
type verdicts struct {
	open  *Command  // its completion, or its refusal, is to come
	owing string    // the line of an earlier one of which nothing came; several: ""
	until time.Time // when that is no longer waited for
}

// owe notes that of a command neither completion nor refusal came.
func (v *verdicts) owe(c *Command, now time.Time) {
	line := c.Line
	if now.Before(v.until) && v.owing != line {
		line = ""
	}
	v.owing, v.until = line, now.Add(verdictOwed)
}

// next closes the book of the command before, because another one begins.
func (v *verdicts) next(now time.Time) {
	if v.open != nil {
		v.owe(v.open, now)
		v.open = nil
	}
}

// sure says whether a refusal now can only be that of the open command.
func (v *verdicts) sure(now time.Time) bool {
	return v.open != nil && (!now.Before(v.until) || v.owing == v.open.Line)
}

// completes notes a line that completes a command.
func (e *Engine) completes(t Token) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch r := e.running; {
	case t.Kind != Line:
	case r != nil && r.armed && r.command.completes(t.Bytes):
		r.completed = true
	case r == nil && e.verdicts.open != nil && e.verdicts.open.completes(t.Bytes):
		e.verdicts.open = nil
	}
}

func (c *Command) completes(line []byte) bool { return c.Completes != nil && c.Completes(line) }

// refusedLate takes a refusal behind the OK of the command that was accepted last, and
// keeps it in the log, once.
func (e *Engine) refusedLate(line []byte) bool {
	now := time.Now()
	e.mu.Lock()
	mine := e.running == nil && e.poison == nil && e.verdicts.sure(now)
	if mine {
		e.verdicts = verdicts{}
	}
	e.mu.Unlock()
	if mine {
		e.urcs.add(string(line), now)
	}
	return mine
}

// Refusal reads ERROR, +CME ERROR: n or +CMS ERROR: n that came behind the OK of a
// command; ok is false for any other line.
func Refusal(verb, text string) (refused *Error, ok bool) {
	code, success, is := final([]byte(text))
	if !is || success {
		return nil, false
	}
	return &Error{Verb: verb, Code: code, Final: text, Err: ErrRefused}, true
}
