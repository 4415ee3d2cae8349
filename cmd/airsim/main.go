// Command airsim is a simulated Air module on a pseudo-terminal, with the
// simulated cloud behind it. It prints the terminal's path on stdout and runs
// until it is told to stop.
//
// It promises to leave nothing behind (the symbolic link and the control socket
// go at exit) and never opens a network connection unless --broker asks for one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Set by the linker: -X main.version=… -X main.commit=….
var (
	version = "0.0.0-unversioned"
	commit  = "unknown"
)

// Exit codes, after sysexits.h.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 64
	exitUnavailable = 69
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: everything it opens is closed when it
// returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	code := command(ctx, args, out, stderr)
	if out.err != nil && code == exitOK {
		_, _ = fmt.Fprintf(stderr, "airsim: the output cannot be written: %v\n", out.err)
		return exitFailure
	}
	return code
}

// output remembers the first error of writing.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "do" {
		return runDo(ctx, args[1:], stdout, stderr)
	}
	s, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, errDone):
		return exitOK
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "airsim: %v\nairsim --help lists the options.\n", err)
		return exitUsage
	}
	if err := simulate(ctx, s, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "airsim: %v\n", err)
		return exitFailure
	}
	return exitOK
}
