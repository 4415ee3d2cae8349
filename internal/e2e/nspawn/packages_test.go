package nspawn

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// packages are the files to install.
type packages struct{ daemon, simulator, earlier string }

// debs finds the packages that `make deb` built, and the one that gateways have now.
func debs(t *testing.T) packages {
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
	p := packages{daemon: one("airbridged_*_" + arch + ".deb"), simulator: one("airsim_*_" + arch + ".deb")}
	if p.earlier = os.Getenv("AIRBRIDGED_NSPAWN_EARLIER"); p.earlier == "" {
		p.earlier = earlier(t, p.daemon, arch)
	}
	return p
}

// earlier makes the package of 0.1.0 out of what that one had besides programs and
// documentation (testdata/0.1.0, from commit 0c24171) and the programs of today. Where
// the history is there, `make nspawn` builds the whole of it instead.
func earlier(t *testing.T, daemon, arch string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	output(t, "dpkg-deb", "-x", daemon, tree)
	output(t, "sh", "-c", `rm -rf "$1/etc" "$1/lib" "$1"/usr/lib/systemd "$1/usr/share"; cp -R testdata/0.1.0/. "$1"`, "sh", tree)
	control := filepath.Join(tree, "DEBIAN", "control")
	text, err := os.ReadFile(control)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^Architecture: .*$`).ReplaceAll(text, []byte("Architecture: "+arch))
	if err := os.WriteFile(control, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return pack(t, tree)
}

// pack builds a package of a tree.
func pack(t *testing.T, tree string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "package.deb")
	output(t, "dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, file)
	return file
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(regexp.MustCompile(`\s+$`).ReplaceAll(out, nil))
}
