// Package peer says who is at the other end of a Unix socket, by the kernel's word
// (SO_PEERCRED, unix(7)), and what to call it. It travels as a value beside the
// connection and never inside a string that a client could forge.
package peer

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Cred is who opened a connection: the process as it was at that moment.
type Cred struct {
	PID int32
	UID uint32
	GID uint32
}

// Of asks the kernel who opened a connection. Any error means that nobody knows,
// as on everything but a Unix socket.
func Of(c net.Conn) (Cred, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return Cred{}, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Cred{}, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return Cred{}, err
	}
	if credErr != nil {
		return Cred{}, credErr
	}
	return Cred{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// User is the name of the user, "uid N" where it has none.
func (c Cred) User() string { return users.name(c.UID) }

// Program names who is at the other end: USER/COMMAND, the user by the kernel's
// word and the command as the kernel has it (proc_pid_comm(5), at most 15 bytes,
// and of the program's own choosing). Only the user when the process is hidden
// from the daemon (systemd's ProtectProc=) or gone. It is a name for people; it
// grants nothing.
func (c Cred) Program() string {
	name := c.User()
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.PID))
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
