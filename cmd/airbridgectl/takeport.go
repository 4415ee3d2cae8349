package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"airbridged/client"
	"airbridged/internal/unit"
)

// initScript is what runs the daemon where there is no systemd.
const initScript = "/etc/init.d/airbridged"

// withPort does something while nobody has the port that a configuration names: the
// service is stopped with all that would start it again, and what ran before is started
// at the end, whatever comes of it.
func (e *env) withPort(config string, do func() error) error {
	defer e.outlive()()
	name, start, err := stopService(e.ctx, config)
	if err != nil {
		return err
	}
	switch {
	case start == nil && name == "":
		e.note("nothing is known here that runs the daemon of %s, so nothing was stopped", config)
		return do()
	case start == nil:
		return do()
	}
	e.note("%s is stopped for this, with its sockets, and started again at the end", name)
	err = do()
	// Also for somebody who has lost patience.
	again, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), 2*time.Minute)
	defer cancel()
	if failed := start(again); failed != nil {
		return errors.Join(fmt.Errorf("%s could not be started again: %w", name, failed), err)
	}
	e.note("%s is started again", name)
	return err
}

// outlive keeps the program from dying where it has something to put back: of a terminal
// that is gone, as when ssh loses its connection, which counts as an interrupt, and of a
// pipe that nobody reads any more, as in "| head". restore undoes it.
func (e *env) outlive() (restore func()) {
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE) // a write fails then, and no more
	was, stop := e.ctx, func() {}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		e.ctx, stop = signal.NotifyContext(e.ctx, syscall.SIGHUP)
	}
	return func() {
		stop()
		signal.Stop(pipe)
		e.ctx = was
	}
}

// stopService stops what runs the daemon of a configuration. start is nil where nothing
// did.
func stopService(ctx context.Context, config string) (name string, start func(context.Context) error, err error) {
	u, err := unit.Of(ctx, config)
	switch {
	case errors.Is(err, unit.ErrNone):
		return stopScript(ctx, config)
	case err != nil:
		return "", nil, err
	case os.Geteuid() != 0:
		return "", nil, fmt.Errorf("%w: only root may stop %s", client.ErrNotPermitted, u.Name)
	}
	start, err = u.Stop(ctx)
	return u.Name, start, err
}

// stopScript is stopService where there is no systemd: it knows the init script of the
// tarball, and a daemon that nobody runs by it is left alone.
func stopScript(ctx context.Context, config string) (name string, start func(context.Context) error, err error) {
	script := func(ctx context.Context, action string) error {
		cmd := exec.CommandContext(ctx, initScript, action)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C does not end what starts it again
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", initScript, action, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	if config == defaultConfig && script(ctx, "status") == nil {
		if err := script(ctx, "stop"); err != nil {
			return "", nil, err
		}
		return initScript, func(ctx context.Context) error { return script(ctx, "start") }, nil
	}
	return "", nil, nil
}
