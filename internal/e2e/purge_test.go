package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Purging the Debian package takes the queue and the token, and leaves what the
// cloud hands out once, of every instance; where nothing is left, nothing stays.
func TestPurgeKeepsTheIdentity(t *testing.T) {
	script, err := os.ReadFile("../../packaging/debian/airbridged.postrm")
	if err != nil {
		t.Fatal(err)
	}
	lib := t.TempDir()
	files := []string{
		"airbridged/credentials.json", "airbridged/credentials.prev.json", "airbridged/registering.json", "airbridged/token.json",
		"airbridged/outbox/00000001.log", "airbridged/outbox/quarantine/x", "airbridged/traces/000001.ndjson", "airbridged-north/credentials.json",
		"airbridged-north/modem.json", "airbridged-empty/token.json", "airbridgedx/credentials.txt",
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(lib, f)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(lib, f), "x", 0o600)
	}
	left := func() (list []string) {
		err := filepath.WalkDir(lib, func(path string, _ os.DirEntry, err error) error {
			if name, _ := filepath.Rel(lib, path); err == nil && name != "." {
				list = append(list, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	run := func(why string) string {
		out, err := exec.Command("sh", "-c", strings.ReplaceAll(string(script), "/var/lib", lib), "postrm", why).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	before := left()
	for _, why := range []string{"remove", "upgrade"} {
		if run(why); !slices.Equal(left(), before) {
			t.Errorf("%s leaves %q", why, left())
		}
	}
	said := run("purge")
	want := []string{
		"airbridged", "airbridged/credentials.json", "airbridged/credentials.prev.json", "airbridged/registering.json",
		"airbridged-north", "airbridged-north/credentials.json", "airbridgedx", "airbridgedx/credentials.txt",
	}
	slices.Sort(want)
	got := left()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("purge leaves %q", got)
	}
	if strings.Count(said, "identity is kept in "+lib) != 2 {
		t.Errorf("purge says %q", said)
	}
}
