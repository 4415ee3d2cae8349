package nspawn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// chapters are the commands of docs/install.md by the heading that they stand under, as
// somebody would type them. Those that need a real module are left out.
func chapters(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	found, heading, skip := map[string][]string{}, "", false
	var block []string
	inside := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case inside != "" && line == "```":
			if inside == "sh" && !skip {
				found[heading] = append(found[heading], strings.Join(block, "\n"))
			}
			inside, block, skip = "", nil, false
		case inside != "":
			block = append(block, line)
		case strings.HasPrefix(line, "```"):
			if inside = strings.TrimPrefix(line, "```"); inside == "" {
				inside = "output"
			}
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		case strings.HasPrefix(line, "<!-- not run"):
			skip = true
		}
	}
	return found
}

// here puts this test's names into a command of the document.
var here = strings.NewReplacer("YOUR_PRODUCT_KEY", productKey, "DEVICE_NAME", imei, " --watch", "")

// follow does what a chapter says, in /root, with the secret ready to be pasted.
func (c *container) follow(heading string) string {
	c.Helper()
	blocks := chapters(c.T)[heading]
	if len(blocks) == 0 {
		c.Fatalf("docs/install.md has no commands under %q", heading)
	}
	said := ""
	for _, block := range blocks {
		out, code := c.feed(productSecret+"\n", "sh", "-euc", "cd /root; "+here.Replace(block))
		if code != 0 {
			c.Fatalf("%s: exit %d\n%s\n%s", heading, code, block, out)
		}
		said += out + "\n"
	}
	return said
}

// What docs/install.md says of the package: install, upgrade, go back, remove, hand on.
func TestDocumentOfTheDebianPackage(t *testing.T) {
	need(t)
	next := versioned(t, debs(t).daemon, "99")
	each(t, func(c *container) {
		version := func(want string) {
			c.Helper()
			if got := c.sh("dpkg-query -Wf '${Version}' airbridged"); !strings.HasPrefix(got, want) {
				c.Errorf("version %s is installed, want %s", got, want)
			}
			c.online(apiSocket)
			c.has(c.sh("airbridgectl pub --wait 30s "+update+" x"), "acked")
		}
		c.put("/etc/apt/apt.conf.d/yes", "644", "APT::Get::Assume-Yes \"true\";\n")
		c.copyIn(next, "/root/next.deb")
		c.sh("rm -rf /var/lib/apt/lists/*; cd /root; mkdir earlier new; mv earlier.deb earlier/airbridged_0.1.0_all.deb; mv airbridged.deb airbridged_0.2.0_all.deb")
		c.plainAirsim()

		c.follow("Install")
		version("0.2")
		c.sh("mv /root/airbridged_0.2.0_all.deb /root/new/; mv /root/next.deb /root/airbridged_99_all.deb")
		c.follow("Upgrade")
		version("99")
		c.follow("Go back")
		version("0.1")
		c.follow("Upgrade")
		version("99")
		c.follow("Remove")
		c.gone()
		c.sh("apt-get install /root/airbridged_99_all.deb")
		version("99")
		c.follow("Hand the gateway on")
		c.gone()
		left := c.sh("find /etc /var /usr /run -name '*airbridged*' ! -path '/var/lib/dpkg/*' ! -path '/var/cache/*' ! -path '/run/systemd/*' ! -path '/var/log/*' ! -path '/var/lib/containers/*'")
		if left != "" {
			c.Errorf("left: %s", left)
		}
		c.fails(2, "getent passwd airbridged")
		if _, code := c.try("grep", "-rqs", productSecret, "/etc", "/var/lib"); code == 0 {
			c.Error("the ProductSecret is still there")
		}
	})
}

// plain is a system of a release in which no systemd runs.
func plain(t *testing.T, release string) *container {
	t.Helper()
	c := enter(t, release, "(sd-stubinit)", "--as-pid2", "sleep", "infinity")
	c.await("its first process", func() error {
		if said, code := c.try("test", "-e", "/proc/1/comm"); code != 0 {
			return fmt.Errorf("%s", said)
		}
		return nil
	})
	return c
}

