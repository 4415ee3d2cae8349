package config

import (
	"bytes"
	"sort"
)

// lineIndex finds lines and columns of byte offsets.
type lineIndex struct {
	starts []int
	size   int
}

func newLineIndex(data []byte) lineIndex {
	x := lineIndex{starts: []int{0}, size: len(data)}
	for i, b := range data {
		if b == '\n' {
			x.starts = append(x.starts, i+1)
		}
	}
	return x
}

// line returns the number of the line that holds offset, from 0.
func (x lineIndex) line(offset int) int {
	return sort.SearchInts(x.starts, offset+1) - 1
}

// place returns line and column of offset, both from 1.
func (x lineIndex) place(offset int) (line, column int) {
	n := x.line(offset)
	return n + 1, offset - x.starts[n] + 1
}

// after returns the offset of the line behind the one that holds offset, or
// the size of the file.
func (x lineIndex) after(offset int) int {
	if n := x.line(offset) + 1; n < len(x.starts) {
		return x.starts[n]
	}
	return x.size
}

// text returns the line that holds offset.
func (x lineIndex) text(data []byte, offset int) []byte {
	return bytes.TrimRight(data[x.starts[x.line(offset)]:x.after(offset)], "\r\n")
}
