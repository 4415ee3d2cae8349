package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file: line and column count from 1, columns in
// bytes. For something that is missing it is the header of the section where
// it belongs, or the first byte of the main file.
type Position struct {
	File         string
	Line, Column int
}

func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Mistake is one thing that must be changed before the daemon can run. Key is
// the dotted key, or "file" when a whole file is concerned, or "syntax" when
// no key could be made out. Text says what is wrong and what to do; it never
// holds a secret.
type Mistake struct {
	Position
	Key, Text string
}

func (m Mistake) String() string { return m.Position.String() + ": " + m.Key + ": " + m.Text }

// Mistakes is every mistake of a configuration, in the order in which the
// files are read. It is the only error type that Load returns.
type Mistakes struct {
	List []Mistake
	// Passing says that a file could not be read because of something that may be
	// over in a moment, such as a failing disk or too many open files: what is wrong
	// may not be the configuration, and it is worth trying again.
	Passing bool
}

// Error returns one line for each mistake: FILE:LINE:COLUMN: key: what, and
// what to do.
func (m *Mistakes) Error() string {
	lines := make([]string, len(m.List))
	for i, one := range m.List {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Warning is something that works, but not in the way the file suggests.
type Warning struct {
	Position
	Key, Text string
}

// String has the form of a Mistake.
func (w Warning) String() string { return w.Position.String() + ": " + w.Key + ": " + w.Text }

// sortByPlace puts mistakes into reading order: files as they were read, then
// lines.
func sortByPlace(list []Mistake, files []string) {
	slices.SortStableFunc(list, func(a, b Mistake) int {
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
}
