package main

import (
	"errors"
	"fmt"
	"io"

	"airbridged/internal/recovery"
	"airbridged/internal/session"
	"airbridged/internal/tty"
)

// openPort opens the serial device in the session's terms: the session knows
// causes, not devices.
func openPort(device string, baud int) (io.ReadWriteCloser, error) {
	port, err := tty.Open(device, baud)
	if err == nil {
		return serialPort{port}, nil
	}
	failure := &recovery.Failure{Cause: recovery.PortMissing, Err: err}
	switch {
	case errors.Is(err, tty.ErrBusy):
		failure.Cause = recovery.PortBusy
	case errors.Is(err, tty.ErrPermission):
		failure.Cause = recovery.PortDenied
	}
	var detail *tty.Error
	if errors.As(err, &detail) {
		failure.Hint = detail.Hint
	}
	return nil, failure
}

// serialPort tells the session of a blocked write in its own words.
type serialPort struct{ *tty.Port }

func (p serialPort) Write(b []byte) (int, error) {
	n, err := p.Port.Write(b)
	if errors.Is(err, tty.ErrWriteBlocked) {
		err = fmt.Errorf("%w: %w", session.ErrWriteBlocked, err)
	}
	return n, err
}
