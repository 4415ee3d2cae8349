package orders

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Word is one word of a language whose orders are carried out on a T.
type Word[T any] struct {
	Name    string
	Args    []Arg
	Help    string // one line
	Example string // a whole order
	// Do carries it out, and returns what there is to print.
	Do func(t T, v Values) string
	// Around stands in place of Do where another order follows the arguments.
	Around func(t T, v Values, inner Order[T]) string
}

// Does makes a Do of what prints nothing.
func Does[T any](f func(t T, v Values)) func(T, Values) string {
	return func(t T, v Values) string { f(t, v); return "" }
}

// Usage is the word with its arguments.
func (w Word[T]) Usage() string {
	parts := []string{w.Name}
	for _, arg := range w.Args {
		parts = append(parts, arg.usage)
	}
	if w.Around != nil {
		parts = append(parts, "COMMAND")
	}
	return strings.Join(parts, " ")
}

// On makes words that are carried out on a U of those that are carried out on the T
// that each U has.
func On[U, T any](words []Word[T], of func(U) T) []Word[U] {
	list := make([]Word[U], len(words))
	for i, w := range words {
		list[i] = Word[U]{
			Name: w.Name, Args: w.Args, Help: w.Help, Example: w.Example,
			Do: func(u U, v Values) string { return w.Do(of(u), v) },
		}
	}
	return list
}

// Order is one order, parsed.
type Order[T any] struct {
	Text string
	do   func(T) string
}

// Do carries the order out, and returns what there is to print.
func (o Order[T]) Do(t T) string { return o.do(t) }

// Language is all that can be ordered of a T.
type Language[T any] struct {
	Words   []Word[T]
	options []string // names before an equals sign
}

// New makes a language of words.
func New[T any](words ...[]Word[T]) *Language[T] {
	l := &Language[T]{Words: slices.Concat(words...)}
	for _, w := range l.Words {
		for _, arg := range w.Args {
			l.options = append(l.options, arg.options...)
		}
	}
	return l
}

// Help is the list of all orders with a line on each.
func (l *Language[T]) Help() string {
	var b strings.Builder
	for _, w := range l.Words {
		fmt.Fprintf(&b, "%s\n    %s. Example: %s\n", w.Usage(), w.Help, w.Example)
	}
	b.WriteString("count is how many occasions are taken (default 1), skip how many pass before, prob with what probability.\n")
	return b.String()
}

// Parse reads one order.
func (l *Language[T]) Parse(text string) (Order[T], error) {
	words, err := tokens(text)
	if err != nil {
		return Order[T]{}, err
	}
	return l.parse(words)
}

func (l *Language[T]) parse(words []string) (Order[T], error) {
	if len(words) == 0 {
		return Order[T]{}, errors.New("empty command; help lists all")
	}
	i := slices.IndexFunc(l.Words, func(w Word[T]) bool { return w.Name == words[0] })
	if i < 0 {
		return Order[T]{}, fmt.Errorf("unknown command %q; help lists all", words[0])
	}
	w, own, rest := l.Words[i], words[1:], []string(nil)
	if w.Around != nil {
		own, rest = l.ahead(w, own)
	}
	v, err := l.values(w, own)
	if err != nil {
		return Order[T]{}, fmt.Errorf("%w (usage: %s)", err, w.Usage())
	}
	o := Order[T]{Text: strings.Join(words, " "), do: func(t T) string { return w.Do(t, v) }}
	if w.Around != nil {
		inner, err := l.parse(rest)
		if err != nil {
			return Order[T]{}, fmt.Errorf("%w (usage: %s)", err, w.Usage())
		}
		o.do = func(t T) string { return w.Around(t, v, inner) }
	}
	return o, nil
}

// ahead parts a word's own arguments from the order behind them.
func (l *Language[T]) ahead(w Word[T], words []string) (own, rest []string) {
	n := 0
	for _, arg := range w.Args {
		if len(arg.options) == 0 && n < len(words) {
			n++
		}
	}
	for n > 0 && n < len(words) && l.option(words[n]) != "" {
		n++
	}
	return words[:n], words[n:]
}

// option is the name before the equals sign of an option, or "".
func (l *Language[T]) option(word string) string {
	if name, _, found := strings.Cut(word, "="); found && slices.Contains(l.options, name) {
		return name
	}
	return ""
}

// values takes a word's arguments.
func (l *Language[T]) values(w Word[T], words []string) (Values, error) {
	var flags []string
	for _, arg := range w.Args {
		if arg.flag != "" {
			flags = append(flags, arg.flag)
		}
	}
	a := &arguments{options: map[string]string{}, got: Values{of: map[string]any{flagsKey: flags}}}
	for _, word := range words {
		if name := l.option(word); name != "" {
			a.options[name] = word[len(name)+1:]
			continue
		}
		a.words = append(a.words, word)
	}
	for _, arg := range w.Args {
		arg.take(a)
	}
	if len(a.words) > 0 {
		a.fail("%q is too much", a.words[0])
	}
	for o := range a.options {
		a.fail("it has no option %s", o)
	}
	return a.got, a.err
}

// Script is a list of orders with the times at which they are carried out.
type Script[T any] struct{ Steps []Step[T] }

// Step is one order of a script.
type Step[T any] struct {
	After time.Duration // the script began
	Order Order[T]
}

// ParseScript reads one order to a line. "wait 5s" lets time pass before the lines
// behind it; # begins a comment.
func (l *Language[T]) ParseScript(r io.Reader) (Script[T], error) {
	var s Script[T]
	text, err := io.ReadAll(r)
	if err != nil {
		return s, fmt.Errorf("read the script: %w", err)
	}
	wait := Word[T]{Name: "wait", Args: []Arg{Duration("wait")}}
	var after time.Duration
	var wrong []error
	for i, line := range strings.Split(string(text), "\n") {
		words, err := tokens(line)
		switch {
		case err != nil || len(words) == 0:
		case words[0] == wait.Name:
			var v Values
			v, err = l.values(wait, words[1:])
			after += v.Duration("wait")
		default:
			var o Order[T]
			if o, err = l.parse(words); err == nil {
				s.Steps = append(s.Steps, Step[T]{after, o})
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", i+1, err))
		}
	}
	return s, errors.Join(wrong...)
}
