package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// usualWidth is for terminals that do not know theirs, as serial consoles.
const usualWidth = 80

// terminalWidth returns how to ask how many columns there are, or nil if w is
// no terminal on which a line can be painted over.
func terminalWidth(w io.Writer) func() int {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil
	}
	if _, err := winsize(file); err != nil {
		return nil
	}
	return func() int {
		if size, err := winsize(file); err == nil && size.Col > 0 {
			return int(size.Col)
		}
		return usualWidth
	}
}

func winsize(file *os.File) (size *unix.Winsize, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) { size, err = unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ) })
	if controlErr != nil {
		return nil, controlErr
	}
	return size, err
}
