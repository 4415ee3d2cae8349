package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"

	"airbridged/internal/outbox"
)

// drain is an outbox that is looked at every second.
type drain struct {
	samples []sample
	err     error // once there are no more
}

func (d *drain) ask(context.Context) (sample, error) {
	if len(d.samples) == 0 {
		return sample{}, d.err
	}
	s := d.samples[0]
	d.samples = d.samples[1:]
	s.at = time.Now()
	return s, nil
}

// steady goes from left to nothing at so many a second, while so many come in.
func steady(left, out, in int) *drain {
	d := &drain{err: errors.New("looked once more")}
	for gone := uint64(1000); ; gone += uint64(out) {
		d.samples = append(d.samples, sample{left: max(left, 0), gone: gone, state: "online"})
		if left <= 0 || len(d.samples) > 300 {
			return d
		}
		left += in - out
	}
}

func utc(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
}

func TestWatchWritesALineEveryFewSeconds(t *testing.T) {
	utc(t)
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e := &env{stdout: &output{w: &out}}
		if err := watch(t.Context(), steady(36, 3, 0).ask, lines(e)); err != nil {
			t.Error(err)
		}
		want := `2000-01-01 00:00:00 36 messages left
2000-01-01 00:00:05 21 messages left, 3.0 a second, about 7 s to go
2000-01-01 00:00:10 6 messages left, 3.0 a second, about 2 s to go
2000-01-01 00:00:12 the outbox is empty
`
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	})
}

func TestWatchJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		e := &env{stdout: &output{w: &out}, json: true}
		d := steady(20, 3, 0)
		d.samples[5].state, d.samples[5].cause = "recovering", "closed"
		if err := watch(t.Context(), d.ask, lines(e)); err != nil {
			t.Error(err)
		}
		want := `{"at":"2000-01-01T00:00:00Z","left":20,"per_second":null,"seconds_left":null,"state":"online","cause":""}
{"at":"2000-01-01T00:00:05Z","left":5,"per_second":null,"seconds_left":null,"state":"recovering","cause":"closed"}
{"at":"2000-01-01T00:00:07Z","left":0,"per_second":3,"seconds_left":0,"state":"online","cause":""}
`
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	})
}

// On a terminal there is one line, never wider than it is, and the cursor is
// below it at the end.
func TestWatchPaintsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := &paintedLine{out: &out, width: func() int { return 40 }}
		show := func(p progress) error { return l.paint(p.words()) }
		if err := watch(t.Context(), steady(2000, 1000, 0).ask, show); err != nil {
			t.Error(err)
		}
		l.end()
		want := "\r2000 messages left\x1b[K\r1000 messages left, 1000 a second, abou\x1b[K\rthe outbox is empty\x1b[K\n"
		if out.String() != want {
			t.Errorf("got %q\nwant %q", out.String(), want)
		}
	})
}

