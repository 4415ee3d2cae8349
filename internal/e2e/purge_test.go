package e2e

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Purging the Debian package takes the queue and the token, and leaves what the
// cloud hands out once, of every instance that has a configuration; where nothing is
// left, nothing stays. What only begins with our name is not touched.
func TestPurgeKeepsTheIdentity(t *testing.T) {
	script, err := os.ReadFile("../../packaging/debian/airbridged.postrm")
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	lib, etc := filepath.Join(root, "lib"), filepath.Join(root, "etc")
	for _, f := range []string{"airbridged.toml", "north.toml", "empty.toml"} {
		if err := os.MkdirAll(filepath.Join(etc, "airbridged"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(etc, "airbridged", f), "", 0o644)
	}
	// The script as it stands, on directories of this test, which belong to who runs it.
	here := strings.NewReplacer("/var/lib", lib, "/etc/", etc+"/", "/run/", filepath.Join(root, "run")+"/",
		`alone "$1" airbridged`, `alone "$1" `+me.Username, `" = airbridged ]`, `" = `+me.Username+` ]`).Replace(string(script))
	files := []string{
		"airbridged/credentials.json", "airbridged/credentials.prev.json", "airbridged/registering.json", "airbridged/token.json",
		"airbridged/outbox/00000001.log", "airbridged/outbox/quarantine/x", "airbridged/traces/000001.ndjson", "airbridged-north/credentials.json",
		"airbridged-north/modem.json", "airbridged-empty/token.json", "airbridgedx/credentials.txt",
		"airbridged-exporter/token.json",
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
		out, err := exec.Command("sh", "-c", here, "postrm", why).CombinedOutput()
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
		"airbridged-exporter", "airbridged-exporter/token.json",
	}
	slices.Sort(want)
	got := left()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("purge leaves %q", got)
	}
	if strings.Count(said, "the device's identity, which the cloud hands out once") != 2 ||
		!strings.Contains(said, "airbridged-exporter: there is no instance exporter") {
		t.Errorf("purge says %q", said)
	}
}
