package nspawn

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// toContainer is what stands before the document's commands: the image, a module, and
// what they come to.
const toContainer = `set -e
cd /root
podman build -q -t airbridged:0.2.0 -f Containerfile bin
podman tag airbridged:0.2.0 airbridged:new
podman save -q -o airbridged-new.tar airbridged:new
mkdir -p /run/airsim
setsid bin/airsim --link /run/airsim/modem --control /run/airsim/control --product-key ` + productKey + ` --product-secret ` + productSecret +
	` --connects-per-minute -1 --imei ` + imei + ` </dev/null >/run/airsim/log 2>&1 &
while [ ! -e /run/airsim/modem ]; do sleep 0.1; done
online() {
    for try in $(seq 100); do
        if podman exec airbridged airbridgectl status --check >/dev/null 2>&1; then
            podman exec airbridged airbridgectl pub --wait 30s ` + update + ` x | grep acked
            return 0
        fi
        sleep 0.2
    done
    podman logs airbridged
    exit 1
}
follow() {
    sed "s,/dev/airbridged/modem0,$(readlink -f /run/airsim/modem)," "/root/$1" >/root/now
    echo '` + productSecret + `' | sh -eu /root/now
}
`

// What docs/install.md says of containers, with podman.
func TestDocumentOfTheContainer(t *testing.T) {
	all(t)
	need(t)
	for _, tool := range []string{"podman", "runc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: apt-get install podman runc", tool)
		}
	}
	programs, err := filepath.Abs("../../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(programs, "airbridged")); err != nil {
		t.Skip("the programs are not built: make build")
	}
	in := t.TempDir()
	_, err = output("sh", "-euc", `mkdir "$1/bin"; cp "$2/airbridged" "$2/airbridgectl" "$2/airsim" "$1/bin"; cp ../../../packaging/container/Containerfile "$1"`, "sh", in, programs)
	if err != nil {
		t.Fatal(err)
	}
	script := toContainer
	for i, step := range []struct{ heading, then string }{
		{"Install a container", "online"},
		{"Upgrade a container", "online"},
		{"Go back to the container before", "online"},
		{"Remove a container", "test -e /var/lib/airbridged/credentials.json"},
		{"Hand on a gateway with containers", "test ! -e /var/lib/airbridged && test ! -e /etc/airbridged && ! getent group airbridged"},
	} {
		blocks := chapters(t)[step.heading]
		if len(blocks) == 0 {
			t.Fatalf("docs/install.md has no commands under %q", step.heading)
		}
		name := fmt.Sprintf("step%d", i)
		if err := os.WriteFile(filepath.Join(in, name), []byte(here.Replace(strings.Join(blocks, "\n"))), 0o600); err != nil {
			t.Fatal(err)
		}
		script += fmt.Sprintf("echo '== %s'\nfollow %s\n%s\n", step.heading, name, step.then)
	}
	if err := os.WriteFile(filepath.Join(in, "go.sh"), []byte(script+"echo all done\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "testdata/podman.sh", t.TempDir(), in).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "all done\n") {
		t.Errorf("%v\n%s", err, tail(out, 8000))
	}
}
