package air

import (
	"strconv"
	"strings"

	"airbridged/internal/secret"
)

// commandLine builds one AT command. The first argument that cannot be written is kept
// as its error, and then the command is never used.
type commandLine struct {
	text strings.Builder
	name string
	args int
	err  error
}

// command begins a command with arguments: name is all that stands before "=".
func command(name string) *commandLine {
	l := &commandLine{name: name}
	l.text.WriteString(name)
	return l
}

// build returns the command, or the error of its first bad argument.
func (l *commandLine) build() (string, error) {
	if l.err != nil {
		return "", l.err
	}
	return l.text.String(), nil
}

// next writes what stands before an argument.
func (l *commandLine) next() {
	if l.args == 0 {
		l.text.WriteByte('=')
	} else {
		l.text.WriteByte(',')
	}
	l.args++
}

// number writes a decimal argument between least and most.
func (l *commandLine) number(argument string, n, least, most int) *commandLine {
	if n < least || n > most {
		l.fail(argument, "must be "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	l.next()
	l.text.WriteString(strconv.Itoa(n))
	return l
}

// quoted writes an argument between quotes. The manual gives no escape for
// quotes, backslashes and control bytes in such an argument, so they are refused:
// a quote would end it, and a backslash may be read as the start of an escape.
func (l *commandLine) quoted(argument, value string, least, most int) *commandLine {
	switch {
	case len(value) < least:
		l.fail(argument, "is empty")
	case len(value) > most:
		l.fail(argument, "has "+strconv.Itoa(len(value))+" bytes, the module takes "+strconv.Itoa(most))
	}
	if i := unquotable(value); i >= 0 {
		l.fail(argument, "has a quote, backslash or control byte at offset "+strconv.Itoa(i))
	}
	l.next()
	l.text.WriteByte('"')
	l.text.WriteString(value)
	l.text.WriteByte('"')
	return l
}

// hidden is quoted for a secret.
func (l *commandLine) hidden(argument string, value secret.Text, most int) *commandLine {
	return l.quoted(argument, value.Reveal(), 0, most)
}

// fixed writes an argument that this package wrote itself.
func (l *commandLine) fixed(value string) *commandLine {
	l.next()
	l.text.WriteString(value)
	return l
}

func (l *commandLine) fail(argument, reason string) {
	if l.err == nil {
		l.err = &ArgumentError{Command: l.name, Argument: argument, Reason: reason}
	}
}

// unquotable returns the offset of the first byte that cannot stand between
// quotes, or -1.
func unquotable(s string) int {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return -1
}
