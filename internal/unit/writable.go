package unit

import (
	"os"
	"path/filepath"
	"strings"
)

// Writable says whether the unit's sandbox lets the daemon write to a directory,
// whatever its owner and mode.
func (u *Unit) Writable(dir string) bool {
	dir = filepath.Clean(dir)
	if home := u.one("ProtectHome"); home != "" && home != "no" {
		for _, closed := range []string{"/home", "/root", "/run/user"} {
			if within(dir, closed) && !u.opened(dir) {
				return false
			}
		}
	}
	switch u.one("ProtectSystem") {
	case "strict":
		for _, left := range []string{"/dev", "/proc", "/sys"} {
			if within(dir, left) {
				return true
			}
		}
		return u.opened(dir)
	case "full":
		return !within(dir, "/usr") && !within(dir, "/boot") && !within(dir, "/efi") && !within(dir, "/etc") || u.opened(dir)
	case "yes":
		return !within(dir, "/usr") && !within(dir, "/boot") && !within(dir, "/efi") || u.opened(dir)
	}
	return true
}

// opened says whether the unit names a directory among what may be written to.
func (u *Unit) opened(dir string) bool {
	for _, p := range u.words("ReadWritePaths") {
		if within(dir, strings.TrimLeft(p, "-+")) {
			return true
		}
	}
	for key, base := range map[string]string{"StateDirectory": "/var/lib", "RuntimeDirectory": "/run", "CacheDirectory": "/var/cache", "LogsDirectory": "/var/log"} {
		for _, p := range u.words(key) {
			p, _, _ = strings.Cut(p, ":")
			if within(dir, filepath.Join(base, p)) {
				return true
			}
		}
	}
	return false
}

// within says whether path is dir or below it.
func within(path, dir string) bool {
	dir = filepath.Clean(dir)
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Own is the name of the systemd service that this process runs in; "" for none.
func Own() string {
	if os.Getenv("INVOCATION_ID") == "" { // systemd.exec(5)
		return ""
	}
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		if name := filepath.Base(strings.TrimSpace(line)); strings.HasSuffix(name, ".service") {
			return name
		}
	}
	return ""
}