// plainAirsim is airsim where no systemd runs it.
func (c *container) plainAirsim() {
	c.Helper()
	c.sh("mkdir -p /run/airsim /dev/airbridged; setsid airsim --link /run/airsim/modem --control /run/airsim/control --product-key " + productKey +
		" --product-secret " + productSecret + " --connects-per-minute -1 --imei " + imei + " </dev/null >/run/airsim/log 2>&1 &")
	c.await("the module", func() error {
		if _, code := c.try("test", "-e", "/run/airsim/modem"); code != 0 {
			return fmt.Errorf("no terminal")
		}
		return nil
	})
	c.sh("ln -sf /run/airsim/modem /dev/airbridged/modem0; chmod 666 $(readlink -f /run/airsim/modem)")
}

// What docs/install.md says of systems without systemd, with the tarball.
func TestDocumentOfTheTarball(t *testing.T) {
	all(t)
	need(t)
	deb := debs(t)
	found, err := filepath.Glob(filepath.Join(os.Getenv("AIRBRIDGED_NSPAWN_DEBS"), "airbridged-*.tar.gz"))
	if err != nil || len(found) != 1 {
		t.Skipf("%d tarballs are beside the packages: make tarball builds one", len(found))
	}
	for _, release := range releases() {
		t.Run(strings.ReplaceAll(release, " ", "-"), func(t *testing.T) {
			t.Parallel()
			c := plain(t, release)
			c.copyIn(deb.simulator, "/root/airsim.deb")
			c.copyIn(found[0], "/root/airbridged-1-linux-x.tar.gz")
			c.sh("dpkg -i /root/airsim.deb; mkdir -p /root/earlier; cp /root/airbridged-1-linux-x.tar.gz /root/earlier/airbridged-0-linux-x.tar.gz")
			c.plainAirsim()
			works := func() {
				c.Helper()
				c.online(apiSocket)
				c.has(c.sh("airbridgectl pub --wait 30s "+update+" x"), "acked")
			}
			c.follow("Install it")
			works()
			c.sh("airbridgectl doctor --take-port || true")
			works()
			c.follow("Upgrade it")
			works()
			c.follow("Go back with it")
			works()
			c.has(c.follow("Remove it"), "/var/lib/airbridged")
			if said, code := c.try("pgrep", "-x", "airbridged"); code == 0 {
				c.Errorf("it still runs: %s", said)
			}
			c.sh("/root/airbridged-*/install.sh; /etc/init.d/airbridged start")
			works()
			c.follow("Hand that gateway on")
			if left := c.sh("find /etc /var /usr /run -name '*airbridged*' ! -path '/var/lib/containers/*'"); left != "" {
				c.Errorf("left: %s", left)
			}
		})
	}
}

// Where no systemd runs, a daemon that somebody started keeps its directory through a
// purge, which names it: nobody there can stop it, and its messages are not taken from
// under it.
func TestPurgeInAChroot(t *testing.T) {
	need(t)
	deb := debs(t)
	for _, release := range releases() {
		t.Run(strings.ReplaceAll(release, " ", "-"), func(t *testing.T) {
			t.Parallel()
			c := plain(t, release)
			c.copyIn(deb.daemon, "/root/airbridged.deb")
			c.copyIn(deb.simulator, "/root/airsim.deb")
			c.sh("dpkg -i /root/airbridged.deb /root/airsim.deb </dev/null; getent passwd airbridged")
			c.plainAirsim()
			c.put("/etc/airbridged/product-secret", "600", productSecret+"\n")
			c.put(site, "644", configuration+"[metrics]\nlisten = \"\"\n")
			c.sh("chown airbridged /etc/airbridged/product-secret; printf '[device]\\nproduct_secret_file = \"/etc/airbridged/product-secret\"\\n' >/etc/airbridged/airbridged.toml.d/zz.toml; " +
				"install -d -o airbridged -m 700 /var/lib/airbridged; install -d -o airbridged /run/airbridged; setpriv --reuid airbridged --regid airbridged --clear-groups setsid airbridged </dev/null >/run/airsim/daemon 2>&1 &")
			c.online(apiSocket)
			c.do("outage on")
			for i := range 3 {
				c.sh(fmt.Sprintf("airbridgectl pub %s waiting-%d", update, i))
			}
			c.has(c.sh("dpkg -P airbridged </dev/null 2>&1"), "/var/lib/airbridged: a daemon is running there")
			c.do("outage off")
			c.arrived("waiting-", 3)
		})
	}
}
