package nspawn

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// releases are the systems that a test runs on: those that $AIRBRIDGED_NSPAWN names,
// or this machine alone.
func releases() []string {
	if os.Getenv("AIRBRIDGED_NSPAWN") == "here" {
		return []string{thisMachine}
	}
	return []string{"bookworm", "trixie"}
}

// all skips what would make a quick run on this machine alone too long.
func all(t *testing.T) {
	t.Helper()
	if os.Getenv("AIRBRIDGED_NSPAWN") == "here" {
		t.Skip("one too many for a quick run: run it by `make nspawn`")
	}
}

// each runs a test on a fresh system of each release, with the packages in /root.
func each(t *testing.T, do func(*container)) {
	need(t)
	deb := debs(t)
	for _, release := range releases() {
		t.Run(strings.ReplaceAll(release, " ", "-"), func(t *testing.T) {
			t.Parallel()
			c := boot(t, release)
			c.copyIn(deb.earlier, "/root/earlier.deb")
			c.copyIn(deb.daemon, "/root/airbridged.deb")
			c.copyIn(deb.simulator, "/root/airsim.deb")
			c.sh("dpkg -i /root/airsim.deb")
			do(c)
		})
	}
}

const (
	site      = "/etc/airbridged/airbridged.toml.d/site.toml"
	conffile  = "/etc/airbridged/airbridged.toml"
	credstore = "/etc/credstore/airbridged"
)

// dpkg runs without a terminal and without anybody to answer, as unattended upgrades
// do, and returns what it said.
func (c *container) dpkg(args string) string {
	c.Helper()
	said := c.sh("dpkg " + args + " </dev/null 2>&1")
	c.calm()
	return said
}

// calm wants nothing failed, and the package whole.
func (c *container) calm() {
	c.Helper()
	if said, _ := c.try("systemctl", "is-system-running"); said != "running" {
		c.Errorf("the system is %s: %s", said, c.sh("systemctl --failed --plain --no-legend"))
	}
	// Of ours: somebody may be installing on the machine that this one is a copy of.
	if said, _ := c.try("sh", "-c", "dpkg --audit | grep -E '^ (airbridged|airsim)'"); said != "" {
		c.Errorf("dpkg --audit: %s", said)
	}
}

// lacks wants a text not in what was said.
func (c *container) lacks(said, text string) {
	c.Helper()
	if strings.Contains(said, text) {
		c.Errorf("%q is in\n%s", text, said)
	}
}

// active wants units in a state.
func (c *container) active(state string, units ...string) {
	c.Helper()
	for _, unit := range units {
		if now := c.property(unit, "ActiveState"); now != state {
			c.Errorf("%s is %s, want %s", unit, now, state)
		}
	}
}

// secret stores the product's for a daemon; name is "" or "-instance".
func (c *container) secret(name string) {
	c.put(credstore+name+".product-secret", "600", productSecret+"\n")
}

// instance writes the configuration of a daemon of its own, with a module of its own.
func (c *container) instance(name, imei string) {
	c.Helper()
	c.airsim("airsim-"+name, "--imei "+imei)
	c.put("/etc/airbridged/"+name+".toml", "644", strings.Replace(configuration, "/run/airsim/", "/run/airsim-"+name+"/", 1)+fmt.Sprintf(`[state]
dir = "/var/lib/airbridged-%[1]s"
[outbox]
dir = "/var/lib/airbridged-%[1]s/outbox"
[socket]
path = "/run/airbridged/%[1]s.sock"
[metrics]
listen = "unix:/run/airbridged/%[1]s-metrics.sock"
[mqtt]
socket = ""
`, name))
	c.secret("-" + name)
	c.sh("systemctl --quiet enable --now airbridged@" + name + ".socket airbridged@" + name + ".service")
	c.online("/run/airbridged/" + name + ".sock")
}

// configure makes the gateway a working one, with the default daemon.
func (c *container) configure() {
	c.Helper()
	c.airsim("airsim", "--imei "+imei)
	c.secret("")
	c.put(site, "644", configuration)
	c.sh("systemctl restart airbridged")
	c.online(apiSocket)
}

// knock keeps asking at all sockets, as programs and a Prometheus do, until the end of
// the test.
func (c *container) knock(sockets ...string) {
	c.Helper()
	line := "curl -s -o /dev/null --max-time 5 http://127.0.0.1:9481/metrics; "
	for _, s := range sockets {
		line += "curl -s -o /dev/null --max-time 5 --unix-socket " + s + " http://d/healthz; "
	}
	c.sh("systemd-run -q --unit=knock sh -c 'while :; do " + line + "sleep 0.02; done'")
}

