package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"airbridged/client"
	"airbridged/client/api"
	"airbridged/internal/bus"
	"airbridged/internal/ipc/ipctest"
)

// terminal is a pseudo-terminal whose output is collected.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	seen   bytes.Buffer
	more   chan struct{}
	done   chan struct{}
}

func newTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	t.Setenv("TERM", "vt100")
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, master: master, slave: slave, more: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(x.done)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			x.mu.Lock()
			x.seen.Write(b[:n])
			x.mu.Unlock()
			select {
			case x.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = slave.Close()
		<-x.done // EIO: nobody has the other end
		_ = master.Close()
	})
	return x
}

func (x *terminal) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.seen.String()
}

// await waits until all that was written has a text in it.
func (x *terminal) await(text string) {
	x.t.Helper()
	late := time.After(20 * time.Second)
	for !strings.Contains(x.String(), text) {
		select {
		case <-x.more:
		case <-late:
			x.t.Fatalf("%q was not written: %q", text, x.String())
		}
	}
}

// runOn runs the program with the terminal for stdin and stdout.
func (x *terminal) runOn(args ...string) <-chan int {
	code := make(chan int, 1)
	go func() { code <- run(args, x.slave, x.slave, io.Discard) }()
	return code
}

// ended waits for the program's exit status.
func ended(t *testing.T, code <-chan int) int {
	t.Helper()
	select {
	case c := <-code:
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
		return -1
	}
}

func localFlags(t *testing.T, f *os.File) uint32 {
	t.Helper()
	set, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return set.Lflag
}

func TestStatusWatchOnATerminal(t *testing.T) {
	d := start(t, nil)
	x := newTerminal(t, 80, 24)
	before := localFlags(t, x.slave)
	code := x.runOn("status", "--watch")
	x.await("\x1b[?25l\x1b[H\x1b[2J\x1b[1;1Hstate      \x1b[33mprobing\x1b[0m: looking")
	x.await("q ends this")
	first := len(x.String())
	d.Board.Update(func(s *bus.Status) { s.State = "online" })
	d.Board.Emit(bus.Changed(api.Change{From: "connecting", To: "online"}))
	// Only what changed is written, from the column on where it did.
	x.await("\x1b[1;12H\x1b[32monline\x1b[0m: messages go up and come down\x1b[K")
	if again := x.String()[first:]; strings.Contains(again, "\x1b[2J") || strings.Contains(again, "SIM card") {
		t.Errorf("the page was written anew: %q", again)
	}
	if localFlags(t, x.slave)&(unix.ICANON|unix.ECHO) != 0 {
		t.Error("keys would wait for Return, or be shown")
	}
	if _, err := x.master.Write([]byte("xq")); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, code); got != 0 {
		t.Errorf("exit %d", got)
	}
	x.await("\x1b[?25h")
	if localFlags(t, x.slave) != before {
		t.Error("the terminal is not as it was before")
	}
}

// On a small terminal the end of the page is left out, and how to leave is not.
func TestStatusWatchOnASmallTerminal(t *testing.T) {
	start(t, nil)
	x := newTerminal(t, 40, 5)
	code := x.runOn("status", "--watch")
	x.await("\x1b[5;1H           q ends this")
	if _, err := x.master.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, code); got != 0 || strings.Contains(x.String(), "\x1b[6;") {
		t.Errorf("exit %d, %q", got, x.String())
	}
}

func TestStatusWatchEndsWithCtrlC(t *testing.T) {
	start(t, nil)
	x := newTerminal(t, 80, 24)
	before := localFlags(t, x.slave)
	code := x.runOn("status", "--watch")
	x.await("q ends this")
	_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
	if got := ended(t, code); got != exitInterrupted {
		t.Errorf("exit %d", got)
	}
	x.await("\x1b[?25h")
	if localFlags(t, x.slave) != before {
		t.Error("the terminal is not as it was before")
	}
}

// The view outlives the daemon, and says that it is away.
func TestStatusWatchOutlivesTheDaemon(t *testing.T) {
	d := start(t, nil)
	x := newTerminal(t, 100, 24)
	code := x.runOn("status", "--watch")
	x.await("q ends this")
	d.Stop()
	x.await("airbridged does not answer since")
	x.await("nobody listens on its socket")
	if _, err := x.master.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if got := ended(t, code); got != 0 {
		t.Errorf("exit %d", got)
	}
}

// Without a terminal there is a line for each change, and none between.
func TestStatusWatchWithoutATerminal(t *testing.T) {
	utc(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"status", "--watch"}, []string{
			" probing; not known whether registered, signal unknown; queue: 0 messages\n",
			" recovering, cause closed, 2 failures in a row; registered, signal weak (-103 dBm); queue: 0 messages\n",
		}},
		{[]string{"status", "--watch", "--json"}, []string{`{"state":"probing",`, `{"state":"recovering","cause":"closed",`}},
	} {
		d := start(t, nil)
		var out, errs bytes.Buffer
		lines := 0
		step := &onWrite{do: func() {
			lines++
			switch lines {
			case 1:
				d.Board.Update(func(s *bus.Status) {
					s.State, s.Cause, s.Attempt, s.Modem.SignalDBm, s.Modem.Registered = "recovering", "closed", 2, ptr(-103), ptr(true)
				})
			case 2:
				_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
			}
		}}
		if code := run(c.args, nil, io.MultiWriter(&out, step), &errs); code != exitInterrupted || errs.Len() > 0 {
			t.Errorf("exit %d, %q", code, errs.String())
		}
		got := strings.SplitAfter(out.String(), "\n")
		if len(got) != 3 || !strings.Contains(got[0], c.want[0]) || !strings.Contains(got[1], c.want[1]) {
			t.Errorf("%v: %q", c.args, got)
		}
	}
}

