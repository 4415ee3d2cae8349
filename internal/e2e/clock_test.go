package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"airbridged/client"
)

// clockVariable names a file with the seconds by which a daemon's wall clock is
// off, eight bytes in the machine's order.
const clockVariable = "AIRBRIDGED_TEST_CLOCK"

// readClock goes into package time of a daemon that is built for these tests. Now is
// called where no system call may be made, hence the mapping.
const readClock = `
var clockPage []byte

func init() {
	path, _ := syscall.Getenv("` + clockVariable + `")
	if fd, err := open(path); err == nil {
		clockPage, _ = syscall.Mmap(int(fd), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
		closefd(fd)
	}
}

func clockOffBy() int64 {
	if len(clockPage) < 8 {
		return 0
	}
	return *(*int64)(unsafe.Pointer(&clockPage[0]))
}
`

// buildWithClock builds the daemon as it is, on a standard library whose wall clock
// can be set: the machine's own belongs to everybody on it, a time namespace has no
// wall clock, and Go asks no C library that could be preloaded.
func buildWithClock(t *testing.T) (program string) {
	t.Helper()
	program, err := clockProgram()
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the standard library's source is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// clockProgram builds it once for all tests.
var clockProgram = sync.OnceValues(func() (program string, err error) {
	dir := filepath.Join(bin, "clock")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, edit := range map[string]func(string) string{
		"time.go": func(s string) string {
			return strings.Replace(s, "sec, nsec, mono := runtimeNow()\n", "sec, nsec, mono := runtimeNow()\n\tsec += clockOffBy()\n", 1)
		},
		"sys_unix.go": func(s string) string { return strings.Replace(s, "import (", "import (\n\t\"unsafe\"", 1) + readClock },
	} {
		source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", name)
		text, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		edited := edit(string(text))
		if edited == string(text) {
			return "", fmt.Errorf("this Go's %s is not as it was expected", source)
		}
		overlay.Replace[source] = filepath.Join(dir, name)
		if err := os.WriteFile(overlay.Replace[source], []byte(edited), 0o644); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o644); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "airbridged")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "airbridged/cmd/airbridged")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

// clockGateway is a gateway whose wall clock can be set while it runs.
type clockGateway struct {
	*gateway
	program, clock string
}

func (g *clockGateway) start() {
	g.t.Helper()
	g.gateway.program = startPath(g.t, "env", clockVariable+"="+g.clock, g.program, "--config", g.config)
	g.out.await(g.t, `"ready"`)
}

func (g *clockGateway) restart() {
	g.t.Helper()
	g.stop()
	g.start()
}

// set sets the clock to a moment by the right one.
func (g *clockGateway) set(off time.Duration) {
	g.t.Helper()
	file, err := os.OpenFile(g.clock, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		g.t.Fatal(err)
	}
	defer file.Close()
	// In place: the daemon has the file mapped.
	if _, err := file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(off/time.Second)), 0); err != nil {
		g.t.Fatal(err)
	}
}

// publish hands a message over and remembers it.
func (g *clockGateway) publish(text string, ttl time.Duration) client.Message {
	g.t.Helper()
	m, err := g.client.Publish(g.t.Context(), update, []byte(text), client.PublishOptions{TTL: ttl})
	if err != nil {
		g.t.Fatal(err)
	}
	return m
}

