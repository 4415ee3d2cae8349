package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"airbridged/internal/typo"
)

// pass is one file on its way into the loader.
type pass struct {
	*loader
	seen    map[string]int // line of each key and header of this file
	section []string       // the header that stands above
	lost    bool           // the header above means nothing: its keys are not judged
}

// maxCrossed is how many lines, and how many mistakes, a file may have for the
// library to look for more of them.
const maxCrossed = 2000

// apply puts one file over what is loaded already.
func (l *loader) apply(name string, data []byte) {
	doc := parse(name, data)
	before := len(l.mistakes)
	if doc.broken != nil {
		l.broken = true
		l.mistakes = append(l.mistakes, *doc.broken)
	}
	p := &pass{loader: l, seen: map[string]int{}}
	for _, s := range doc.statements {
		switch s.kind {
		case unstable.Table, unstable.ArrayTable:
			p.enter(s)
		default:
			if !p.lost {
				p.assign(p.section, s)
			}
		}
	}
	have := map[int]bool{}
	for _, m := range l.mistakes[before:] {
		have[m.Line] = true
	}
	// The library needs a time that grows with the square of the keys in a table.
	// A file with no mistake so far has few.
	if wrong := len(l.mistakes) - before; doc.broken == nil && (wrong == 0 || wrong < maxCrossed && len(doc.statements) < maxCrossed) {
		l.mistakes = append(l.mistakes, doc.crossCheck(data, have)...)
	}
}

func join(section, path []string) []string {
	return append(append([]string{}, section...), path...)
}

// enter begins the section of a header.
func (p *pass) enter(s statement) {
	name := keyName(s.path)
	p.section, p.lost = s.path, false
	switch {
	case isElement(name):
		if s.kind == unstable.Table {
			p.wrong(s.at, name, fmt.Sprintf("there can be several of these, write [[%s]]", name))
		}
		p.begin(name, s.at)
	case isSection(name):
		if s.kind == unstable.ArrayTable {
			p.wrong(s.at, name, fmt.Sprintf("there is one of these, write [%s]", name))
		}
		if line, again := p.seen["["+name+"]"]; again {
			p.wrong(s.at, name, fmt.Sprintf("this section begins on line %d already, put its keys there", line))
		}
		p.seen["["+name+"]"] = s.at.Line
		p.where["["+name+"]"] = s.at
	default:
		p.unknownSection(s, name)
	}
}

// unknownSection takes a misspelt section for the one that was meant, so that
// its keys are judged and nothing counts as missing for it.
func (p *pass) unknownSection(s statement, name string) {
	if len(s.path) == 0 {
		p.lost = true
		return
	}
	if _, ok := findKey(name); ok {
		p.wrong(s.at, name, fmt.Sprintf("is a key, not a section, write %s = ... under %s", lastPart(name), header(sectionOf(name))))
		p.bad[name], p.lost = true, true
		return
	}
	near := typo.Nearest(name, known)
	for _, k := range known {
		if near == "" && typo.Normal(lastPart(name)) == lastPart(k) {
			near = k
		}
	}
	if near == "" {
		p.wrong(s.at, name, "unknown section, delete it; the sections are "+strings.Join(known, ", "))
		return
	}
	p.wrong(s.at, name, "unknown section, did you mean "+header(near)+"?")
	p.section = strings.Split(near, ".")
	if isElement(near) {
		p.begin(near, s.at)
	} else if _, ok := p.where["["+near+"]"]; !ok {
		p.where["["+near+"]"] = s.at
	}
}

// begin appends an element to an array of tables.
func (p *pass) begin(name string, at Position) {
	switch name {
	case "subscribe":
		p.cfg.Subscribe = append(p.cfg.Subscribe, Subscribe{})
	case "batch":
		p.cfg.Batch = append(p.cfg.Batch, newBatch())
	case "on_connect":
		p.cfg.OnConnect = append(p.cfg.OnConnect, newOnConnect())
	default:
		p.cfg.Access = append(p.cfg.Access, newAccess())
	}
	p.seen["["+name+"]"] = at.Line
	p.where["["+p.element(name)+"]"] = at
}

// element names the element that is being filled, such as subscribe[0].
func (l *loader) element(name string) string {
	n := len(l.cfg.Subscribe)
	switch name {
	case "batch":
		n = len(l.cfg.Batch)
	case "on_connect":
		n = len(l.cfg.OnConnect)
	case "access":
		n = len(l.cfg.Access)
	}
	return fmt.Sprintf("%s[%d]", name, n-1)
}

// place is the name under which the position of a key is kept: the key itself,
// with the element's number where there are several.
func (l *loader) place(name string) string {
	if section := sectionOf(name); isElement(section) {
		return l.element(section) + "." + lastPart(name)
	}
	return name
}

// touch notes where a key stands and says whether it stands there for the
// first time in this file.
func (p *pass) touch(name string, at Position) (first bool) {
	place := p.place(name)
	if line, again := p.seen[place]; again {
		p.wrong(at, name, fmt.Sprintf("is set on line %d already, delete one of the two", line))
		return false
	}
	p.seen[place], p.where[place] = at.Line, at
	return true
}

// assign takes in one key = value under a section.
func (p *pass) assign(section []string, s statement) {
	path := join(section, s.path)
	name := keyName(path)
	k, ok := findKey(name)
	switch {
	case ok:
		p.set(k, s)
	case isElement(name) && s.value.kind == unstable.Array:
		p.elements(name, path, s)
	case s.value.kind == unstable.InlineTable && isElement(name):
		p.wrong(s.at, name, fmt.Sprintf("there can be several of these, write [[%s]] on a line of its own", name))
	case s.value.kind == unstable.InlineTable && isSection(name):
		p.where["["+name+"]"] = s.at
		for _, field := range s.value.fields {
			p.assign(path, field)
		}
	case isElement(name) || isSection(name):
		p.wrong(s.at, name, fmt.Sprintf("is a section, write %s on a line of its own and its keys below", header(name)))
	default:
		p.wrong(s.at, name, unknownKey(name))
	}
}

// elements takes in an array of inline tables.
func (p *pass) elements(name string, path []string, s statement) {
	for i, e := range s.value.list {
		if e.kind != unstable.InlineTable {
			p.wrong(s.at, name, fmt.Sprintf("entry %d is %s, write each entry as [[%s]] on a line of its own with its keys below", i+1, kindName(e), name))
			continue
		}
		p.begin(name, s.at)
		for _, field := range e.fields {
			p.assign(path, field)
		}
	}
}

// set gives a key its value, or says why not.
func (p *pass) set(k key, s statement) {
	if section := sectionOf(k.name); isElement(section) {
		if _, begun := p.seen["["+section+"]"]; !begun {
			p.wrong(s.at, k.name, fmt.Sprintf("belongs to a table, write [[%s]] on a line above", section))
			p.begin(section, s.at)
		}
	}
	if !p.touch(k.name, s.at) {
		return
	}
	place := p.place(k.name)
	delete(p.bad, place)
	if err := k.set(&p.cfg, s.value); err != nil {
		p.bad[place] = true
		p.wrong(s.at, k.name, err.Error())
	}
}
