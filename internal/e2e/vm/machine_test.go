package vm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait: an emulated processor on a busy machine is slow.
const patience = 3 * time.Minute

// need skips the test where it cannot run, and says what is missing.
func need(t *testing.T, qemu string) {
	t.Helper()
	if os.Getenv("AIRBRIDGED_VM") == "" {
		t.Skip("boots virtual machines: run it by `make vm`")
	}
	for tool, from := range map[string]string{
		qemu:      map[string]string{"qemu-system-x86_64": "qemu-system-x86"}[qemu] + map[string]string{"qemu-system-arm": "qemu-system-arm", "qemu-system-aarch64": "qemu-system-arm"}[qemu],
		"apt-get": "apt", "dpkg-deb": "dpkg", "mkfs.ext4": "e2fsprogs", "mkfs.f2fs": "f2fs-tools",
	} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: apt-get install %s", tool, from)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func cache(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("AIRBRIDGED_VM_CACHE")
	if dir == "" {
		dir = t.TempDir()
	}
	return dir
}

var built sync.Map // by GOARCH: sync.OnceValue of the directory

// build returns a directory with the programs for a processor.
func build(t *testing.T, goarch string) string {
	t.Helper()
	once, _ := built.LoadOrStore(goarch, sync.OnceValue(func() string {
		dir, err := os.MkdirTemp("", "airbridged-vm-")
		if err != nil {
			return err.Error()
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir, "../../../cmd/...", "./guest")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch, "GOARM=7")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Sprintf("go build: %v\n%s", err, out)
		}
		return dir
	}))
	dir := once.(func() string)()
	if _, err := os.Stat(filepath.Join(dir, "guest")); err != nil {
		t.Fatal(dir)
	}
	return dir
}

func TestMain(m *testing.M) {
	status := m.Run()
	built.Range(func(_, once any) bool { _ = os.RemoveAll(once.(func() string)()); return true })
	writeReport()
	os.Exit(status)
}

// spec is a machine to boot.
type spec struct {
	arch    string
	modules []string
	qemu    []string // more arguments
	memory  int      // MiB
}

// machine is a booted kernel, gone when the test ends.
type machine struct {
	*testing.T
	kernel
	dir string
	cmd *exec.Cmd

	mu      sync.Mutex
	agent   net.Conn
	waiting map[int]chan reply
	last    int
	ended   chan struct{} // qemu has
	qmp     net.Conn
	answers *bufio.Reader

	told chan line // of the port "told"
}

type reply struct {
	ID, Status int
	Output     string
}

// line is what a program in the machine wrote to the port "told", and when it came.
type line struct {
	at   time.Time
	text string
}

var processors = map[string][]string{
	"amd64": {"qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"},
	"armhf": {"qemu-system-arm", "-machine", "virt,highmem=off", "-cpu", "cortex-a15", "-smp", "2"},
	"arm64": {"qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-smp", "2"},
}

