package config

import (
	"bytes"
	"errors"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// value is one TOML value, copied out of the parser.
type value struct {
	kind   unstable.Kind
	text   string // a string decoded, everything else as it is written
	list   []value
	fields []statement // of an inline table
}

// statement is one line of TOML: a header or an assignment. Kind is Invalid
// for a broken assignment: nothing is known of its value, but its key is not
// missing either. The path of a broken line is empty when none could be made
// out.
type statement struct {
	kind  unstable.Kind // Table, ArrayTable, KeyValue, Invalid
	path  []string
	at    Position
	value value
}

// document is one file, taken apart but not yet understood.
type document struct {
	name       string
	lines      lineIndex
	section    []string // the header above the line that is being parsed
	statements []statement
	mistakes   []Mistake
}

// maxBroken bounds how often parsing is taken up again after a syntax error:
// beyond it the file is not a configuration.
const maxBroken = 100

// byteOrderMark is what some editors put before the first line.
var byteOrderMark = []byte("\ufeff")

// parse takes a file apart. It goes on after a syntax error, so that one
// broken line does not hide the other mistakes.
func parse(name string, data []byte) document {
	d := document{name: name, lines: newLineIndex(data)}
	base := 0
	if bytes.HasPrefix(data, byteOrderMark) {
		base = len(byteOrderMark)
	}
	for broken := 0; base < len(data); broken++ {
		var p unstable.Parser
		p.Reset(data[base:])
		understood := base
		for p.NextExpression() {
			understood = d.add(&p, base)
		}
		if p.Error() == nil {
			break
		}
		if broken == maxBroken {
			d.wrong(base, "syntax", "gave up after 100 syntax errors; is this a TOML file?")
			break
		}
		base = d.broken(data, base, understood, p.Error())
	}
	return d
}

// add keeps the statement that the parser stands on and returns the offset up
// to which the file is now understood.
func (d *document) add(p *unstable.Parser, base int) int {
	node := p.Expression()
	path, first, end := keyPath(node)
	s := statement{kind: node.Kind, path: path, at: d.place(base + first)}
	if node.Kind == unstable.KeyValue {
		s.value = d.copyValue(node.Value(), base)
		end = int(node.Raw.Offset + node.Raw.Length)
	} else {
		d.section = path
	}
	d.statements = append(d.statements, s)
	return base + end
}

// keyPath returns the parts of a node's dotted key, and the offsets of its
// first byte and behind its last.
func keyPath(node *unstable.Node) (path []string, first, end int) {
	for it := node.Key(); it.Next(); {
		part := it.Node()
		if path == nil {
			first = int(part.Raw.Offset)
		}
		path = append(path, string(part.Data))
		end = int(part.Raw.Offset + part.Raw.Length)
	}
	return path, first, end
}

// maxDepth bounds how deep arrays and inline tables are followed. Nothing in
// the configuration is deeper than two.
const maxDepth = 4

func (d *document) copyValue(node *unstable.Node, base int) value {
	return d.copyNested(node, base, 0)
}

func (d *document) copyNested(node *unstable.Node, base, depth int) value {
	v := value{kind: node.Kind, text: string(node.Data)}
	if depth == maxDepth {
		return v
	}
	for it := node.Children(); it.Next(); {
		child := it.Node()
		switch node.Kind {
		case unstable.Array:
			v.list = append(v.list, d.copyNested(child, base, depth+1))
		case unstable.InlineTable:
			path, first, _ := keyPath(child)
			v.fields = append(v.fields, statement{
				kind: unstable.KeyValue, path: path, at: d.place(base + first),
				value: d.copyNested(child.Value(), base, depth+1),
			})
		}
	}
	return v
}

var (
	// brokenKey finds the key of a line that does not parse.
	brokenKey = regexp.MustCompile(`^[ \t]*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)`)
	// brokenHeader does the same for a section header.
	brokenHeader = regexp.MustCompile(`^[ \t]*\[\[?[ \t]*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)`)
	// startLine is where parsing is taken up again: a line that looks like a
	// header or an assignment, not like the inside of an array or a text.
	startLine = regexp.MustCompile(`^[ \t]*(?:\[{1,2}[ \t]*[A-Za-z]|[A-Za-z0-9_-]+(?:[ \t]*\.[ \t]*[A-Za-z0-9_-]+)*[ \t]*=)`)
)

// broken reports a syntax error and returns the offset from which to go on.
func (d *document) broken(data []byte, base, understood int, err error) int {
	start := nextStatement(data, understood, understood > base)
	offset, message := start, err.Error()
	var perr *unstable.ParserError
	if errors.As(err, &perr) {
		offset = base + cap(data[base:]) - cap(perr.Highlight)
	}
	// Something that is not closed is noticed at the end of the file only; the
	// place to show is where it was opened.
	if offset >= len(data)-1 && d.lines.line(offset) != d.lines.line(start) {
		offset = start
	}
	start = min(start, offset)
	line := d.lines.text(data, start)
	key, s := "syntax", statement{kind: unstable.Invalid, at: d.place(start)}
	form := brokenKey
	if trimmed := bytes.TrimLeft(line, " \t"); bytes.HasPrefix(trimmed, []byte("[")) {
		form, s.kind = brokenHeader, unstable.Table
		if bytes.HasPrefix(trimmed, []byte("[[")) {
			s.kind = unstable.ArrayTable
		}
	}
	if m := form.FindSubmatch(line); m != nil {
		s.path = strings.Split(string(m[1]), ".")
	}
	if s.kind != unstable.Invalid {
		d.section = nil
	}
	if len(s.path) > 0 {
		key = keyName(join(d.section, s.path))
	}
	if s.kind != unstable.Invalid {
		d.section = s.path
	}
	d.statements = append(d.statements, s)
	d.wrong(offset, key, "TOML: "+message+"; "+syntaxHint(line, message))
	for next := d.lines.after(offset); ; next = d.lines.after(next) {
		if next >= len(data) || startLine.Match(d.lines.text(data, next)) {
			return next
		}
	}
}

// nextStatement returns the offset of the next line with something on it,
// behind the statement that ends at offset.
func nextStatement(data []byte, offset int, midLine bool) int {
	for offset < len(data) {
		end := bytes.IndexByte(data[offset:], '\n')
		if end < 0 {
			end = len(data) - offset
		}
		line := bytes.TrimSpace(data[offset : offset+end])
		if !midLine && len(line) > 0 && line[0] != '#' {
			return offset + bytes.IndexByte(data[offset:], line[0])
		}
		midLine = false
		offset += end + 1
	}
	return max(0, len(data)-1)
}

// syntaxHint guesses what the writer of a line meant.
func syntaxHint(line []byte, message string) string {
	switch {
	case bytes.ContainsAny(line, "“”„‘’«»"):
		return `these are typographic quotes from a document, write plain ones: key = "value"`
	case strings.Contains(message, "U+000A"), strings.Contains(message, "end of input"):
		return `the value is missing, write it behind the =: key = "value"`
	case strings.Contains(message, "leading zeroes"):
		return `put it in quotes, like a file mode: mode = "0660"`
	case strings.Contains(message, "multiline"):
		return `close the three quotes, or use one: key = "value"`
	case strings.Contains(message, "not terminated"), strings.Contains(message, "unterminated"), strings.Contains(message, "new lines"):
		return `close the quote on the same line: key = "value"`
	case strings.Contains(message, "table name"):
		return "close the bracket: [section]"
	case strings.Contains(message, "escape"):
		return `a backslash begins an escape in double quotes: write \\, or use single quotes`
	case strings.Contains(message, "incomplete"):
		return "close the bracket of the list"
	}
	return `a line reads key = value, with text, durations and sizes in quotes: key = "value"`
}

// crossCheck lets the library decode the whole file: it knows rules that a
// walk over the lines does not, such as a section that is defined twice in
// different ways. Lines that have a mistake already are left alone.
func (d *document) crossCheck(data []byte, have map[int]bool) []Mistake {
	var all map[string]any
	var derr *toml.DecodeError
	data = bytes.TrimPrefix(data, byteOrderMark)
	if err := toml.Unmarshal(data, &all); err == nil || !errors.As(err, &derr) {
		return nil
	}
	line, column := derr.Position()
	if have[line] {
		return nil
	}
	m := Mistake{Position{d.name, line, column}, "syntax", "TOML: " + strings.TrimPrefix(derr.Error(), "toml: ") + "; define each key and each section once, in one way"}
	for _, s := range d.statements {
		if s.at.Line == line {
			m.Position, m.Key = s.at, keyName(s.path)
		}
	}
	return []Mistake{m}
}

func (d *document) wrong(offset int, key, text string) {
	d.mistakes = append(d.mistakes, Mistake{d.place(offset), key, text})
}

func (d *document) place(offset int) Position {
	line, column := d.lines.place(offset)
	return Position{d.name, line, column}
}
