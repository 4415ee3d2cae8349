package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
)

// simulate runs the module, and what was asked for beside it, until ctx ends or
// one of them fails.
func simulate(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	if s.log {
		s.module.Log = logTo(stderr)
	}
	p := &page{}
	if s.web != "" {
		p.watch(&s)
	}
	cloud := simcloud.New(s.cloud)
	module, err := airsim.New(cloud, s.module)
	if err != nil {
		return err
	}
	p.module, p.cloud = module, cloud
	socket, port, err := listenAll(s)
	if err != nil {
		return err
	}
	term, err := place(s, stdout)
	if err != nil {
		closeAll(socket, port)
		return err
	}
	all := group{}
	ctx, all.cancel = context.WithCancel(ctx)
	defer all.cancel()
	all.run(func() error { return module.Run(ctx) })
	all.run(func() error { return carry(ctx, s, module, term, stdout) })
	if socket != nil {
		all.run(func() error { return airsim.ServeControl(ctx, socket, module) })
	}
	if port != nil {
		_, _ = fmt.Fprintf(stderr, "airsim: page at http://%s/\n", port.Addr())
		all.run(func() error { return p.serve(ctx, port) })
	}
	if s.broker != "" {
		all.run(func() error { return cloud.Relay(ctx, s.broker) })
	}
	module.Play(s.script)
	return all.wait()
}

// group is goroutines that end together.
type group struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	err    error
}

func (g *group) run(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			g.err = errors.Join(g.err, err)
			g.mu.Unlock()
		}
		g.cancel()
	})
}

func (g *group) wait() error {
	g.wg.Wait()
	return g.err
}

// place makes a terminal and tells where it is.
func place(s settings, stdout io.Writer) (*airsim.Terminal, error) {
	term, err := airsim.OpenTerminal(s.module.Baud)
	if err != nil {
		return nil, err
	}
	if s.link != "" {
		if err := relink(s.link, term.Path()); err != nil {
			return nil, errors.Join(err, term.Close())
		}
	}
	_, _ = fmt.Fprintln(stdout, term.Path())
	return term, nil
}

// carry keeps the module on a terminal; after the unplug command it makes
// another one, under the same link.
func carry(ctx context.Context, s settings, module *airsim.Module, term *airsim.Terminal, stdout io.Writer) error {
	for {
		err := module.Attach(ctx, term)
		unlink(s.link, term.Path())
		var unplugged *airsim.UnpluggedError
		if !errors.As(err, &unplugged) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(unplugged.For):
		}
		if term, err = place(s, stdout); err != nil {
			return err
		}
	}
}

// relink points a symbolic link at a terminal in one step. It refuses to replace
// anything but a symbolic link.
func relink(link, target string) error {
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("--link %s: it exists and is not a symbolic link", link)
	}
	next := fmt.Sprintf("%s.%d", link, os.Getpid())
	_ = os.Remove(next)
	if err := os.Symlink(target, next); err != nil {
		return fmt.Errorf("--link: %w", err)
	}
	if err := os.Rename(next, link); err != nil {
		return errors.Join(fmt.Errorf("--link: %w", err), os.Remove(next))
	}
	return nil
}

// unlink removes the link if it still points at our terminal.
func unlink(link, target string) {
	if to, err := os.Readlink(link); err == nil && to == target {
		_ = os.Remove(link)
	}
}

// listenAll opens what is asked for; nil: it is not.
func listenAll(s settings) (socket, port net.Listener, err error) {
	if s.control != "" {
		if socket, err = listen(s.control); err != nil {
			return nil, nil, err
		}
	}
	if s.web != "" {
		if port, err = net.Listen("tcp", s.web); err != nil {
			closeAll(socket)
			return nil, nil, fmt.Errorf("--web: %w", err)
		}
	}
	return socket, port, nil
}

func closeAll(list ...net.Listener) {
	for _, l := range list {
		if l != nil {
			_ = l.Close()
		}
	}
}

// listen makes the control socket. One that a dead simulator left is replaced;
// one that answers is not.
func listen(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("--control %s: it exists and is not a socket", path)
		}
		conn, err := net.Dial("unix", path)
		if err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("--control %s: another program answers there", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("--control: %w", err)
		}
		_ = os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("--control: %w", err)
	}
	return l, nil
}

// logTo prints the dialogue, bytes that are not text as escapes.
func logTo(w io.Writer) func(dir, text string) {
	return func(dir, text string) {
		quoted := strconv.Quote(text)
		_, _ = fmt.Fprintf(w, "%s %-2s %s\n", time.Now().Format("15:04:05.000000"), dir, quoted[1:len(quoted)-1])
	}
}
