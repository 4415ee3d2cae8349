package orders

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Arg is one argument of a word: how it reads in the usage, and how it is taken.
type Arg struct {
	usage   string
	options []string // NAME=VALUE by these names; empty: it stands in its place
	flag    string   // the one word that it can be; an optional one before it lets it pass
	take    func(*arguments)
}

// Values are a word's arguments.
type Values struct {
	of   map[string]any
	when Trigger
}

func value[V any](v Values, name string) V {
	found, _ := v.of[name].(V)
	return found
}

// Text is the value of a text, a choice or an option; "" for one that was left out.
func (v Values) Text(name string) string { return value[string](v, name) }

// Int is the value of a number; 0 for one that was left out.
func (v Values) Int(name string) int { return value[int](v, name) }

// Duration is the value of a duration; 0 for one that was left out.
func (v Values) Duration(name string) time.Duration { return value[time.Duration](v, name) }

// Float is the value of a probability.
func (v Values) Float(name string) float64 { return value[float64](v, name) }

// Has says whether a flag was given.
func (v Values) Has(flag string) bool { return value[bool](v, flag) }

// When says which occasions are taken.
func (v Values) When() Trigger { return v.when }

// arguments are the words behind a word, taken one after the other. The first
// mistake is kept.
type arguments struct {
	words   []string
	options map[string]string
	got     Values
	err     error
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// next takes a word; name stands for it in the error.
func (a *arguments) next(name string) string {
	if len(a.words) == 0 {
		a.fail("%s is missing", name)
		return ""
	}
	w := a.words[0]
	a.words = a.words[1:]
	return w
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

// Custom is an argument that parse judges; its error is the whole complaint. Values
// has what parse returns.
func Custom[V any](name, usage string, parse func(word string) (V, error)) Arg {
	return Arg{usage: usage, take: func(a *arguments) {
		w := a.next(name)
		if a.err != nil {
			return
		}
		v, err := parse(w)
		if err != nil {
			a.fail("%w", err)
		}
		a.got.of[name] = v
	}}
}

// Text takes any word.
func Text(name string) Arg {
	return Custom(name, name, func(w string) (string, error) { return w, nil })
}

// Int takes a number within its bounds.
func Int(name string, least, most int) Arg {
	return Custom(name, name, func(w string) (int, error) {
		n, err := strconv.Atoi(w)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%s is not a number from %d to %d", name, least, most)
		}
		return n, nil
	})
}

// Duration takes a duration from 0.
func Duration(name string) Arg {
	return Custom(name, name, func(w string) (time.Duration, error) {
		d, err := time.ParseDuration(w)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%s is not a duration such as 500ms or 2m", name)
		}
		return d, nil
	})
}

// Choice takes one of a few words, which are its usage.
func Choice(name string, of ...string) Arg { return Named(name, strings.Join(of, "|"), of...) }

// Named takes one of a few words, and has a usage of its own.
func Named(name, usage string, of ...string) Arg {
	return Custom(name, usage, func(w string) (string, error) {
		if !slices.Contains(of, w) {
			return "", fmt.Errorf("%s is %q; it is one of %s", name, w, strings.Join(of, ", "))
		}
		return w, nil
	})
}

// Toggle takes on or off; Values has it as a flag.
func Toggle() Arg { return Either("on", "off") }

// Either takes one of two words; Values has the first as a flag.
func Either(yes, no string) Arg {
	name := yes + " or " + no
	arg := Choice(name, yes, no)
	take := arg.take
	arg.take = func(a *arguments) {
		take(a)
		a.got.of[yes] = a.got.of[name] == yes
	}
	return arg
}

// Flag is a word that may stand there or not.
func Flag(name string) Arg {
	return Arg{usage: "[" + name + "]", flag: name, take: func(a *arguments) {
		if len(a.words) > 0 && a.words[0] == name {
			a.got.of[name], a.words = true, a.words[1:]
		}
	}}
}

// Optional is an argument that may be left out, but not a flag's word. otherwise is
// what Values has then.
func Optional[V any](name string, otherwise V, arg Arg) Arg {
	return Arg{usage: "[" + arg.usage + "]", take: func(a *arguments) {
		if len(a.words) == 0 || slices.Contains(a.got.flags(), a.words[0]) {
			a.got.of[name] = otherwise
			return
		}
		arg.take(a)
	}}
}

// flagsKey is where the flags of a word wait while it is parsed.
const flagsKey = "\x00flags"

func (v Values) flags() []string { return value[[]string](v, flagsKey) }

// If is an argument that stands there if an earlier choice is a certain word.
func If(choice, is string, arg Arg) Arg {
	return Arg{usage: "[" + arg.usage + " if " + is + "]", take: func(a *arguments) {
		if a.got.Text(choice) == is {
			arg.take(a)
		}
	}}
}

// Every is the option every=DURATION, with its default.
func Every(otherwise time.Duration) Arg {
	return Arg{usage: "[every=DURATION]", options: []string{"every"}, take: func(a *arguments) {
		d, err := time.ParseDuration(a.option("every", otherwise.String()))
		if err != nil || d <= 0 {
			a.fail("every is not a duration such as 500ms or 2m")
		}
		a.got.of["every"] = d
	}}
}

// OneOf is the option NAME=VALUE of a few values; the first is its default.
func OneOf(name string, values ...string) Arg {
	return Arg{usage: "[" + name + "=" + strings.Join(values, "|") + "]", options: []string{name}, take: func(a *arguments) {
		v := a.option(name, values[0])
		if !slices.Contains(values, v) {
			a.fail("%s is %s", name, strings.Join(values, " or "))
		}
		a.got.of[name] = v
	}}
}

// Prob is the option prob=P, from 0 to 1; it is 1 if it is left out.
func Prob() Arg {
	return Arg{usage: "[prob=P]", options: []string{"prob"}, take: func(a *arguments) { a.got.of["prob"] = a.probability() }}
}

func (a *arguments) probability() float64 {
	p, err := strconv.ParseFloat(a.option("prob", "1"), 64)
	if err != nil || p < 0 || p > 1 {
		a.fail("prob is a number from 0 to 1")
	}
	return p
}

// When is the options that say which occasions are taken: count, skip and prob.
func When() Arg {
	return Arg{usage: "[count=N|all] [skip=N] [prob=P]", options: []string{"count", "skip", "prob"}, take: func(a *arguments) {
		t := Trigger{Left: -1}
		var err error
		if v := a.option("count", "1"); v != "all" {
			if t.Left, err = strconv.Atoi(v); err != nil || t.Left < 1 {
				a.fail("count is a number from 1, or all")
			}
		}
		if t.Skip, err = strconv.Atoi(a.option("skip", "0")); err != nil || t.Skip < 0 {
			a.fail("skip is a number from 0")
		}
		t.Prob = a.probability()
		a.got.when = t
	}}
}
