package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"airbridged/client"
)

// The test binary is a neighbour, too, when it is told so: it runs as a user of its
// own, and does what a bad one does, or publishes as a good one would.
const neighbour = "--neighbour"

// beNeighbour does one thing until it is stopped; its arguments are what, the socket,
// the port of the metrics, and how often at once.
func beNeighbour(args []string) int {
	what, socket, metrics := args[0], args[1], args[2]
	n, _ := strconv.Atoi(args[3])
	if what == "publishes" {
		return publishSteadily(socket, n)
	}
	for range n {
		go func() {
			for {
				misbehave(what, socket, metrics)
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	select {}
}

// publishSteadily prints how long each of n publishes took, in milliseconds.
func publishSteadily(socket string, n int) int {
	c := client.New(socket)
	for range n {
		begun := time.Now()
		ctx, stop := context.WithTimeout(context.Background(), patience)
		m, err := c.Publish(ctx, "/"+productKey+"/"+imei+"/update", []byte("good"), client.PublishOptions{Wait: patience, Priority: client.PriorityHigh})
		stop()
		if err != nil || m.State != client.Acked {
			fmt.Println("failed:", m.State, err)
			continue
		}
		fmt.Println(time.Since(begun).Milliseconds())
	}
	return 0
}

// misbehave holds one connection for as long as it is let, in one of many ways.
func misbehave(what, socket, metrics string) {
	network, address := "unix", socket
	if what == "metrics" {
		network, address = "tcp", metrics
	}
	c, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	say := func(text string) error { _, err := io.WriteString(c, text); return err }
	const head = " HTTP/1.1\r\nHost: d\r\n"
	switch what {
	case "silent":
	case "body": // never ends
		_ = say("POST /v1/publish?topic=/a" + head + "Content-Length: 60000\r\n\r\n" + strings.Repeat("x", 50000))
	case "header": // neither does this one
		for say("GET /v1/status HTTP/1.1\r\nX: ") == nil {
			if say(strings.Repeat("x", 4096)) != nil {
				return
			}
		}
	case "query":
		_ = say("GET /v1/subscribe?topic=/a" + strings.Repeat("&topic=/a", 1700) + head + "\r\n")
	case "stream": // that nobody reads
		_ = say("GET /v1/subscribe?topic=/" + productKey + "/" + imei + "/get" + head + "\r\n")
	case "events":
		_ = say("GET /v1/events" + head + "\r\n")
	case "wait":
		_ = say("POST /v1/publish?qos=1&priority=low&wait=1h&topic=/" + productKey + "/" + imei + "/low" + head + "Content-Length: 1\r\n\r\nx")
	case "metrics":
		for say("GET /metrics HTTP/1.1\r\nX: ") == nil && say(strings.Repeat("x", 64<<10)) == nil {
		}
		return
	case "listing", "status", "scrape", "pipeline":
		path := map[string]string{"listing": "/v1/outbox?limit=1000", "status": "/v1/status", "scrape": "/metrics", "pipeline": "/v1/status"}[what]
		if what == "pipeline" { // and takes no answer
			for say("GET "+path+head+"\r\n") == nil {
			}
			return
		}
		answers := bufio.NewReader(c)
		for say("GET "+path+head+"\r\n") == nil {
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return
			}
		}
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if what != "stream" {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	time.Sleep(20 * time.Second)
}

// unitLimits are those of the unit file.
type unitLimits struct{ memory, tasks, files, goLimit string }

func readUnitLimits(t *testing.T) unitLimits {
	t.Helper()
	unit, err := os.ReadFile("../../deploy/systemd/airbridged.service")
	if err != nil {
		t.Fatal(err)
	}
	find := func(key string) string {
		m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(unit)
		if m == nil {
			t.Fatalf("the unit has no %s", key)
		}
		return string(m[1])
	}
	return unitLimits{find("MemoryMax"), find("TasksMax"), find("LimitNOFILE"), find("Environment=GOMEMLIMIT")}
}

// confined starts the daemon under the unit's own limits: in control groups of its own
// where the machine lets them be made, which counts what the kernel holds for it too,
// and with its limit of open files in any case. It returns what tells the most memory
// and tasks that it had, "" where nothing does.
func (g *gateway) confined(t *testing.T) (peak func() (memory, tasks int64)) {
	t.Helper()
	limits := readUnitLimits(t)
	script := ""
	peak = func() (int64, int64) { return -1, -1 }
	memory, pids := cgroup(t, "memory"), cgroup(t, "pids")
	if memory != "" && pids != "" {
		bytes, _ := strconv.ParseInt(strings.TrimSuffix(limits.memory, "M"), 10, 64)
		write(t, filepath.Join(memory, "memory.limit_in_bytes"), strconv.FormatInt(bytes<<20, 10), 0o600)
		write(t, filepath.Join(pids, "pids.max"), limits.tasks, 0o600)
		script = fmt.Sprintf("echo $$ > %s/cgroup.procs; echo $$ > %s/cgroup.procs; ", memory, pids)
		peak = func() (int64, int64) {
			return number(memory, "memory.max_usage_in_bytes"), number(pids, "pids.current")
		}
	} else {
		t.Log("no control groups here: only the limit of open files and the runtime's own of memory are in force")
	}
	t.Setenv("GOMEMLIMIT", limits.goLimit)
	g.program = startPath(t, "/bin/sh", "-c", script+"ulimit -n "+limits.files+"; exec "+filepath.Join(bin, "airbridged")+" --config "+g.config)
	eventually(t, "the socket", func() error {
		_, err := g.client.Status(t.Context())
		return err
	})
	return peak
}

// cgroup makes a control group for the test; "" where that is not possible.
func cgroup(t *testing.T, controller string) string {
	dir := filepath.Join("/sys/fs/cgroup", controller, fmt.Sprintf("airbridged-e2e-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil {
		_ = os.Remove(dir)
		return ""
	}
	t.Cleanup(func() {
		for range 100 {
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

func number(dir, name string) int64 {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// as runs the test binary as a neighbour of one user.
func as(t *testing.T, exe string, uid uint32, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(exe, append([]string{neighbour}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// One local user saturates every listener in every way he can think of, and holds the
// daemon under the unit's own limits. It lives, and another user's publishes take no
// more than five round trips longer than usual.
func TestBadNeighbours(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be several users")
	}
	if raceEnabled {
		t.Skip("the limits are for the program that is shipped")
	}
	sim := newSimulator(t, "--rtt", "100ms")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := l.Addr().String()
	_ = l.Close()
	g := prepareGateway(t, sim.device, fmt.Sprintf("[metrics]\nlisten = %q\n[socket]\nmode = \"0666\"\n[log]\nlevel = \"warn\"\n", metrics))
	if err := os.Chmod(g.dir, 0o711); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(g.dir, "neighbour")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	peak := g.confined(t)
	g.reaches("online", "")
	const bad, good, round = 65534, 65533, 100 * time.Millisecond
	usual := took(t, as(t, exe, good, "publishes", g.socket, metrics, "10"))
	for what, n := range map[string]int{
		"silent": 150, "body": 250, "header": 50, "query": 20, "stream": 300, "events": 100, "wait": 150,
		"metrics": 100, "listing": 100, "status": 100, "scrape": 50, "pipeline": 30,
	} {
		cmd := as(t, exe, bad, what, g.socket, metrics, strconv.Itoa(n))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	eventually(t, "the neighbour holds what he can", func() error {
		if n := openFiles(g.cmd.Process.Pid); n < 1000 {
			return fmt.Errorf("%d descriptors", n)
		}
		return nil
	})
	beside := took(t, as(t, exe, good, "publishes", g.socket, metrics, "40"))
	memory, tasks := peak()
	p90 := beside[len(beside)*9/10]
	t.Logf("usual %v, beside him p50 %v, p90 %v, longest %v; memory %d MiB, tasks %d, descriptors %d", usual[len(usual)/2],
		beside[len(beside)/2], p90, beside[len(beside)-1], memory>>20, tasks, openFiles(g.cmd.Process.Pid))
	if most := usual[len(usual)/2] + 5*round; p90 > most {
		t.Errorf("a publish took %v, want at most %v", p90, most)
	}
	if len(beside) < 40 {
		t.Errorf("only %d of 40 publishes were acknowledged", len(beside))
	}
	if st := g.status(); st.State != "online" {
		t.Errorf("the daemon is %s", st.State)
	}
	resp, err := http.Get("http://" + metrics + "/metrics")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a scrape beside him: %v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}

// took runs a good neighbour, and returns how long those took that were acknowledged, sorted.
func took(t *testing.T, cmd *exec.Cmd) (list []time.Duration) {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		ms, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Logf("a publish %s", strings.TrimSpace(line))
			continue
		}
		list = append(list, time.Duration(ms)*time.Millisecond)
	}
	slices.Sort(list)
	if len(list) == 0 {
		t.Fatal("no publish was acknowledged")
	}
	return list
}

func openFiles(pid int) int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(list)
}
