package nspawn

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// packages are the files to install.
type packages struct{ daemon, simulator, earlier string }

// debs finds the packages that `make deb` built, and the one that gateways have now.
func debs(t *testing.T) packages {
	t.Helper()
	p, err := found()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// scratch is what the tests make once for all of them.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "airbridged-nspawn"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

var found = sync.OnceValues(func() (p packages, err error) {
	arch, err := output("dpkg", "--print-architecture")
	if err != nil {
		return p, err
	}
	dir := os.Getenv("AIRBRIDGED_NSPAWN_DEBS")
	for name, file := range map[string]*string{"airbridged": &p.daemon, "airsim": &p.simulator} {
		found, err := filepath.Glob(filepath.Join(dir, name+"_*_"+arch+".deb"))
		if err != nil || len(found) != 1 {
			return p, fmt.Errorf("%d packages of %s are in $AIRBRIDGED_NSPAWN_DEBS (%s): make deb builds them", len(found), name, dir)
		}
		// Compression is most of what an installation costs, and none of what it does.
		tree := filepath.Join(scratch, name)
		if _, err = output("dpkg-deb", "-R", found[0], tree); err == nil {
			*file, err = pack(tree)
		}
		if err != nil {
			return p, err
		}
	}
	if p.earlier = os.Getenv("AIRBRIDGED_NSPAWN_EARLIER"); p.earlier == "" {
		p.earlier, err = earlier(p.daemon, arch)
	}
	return p, err
})

// earlier makes the package of 0.1.0 out of what that one had besides programs and
// documentation (testdata/0.1.0, from commit 0c24171) and the programs of today. Where
// the history is there, `make nspawn` builds the whole of it instead.
func earlier(daemon, arch string) (string, error) {
	const script = `dpkg-deb -x "$1" "$2"
rm -rf "$2/etc" "$2/lib" "$2/usr/lib/systemd" "$2/usr/share"
cp -R testdata/0.1.0/. "$2"
sed -i "s/^Architecture: .*/Architecture: $3/" "$2/DEBIAN/control"`
	tree := filepath.Join(scratch, "earlier")
	if _, err := output("sh", "-euc", script, "sh", daemon, tree, arch); err != nil {
		return "", err
	}
	return pack(tree)
}

// altered is a package after a shell line, in which $1 is the tree that it is packed from.
func altered(t *testing.T, deb, line string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	_, err := output("dpkg-deb", "-R", deb, tree)
	if err == nil {
		_, err = output("sh", "-euc", line, "sh", tree)
	}
	file := ""
	if err == nil {
		file, err = pack(tree)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// versioned is a package under another version.
func versioned(t *testing.T, deb, version string) string {
	t.Helper()
	return altered(t, deb, `sed -i "s/^Version: .*/Version: `+version+`/" "$1/DEBIAN/control"`)
}

// pack builds a package of a tree, beside it.
func pack(tree string) (string, error) {
	file := tree + ".deb"
	_, err := output("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, file)
	return file, err
}

func output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
