package airsim

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// action is a parsed command: exactly one of the two is set.
type action struct {
	text   string
	module func(*Module) string
	cloud  func(*Cloud) string
}

// word is one entry of the language's table.
type word struct {
	name    string
	usage   string // its arguments
	help    string // one line
	example string // a valid command
	parse   func(a *arguments) action
}

// arguments are the words behind a command's name, taken one after the other.
// The first mistake is kept.
type arguments struct {
	words   []string
	options map[string]string
	err     error
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// next takes a word; what names it in the error.
func (a *arguments) next(what string) string {
	if len(a.words) == 0 {
		a.fail("%s is missing", what)
		return ""
	}
	w := a.words[0]
	a.words = a.words[1:]
	return w
}

// choice takes one of a few words. When the first is empty it may be left out.
func (a *arguments) choice(what string, choices ...string) string {
	if len(a.words) == 0 && slices.Contains(choices, "") {
		return ""
	}
	w := a.next(what)
	if a.err == nil && !slices.Contains(choices, w) {
		a.fail("%s is %q; it is one of %s", what, w, strings.Join(choices, ", "))
	}
	return w
}

func (a *arguments) integer(what string, least, most int) int {
	n, err := strconv.Atoi(a.next(what))
	if a.err == nil && (err != nil || n < least || n > most) {
		a.fail("%s is not a number from %d to %d", what, least, most)
	}
	return n
}

func (a *arguments) duration(what string) time.Duration {
	d, err := time.ParseDuration(a.next(what))
	if a.err == nil && (err != nil || d < 0) {
		a.fail("%s is not a duration such as 500ms or 2m", what)
	}
	return d
}

// option takes the value of name=value, or a default.
func (a *arguments) option(name, otherwise string) string {
	v, given := a.options[name]
	if !given {
		return otherwise
	}
	delete(a.options, name)
	return v
}

func (a *arguments) durationOption(name string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(a.option(name, otherwise.String()))
	if err != nil || d <= 0 {
		a.fail("%s is not a duration such as 500ms or 2m", name)
	}
	return d
}

// when takes count, skip and prob.
func (a *arguments) when() trigger {
	t := trigger{left: 1, prob: 1}
	var err error
	if v := a.option("count", "1"); v == "all" {
		t.left = -1
	} else if t.left, err = strconv.Atoi(v); err != nil || t.left < 1 {
		a.fail("count is a number from 1, or all")
	}
	if t.skip, err = strconv.Atoi(a.option("skip", "0")); err != nil || t.skip < 0 {
		a.fail("skip is a number from 0")
	}
	if t.prob, err = strconv.ParseFloat(a.option("prob", "1"), 64); err != nil || t.prob < 0 || t.prob > 1 {
		a.fail("prob is a number from 0 to 1")
	}
	return t
}

// optionNames are the words that may stand before an equals sign.
var optionNames = []string{"count", "skip", "prob", "every", "qos"}

// split sorts words into arguments and options.
func split(words []string) *arguments {
	a := &arguments{options: map[string]string{}}
	for _, w := range words {
		if name, value, found := strings.Cut(w, "="); found && slices.Contains(optionNames, name) {
			a.options[name] = value
			continue
		}
		a.words = append(a.words, w)
	}
	return a
}

// parseAction reads one command of the fault and control language.
func parseAction(command string) (action, error) {
	words, err := tokens(command)
	if err != nil {
		return action{}, err
	}
	return parseWords(words)
}

func parseWords(words []string) (action, error) {
	if len(words) == 0 {
		return action{}, errors.New("empty command; help lists all")
	}
	name := words[0]
	if nested, found := nesting()[name]; found {
		act, err := nested(words[1:])
		act.text = strings.Join(words, " ")
		return act, wrapCommand(name, err)
	}
	table := language()
	i := slices.IndexFunc(table, func(w word) bool { return w.name == name })
	if i < 0 {
		return action{}, fmt.Errorf("unknown command %q; help lists all", name)
	}
	a := split(words[1:])
	act := table[i].parse(a)
	if len(a.words) > 0 {
		a.fail("%q is too much", a.words[0])
	}
	for o := range a.options {
		a.fail("it has no option %s", o)
	}
	act.text = strings.Join(words, " ")
	return act, wrapCommand(name+" "+table[i].usage, a.err)
}

func wrapCommand(usage string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (usage: %s)", err, strings.TrimSpace(usage))
}

// tokens splits a command at blanks. Double quotes keep blanks together; behind
// a backslash r, n, t, 0, xHH, a quote and the backslash itself are known inside
// them.
func tokens(s string) ([]string, error) {
	var words []string
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" || s[0] == '#' {
			return words, nil
		}
		var w strings.Builder
		for s != "" && !strings.ContainsAny(s[:1], " \t\r\n") {
			if s[0] != '"' {
				w.WriteByte(s[0])
				s = s[1:]
				continue
			}
			rest, err := quotedToken(&w, s[1:])
			if err != nil {
				return nil, err
			}
			s = rest
		}
		words = append(words, w.String())
	}
}

