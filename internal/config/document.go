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

// statement is one line of TOML: a header or an assignment.
type statement struct {
	kind  unstable.Kind // Table, ArrayTable, KeyValue
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
	broken     *Mistake // the syntax error at which reading stopped; nil: the file was read whole
}

// byteOrderMark is what some editors put before the first line.
var byteOrderMark = []byte("\ufeff")

// parse takes a file apart, up to the first syntax error: what is behind one cannot
// be told from what belongs to it.
func parse(name string, data []byte) document {
	d := document{name: name, lines: newLineIndex(data)}
	base := 0
	if bytes.HasPrefix(data, byteOrderMark) {
		base = len(byteOrderMark)
	}
	var p unstable.Parser
	p.Reset(data[base:])
	understood := base
	for p.NextExpression() {
		understood = d.add(&p, base)
	}
	if err := p.Error(); err != nil {
		d.stop(data, base, understood, err)
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

// brokenKey finds the key, or the section, of a line that does not parse.
var brokenKey = regexp.MustCompile(`^[ \t]*(\[{0,2})[ \t]*([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)`)

// stop reports the syntax error behind what was understood.
func (d *document) stop(data []byte, base, understood int, err error) {
	start := nextStatement(data, understood, understood > base)
	offset := start
	var perr *unstable.ParserError
	if errors.As(err, &perr) {
		offset = base + cap(data[base:]) - cap(perr.Highlight)
	}
	// Something that is not closed is noticed at the end of the file only; the
	// place to show is where it was opened.
	if offset >= len(data)-1 && d.lines.line(offset) != d.lines.line(start) {
		offset = start
	}
	line := d.lines.text(data, min(start, offset))
	key := "syntax"
	if m := brokenKey.FindSubmatch(line); m != nil {
		path := strings.Split(string(m[2]), ".")
		if len(m[1]) == 0 {
			path = join(d.section, path)
		}
		key = keyName(path)
	}
	d.broken = &Mistake{d.place(offset), key, "TOML: " + err.Error() + "; " + syntaxHint(line) + "; what is behind it was not read"}
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

// syntaxHints guess what the writer of a line meant, by what it looks like.
var syntaxHints = []struct{ looks, hint string }{
	{`[“”„‘’«»]`, `these are typographic quotes from a document, write plain ones: key = "value"`},
	{`^[^=]*=\s*$`, `the value is missing, write it behind the =: key = "value"`},
	{`=\s*0[0-9]`, `put it in quotes, like a file mode: mode = "0660"`},
	{`"""|'''`, `close the three quotes, or use one: key = "value"`},
	{`^\s*\[\[[^\]]*\]\s*$`, "close both brackets: [[section]]"},
	{`^\s*\[[^\]]*$`, "close the bracket: [section]"},
	{`=\s*\[[^\]]*$`, "close the bracket of the list"},
	{`^[^"]*"[^"]*$|^[^']*'[^']*$`, `close the quote on the same line: key = "value"`},
	{`"[^"]*\\`, `a backslash begins an escape in double quotes: write \\, or use single quotes`},
	{``, `a line reads key = value, with text, durations and sizes in quotes: key = "value"`},
}

func syntaxHint(line []byte) string {
	for _, h := range syntaxHints {
		if regexp.MustCompile(h.looks).Match(line) {
			return h.hint
		}
	}
	return ""
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

func (d *document) place(offset int) Position {
	line, column := d.lines.place(offset)
	return Position{d.name, line, column}
}
