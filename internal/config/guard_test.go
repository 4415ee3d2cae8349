package config

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A configuration that anybody may write, with a reset_command in it, was "no
// mistakes": any local user could have a program run as the daemon. It is refused
// now, and who may write it is told.
func TestWhatOthersMayWriteIsRefused(t *testing.T) {
	surroundings(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to other groups")
	}
	const stranger = 65533 // a group without a name
	for _, c := range []struct {
		what   string
		change func(t *testing.T, dir string) // of dir/etc, with a.toml and a.toml.d/site.toml in it, and dir/etc/reset
		want   string                         // with DIR for dir/etc; "": no mistake
	}{
		{"as it should be", func(*testing.T, string) {}, ""},
		{"the file, by everybody", chmod("a.toml", 0o666), "DIR/a.toml:1:1: file: may be written by everybody (mode 0666, owner root:root), close it: chmod go-w DIR/a.toml"},
		{"the file, by its group root", chmod("a.toml", 0o664), ""},
		{"the file, by another group", all(chown("a.toml", stranger), chmod("a.toml", 0o660)), "DIR/a.toml:1:1: file: may be written by the group 65533 (mode 0660, owner root:65533), close it: chmod go-w DIR/a.toml"},
		{"the file, read by another group", all(chown("a.toml", stranger), chmod("a.toml", 0o640)), ""},
		{"its directory", chmod(".", 0o777), "DIR/a.toml:1:1: file: is in DIR, which may be written by everybody (mode 0777, owner root:root), close it: chmod go-w DIR"},
		{"its directory, sticky", chmod(".", os.ModeSticky|0o777), "DIR/a.toml:1:1: file: is in DIR, which may be written by everybody (mode 1777, owner root:root), close it: chmod go-w DIR"},
		{"its directory, by another group", all(chown(".", stranger), chmod(".", os.ModeSetgid|0o775)), "DIR/a.toml:1:1: file: is in DIR, which may be written by the group 65533 (mode 2775, owner root:65533), close it: chmod go-w DIR"},
		{"a directory above", chmod("..", 0o777), "DIR/a.toml:1:1: file: is in ABOVE, which may be written by everybody (mode 0777, owner root:root), close it: chmod go-w ABOVE"},
		{"a directory above, sticky", chmod("..", os.ModeSticky|0o777), ""},
		{"a drop-in", chmod("a.toml.d/site.toml", 0o622), "DIR/a.toml.d/site.toml:1:1: file: may be written by everybody (mode 0622, owner root:root), close it: chmod go-w DIR/a.toml.d/site.toml"},
		{"the drop-ins' directory", chmod("a.toml.d", 0o703), "DIR/a.toml.d/site.toml:1:1: file: is in DIR/a.toml.d, which may be written by everybody (mode 0703, owner root:root), close it: chmod go-w DIR/a.toml.d"},
		{"the program of reset_command", chmod("reset", 0o777), "DIR/a.toml:4:1: modem.reset_command: DIR/reset may be written by everybody (mode 0777, owner root:root), and the daemon runs it, close it: chmod go-w DIR/reset"},
		{"where a link leads", link, "DIR/a.toml:1:1: file: is in DIR/open, which may be written by everybody (mode 0777, owner root:root), close it: chmod go-w DIR/open"},
	} {
		above := filepath.Join(t.TempDir(), "above")
		dir := filepath.Join(above, "etc")
		path := write(t, dir, "a.toml", least+"[modem]\nreset_command = [\""+dir+"/reset\"]\n")
		write(t, dir, "a.toml.d/site.toml", "[log]\nlevel = \"warn\"\n")
		write(t, dir, "reset", "#!/bin/sh\n")
		c.change(t, dir)
		_, _, err := Load(path)
		got := ""
		if err != nil {
			got = strings.ReplaceAll(strings.ReplaceAll(err.Error(), dir, "DIR"), above, "ABOVE")
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.what, got, c.want)
		}
	}
}

func chmod(name string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
}

func chown(name string, gid int) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Chown(filepath.Join(dir, name), 0, gid); err != nil {
			t.Fatal(err)
		}
	}
}

func all(list ...func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, f := range list {
			f(t, dir)
		}
	}
}

// link puts the file behind a symbolic link into a directory that is open to all.
func link(t *testing.T, dir string) {
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	chmod("open", 0o777)(t, dir)
	if err := os.Rename(filepath.Join(dir, "a.toml"), filepath.Join(open, "real.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("open/real.toml", filepath.Join(dir, "a.toml")); err != nil {
		t.Fatal(err)
	}
}

// Whatever stands among the drop-ins, the daemon starts or says what is wrong; it
// waits for nothing and takes no more memory than for a configuration.
func TestDropInsThatAreNone(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	path := write(t, dir, "a.toml", least)
	drop := path + ".d"
	write(t, drop, "a.toml", "[log]\nlevel = \"warn\"\n")
	if err := unix.Mkfifo(filepath.Join(drop, "b.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(drop, "c.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("d.toml", filepath.Join(drop, "d.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(write(t, drop, "e.toml", ""), 1<<40); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, _, err := Load(path)
	for name, want := range map[string]string{"b": "is not a regular file", "c": "is not a regular file", "d": "too many links", "e": "is too large"} {
		if err == nil || !strings.Contains(err.Error(), filepath.Join(drop, name+".toml:1:1: file: ")) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s.toml is not told with %q: %v", name, want, err)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}

	if err := os.RemoveAll(drop); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1", "2", "3", "4", "5"} {
		write(t, drop, name+".toml", "#"+strings.Repeat(" ", 900_000))
	}
	if _, _, err := Load(path); err == nil || !strings.Contains(err.Error(), "5.toml:1:1: file: is too much") {
		t.Errorf("4.5 MB of configuration: %v", err)
	}
	if err := os.RemoveAll(drop); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(drop, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range maxEntries + 1 {
		if err := os.Symlink("x", filepath.Join(drop, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Load(path); err == nil || !strings.Contains(err.Error(), "a.toml.d:1:1: file: has more than 10000 names in it") {
		t.Errorf("a directory of %d: %v", maxEntries+1, err)
	}
}
