package ipc

import (
	"os"
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