func (g *clockGateway) state(m client.Message) client.State {
	g.t.Helper()
	got, err := g.client.Message(g.t.Context(), m.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	return got.State
}

// Whatever is done to the wall clock, before and after a restart, while the
// gateway is offline and while it is online: order, expiry, back-off and health are
// those of a gateway whose clock was right all the time.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	unset := -time.Duration(time.Now().Unix()-100) * time.Second // 1970
	link := filepath.Join(t.TempDir(), "modem")
	g := &clockGateway{prepareGateway(t, link, ""), buildWithClock(t), filepath.Join(t.TempDir(), "clock")}
	g.set(unset)
	g.start()
	if at := g.status().Since; at.Year() != 1970 {
		t.Fatalf("the daemon's clock says %v: the test does not test", at)
	}
	var kept []client.Message
	var want []string
	keep := func(text string) {
		t.Helper()
		kept, want = append(kept, g.publish(text, time.Hour)), append(want, text)
	}
	allKept := func(when string) {
		t.Helper()
		for i, m := range kept {
			if s := g.state(m); s != client.Queued {
				t.Errorf("%s: message %q is %s", when, want[i], s)
			}
		}
	}
	keep("accepted in 1970")
	short := g.publish("gone in 2 s", 2*time.Second)
	g.set(0)
	allKept("the clock is set for the first time")
	if page, err := g.client.Outbox(t.Context(), "", 1); err != nil || time.Since(*page.Messages[0].AcceptedAt).Abs() > time.Minute {
		t.Errorf("accepted at, by the clock that is right now: %+v, %v", page.Messages, err)
	}
	keep("accepted after the first time signal")
	g.set(-10 * year) // a message that is to expire does, though its time lies ten years ahead
	eventually(t, "the short message to expire", func() error {
		if s := g.state(short); s != client.Expired {
			return fmt.Errorf("it is %s", s)
		}
		return nil
	})
	for _, c := range []struct {
		name string
		off  time.Duration
	}{{"right", 0}, {"ten years ahead", 10 * year}, {"ten years behind", -10 * year}, {"1970", unset}, {"right again", 0}} {
		g.set(c.off)
		keep("accepted with the clock " + c.name)
		allKept("with the clock " + c.name)
		g.restart()
		allKept("restarted with the clock " + c.name)
	}
	// A gateway that begins with the time at which it was switched off.
	g.set(-14 * 24 * time.Hour)
	g.restart()
	keep("accepted with the clock two weeks behind")
	g.set(0)
	allKept("set two weeks on")
	g.restart()
	allKept("restarted after that")

	sim := newSimulator(t, "--personality", "air780ep")
	retarget(t, link, sim.device)
	w := g.watch()
	w.until("online", "")
	eventually(t, "the queue to drain", func() error {
		if n := g.status().Outbox.Messages; n != 0 {
			return fmt.Errorf("%d messages wait", n)
		}
		return nil
	})
	g.onlineSteps(sim, unset, 10*year)
	want = append(want, "online at 0s", "online at "+unset.String(), "online at "+(10*year).String(), "online at "+(-10*year).String())
	var got []string
	for _, m := range sim.messages() {
		got = append(got, string(bytes.TrimSpace(m.Payload)))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("arrived:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// onlineSteps sets the clock of a gateway that is online: nothing happens. It then
// loses its session, and is back as soon as ever.
func (g *clockGateway) onlineSteps(sim *simulator, unset, decade time.Duration) {
	g.t.Helper()
	for _, off := range []time.Duration{0, unset, decade, -decade} {
		g.set(off)
		if m, err := g.client.Publish(g.t.Context(), update, []byte("online at "+off.String()), client.PublishOptions{Wait: patience}); err != nil || m.State != client.Acked {
			g.t.Errorf("clock off by %v: %+v, %v", off, m, err)
		}
		if err := g.client.Healthy(g.t.Context()); err != nil {
			g.t.Errorf("clock off by %v: %v", off, err)
		}
		st := g.status()
		if st.UptimeSeconds < 0 || st.UptimeSeconds > 600 || st.Cloud.TokenAgeSeconds == nil || *st.Cloud.TokenAgeSeconds < 0 || *st.Cloud.TokenAgeSeconds > 600 {
			g.t.Errorf("clock off by %v: up for %d s, token of %v", off, st.UptimeSeconds, *st.Cloud.TokenAgeSeconds)
		}
		auths := sim.count("AT+HTTPACTION")
		w := g.watch()
		w.until("online", "")
		sim.do("closed")
		begun := time.Now()
		w.until("recovering", "") // closed, and after the third short session: kicked
		w.until("online", "")
		if d := time.Since(begun); d > 20*time.Second {
			g.t.Errorf("clock off by %v: back after %v", off, d)
		}
		if n := sim.count("AT+HTTPACTION"); n != auths {
			g.t.Errorf("clock off by %v: the token was fetched anew", off)
		}
	}
}

// count says how many commands began so.
func (s *simulator) count(prefix string) (n int) {
	s.t.Helper()
	for _, command := range s.commands(s.t) {
		if strings.HasPrefix(command, prefix) {
			n++
		}
	}
	return n
}

// A gateway without a battery for its clock was started twice in 1970, and then the time
// signal came: what it had accepted in its first life was 57 years old, in the queue's
// age and in the time that the cloud takes to acknowledge, and alerts followed. What
// began before the clock was right has no age.
func TestBootedTwiceIn1970(t *testing.T) {
	t.Parallel()
	unset := -time.Duration(time.Now().Unix()-100) * time.Second // 1970
	link := filepath.Join(t.TempDir(), "modem")
	g := &clockGateway{prepareGateway(t, link, ""), buildWithClock(t), filepath.Join(t.TempDir(), "clock")}
	g.set(unset)
	g.start()
	old := g.publish("accepted in the first life", 0)
	g.set(unset) // switched off and on: it is 1970 again
	g.restart()
	g.publish("accepted in the second life", 0)
	g.set(0)
	younger := func(what string, at *time.Time) {
		t.Helper()
		if at == nil || time.Since(*at).Abs() > 10*time.Minute {
			t.Errorf("%s is %v", what, at)
		}
	}
	if m, err := g.client.Message(t.Context(), old.ID); err != nil || m.AcceptedAt != nil {
		t.Errorf("accepted at %v, %v", m.AcceptedAt, err)
	}
	page, err := g.client.Outbox(t.Context(), "", 10)
	if err != nil || len(page.Messages) != 2 || page.Messages[0].AcceptedAt != nil {
		t.Fatalf("%+v, %v", page, err)
	}
	younger("the second message", page.Messages[1].AcceptedAt)
	st := g.status()
	younger("the oldest message", st.Outbox.OldestAt)
	younger("the state", &st.Since)
	sim := newSimulator(t)
	retarget(t, link, sim.device)
	g.reaches("online", "")
	eventually(t, "both messages", func() error {
		if n := len(sim.messages()); n != 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	eventually(t, "the acknowledgements", func() error {
		if n := g.status().Outbox.Messages; n != 0 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	st = g.status()
	younger("the last acknowledgement", st.Counters.LastAckedAt)
	younger("online", &st.Since)
	if age := st.Cloud.TokenAgeSeconds; age == nil || *age > 600 {
		t.Errorf("the token's age is %v", age)
	}
	for line := range strings.Lines(g.metricsPage()) {
		if value, ok := strings.CutPrefix(line, "airbridged_publish_ack_seconds_sum "); ok {
			if sum, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil || sum > 600 {
				t.Errorf("%s", line)
			}
		}
		if line == "airbridged_publish_ack_seconds_count 2\n" {
			t.Error("a message without an age is in the histogram")
		}
	}
	// The same the other way: what is on disk is from the future.
	g.set(unset)
	g.restart()
	g.reaches("online", "")
	if age := g.status().Cloud.TokenAgeSeconds; age == nil || *age < 0 || *age > 600 {
		t.Errorf("with the clock in 1970 the token's age is %v", age)
	}
}
