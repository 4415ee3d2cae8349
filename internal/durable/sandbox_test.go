package durable

import (
	"os"
	"path/filepath"
	"testing"
)

// A sandbox closes a mount point, and its file system stays what it is; a file system
// that is read-only itself is another thing.
func TestSandboxed(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lines string
		want  bool
	}{
		{"1 0 8:1 / / ro,relatime - ext4 /dev/sda rw\n", true},
		{"1 0 8:1 / / rw,relatime - ext4 /dev/sda rw\n", false},
		{"1 0 8:1 / / ro,relatime - ext4 /dev/sda ro,errors=remount-ro\n", false},
		{"1 0 8:1 / / ro - ext4 /dev/sda rw\n2 1 8:1 " + dir + " " + dir + " rw - ext4 /dev/sda rw\n", false},
		{"1 0 8:1 / / ro - ext4 /dev/sda rw\n2 1 8:1 " + dir + " " + dir + "/queue rw - ext4 /dev/sda rw\n", true},
		{"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 8:1 " + dir + " " + dir + " ro - ext4 /dev/sda rw\n", true},
		{"", false},
	} {
		file := filepath.Join(t.TempDir(), "mountinfo")
		if err := os.WriteFile(file, []byte(c.lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := sandboxed(file, filepath.Join(dir, "new", "queue")); got != c.want {
			t.Errorf("%v for\n%s", got, c.lines)
		}
	}
}

// A path with a blank is one path to systemd only in quotes.
func TestOpening(t *testing.T) {
	for dir, want := range map[string]string{
		"/data/queue": "ReadWritePaths=/data/queue", "/srv/my data": `ReadWritePaths="/srv/my data"`,
		`/var/lib/airbridged-a\x20b`: `ReadWritePaths="/var/lib/airbridged-a\\x20b"`, "/data/50%": "ReadWritePaths=/data/50%%",
	} {
		if got := Opening(dir); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
}
