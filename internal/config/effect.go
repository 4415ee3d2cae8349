package config

import (
	"fmt"
	"maps"
	"strings"
)

// Places say where the values of a configuration stand.
type Places struct {
	Files []string // that were read, in reading order
	where map[string]Position
}

// Setting is one key that is in effect.
type Setting struct {
	Key   string // dotted; of an array of tables with its number, "subscribe[0].topic"
	Value string // as TOML; a secret is never one
	At    Position
	Given bool // in a file, At; else it is the default
}

// LoadPlaced is [LoadFor] for who wants to know where each value stands.
func LoadPlaced(path string, service Service) (Config, Places, []Warning, error) {
	l := newLoader(path)
	l.service = service
	cfg, warnings, err := l.load(path)
	return cfg, Places{l.files, maps.Clone(l.where)}, warnings, err
}

// Settings lists the keys of a configuration in the order of Dump, and where each stands.
func (c Config) Settings(p Places) []Setting {
	var list []Setting
	section, count := "", map[string]int{}
	for line := range strings.Lines(c.Dump()) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "[["); ok {
			name = strings.TrimSuffix(name, "]]")
			section = fmt.Sprintf("%s[%d]", name, count[name])
			count[name]++
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		s := Setting{Key: section + "." + key, Value: value}
		s.At, s.Given = p.where[s.Key]
		list = append(list, s)
	}
	return list
}

// InEffect lists what is in effect after a reload that changed only some keys: running is
// the configuration in effect, with the places of what was read before, and fresh what the
// files say now. A value that the files still have stands where they have it now.
func InEffect(running []Setting, fresh []Setting) []Setting {
	now := make(map[string]Setting, len(fresh))
	for _, s := range fresh {
		now[s.Key] = s
	}
	for i, s := range running {
		if f, ok := now[s.Key]; ok && f.Value == s.Value {
			running[i] = f
		}
	}
	return running
}