// A package that is installed on a bare system says what to do, starts nothing and
// leaves nothing failed, whoever asks; the first configuration is all that it waits
// for. (It used to start 20 times for one `airbridgectl status`, close its sockets, and
// leave the system degraded.)
func TestFirstInstallation(t *testing.T) {
	each(t, func(c *container) {
		said := c.dpkg("-i /root/airbridged.deb")
		c.has(said, site)
		c.lacks(said, "Could not execute")
		for range 3 {
			c.has(c.fails(69, "airbridgectl status"), "not configured yet")
		}
		c.sh("systemctl start default.target sockets.target") // as a boot does
		c.sh("systemctl start airbridged.target")
		c.calm()
		c.active("inactive", "airbridged.service", "airbridged.socket", "airbridged-metrics.socket")
		c.configure()
		c.active("active", "airbridged.service", "airbridged.socket", "airbridged-metrics.socket")

		// Once configured, an upgrade has nothing to say about that.
		c.lacks(c.dpkg("-i /root/airbridged.deb"), "configur")
		c.online(apiSocket)
	})
}

// Configured before the package comes, as images are made.
func TestInstallationOnAPreparedSystem(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		c.put(site, "644", configuration)
		c.secret("")
		c.sh("useradd --system airbridged")
		c.airsim("airsim", "--imei "+imei)
		c.lacks(c.dpkg("-i /root/airbridged.deb"), "as soon as it is configured")
		c.online(apiSocket)
	})
}

// Everything of ours is stopped before a file of it goes, whoever knocks; what was
// accepted is kept, and goes out when the package is back, with the instances that
// there were. (The instances used to run on, on a deleted program.)
func TestRemoveAndInstallAgain(t *testing.T) {
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		c.instance("north", "862991419835258")
		c.knock(apiSocket, "/run/airbridged/north.sock")
		c.sh("AIRSIM_CONTROL=/run/airsim-north/control airsim do outage on")
		topic := strings.Replace(update, imei, "862991419835258", 1)
		for i := range 3 {
			c.sh(fmt.Sprintf("airbridgectl --socket /run/airbridged/north.sock pub %s waiting-%d", topic, i))
		}
		c.dpkg("-r airbridged")
		c.gone()
		if left := c.sh("find /etc/systemd/system -name 'airbridged@*'"); left != "" {
			c.Errorf("enabled instances are left: %s", left)
		}
		c.sh("AIRSIM_CONTROL=/run/airsim-north/control airsim do outage off")

		c.dpkg("-i /root/airbridged.deb")
		c.online(apiSocket)
		c.online("/run/airbridged/north.sock")
		c.await("what was accepted before", func() error {
			if got := c.sh("curl -fsS --unix-socket /run/airsim-north/control 'http://airsim/v1/messages?follow=0' | grep -o 'waiting-[0-9]*' | sort -u | wc -l"); got != "3" {
				return fmt.Errorf("%s of 3", got)
			}
			return nil
		})
		for _, unit := range []string{"airbridged@north.service", "airbridged@north.socket"} {
			if said, _ := c.try("systemctl", "is-enabled", unit); said != "enabled" {
				c.Errorf("%s is %s", unit, said)
			}
		}
	})
}

// gone wants no process of ours, and nothing that could start one.
func (c *container) gone() {
	c.Helper()
	if said, code := c.try("pgrep", "-x", "airbridged"); code == 0 {
		c.Errorf("it still runs: %s", said)
	}
	if said := c.sh("systemctl list-units --plain --no-legend --state=active,activating,failed 'airbridged*'"); said != "" {
		c.Errorf("units are left: %s", said)
	}
}

