package ipc

import (
	"os"
	"os/exec"
	"os/user"
	"strings"
	"sync"
	"testing"

	"airbridged/internal/outbox"
)

// Each message carries the number that its program was given: the test itself
// over a kept connection, and a curl-like child with another command name.
func TestPublishTellsPrograms(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]uint8{}
	d := startDaemon(t, func(o *Options) {
		o.Source = func(program string) uint8 {
			mu.Lock()
			defer mu.Unlock()
			if seen[program] == 0 {
				seen[program] = uint8(len(seen) + 1)
			}
			return seen[program]
		}
	})
	d.ask("POST", "/v1/publish?topic=/a", "one")
	d.ask("POST", "/v1/publish?topic=/a", "two")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	own := me.Username + "/" + strings.TrimSpace(string(comm))
	page := d.queue.messages
	if len(page) != 2 || seen[own] == 0 || page[0].Source != seen[own] || page[1].Source != seen[own] || page[0].Priority != outbox.Normal {
		t.Errorf("sources %v of %v, messages %+v", seen, own, page)
	}
}

func TestProgramOf(t *testing.T) {
	uid := uint32(os.Getuid())
	name := users.name(uid)
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	for _, c := range []struct {
		why  string
		who  client
		want string
	}{
		{"a process", client{known: true, peer: peer{PID: int32(child.Process.Pid), UID: uid}}, name + "/sleep"},
		{"one that is gone or hidden", client{known: true, peer: peer{PID: 1 << 30, UID: uid}}, name},
		{"a user without a name", client{known: true, peer: peer{PID: 1 << 30, UID: 3_999_999_999}}, "uid 3999999999"},
		{"no Unix socket", client{}, "unknown"},
	} {
		if got := programOf(c.who); got != c.want && !(c.want == name+"/sleep" && strings.HasPrefix(got, name+"/")) {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
	if got := printable([]byte("ev\x1b[2Jil\n")); got != "ev?[2Jil?" {
		t.Errorf("%q", got)
	}
}
