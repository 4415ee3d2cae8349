package airsim

import (
	"strconv"
	"strings"
)

// operation is what a command asks for: AT+X, AT+X=..., AT+X? or AT+X=?.
type operation uint8

const (
	opRun operation = iota + 1
	opSet
	opRead
	opTest
)

// command is one command of a line.
type command struct {
	verb string // upper case, with its sign: "+CSQ", "*EXINFO", "E", "&W"
	op   operation
	args []arg
	text string // as it was written
}

// arg is one parameter. A parameter that is left out is present with empty
// text.
type arg struct {
	text   string
	quoted bool
}

// number reads a decimal parameter within bounds. Quotes around it do not
// matter.
func (c command) number(i, least, most int) (int, bool) {
	if i >= len(c.args) {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(c.args[i].text))
	return n, err == nil && n >= least && n <= most
}

// parseLine splits a command line, without its CR, into its commands. It is as
// strict as the hardware: a quoted parameter ends at the next quote, whatever
// was meant, and only a comma, a semicolon or the end may follow. An empty
// result with ok is the bare AT.
func parseLine(line string) (commands []command, ok bool) {
	if !strings.HasPrefix(line, "AT") && !strings.HasPrefix(line, "at") {
		return nil, false
	}
	rest := strings.TrimSpace(line[2:])
	for rest != "" {
		var c command
		if c, rest, ok = parseCommand(rest); !ok {
			return nil, false
		}
		commands = append(commands, c)
	}
	return commands, true
}

// parseCommand takes the first command off the text behind AT.
func parseCommand(s string) (c command, rest string, ok bool) {
	switch s[0] {
	case '+', '*', '^', '$':
		return parseExtended(s)
	case ';':
		return command{}, "", false
	}
	return parseBasic(s)
}

func parseExtended(s string) (c command, rest string, ok bool) {
	end := strings.IndexAny(s[1:], "=?;") + 1
	if end == 0 {
		end = len(s)
	}
	c = command{verb: strings.ToUpper(strings.TrimSpace(s[:end])), op: opRun, text: s}
	rest = s[end:]
	switch {
	case strings.HasPrefix(rest, "=?"):
		c.op, rest = opTest, rest[2:]
	case strings.HasPrefix(rest, "?"):
		c.op, rest = opRead, rest[1:]
	case strings.HasPrefix(rest, "="):
		c.op = opSet
		if c.args, rest, ok = parseArgs(rest[1:]); !ok {
			return c, "", false
		}
	}
	rest = strings.TrimLeft(rest, " ")
	c.text = s[:len(s)-len(rest)]
	if rest != "" {
		if rest[0] != ';' {
			return c, "", false
		}
		rest = strings.TrimLeft(rest[1:], " ")
	}
	return c, rest, len(c.verb) > 1
}

// parseArgs reads parameters up to a semicolon or the end.
func parseArgs(s string) (args []arg, rest string, ok bool) {
	for {
		s = strings.TrimLeft(s, " ")
		if strings.HasPrefix(s, `"`) {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return nil, "", false
			}
			args = append(args, arg{text: s[1 : 1+end], quoted: true})
			s = strings.TrimLeft(s[end+2:], " ")
		} else {
			end := strings.IndexAny(s, ",;")
			if end < 0 {
				end = len(s)
			}
			text := strings.TrimRight(s[:end], " ")
			if strings.Contains(text, `"`) {
				return nil, "", false
			}
			args = append(args, arg{text: text})
			s = s[end:]
		}
		switch {
		case s == "" || s[0] == ';':
			return args, s, true
		case s[0] != ',':
			return nil, "", false
		}
		s = s[1:]
	}
}

// parseBasic reads a command without a sign: a letter, or an ampersand and a
// letter, with a number behind; and S-parameters.
func parseBasic(s string) (c command, rest string, ok bool) {
	n := 1
	if s[0] == '&' {
		n = 2
	}
	if len(s) < n || !isLetter(s[n-1]) {
		return c, "", false
	}
	c = command{verb: strings.ToUpper(s[:n]), op: opRun}
	end := n
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end > n {
		c.args = []arg{{text: s[n:end]}}
	}
	rest = s[end:]
	if c.verb == "S" {
		switch {
		case strings.HasPrefix(rest, "?"):
			c.op, rest = opRead, rest[1:]
		case strings.HasPrefix(rest, "="):
			if _, rest, ok = parseArgs(rest[1:]); !ok {
				return c, "", false
			}
			c.op = opSet
		}
	}
	rest = strings.TrimLeft(rest, " ")
	c.text = s[:len(s)-len(rest)]
	return c, strings.TrimPrefix(rest, ";"), true
}

func isLetter(b byte) bool { return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' }
