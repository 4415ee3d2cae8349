package config

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Who may write the configuration may have a program run as the daemon's user
// (reset_command, clock_command), and may send its messages elsewhere. So what
// others may write is refused, as OpenSSH does with its files, and not only told.

// guardFile refuses a configuration file that others may write, or whose
// directory they may write: they could put another one in its place, or a drop-in
// beside it. Of a symbolic link both ends count.
func (l *loader) guardFile(path string) {
	at := Position{path, 1, 1}
	if who := writers(path); who != "" {
		l.wrong(at, "file", "may be written by "+who+", close it: chmod go-w "+path)
	}
	l.guardDirectory(at, filepath.Dir(path))
	if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(real) != filepath.Dir(path) {
		l.guardDirectory(at, filepath.Dir(real))
	}
}

// guardDirectory refuses a directory of the configuration that others may write,
// each once, and one above it in which everybody may rename it.
func (l *loader) guardDirectory(at Position, dir string) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	for d, above := dir, false; ; d, above = filepath.Dir(d), true {
		if l.guarded[d] {
			return
		}
		l.guarded[d] = true
		info, err := os.Stat(d)
		if err != nil {
			return // that shows where a file in it is read
		}
		// With the sticky bit nobody may rename what belongs to somebody else.
		harmless := above && (info.Mode()&fs.ModeSticky != 0 || info.Mode().Perm()&0o002 == 0)
		if who := writers(d); who != "" && !harmless {
			l.wrong(at, "file", "is in "+d+", which may be written by "+who+", close it: chmod go-w "+d)
		}
		if d == filepath.Dir(d) {
			return
		}
	}
}

// guardPrograms refuses programs that the daemon is to run and others may change.
func (l *loader) guardPrograms() {
	for key, list := range map[string][]string{"modem.reset_command": l.cfg.Modem.ResetCommand, "modem.clock_command": l.cfg.Modem.ClockCommand} {
		if len(list) == 0 || !filepath.IsAbs(list[0]) {
			continue
		}
		if who := writers(list[0]); who != "" {
			l.wrong(l.at(key), key, list[0]+" may be written by "+who+", and the daemon runs it, close it: chmod go-w "+list[0])
		}
	}
}

// writers says who may write to a file besides its owner, root's group and the
// daemon's, with its mode and owner; "" is nobody, and what cannot be looked at.
func writers(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	who := ""
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		who = "everybody"
	case mode&0o020 != 0 && !ownGroup(owner.Gid):
		who = "the group " + groupName(owner.Gid)
	default:
		return ""
	}
	return fmt.Sprintf("%s (mode %04o, owner %s:%s)", who, unixMode(info.Mode()), userName(owner.Uid), groupName(owner.Gid))
}

// packageGroup is the daemon's group as its package makes it: who checks a
// configuration is often root, not the daemon.
const packageGroup = "airbridged"

func ownGroup(gid uint32) bool {
	return gid == 0 || int64(gid) == int64(os.Getegid()) || groupName(gid) == packageGroup
}

// unixMode is a mode as chmod knows it.
func unixMode(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for bit, value := range map[fs.FileMode]uint32{fs.ModeSticky: 0o1000, fs.ModeSetgid: 0o2000, fs.ModeSetuid: 0o4000} {
		if m&bit != 0 {
			bits |= value
		}
	}
	return bits
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