// A purge with an instance online and messages waiting: the daemon is stopped, so that
// nothing is accepted any more into a queue that is gone. (It used to answer 202 to
// messages that nobody would ever send.) It tells of each directory, and leaves a
// gateway that does not come up as the old device.
func TestPurge(t *testing.T) {
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		c.instance("north", "862991419835258")
		c.knock(apiSocket, "/run/airbridged/north.sock")
		said := c.dpkg("-P airbridged")
		c.gone()
		c.fails(69, "PATH=$PATH:/root; airsim --version >/dev/null; curl -s --max-time 5 --unix-socket /run/airbridged/north.sock http://d/healthz || exit 69")
		for _, what := range []string{
			"/var/lib/airbridged is emptied", "/var/lib/airbridged-north is emptied", site + " is removed", "/etc/airbridged/north.toml is removed",
			"  /var/lib/airbridged/credentials*: ", "  /var/lib/airbridged-north/credentials*: ", "  " + credstore + ".product-secret: ", "  " + credstore + "-north.product-secret: ",
		} {
			c.has(said, what)
		}
		left := c.sh("find /var/lib /etc /run -path '*airbridged*' ! -type d ! -path '/run/airsim*' ! -path '/run/systemd/*' ! -path '/var/lib/containers/*' | sort")
		for _, path := range strings.Fields(left) {
			if !strings.Contains(path, "/credentials") && !strings.HasPrefix(path, credstore) && !strings.HasPrefix(path, "/var/lib/dpkg/") {
				c.Errorf("%s is left, and nothing was said of it", path)
			}
		}

		c.has(c.dpkg("-i /root/airbridged.deb"), "as soon as it is configured")
		c.active("inactive", "airbridged.service", "airbridged@north.service")

		// Configured again, it is the device that it was, without registering anew.
		begin := c.now()
		c.put(site, "644", configuration)
		c.sh("systemctl restart airbridged")
		c.online(apiSocket)
		c.lacks(c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged --since='"+begin+"'"), `"to":"registering"`)
	})
}

// What only looks like ours is not touched: directories of other programs and copies
// beside ours, whatever their owner; links and file systems; what a daemon that systemd
// knows nothing of has locked. Each is left as it was, and those that might be ours are
// named.
func TestPurgeTakesOnlyWhatIsOurs(t *testing.T) {
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		c.instance("north", "862991419835258")
		c.sh(`systemctl stop airbridged@north.target; systemctl --quiet disable airbridged@north.service airbridged@north.socket
cd /var/lib
useradd --system airbridged-exporter; install -d -o airbridged-exporter airbridged-exporter; echo x >airbridged-exporter/data
cp -a airbridged airbridged-backup                                # no instance has that name
mkdir -p /data/linked; chown airbridged: /data/linked; echo x >/data/linked/data; ln -s /data/linked airbridged-linked; : >/etc/airbridged/linked.toml
install -d -o airbridged airbridged-mounted airbridged-mounted/outbox; mkdir /data/disk; echo x >/data/disk/data; mount --bind /data/disk airbridged-mounted/outbox; : >/etc/airbridged/mounted.toml
install -d -o airbridged airbridged-held airbridged-held/outbox; echo x >airbridged-held/outbox/data; : >/etc/airbridged/held.toml
install -d -o root airbridged-roots; echo x >airbridged-roots/data; : >/etc/airbridged/roots.toml
mkdir airbridged-north/elsewhere; ln -s /data/disk airbridged-north/quarantine
install -d -o airbridged /data/queue; echo x >/data/queue/data; printf '[outbox]\n dir = "/data/queue"\n' >/etc/airbridged/airbridged.toml.d/zz.toml
systemd-run -q --unit=holder flock /var/lib/airbridged-held/outbox sleep 100`)
		c.await("the lock", func() error {
			if _, code := c.try("flock", "-n", "/var/lib/airbridged-held/outbox", "true"); code == 0 {
				return fmt.Errorf("not held")
			}
			return nil
		})
		said := c.dpkg("-P airbridged")
		for _, path := range []string{
			"/var/lib/airbridged-exporter/data", "/var/lib/airbridged-backup/outbox", "/data/linked/data", "/var/lib/airbridged-mounted/outbox/data",
			"/var/lib/airbridged-held/outbox/data", "/var/lib/airbridged-roots/data", "/data/disk/data", "/data/queue/data", "/var/lib/airbridged-linked",
		} {
			if _, code := c.try("test", "-e", path); code != 0 {
				c.Errorf("%s is gone", path)
			}
		}
		c.sh("test ! -e /var/lib/airbridged/outbox; test ! -e /var/lib/airbridged-north/outbox; test ! -e /etc/airbridged")
		for _, what := range []string{
			"/var/lib/airbridged-backup: there is no instance backup", "/var/lib/airbridged-linked: it is a link to /data/linked",
			"/var/lib/airbridged-mounted: a file system is mounted there", "/var/lib/airbridged-held: a daemon is running there",
			"/var/lib/airbridged-roots: it belongs to root", "/data/queue: the configuration put it outside", "/data/disk: ",
		} {
			c.has(said, what)
		}
		c.lacks(said, "airbridged-exporter")
		if names := c.sh("ls /var/lib/airbridged-north"); strings.Trim(names, "acdeginlstr.jopv\n ") != "" {
			c.Errorf("of the instance there is left %s", names)
		}
	})
}