func TestChangedLinesOfAnAbsentDaemon(t *testing.T) {
	var out bytes.Buffer
	show := changedLines(&env{stdout: &output{w: &out}})
	l := statusAnswer{status: client.Status{State: "online"}}
	for _, next := range []statusAnswer{l, l, {status: l.status, err: client.ErrUnreachable}, {status: l.status, err: errors.New("another")}, l} {
		if err := show(next, false); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, " no answer: nobody listens on its socket\n") {
		t.Errorf("%q", got)
	}
}

func TestScreenWritesWhatChanged(t *testing.T) {
	var out bytes.Buffer
	columns, rows := 40, 4
	s := &screen{out: &out, size: func() (int, int) { return columns, rows }}
	draw := func(want string, page ...string) {
		t.Helper()
		out.Reset()
		if err := s.draw(page); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("got %q\nwant %q", out.String(), want)
		}
	}
	draw("\x1b[?25l\x1b[H\x1b[2J\x1b[1;1Ha 1\x1b[K\x1b[2;1Hb\x1b[K", "a 1", "b")
	draw("", "a 1", "b")
	draw("\x1b[1;3H2\x1b[K", "a 2", "b")
	draw("\x1b[2;1H\x1b[32mb\x1b[0m\x1b[K", "a 2", "\x1b[32mb\x1b[0m")
	draw("\x1b[2;1H\x1b[33mb\x1b[0m\x1b[K", "a 2", "\x1b[33mb\x1b[0m") // styles are no columns
	draw("\x1b[1;1Hä\x1b[K\x1b[2;1H\x1b[K", "ä")
	draw("\x1b[1;2H4\x1b[K\x1b[2;1H2\x1b[K\x1b[3;1H3\x1b[K\x1b[4;1H4\x1b[K"[len("\x1b[1;2H4\x1b[K"):], "ä", "2", "3", "4", "left out")
	columns = 20
	draw("\x1b[?25l\x1b[H\x1b[2J\x1b[1;1Hä\x1b[K", "ä")
	out.Reset()
	s.end()
	if out.String() != "\x1b[1;1H\r\n\x1b[?25h" {
		t.Errorf("%q", out.String())
	}
}

// events -f outlives the daemon, says so, and does not repeat what it printed.
func TestEventsFollowThroughARestart(t *testing.T) {
	first := start(t, nil)
	var out, errs bytes.Buffer
	var second *ipctest.Daemon
	begun := &onWrite{do: sync.OnceFunc(func() { go first.Stop() })}
	said := 0
	restart := &onWrite{do: func() {
		switch said++; said {
		case 1: // it went away
			first.Stop()
			second = ipctest.StartAt(first.Socket, nil)
		case 2: // it is back
			second.Board.Emit(bus.Warned("sim", "removed"))
		}
	}}
	code := run([]string{"events", "-f", "-n", "3"}, nil, io.MultiWriter(&out, begun), io.MultiWriter(&errs, restart))
	second.Stop()
	if code != 0 || strings.Count(out.String(), " probing\n") != 2 || !strings.Contains(out.String(), " warning sim: removed\n") {
		t.Errorf("exit %d, %q", code, out.String())
	}
	if want := "airbridgectl: airbridged is stopping; waiting for it to come back\nairbridgectl: airbridged is back\n"; errs.String() != want {
		t.Errorf("%q", errs.String())
	}
}

// Seen: a restart of the daemon, as an upgrade makes one, ended every sub that somebody had
// left running. It waits, and the messages of both daemons count.
func TestSubFollowsThroughARestart(t *testing.T) {
	first := start(t, nil)
	var out, errs bytes.Buffer
	var second *ipctest.Daemon
	message := func(d *ipctest.Daemon, payload string) {
		d.Hub.Publish(bus.Message{Topic: "/a", Payload: []byte(payload)})
	}
	restarts := &onWrite{do: func() {
		switch said := errs.String(); {
		case strings.HasSuffix(said, "come back\n") && second == nil:
			first.Stop()
			second = ipctest.StartAt(first.Socket, nil)
		case strings.HasSuffix(said, "acknowledge\n") && second == nil:
			message(first, "one")
		case strings.HasSuffix(said, "acknowledge\n"):
			message(second, "two")
		}
	}}
	goes := &onWrite{do: sync.OnceFunc(func() { go first.Stop() })}
	code := run([]string{"sub", "-n", "2", "/a"}, nil, io.MultiWriter(&out, goes), io.MultiWriter(&errs, restarts))
	second.Stop()
	if code != 0 || out.String() != "/a one\n/a two\n" {
		t.Errorf("exit %d, %q", code, out.String())
	}
	if !strings.Contains(errs.String(), "waiting for it to come back\nairbridgectl: airbridged is back\n") {
		t.Errorf("%q", errs.String())
	}
}

func TestEventsEndAfterSoMany(t *testing.T) {
	start(t, nil)
	if code, out, errs := ctl(nil, "events", "-n", "1"); code != 0 || !strings.HasSuffix(out, " probing\n") || errs != "" {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
}

// A long operation tells how far it is, on the terminal of stderr alone.
func TestProgressOfALongOperation(t *testing.T) {
	x := newTerminal(t, 80, 24)
	o := (&env{stderr: x.slave}).ongoing()
	o.tell("too early")
	o.next = time.Time{}
	o.tell("%d of %d", 5, 9)
	o.tell("too soon")
	o.done()
	x.await("\r5 of 9\x1b[K\r\x1b[K")
	if strings.Contains(x.String(), "too") {
		t.Errorf("%q", x.String())
	}
	nobody := (&env{stderr: io.Discard}).ongoing()
	nobody.next = time.Time{}
	nobody.tell("%v", fmt.Errorf("to nobody"))
	nobody.done()
}
