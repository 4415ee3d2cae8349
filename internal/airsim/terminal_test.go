package airsim

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"airbridged/internal/airsim/simcloud"
)

// ptyRig is a module on a pseudo-terminal, in real time.
type ptyRig struct {
	t    *testing.T
	m    *Module
	term *Terminal
	host *os.File
	stop func() error
}

func serve(t *testing.T, o Options) *ptyRig {
	t.Helper()
	m, err := New(simcloud.New(simcloud.GuideOptions()), o)
	if err != nil {
		t.Fatal(err)
	}
	term, err := OpenTerminal(o.Baud)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, term) }()
	r := &ptyRig{t: t, m: m, term: term, stop: func() error { cancel(); return <-done }}
	r.open()
	return r
}

func (r *ptyRig) open() {
	r.t.Helper()
	host, err := os.OpenFile(r.term.Path(), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.host = host
}

// read waits until what the host has read ends so.
func (r *ptyRig) read(end string) string {
	r.t.Helper()
	var got []byte
	buf := make([]byte, 4096)
	_ = r.host.SetReadDeadline(time.Now().Add(10 * time.Second))
	for !strings.HasSuffix(string(got), end) {
		n, err := r.host.Read(buf)
		if err != nil {
			r.t.Fatalf("waiting for %q: %v; got %d bytes, the last %q", end, err, len(got), got[max(0, len(got)-80):])
		}
		got = append(got, buf[:n]...)
	}
	return string(got)
}

func (r *ptyRig) ask(command, end string) string {
	r.t.Helper()
	if _, err := r.host.WriteString(command); err != nil {
		r.t.Fatal(err)
	}
	return r.read(end)
}

// termios sets a port's attributes, if there are any, and returns them.
func termios(f *os.File, set *unix.Termios) (attr *unix.Termios, err error) {
	failed := control(f, func(fd int) error {
		if set != nil {
			if err := unix.IoctlSetTermios(fd, unix.TCSETS, set); err != nil {
				return err
			}
		}
		attr, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return attr, failed
}

func TestOnAPseudoTerminal(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := serve(t, Options{Personality: "air780ep", Baud: 115200})
	if got := r.ask("AT\r", okay); !strings.HasSuffix(got, okay) {
		t.Errorf("got %q", got)
	}
	r.ask("ATE0\r", okay)
	r.ask("AT+SAPBR=1,1\r", okay)
	r.ask(directConfig+"\r", okay)
	r.ask(guideStart+"\r", "CONNECT OK\r\n")
	r.ask("AT+MCONNECT=1,300\r", "CONNACK OK\r\n")
	// Raw mode: every byte goes through as it is, in both directions.
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	r.ask(subOne, "SUBACK\r\n")
	r.ask(strings.Replace(pubEx, ",3\r", ",256\r", 1), ">")
	r.ask(string(all), acked)
	if got := r.m.cloud.Messages(); len(got) != 1 || string(got[0].Payload) != string(all) {
		t.Errorf("the cloud received %q", got)
	}
	r.m.cloud.Push(guideGet, 0, all)
	want := "\r\n" + `+MSUB: "` + guideGet + `",256 byte,` + string(all) + "\r\n"
	if got := r.read(string(all[250:]) + "\r\n"); got != want {
		t.Errorf("the host read %q", got)
	}
	_ = r.host.Close()
	if err := r.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A host may come and go. The next one finds no leftovers: no output of before,
// no speed, no exclusive lock.
func TestHostsComeAndGo(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := serve(t, Options{Personality: "air780e"})
	r.ask("ATE0\r", okay)
	attr, err := termios(r.host, nil)
	if err != nil {
		t.Fatal(err)
	}
	attr.Lflag |= unix.ICANON
	attr.Cflag = attr.Cflag&^unix.CBAUD | unix.B9600
	if _, err := termios(r.host, attr); err != nil {
		t.Fatal(err)
	}
	if err := control(r.host, func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0) }); err != nil {
		t.Fatal(err)
	}
	if baud := r.term.HostBaud(); baud != 9600 {
		t.Errorf("the host's rate is %d, want 9600", baud)
	}
	if _, err := r.term.Write([]byte("LEFTOVER")); err != nil {
		t.Fatal(err)
	}
	_ = r.host.Close()
	deadline := time.Now().Add(10 * time.Second)
	for r.term.HostBaud() != 115200 {
		if time.Now().After(deadline) {
			t.Fatal("nobody noticed that the host has closed the port")
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := r.term.Write([]byte("UNHEARD")); err != nil {
		t.Fatal(err)
	}
	r.open()
	if got := r.ask("AT\r", okay); got != okay {
		t.Errorf("the next host read %q", got)
	}
	attr, err = termios(r.host, nil)
	if err != nil || attr.Lflag&unix.ICANON != 0 {
		t.Errorf("the port is not raw any more: %v %#x", err, attr.Lflag)
	}
	_ = r.host.Close()
	if err := r.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A serial library opens the port once more for its settings, and closes that
// again. Seen: one start of the daemon in four took 6 s, because the module did not
// answer at the right speed.
func TestAHostThatOpensTwice(t *testing.T) {
	term, err := OpenTerminal(0)
	if err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	open := func() *os.File {
		f, err := os.OpenFile(term.Path(), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	// While the lock is held nobody reads the news, as on a machine that is busy:
	// the kernel makes one event of the two opens.
	term.mu.Lock()
	host, library := open(), open()
	_ = library.Close()
	term.mu.Unlock()
	if !term.attended() {
		t.Error("a host that has the port open is taken for gone: it hears nothing, and trains every speed in vain")
	}
	_ = host.Close()
	if term.attended() {
		t.Error("the host is gone")
	}
}

// The speed that the host configures is the one it is heard at.
func TestTheRateOfTheHostMatters(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := serve(t, Options{Personality: "air780e"})
	defer func() { _ = r.host.Close(); _ = r.stop() }()
	r.ask("ATE0\r", okay)
	set := func(speed uint32) {
		t.Helper()
		attr, err := termios(r.host, nil)
		if err != nil {
			t.Fatal(err)
		}
		attr.Cflag = attr.Cflag&^unix.CBAUD | speed
		if _, err := termios(r.host, attr); err != nil {
			t.Fatal(err)
		}
	}
	set(unix.B9600)
	if _, err := r.host.WriteString("AT+CSQ\r"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for r.m.Counters().BytesIn < 12 {
		if time.Now().After(deadline) {
			t.Fatal("the bytes never arrived")
		}
		time.Sleep(time.Millisecond)
	}
	set(unix.B115200)
	if got := r.ask("AT\r", okay); got != okay {
		t.Errorf("got %q: a command at the wrong rate was understood", got)
	}
}

// stall: the host's write blocks, and goes through afterwards.
func TestStallBlocksTheHost(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := serve(t, Options{Personality: "air780e"})
	defer func() { _ = r.host.Close(); _ = r.stop() }()
	r.ask("ATE0\r", okay)
	if _, err := r.m.Do("stall 1h"); err != nil {
		t.Fatal(err)
	}
	blocked := func() error {
		_ = r.host.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := r.host.WriteString("AT\r")
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	for blocked() == nil {
		if time.Now().After(deadline) {
			t.Fatal("writes never blocked")
		}
	}
	if _, err := r.m.Do("clear"); err != nil {
		t.Fatal(err)
	}
	_ = r.host.SetWriteDeadline(time.Time{})
	// The last write may have been cut: end its line first.
	r.ask("\rAT+CGSN\r", simcloud.GuideDeviceName+"\r\n"+okay)
}

// unplug: the host sees a hang-up, and Attach says for how long.
func TestUnplugHangsUp(t *testing.T) {
	defer goleak.VerifyNone(t)
	m, err := New(simcloud.New(simcloud.GuideOptions()), Options{Personality: "air780e"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- m.Run(ctx) }()
	term, err := OpenTerminal(0)
	if err != nil {
		t.Fatal(err)
	}
	attached := make(chan error, 1)
	go func() { attached <- m.Attach(ctx, term) }()
	host, err := os.OpenFile(term.Path(), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for m.Counters().BytesIn == 0 { // until it is attached
		if _, err := host.WriteString("AT\r"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := m.Do("unplug 3s"); err != nil {
		t.Fatal(err)
	}
	var unplugged *UnpluggedError
	if err := <-attached; !errors.As(err, &unplugged) || unplugged.For < 2*time.Second || unplugged.For > 3*time.Second {
		t.Errorf("Attach: %v", err)
	}
	_, _ = io.Copy(io.Discard, host)
	if _, err := host.Read(make([]byte, 1)); !errors.Is(err, syscall.EIO) && !errors.Is(err, io.EOF) {
		t.Errorf("the host's read: %v, want a hang-up", err)
	}
	if _, err := host.WriteString("AT\r"); !errors.Is(err, syscall.EIO) {
		t.Errorf("the host's write: %v, want EIO", err)
	}
	_ = host.Close()
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// brokenPort fails its reads.
type brokenPort struct{ io.Writer }

func (brokenPort) Read([]byte) (int, error) { return 0, errors.New("out of paper") }

func TestAPortThatFailsEndsServe(t *testing.T) {
	m, err := New(simcloud.New(simcloud.GuideOptions()), Options{Personality: "2g"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Serve(t.Context(), brokenPort{io.Discard}); err == nil || !strings.Contains(err.Error(), "out of paper") {
		t.Errorf("Serve: %v", err)
	}
}
