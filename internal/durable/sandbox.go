package durable

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// SandboxHint says what to do about a directory that a sandbox closes; "" where none
// does.
func SandboxHint(dir string) string {
	if !Sandboxed(dir) {
		return ""
	}
	return "the sandbox of the service leaves it read-only: open it by a drop-in with " + Opening(dir) +
		" (data-directory.conf of the examples), and restart the service"
}

// Opening is the line of a unit file that opens a directory to the service. systemd cuts
// it at blanks, and takes a backslash for the begin of an escape (systemd.syntax(7)).
func Opening(dir string) string {
	if strings.ContainsAny(dir, " \t\"'\\") {
		dir = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir) + `"`
	}
	return "ReadWritePaths=" + strings.ReplaceAll(dir, "%", "%%")
}

// Sandboxed says whether it is a sandbox that keeps this process from writing to a
// directory, and not its disk: what is mounted there is read-only here, and the file
// system itself is not (proc(5), mountinfo).
func Sandboxed(dir string) bool { return sandboxed("/proc/self/mountinfo", dir) }

func sandboxed(mountinfo, dir string) bool {
	f, err := os.Open(mountinfo)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	dir = existing(dir)
	longest, closed := "", false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields, file := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(file) < 3 {
			continue
		}
		// The last of those on one point is on top.
		point := octal.Replace(fields[4])
		if within(dir, point) && len(point) >= len(longest) {
			longest, closed = point, option(fields[5], "ro") && option(file[2], "rw")
		}
	}
	return closed
}

// octal undoes how mountinfo writes blanks.
var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func option(list, name string) bool { return strings.Contains(","+list+",", ","+name+",") }

// existing is a path, links followed, as far as it is there.
func existing(dir string) string {
	for dir != "/" && dir != "." {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return real
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// within says whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