// boot starts a machine and waits until it does what it is told.
func boot(t *testing.T, s spec) *machine {
	t.Helper()
	qemu := processors[s.arch]
	need(t, qemu[0])
	m := &machine{T: t, kernel: fetch(t, s.arch), waiting: map[int]chan reply{}, ended: make(chan struct{}), told: make(chan line, 1<<16)}
	dir, err := os.MkdirTemp("", "vm") // short: socket paths have 107 bytes
	must(t, err)
	m.dir = dir
	m.initramfs(t, dir+"/initrd", append([]string{"virtio_pci", "virtio_blk", "virtio_console", "virtio_rng", "xhci_pci"}, s.modules...)...)
	console := "ttyS0"
	if s.arch != "amd64" {
		console = "ttyAMA0"
	}
	listen := func(name string) net.Listener {
		l, err := net.Listen("unix", dir+"/"+name)
		must(t, err)
		return l
	}
	agent, told, qmp := listen("agent"), listen("told"), listen("qmp")
	args := append(qemu[1:len(qemu):len(qemu)], "-m", fmt.Sprint(max(s.memory, 320)), "-nodefaults", "-display", "none", "-nic", "none", "-no-reboot",
		"-kernel", m.image(), "-initrd", dir+"/initrd", "-append", "console="+console+" quiet loglevel=4 panic=-1 no_timer_check",
		"-chardev", "file,id=console,path="+dir+"/console", "-serial", "chardev:console",
		"-device", "qemu-xhci,id=xhci", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
		"-chardev", "socket,id=agent,path="+dir+"/agent", "-device", "virtserialport,chardev=agent,name=agent",
		"-chardev", "socket,id=told,path="+dir+"/told", "-device", "virtserialport,chardev=told,name=told",
		"-qmp", "unix:"+dir+"/qmp")
	m.cmd = exec.Command(qemu[0], append(args, s.qemu...)...)
	var printed strings.Builder
	m.cmd.Stdout, m.cmd.Stderr = &printed, &printed
	begin := time.Now()
	must(t, m.cmd.Start())
	go func() { _ = m.cmd.Wait(); close(m.ended) }()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		<-m.ended
		if t.Failed() {
			t.Logf("qemu: %s\nconsole: %s", printed.String(), m.console(4000))
		}
		_ = os.RemoveAll(dir)
	})
	accept := func(l net.Listener) net.Conn {
		defer l.Close()
		_ = l.(*net.UnixListener).SetDeadline(time.Now().Add(30 * time.Second))
		c, err := l.Accept()
		if err != nil {
			t.Fatalf("qemu: %v: %s", err, printed.String())
		}
		return c
	}
	m.agent, m.qmp = accept(agent), nil
	go m.hear(accept(told))
	m.qmp = accept(qmp)
	m.answers = bufio.NewReader(m.qmp)
	if _, err := m.answers.ReadBytes('\n'); err != nil { // the greeting
		t.Fatal(err)
	}
	must(t, m.order("qmp_capabilities", nil))
	go m.replies()
	m.await("a booted machine", func() error { _, err := m.try("true"); return err })
	t.Logf("%s: Linux %s, booted in %v", s.arch, m.release, time.Since(begin).Round(100*time.Millisecond))
	return m
}

func (m *machine) console(n int) string {
	b, _ := os.ReadFile(m.dir + "/console")
	return string(b[max(0, len(b)-n):])
}

func (m *machine) hear(c net.Conn) {
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		m.told <- line{time.Now(), lines.Text()}
	}
	close(m.told)
}

func (m *machine) replies() {
	lines := bufio.NewScanner(m.agent)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r reply
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		m.mu.Lock()
		if c := m.waiting[r.ID]; c != nil {
			c <- r
			delete(m.waiting, r.ID)
		}
		m.mu.Unlock()
	}
}

var errGone = errors.New("qemu has ended: see the console")

// try has a shell in the machine carry out a command.
func (m *machine) try(command string) (string, error) {
	m.mu.Lock()
	m.last++
	id, c := m.last, make(chan reply, 1)
	m.waiting[id] = c
	b, _ := json.Marshal(map[string]any{"ID": id, "Command": command, "Seconds": int(patience / time.Second)})
	_, err := m.agent.Write(append(b, '\n'))
	m.mu.Unlock()
	if err != nil {
		return "", err
	}
	select {
	case r := <-c:
		if r.Status != 0 {
			return r.Output, fmt.Errorf("%s: status %d: %s", command, r.Status, strings.TrimSpace(r.Output))
		}
		return r.Output, nil
	case <-m.ended:
		return "", errGone
	case <-time.After(patience):
		return "", fmt.Errorf("%s: no answer within %v", command, patience)
	}
}

func (m *machine) run(command string) string {
	m.Helper()
	out, err := m.try(command)
	if err != nil {
		m.Fatal(err)
	}
	return out
}

