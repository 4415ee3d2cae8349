// guest is the first process of the machines that `make vm` boots, and what runs in
// them besides the product. It has no use outside of the tests.
//
//	init                             mounts, loads the modules of /modules, answers on the port "agent"
//	report PORT                      every change of the daemon's state to PORT, a line each
//	publish PORT TAG WORKERS PAUSE   numbered messages without end, each to PORT once it was answered 202
//	line PORT                        every change of the GPIO lines that somebody holds, to PORT
//	relay FILE FILE                  bytes between two terminals, for as long as both are there
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"airbridged/client"
)

const (
	socket = "/run/airbridged/airbridged.sock"
	topic  = "/b1KCi45LcCP/862991419835241/update"
)

func main() {
	var err error
	switch {
	case os.Getpid() == 1:
		err = begin()
	case len(os.Args) == 2 && os.Args[1] == "agent":
		err = agent()
	case len(os.Args) == 3 && os.Args[1] == "report":
		err = report(os.Args[2])
	case len(os.Args) == 6 && os.Args[1] == "publish":
		err = publish(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	case len(os.Args) == 3 && os.Args[1] == "line":
		err = line(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "relay":
		err = relay(os.Args[2], os.Args[3])
	default:
		err = errors.New("usage: guest report PORT | publish PORT TAG WORKERS PAUSE | line PORT | relay FILE FILE")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

// begin is what init does: it never returns but with an error, which the kernel
// answers with a panic that the console shows.
func begin() error {
	for _, m := range [][3]string{
		{"proc", "/proc", "proc"},
		{"sysfs", "/sys", "sysfs"},
		{"devtmpfs", "/dev", "devtmpfs"},
		{"tmpfs", "/run", "tmpfs"},
		{"tmpfs", "/tmp", "tmpfs"},
		{"debugfs", "/sys/kernel/debug", "debugfs"},
		{"devpts", "/dev/pts", "devpts"},
	} {
		if err := os.MkdirAll(m[1], 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m[0], m[1], m[2], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	for name, value := range map[string]string{"PATH": "/bin", "HOME": "/"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	list, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		if err := load("/modules/" + name); err != nil {
			fmt.Println("guest: module", name, err)
		}
	}
	if err := exec.Command("/bin/busybox", "--install", "-s", "/bin").Run(); err != nil {
		return fmt.Errorf("busybox: %w", err)
	}
	// What has lost its parent is this process's to wait for, and to be waited for by
	// number is what os/exec needs: so another process starts the rest.
	cmd := exec.Command("/init", "agent")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(-1, &status, 0, nil); errors.Is(err, syscall.ECHILD) {
			return errors.New("the agent has ended")
		}
	}
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// Order is a line on the port "agent", Answer the line that answers it.
type (
	order struct {
		ID      int
		Command string // for the shell
		Seconds int
	}
	answer struct {
		ID, Status int
		Output     string
	}
)

func agent() error {
	port, err := open("agent")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	lines := bufio.NewReader(patient{port})
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		var o order
		if err := json.Unmarshal(line, &o); err != nil {
			fmt.Println("guest: no order:", err)
			continue
		}
		go func() {
			a, err := json.Marshal(carryOut(o))
			if err != nil {
				panic(err)
			}
			mu.Lock()
			defer mu.Unlock()
			_, _ = port.Write(append(a, '\n'))
		}()
	}
}

func carryOut(o order) answer {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(o.Seconds)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", o.Command)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	status := cmd.ProcessState.ExitCode()
	if err != nil && status == 0 {
		status = 125
		out = append(out, err.Error()...)
	}
	return answer{o.ID, status, string(out)}
}

// patient reads on where a port has nobody at its other end yet.
type patient struct{ f *os.File }

func (p patient) Read(b []byte) (int, error) {
	for {
		n, err := p.f.Read(b)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// open opens the virtio port with a name.
func open(name string) (*os.File, error) {
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, file := range names {
			if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == name {
				return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(file)), os.O_RDWR, 0)
			}
		}
	}
	return nil, fmt.Errorf("there is no virtio port %q", name)
}

// report writes "STATE state cause" for every change, and what the state is whenever
// the daemon was found again.
func report(name string) error {
	port, err := open(name)
	if err != nil {
		return err
	}
	c := client.New(socket)
	for ctx := context.Background(); ; time.Sleep(50 * time.Millisecond) {
		events, err := c.Events(ctx)
		if err != nil {
			continue
		}
		if s, err := c.Status(ctx); err == nil {
			fmt.Fprintf(port, "STATE %s %s\n", s.State, s.Cause)
		}
		for {
			e, err := events.Next()
			if err != nil {
				break
			}
			if e.To != "" {
				fmt.Fprintf(port, "STATE %s %s\n", e.To, e.Cause)
			}
		}
		_ = events.Close()
	}
}

// publish writes "ID tag-n" for every message that was answered 202.
func publish(name, tag, workers, pause string) error {
	port, err := open(name)
	if err != nil {
		return err
	}
	width, err := strconv.Atoi(workers)
	if err != nil {
		return err
	}
	every, err := time.ParseDuration(pause)
	if err != nil {
		return err
	}
	c := client.New(socket)
	var n atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	for range width {
		all.Go(func() {
			for ; ; time.Sleep(every) {
				id := fmt.Sprintf("%s-%d", tag, n.Add(1))
				if _, err := c.Publish(context.Background(), topic, []byte(id), client.PublishOptions{}); err != nil {
					time.Sleep(100 * time.Millisecond)
					continue
				}
				mu.Lock()
				fmt.Fprintf(port, "ID %s\n", id)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return nil
}

// line writes "LINE text" whenever what the kernel says of the GPIO lines in use has
// changed, looked at every millisecond.
func line(name string) error {
	port, err := open(name)
	if err != nil {
		return err
	}
	for last := "none"; ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile("/sys/kernel/debug/gpio")
		if err != nil {
			return err
		}
		var held []string
		for text := range strings.Lines(string(b)) {
			if strings.Contains(text, "airbridged") {
				held = append(held, strings.Join(strings.Fields(text), " "))
			}
		}
		if now := strings.Join(held, "; "); now != last {
			last = now
			fmt.Fprintf(port, "LINE %s\n", now)
		}
	}
}

// relay carries bytes between two terminals, such as a simulated module's and the far
// side of a USB gadget.
func relay(a, b string) error {
	var files [2]*os.File
	for i, path := range []string{a, b} {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		files[i] = os.NewFile(uintptr(fd), path)
	}
	done := make(chan error, 2)
	for i := range files {
		go func() {
			_, err := io.Copy(files[i], files[1-i])
			done <- err
		}()
	}
	return <-done
}