// edited is a configuration that somebody wrote into the example that the package used
// to bring.
const edited = "# ours\n" + configuration + "[log]\nlevel = \"debug\"\n"

// Whoever edited the configuration file, as the texts of 0.1.0 said, gets no question
// about it: the upgrade goes through without a terminal, the daemon runs the new
// program with the same configuration, and the file is never asked about again. The way
// back is as quiet.
func TestUpgradeOfAnEditedConfiguration(t *testing.T) {
	each(t, func(c *container) {
		c.sh("dpkg -i /root/earlier.deb")
		c.sh("systemctl stop airbridged.service airbridged.socket airbridged-metrics.socket; systemctl reset-failed")
		c.airsim("airsim", "--imei "+imei)
		c.secret("")
		c.put(conffile, "640", edited)
		c.sh("chgrp airbridged " + conffile + "; systemctl restart airbridged")
		c.online(apiSocket)
		effective := c.sh("AIRBRIDGED_PRODUCT_SECRET=x airbridged --check-config --dump 2>/dev/null")
		main := c.property("airbridged", "MainPID")

		said := c.dpkg("-i /root/airbridged.deb")
		c.has(said, site)
		c.lacks(said, "not starting it")
		c.active("active", "airbridged-mqtt.socket")
		if now := c.property("airbridged", "MainPID"); now == main {
			c.Error("the old process still runs")
		}
		c.online(apiSocket)
		if now := c.sh("AIRBRIDGED_PRODUCT_SECRET=x airbridged --check-config --dump 2>/dev/null"); !strings.Contains(now, `level = "debug"`) || len(now) < len(effective) {
			c.Errorf("the configuration became\n%s", now)
		}
		if got := c.sh("cat " + site + "; stat -c '%a %G' " + site + "; stat -c %s " + conffile + "; ls /etc/airbridged"); got != strings.TrimSpace(edited)+"\n640 airbridged\n0\nairbridged.toml\nairbridged.toml.d" {
			c.Errorf("after the upgrade: %s", got)
		}

		c.dpkg("-i /root/airbridged.deb") // and the next one
		c.dpkg("-i /root/earlier.deb")    // and back
		c.online(apiSocket)
		c.dpkg("-i /root/airbridged.deb")
		c.online(apiSocket)
	})
}

// The other forms in which that file is found.
func TestUpgradeOfOtherConfigurations(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		files := func() string { return c.sh("cd /etc/airbridged; ls; cd airbridged.toml.d; ls") }
		again := func() {
			c.sh("dpkg -P airbridged 2>&1; rm -rf /etc/airbridged; dpkg -i /root/earlier.deb; systemctl stop airbridged.socket airbridged-metrics.socket airbridged; systemctl reset-failed")
		}
		t := c.T
		for _, form := range []struct{ name, prepare, want string }{
			{"as it came", "", "airbridged.toml\nairbridged.toml.d\nREADME"},
			{"as it came, with a drop-in", "mkdir $etc.d; cp /root/mine $etc.d/site.toml", "airbridged.toml\nairbridged.toml.d\nREADME\nsite.toml"},
			{"edited, with a drop-in", "cp /root/mine $etc; mkdir $etc.d; echo '[log]' >$etc.d/site.toml", "airbridged.toml\nairbridged.toml.d\n00-site.toml\nREADME\nsite.toml"},
			{"edited, with one that comes first", "cp /root/mine $etc; mkdir $etc.d; echo '[log]' >$etc.d/00-base.toml", "airbridged.toml\nairbridged.toml.d\n!site.toml\n00-base.toml\nREADME"},
			{"a link", "cp /root/mine /root/real; ln -sf ../../root/real $etc", "airbridged.toml\nairbridged.toml.d\nREADME\nsite.toml"},
			{"deleted", "rm $etc", "airbridged.toml\nairbridged.toml.d\nREADME"},
			{"emptied", ": >$etc", "airbridged.toml\nairbridged.toml.d\nREADME"},
			{"edited, and removed meanwhile", "cp /root/mine $etc; dpkg -r airbridged", "airbridged.toml\nairbridged.toml.d\nREADME\nsite.toml"},
		} {
			t.Run(form.name, func(t *testing.T) {
				c.T = t
				defer func() { c.T = nil }()
				again()
				c.put("/root/mine", "644", edited)
				c.sh("etc=/etc/airbridged/airbridged.toml; " + form.prepare)
				c.sh("dpkg -i /root/airbridged.deb </dev/null 2>&1")
				if got := files(); got != form.want {
					t.Errorf("there is %q, want %q", got, form.want)
				}
				if size := c.sh("stat -c %F%s " + conffile); size != "regular empty file0" {
					t.Errorf("%s is a %s", conffile, size)
				}
				if strings.Contains(form.prepare, "mine $etc;") || strings.Contains(form.prepare, "ln -s") {
					c.has(c.sh("AIRBRIDGED_PRODUCT_SECRET=x airbridged --check-config --dump 2>&1"), `level = "debug"`)
				}
			})
		}
		c.T = t
	})
}

