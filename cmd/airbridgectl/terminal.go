package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// usualWidth and usualHeight are for terminals that do not know theirs, as
// serial consoles, and for files.
const (
	usualWidth  = 80
	usualHeight = 24
)

// terminalSize returns how to ask how many columns and lines there are, or nil
// if w is no terminal on which something can be painted over.
func terminalSize(w io.Writer) func() (columns, lines int) {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil
	}
	if _, err := winsize(file); err != nil {
		return nil
	}
	return func() (columns, lines int) {
		columns, lines = usualWidth, usualHeight
		if size, err := winsize(file); err == nil {
			if size.Col > 0 {
				columns = int(size.Col)
			}
			if size.Row > 0 {
				lines = int(size.Row)
			}
		}
		return columns, lines
	}
}

func winsize(file *os.File) (size *unix.Winsize, err error) {
	controlErr := control(file, func(fd int) { size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ) })
	if controlErr != nil {
		return nil, controlErr
	}
	return size, err
}

// control runs f on the file's descriptor without changing how it blocks, which
// [os.File.Fd] would.
func control(file *os.File, f func(fd int)) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// width is how many columns there are on stdout.
func (e *env) width() int {
	if size := terminalSize(e.stdout.w); size != nil {
		columns, _ := size()
		return columns
	}
	return usualWidth
}

// paintedLine is one line of a terminal that is written over and over. A nil one
// shows nothing.
type paintedLine struct {
	out   io.Writer
	width func() int // columns now
	open  bool       // the cursor stands behind the line
}

// newPaintedLine returns a line on w, nil if that is no terminal.
func newPaintedLine(w io.Writer) *paintedLine {
	size := terminalSize(w)
	if size == nil {
		return nil
	}
	return &paintedLine{out: w, width: func() int { columns, _ := size(); return columns }}
}

// paint puts text in the place of what was there. A line that wraps could not be
// painted over, so it is cut.
func (l *paintedLine) paint(text string) error {
	if l == nil {
		return nil
	}
	if most := max(l.width()-1, 0); len(text) > most {
		text = text[:most]
	}
	l.open = true
	_, err := io.WriteString(l.out, "\r"+text+"\x1b[K")
	return err
}

// end leaves the line as it is, and goes to the next.
func (l *paintedLine) end() {
	if l != nil && l.open {
		_, _ = io.WriteString(l.out, "\n")
		l.open = false
	}
}

// wipe leaves nothing of it.
func (l *paintedLine) wipe() {
	if l != nil && l.open {
		_, _ = io.WriteString(l.out, "\r\x1b[K")
		l.open = false
	}
}
