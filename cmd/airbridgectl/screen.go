package main

import (
	"bytes"
	"fmt"
	"io"
)

// screen is a page on a terminal that is brought up to date: only what changed
// is written, so that it does not flicker and a slow serial console keeps up. It
// uses what a VT100 understands, and nothing else but the cursor's visibility.
type screen struct {
	out           io.Writer
	size          func() (columns, lines int)
	columns, rows int
	drawn         []string // nil: whatever is there is to go
}

// forget makes the next draw write everything.
func (s *screen) forget() { s.drawn = nil }

// draw makes the terminal show the page; what does not fit on it is left out.
// Its lines must be narrower than the terminal.
func (s *screen) draw(page []string) error {
	var b bytes.Buffer
	columns, rows := s.size()
	if s.drawn == nil || columns != s.columns || rows != s.rows {
		s.drawn, s.columns, s.rows = []string{}, columns, rows
		b.WriteString("\x1b[?25l\x1b[H\x1b[2J") // no cursor, home, clear
	}
	page = page[:min(len(page), rows)]
	for i, line := range page {
		same := 0
		if i < len(s.drawn) {
			if line == s.drawn[i] {
				continue
			}
			same = samePrefix(line, s.drawn[i])
		}
		fmt.Fprintf(&b, "\x1b[%d;%dH%s\x1b[K", i+1, same+1, line[same:])
	}
	for i := len(page); i < len(s.drawn); i++ {
		fmt.Fprintf(&b, "\x1b[%d;1H\x1b[K", i+1)
	}
	s.drawn = append([]string{}, page...)
	if b.Len() == 0 {
		return nil
	}
	_, err := s.out.Write(b.Bytes())
	return err
}

// end leaves the page as it is, with the cursor below it.
func (s *screen) end() {
	if s.drawn != nil {
		_, _ = fmt.Fprintf(s.out, "\x1b[%d;1H\r\n\x1b[?25h", max(len(s.drawn), 1))
	}
}

// samePrefix is how many columns two lines have in common at their beginning,
// of plain ASCII alone: a byte is a column there, and no style has begun.
func samePrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] && a[n] >= 0x20 && a[n] < 0x7f {
		n++
	}
	return n
}