// An upgrade that fails leaves the configuration where it was.
func TestUpgradeThatFails(t *testing.T) {
	all(t)
	need(t)
	broken := altered(t, debs(t).daemon, `echo x >"$1/usr/bin/airsim"`) // a file of another package
	each(t, func(c *container) {
		c.copyIn(broken, "/root/broken.deb")
		c.sh("dpkg -i /root/earlier.deb")
		c.put(conffile, "644", edited)
		c.fails(1, "dpkg -i /root/broken.deb </dev/null 2>&1")
		if got := c.sh("cat " + conffile + "; find /etc/airbridged -name '*site*' -o -name '*.moved'"); got != strings.TrimSpace(edited) {
			c.Errorf("left: %s", got)
		}
		c.has(c.sh("dpkg-query -Wf '${Status} ${Version}' airbridged"), "install ok installed 0.1.0")
	})
}

// What somebody has disabled stays so in an upgrade, a socket that 0.1.0 brought disabled
// among it.
func TestUpgradeOfADisabledDaemon(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		c.sh("dpkg -i /root/earlier.deb")
		c.put(site, "644", configuration)
		c.sh("systemctl --quiet disable --now airbridged.service airbridged.socket airbridged-metrics.socket; systemctl reset-failed")
		c.dpkg("-i /root/airbridged.deb")
		c.active("inactive", "airbridged.service", "airbridged.socket", "airbridged-mqtt.socket", "airbridged-metrics.socket")
		if left := c.sh("find /etc/systemd/system -name 'airbridged*'"); left != "" {
			c.Errorf("enabled: %s", left)
		}
	})
}

// A gateway that works is told nothing false by an upgrade: not one whose secret is
// encrypted, nor one that has instances only. (It was told that there is no usable
// configuration, with the advice to store the secret in plain text.)
func TestUpgradeOfAHealthyGateway(t *testing.T) {
	each(t, func(c *container) {
		c.sh("dpkg -i /root/earlier.deb; systemctl stop airbridged.socket airbridged-metrics.socket airbridged; systemctl reset-failed")
		c.airsim("airsim", "--imei "+imei)
		c.secret("")
		c.put(site, "644", configuration)
		c.sh("systemd-creds encrypt --with-key=host --name=product-secret " + credstore + ".product-secret /etc/airbridged/product-secret.cred; rm " + credstore + ".product-secret")
		c.put("/etc/systemd/system/airbridged.service.d/secret.conf", "644", "[Service]\nLoadCredential=\nLoadCredentialEncrypted=product-secret:/etc/airbridged/product-secret.cred\n")
		c.sh("systemctl daemon-reload; systemctl restart airbridged")
		c.online(apiSocket)
		c.instance("north", "862991419835258")
		main := c.property("airbridged@north", "MainPID")
		said := c.dpkg("-i /root/airbridged.deb")
		c.lacks(said, "configur")
		c.lacks(said, "credstore")
		c.online(apiSocket)
		c.online("/run/airbridged/north.sock")
		if c.property("airbridged@north", "MainPID") == main {
			c.Error("the instance still runs the old program")
		}
		c.sh("airbridgectl doctor; airbridgectl doctor --take-port")
		c.sh("airbridgectl --socket /run/airbridged/north.sock doctor --config /etc/airbridged/north.toml")
		c.has(c.sh("airbridged --check-config"), "no mistakes")

		// Now with the instance alone.
		c.sh("systemctl stop airbridged.socket airbridged-metrics.socket airbridged; systemctl --quiet disable airbridged.service airbridged.socket airbridged-metrics.socket; rm -r " + site + " /etc/systemd/system/airbridged.service.d; systemctl daemon-reload")
		c.lacks(c.dpkg("-i /root/airbridged.deb"), "configur")
		c.active("inactive", "airbridged.service", "airbridged.socket", "airbridged-metrics.socket")
		c.online("/run/airbridged/north.sock")
	})
}