func TestWatchEndsWithTheDaemonOrTheUser(t *testing.T) {
	gone := errors.New("connection refused")
	synctest.Test(t, func(t *testing.T) {
		if err := watch(t.Context(), (&drain{samples: []sample{{left: 5}}, err: gone}).ask, func(progress) error { return nil }); !errors.Is(err, gone) {
			t.Errorf("daemon: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := watch(ctx, steady(1, 0, 0).ask, func(progress) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("user: %v", err)
		}
	})
}

func TestProgressInWords(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	type look struct {
		after time.Duration
		left  int
		gone  uint64
		state string
		cause string
	}
	for _, c := range []struct {
		name  string
		looks []look
		want  string
	}{
		{"first look", []look{{0, 1, 0, "online", ""}}, "1 message left"},
		{"nothing moves", []look{{0, 5, 7, "online", ""}, {9 * time.Second, 5, 7, "online", ""}}, "5 messages left, none goes out"},
		{"they expire", []look{{0, 9, 7, "online", ""}, {9 * time.Second, 5, 7, "online", ""}}, "5 messages left, none goes out"},
		{"fast", []look{{0, 5000, 0, "online", ""}, {10 * time.Second, 4800, 200, "online", ""}}, "4800 messages left, 20 a second, about 4 min 0 s to go"},
		{"slow", []look{{0, 100, 0, "online", ""}, {time.Minute, 97, 3, "online", ""}}, "97 messages left, 3 a minute, about 32 min 20 s to go"},
		{"half as many come in", []look{{0, 100, 0, "online", ""}, {10 * time.Second, 90, 20, "online", ""}}, "90 messages left, 2.0 a second, about 1 min 30 s to go"},
		{"as many come in", []look{{0, 100, 0, "online", ""}, {10 * time.Second, 100, 20, "online", ""}}, "100 messages left, 2.0 a second, but as many come in"},
		{"more come in", []look{{0, 100, 0, "online", ""}, {10 * time.Second, 150, 20, "online", ""}}, "150 messages left, 2.0 a second, but as many come in"},
		{"offline", []look{{0, 100, 5, "recovering", "closed"}, {time.Second, 101, 5, "recovering", "closed"}}, "101 messages left; recovering, cause closed"},
		{"on the way", []look{{0, 100, 5, "attaching", ""}}, "100 messages left; attaching"},
		{"a weak cause", []look{{0, 100, 5, "\x1b[2J", "\x1b"}}, `100 messages left; "\x1b[2J", cause "\x1b"`},
		{"online again", []look{{0, 100, 5, "recovering", "closed"}, {time.Hour, 100, 5, "online", ""}, {time.Hour + 2*time.Second, 96, 9, "online", ""}}, "96 messages left, 2.0 a second, about 48 s to go"},
		{"daemon restarted", []look{{0, 100, 500, "online", ""}, {time.Second, 90, 0, "online", ""}}, "90 messages left"},
		{"what is long ago does not count", []look{{0, 100, 0, "online", ""}, {time.Second, 40, 60, "online", ""}, {2 * time.Minute, 40, 60, "online", ""}, {3 * time.Minute, 40, 60, "online", ""}}, "40 messages left, none goes out"},
		{"for ever", []look{{0, 1 << 40, 0, "online", ""}, {time.Minute, 1<<40 - 1, 1, "online", ""}}, "1099511627775 messages left, 1 a minute, about 36500 days 0 h to go"},
		{"empty", []look{{0, 0, 0, "recovering", "closed"}}, "the outbox is empty"},
	} {
		var m meter
		var p progress
		for _, l := range c.looks {
			p = m.add(sample{at.Add(l.after), l.left, l.gone, l.state, l.cause})
		}
		if got := p.words(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestMeterIsBounded(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	var m meter
	for i := range 100_000 {
		m.add(sample{at: at.Add(time.Duration(i) * time.Second), left: 1, state: "online"})
	}
	if len(m.samples) > 70 || cap(m.samples) > 1000 {
		t.Errorf("holds %d samples in room for %d", len(m.samples), cap(m.samples))
	}
}

func TestWatchOfTheDaemon(t *testing.T) {
	q := startIdle(t)
	code, out, errs := ctl(nil, "outbox", "--watch")
	if code != 0 || !strings.HasSuffix(out, " the outbox is empty\n") || strings.Count(out, "\n") != 1 || errs != "" {
		t.Errorf("empty: %d, %q, %q", code, out, errs)
	}
	put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	put(t, q, outbox.Message{Topic: "/a", QoS: 0})
	var all bytes.Buffer
	begun := &onWrite{do: func() { q.DropTopic(func(string) bool { return true }) }}
	if code := run([]string{"outbox", "--watch", "--json"}, nil, io.MultiWriter(&all, begun), io.Discard); code != 0 {
		t.Errorf("exit %d", code)
	}
	first, last, _ := strings.Cut(all.String(), "\n")
	var p progressLine
	if err := json.Unmarshal([]byte(first), &p); err != nil || p.Left != 2 || p.State != "probing" {
		t.Errorf("first %q: %v", first, err)
	}
	if err := json.Unmarshal([]byte(last), &p); err != nil || p.Left != 0 {
		t.Errorf("last %q: %v", last, err)
	}
}

// A real terminal gets the one line; interrupting leaves it whole. A dumb one
// gets lines.
func TestWatchOnATerminal(t *testing.T) {
	q := startIdle(t)
	put(t, q, outbox.Message{Topic: "/a", QoS: 1})
	for _, c := range []struct{ term, begins string }{
		{"xterm", "\r1 message left; probing\x1b[K"},
		{"dumb", "20"},
	} {
		t.Setenv("TERM", c.term)
		master, slave, err := pty.Open()
		if err != nil {
			t.Skip(err)
		}
		defer master.Close()
		ended := make(chan int)
		go func() { ended <- run([]string{"outbox", "--watch"}, nil, slave, io.Discard) }()
		first := make([]byte, 1024)
		n, err := master.Read(first)
		if err != nil || !strings.HasPrefix(string(first[:n]), c.begins) {
			t.Errorf("%s: %q, %v", c.term, first[:n], err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
		if code := <-ended; code != exitInterrupted {
			t.Errorf("%s: exit %d", c.term, code)
		}
		_ = slave.Close()
		rest, _ := io.ReadAll(master) // ends with EIO: nobody has the other end
		if said := string(first[:n]) + string(rest); !strings.HasSuffix(said, "\r\n") {
			t.Errorf("%s: the line is left open: %q", c.term, said)
		}
	}
}

func TestSizeOfTerminals(t *testing.T) {
	t.Setenv("TERM", "xterm")
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	defer slave.Close()
	if err := pty.Setsize(master, &pty.Winsize{Cols: 40, Rows: 20}); err != nil {
		t.Fatal(err)
	}
	size := terminalSize(slave)
	if size == nil {
		t.Fatal("not seen to be a terminal")
	}
	if columns, lines := size(); columns != 40 || lines != 20 {
		t.Errorf("40 columns and 20 lines are %d and %d", columns, lines)
	}
	if err := pty.Setsize(master, &pty.Winsize{}); err != nil {
		t.Fatal(err)
	}
	if columns, lines := size(); columns != usualWidth || lines != usualHeight {
		t.Errorf("a terminal that does not know has %d columns and %d lines", columns, lines)
	}
	if terminalSize(&bytes.Buffer{}) != nil {
		t.Error("a buffer is no terminal")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if terminalSize(null) != nil {
		t.Error("/dev/null is no terminal")
	}
}