func quotedToken(w *strings.Builder, s string) (rest string, err error) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				return "", errors.New("a backslash at the end of a quoted word")
			}
			if s[i] == 'x' {
				n, err := strconv.ParseUint(s[min(i+1, len(s)):min(i+3, len(s))], 16, 8)
				if err != nil {
					return "", errors.New(`\x needs two hexadecimal digits`)
				}
				w.WriteByte(byte(n))
				i += 2
				continue
			}
			at := strings.IndexByte(`rnt0"\`, s[i])
			if at < 0 {
				return "", fmt.Errorf(`\%c is not known in a quoted word`, s[i])
			}
			w.WriteByte("\r\n\t\x00\"\\"[at])
		default:
			w.WriteByte(s[i])
		}
	}
	return "", errors.New("a quoted word has no end")
}

// act carries an action out under the module's lock.
func (m *Module) act(a action) string {
	if a.module != nil {
		return a.module(m)
	}
	return m.cloud.act(a)
}

func (c *Cloud) act(a action) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return a.cloud(c)
}

// Do carries out one command of the fault and control language, the same that
// scripts and the control socket speak; "help" lists it. What it orders is in
// force when it returns.
func (m *Module) Do(command string) (string, error) {
	a, err := parseAction(command)
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	wall := time.Now()
	if m.running {
		m.advance(wall)
	}
	if wall.After(m.now) {
		m.now = wall
	}
	m.note("do %s", a.text)
	text := m.act(a)
	m.poke()
	return text, nil
}

// Do carries out a command that concerns the cloud alone; the others need
// [Module.Do].
func (c *Cloud) Do(command string) (string, error) {
	a, err := parseAction(command)
	if err != nil {
		return "", err
	}
	if a.cloud == nil {
		return "", fmt.Errorf("%q concerns a module; give it to the module", a.text)
	}
	return c.act(a), nil
}

// Script is a list of commands with the times at which they are carried out.
type Script struct{ steps []step }

type step struct {
	after time.Duration
	do    action
}

// ParseScript reads one command to a line. "wait 5s" lets time pass before the
// lines behind it; "at", "every" and "on" work as ever; # begins a comment.
func ParseScript(r io.Reader) (Script, error) {
	var s Script
	text, err := io.ReadAll(r)
	if err != nil {
		return s, fmt.Errorf("read the script: %w", err)
	}
	var after time.Duration
	var wrong []error
	for i, line := range strings.Split(string(text), "\n") {
		words, err := tokens(line)
		if err == nil && len(words) == 0 {
			continue
		}
		if err == nil && words[0] == "wait" {
			a := split(words[1:])
			after += a.duration("wait")
			if len(a.words) > 0 {
				a.fail("%q is too much", a.words[0])
			}
			err = a.err
		} else if err == nil {
			var act action
			if act, err = parseWords(words); err == nil {
				s.steps = append(s.steps, step{after, act})
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", i+1, err))
		}
	}
	return s, errors.Join(wrong...)
}

// Play starts a script: its times count from now.
func (m *Module) Play(s Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if wall := time.Now(); wall.After(m.now) {
		m.now = wall
	}
	for _, st := range s.steps {
		m.anyway(st.after, func() {
			m.note("script %s", st.do.text)
			m.act(st.do)
		})
	}
	m.poke()
}
