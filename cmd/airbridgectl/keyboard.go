package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// typedAhead is how many keys may wait to be looked at.
const typedAhead = 16

// keyboard hands out what is typed, key by key and without showing it, until
// restore is called, which puts the terminal back as it was. Ctrl-C and Ctrl-Z
// stay what they are. The channel is nil if there is no terminal to type on.
func keyboard(stdin io.Reader) (keys <-chan byte, restore func()) {
	none := func() {}
	file, ok := stdin.(*os.File)
	if !ok {
		return nil, none
	}
	var fd int
	var was *unix.Termios
	err := control(file, func(n int) {
		fd = n
		if was, _ = unix.IoctlGetTermios(fd, unix.TCGETS); was != nil {
			set := *was
			set.Lflag &^= unix.ICANON | unix.ECHO
			set.Cc[unix.VMIN], set.Cc[unix.VTIME] = 1, 0
			_ = unix.IoctlSetTermios(fd, unix.TCSETS, &set)
		}
	})
	if err != nil || was == nil {
		return nil, none
	}
	typed := make(chan byte, typedAhead)
	stopping, stop, err := os.Pipe()
	if err != nil {
		return nil, func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }
	}
	var reader sync.WaitGroup
	reader.Go(func() { readKeys(fd, stopping, typed) })
	return typed, func() {
		_ = stop.Close()
		reader.Wait()
		_ = stopping.Close()
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, was)
	}
}

// readKeys reads until stopping's other end is closed or nobody types any more.
// When typedAhead keys wait, further ones are dropped.
func readKeys(fd int, stopping *os.File, typed chan<- byte) {
	wait := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN}}
	_ = control(stopping, func(n int) { wait[1].Fd = int32(n) })
	one := make([]byte, 1)
	for {
		if _, err := unix.Poll(wait, -1); err == unix.EINTR {
			continue
		} else if err != nil || wait[1].Revents != 0 {
			return
		}
		if n, err := unix.Read(fd, one); n != 1 || err != nil {
			return
		}
		select {
		case typed <- one[0]:
		default:
		}
	}
}
