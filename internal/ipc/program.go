package ipc

import (
	"bytes"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
)

// programOf names who is at the other end: USER/COMMAND, the user as SO_PEERCRED
// says and the command as the kernel has it (proc_pid_comm(5), at most 15 bytes,
// and of the program's own choosing). Only the user when the process is hidden
// from the daemon (systemd's ProtectProc=) or gone. It is a name for people; it
// grants nothing.
func programOf(c client) string {
	if !c.known {
		return "unknown"
	}
	name := users.name(c.peer.UID)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.peer.PID))
	if command := printable(bytes.TrimSpace(comm)); err == nil && command != "" {
		name += "/" + command
	}
	return name
}

// printable replaces what could steer a terminal.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(b))
}

// users remembers the names of users, which cost reading a file each; a name
// that is changed shows after a restart.
var users = userNames{names: map[uint32]string{}}

// maxUsers bounds them; beyond it every look costs the file again.
const maxUsers = 256

type userNames struct {
	mu    sync.Mutex
	names map[uint32]string
}

func (u *userNames) name(uid uint32) string {
	u.mu.Lock()
	name, known := u.names[uid]
	u.mu.Unlock()
	if known {
		return name
	}
	name = "uid " + strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		name = printable([]byte(found.Username))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.names) < maxUsers {
		u.names[uid] = name
	}
	return name
}
