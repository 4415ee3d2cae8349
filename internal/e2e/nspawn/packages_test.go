package nspawn

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// debs finds the packages that `make deb` built, and makes another airbridged of
// an earlier version, to be upgraded from.
func debs(t *testing.T) (daemon, simulator, earlier string) {
	t.Helper()
	dir := os.Getenv("AIRBRIDGED_NSPAWN_DEBS")
	one := func(pattern string) string {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%d packages are %s in $AIRBRIDGED_NSPAWN_DEBS (%s): make deb builds them", len(found), pattern, dir)
		}
		return found[0]
	}
	arch := output(t, "dpkg", "--print-architecture")
	daemon, simulator = one("airbridged_*_"+arch+".deb"), one("airsim_*_"+arch+".deb")

	tree := filepath.Join(t.TempDir(), "tree")
	output(t, "dpkg-deb", "-R", daemon, tree)
	control := filepath.Join(tree, "DEBIAN", "control")
	text, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^Version: .*$`).ReplaceAll(text, []byte("Version: 0.0.1"))
	if err := os.WriteFile(control, text, 0o644); err != nil {
		t.Fatal(err)
	}
	earlier = filepath.Join(t.TempDir(), "earlier.deb")
	output(t, "dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, earlier)
	return daemon, simulator, earlier
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(regexp.MustCompile(`\s+$`).ReplaceAll(out, nil))
}