// cutPower ends the machine as a power cut does. What qemu was given is in the log of
// its disk.
func (m *machine) cutPower() {
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// order has qemu do something, see its QMP reference.
func (m *machine) order(execute string, arguments map[string]any) error {
	b, _ := json.Marshal(map[string]any{"execute": execute, "arguments": arguments})
	if arguments == nil {
		b, _ = json.Marshal(map[string]any{"execute": execute})
	}
	if _, err := m.qmp.Write(append(b, '\n')); err != nil {
		return err
	}
	for {
		b, err := m.answers.ReadBytes('\n')
		if err != nil {
			return err
		}
		var a struct {
			Return, Event json.RawMessage
			Error         *struct{ Desc string }
		}
		if err := json.Unmarshal(b, &a); err != nil {
			return err
		}
		switch {
		case a.Error != nil:
			return fmt.Errorf("%s: %s", execute, a.Error.Desc)
		case a.Event == nil:
			return nil
		}
	}
}

// await asks until there is no error.
func (m *machine) await(what string, ask func() error) {
	m.Helper()
	begin := time.Now()
	for {
		err := ask()
		if err == nil {
			return
		}
		if errors.Is(err, errGone) || time.Since(begin) > patience {
			m.Fatalf("no %s within %v: %v\ndaemon: %s", what, time.Since(begin).Round(time.Second), err, m.log())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// log is the end of the daemon's.
func (m *machine) log() string {
	out, err := m.try("tail -c 3000 /tmp/log")
	if err != nil {
		return err.Error()
	}
	return out
}

// configure writes the daemon's configuration for a device.
func (m *machine) configure(device, more string) {
	m.Helper()
	m.run(`mkdir -p /run/airbridged && chmod 700 /var/lib/airbridged && umask 077 && printf %s ` + secret + ` >/etc/secret && cat >/etc/airbridged.toml <<'END'
[modem]
device = "` + device + `"
[device]
product_key = "b1KCi45LcCP"
product_secret_file = "/etc/secret"
[cloud]
quota_qos1 = 0
[mqtt]
socket = ""
[metrics]
listen = ""
[recovery]
backoff_min = "200ms"
backoff_max = "2s"
connects_per_minute = 60
` + more + "\nEND")
}

// The product secret of airsim's account, which the vendor's guide publishes.
const secret = "VWll9fiYWKiwraBk"

func (m *machine) start() {
	m.run(`GOMEMLIMIT=100MiB airbridged --config /etc/airbridged.toml >>/tmp/log 2>&1 & echo $! >/run/pid`)
}

// stop ends the daemon and fails the test unless it ended by itself.
func (m *machine) stop() {
	m.Helper()
	m.run(`kill $(cat /run/pid) && i=0 && while kill -0 $(cat /run/pid) 2>/dev/null; do i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done`)
}

func (m *machine) online() {
	m.Helper()
	m.await("session", func() error { _, err := m.try("airbridgectl status --check"); return err })
}

// simulator is airsim on the host.
type simulator struct {
	t       *testing.T
	tty     string
	control string
	program string
}

func newSimulator(t *testing.T, options ...string) *simulator {
	t.Helper()
	dir, err := os.MkdirTemp("", "sim")
	must(t, err)
	s := &simulator{t: t, control: dir + "/control", program: filepath.Join(build(t, runtime.GOARCH), "airsim")}
	cmd := exec.Command(s.program, append([]string{"--control", s.control, "--personality", "air780ep", "--connects-per-minute", "-1"}, options...)...)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	first, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	s.tty = strings.TrimSpace(first)
	return s
}

// received is a message as the cloud got it.
type received struct {
	At      time.Time
	Payload string
}

func (s *simulator) received() []received {
	s.t.Helper()
	out, err := exec.Command("curl", "-fsS", "--unix-socket", s.control, "http://airsim/v1/messages?follow=0").Output()
	must(s.t, err)
	var all []received
	for text := range strings.Lines(string(out)) {
		var m received
		must(s.t, json.Unmarshal([]byte(text), &m))
		all = append(all, m)
	}
	return all
}

// messages counts the payloads that the cloud got.
func (s *simulator) messages() map[string]int {
	s.t.Helper()
	got := map[string]int{}
	for _, m := range s.received() {
		got[m.Payload]++
	}
	return got
}

// arrivals says when each payload reached the cloud first.
func (s *simulator) arrivals() map[string]time.Time {
	s.t.Helper()
	first := map[string]time.Time{}
	for _, m := range s.received() {
		if _, ok := first[m.Payload]; !ok {
			first[m.Payload] = m.At
		}
	}
	return first
}
