package nspawn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// One command stops it for good, whoever knocks and scrapes; stopping the service alone
// does not, and that is said.
func TestStoppingForGood(t *testing.T) {
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		c.sh("systemctl stop airbridged.service 2>/dev/null")
		c.has(c.sh("airbridgectl status 2>&1"), "systemctl stop airbridged.target stops it with its sockets")
		c.online(apiSocket)
		c.lacks(c.sh("airbridgectl status 2>&1"), "was stopped")

		// Whoever waits for a message's end waits over restarts.
		c.do("outage on")
		waited := make(chan string, 1)
		go func() {
			said, code := c.try("airbridgectl", "pub", "--wait", "50s", update, "waits")
			waited <- fmt.Sprintf("exit %d %s", code, said)
		}()
		c.await("the message in the queue", func() error {
			if n := c.sh("airbridgectl outbox --json | grep -c update || true"); n != "1" {
				return fmt.Errorf("%s messages", n)
			}
			return nil
		})
		c.sh("systemctl restart airbridged; systemctl kill -s KILL airbridged; systemctl restart airbridged")
		c.do("outage off")
		if said := <-waited; !strings.HasPrefix(said, "exit 0 ") || !strings.HasSuffix(said, " acked") {
			c.Errorf("a publish that waits over restarts: %s", said)
		}

		c.knock(apiSocket)
		for range 3 {
			c.sh("systemctl stop airbridged.target")
			time.Sleep(500 * time.Millisecond) // 20 knocks
			c.active("inactive", "airbridged.service", "airbridged.socket", "airbridged-metrics.socket")
			c.has(c.fails(69, "airbridgectl status 2>&1"), "airbridged.service is stopped; systemctl start airbridged.target")
			c.sh("systemctl start airbridged.target")
			c.online(apiSocket)
		}
		c.calm()
	})
}

// doctor asks the module itself although a daemon runs and programs knock, and gives
// the port back, also when it is interrupted. (The next scrape used to start the daemon
// in the middle of the conversation.)
func TestDoctorTakesThePort(t *testing.T) {
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		c.instance("north", "862991419835258")
		c.knock(apiSocket, "/run/airbridged/north.sock")
		main, other := c.property("airbridged", "MainPID"), c.property("airbridged@north", "MainPID")
		said := c.sh("airbridgectl doctor --take-port 2>&1")
		c.lacks(said, "FAIL")
		for _, line := range strings.Split(said, "\n") {
			if strings.Contains(line, "name lookup") && !strings.HasPrefix(line, "ok") {
				c.Errorf("the module was not asked: %s", line)
			}
		}
		c.active("active", "airbridged.service", "airbridged.socket", "airbridged-metrics.socket")
		if c.property("airbridged", "MainPID") == main || c.property("airbridged@north", "MainPID") != other {
			c.Error("not this daemon, and not it alone, was stopped")
		}
		c.online(apiSocket)

		c.sh("airbridgectl doctor --take-port --config /etc/airbridged/north.toml >/dev/null 2>&1 || true") // whatever it finds
		c.online("/run/airbridged/north.sock")
		for _, impatient := range []string{
			"timeout -s INT 0.3 airbridgectl doctor --take-port >/dev/null 2>&1", // to the whole process group, as Ctrl-C
			"timeout -s HUP 0.6 airbridgectl doctor --take-port >/dev/null 2>&1", // the terminal is gone
			"airbridgectl doctor --take-port 2>&1 | head -n 1",
		} {
			c.sh(impatient + " || true")
			c.active("active", "airbridged.service", "airbridged.socket", "airbridged-metrics.socket")
			c.online(apiSocket)
		}

		c.sh("systemctl stop airbridged.target; airbridgectl doctor --take-port >/dev/null")
		c.active("inactive", "airbridged.service", "airbridged.socket") // as it was
	})
}

// A queue on a data partition: the check says that the sandbox closes it, the daemon
// says so, the shipped drop-in opens it, and a disk that is mounted late is waited for.
// (It was "no mistakes", and then "read-only file system" for ever.)
func TestQueueOnADataPartition(t *testing.T) {
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		c.put("/etc/airbridged/airbridged.toml.d/zz.toml", "644", "[outbox]\ndir = \"/data/queue\"\n")
		mistake := c.fails(78, "airbridged --check-config 2>&1")
		c.has(mistake, "/etc/airbridged/airbridged.toml.d/zz.toml:2:1: outbox.dir: /data/queue is closed to airbridged.service")
		c.has(mistake, "ReadWritePaths=/data/queue")
		c.has(c.fails(1, "systemctl stop airbridged.target; airbridgectl doctor 2>&1"), "ReadWritePaths=/data/queue")
		c.sh("systemctl start airbridged.target")
		c.await("the reason in the journal", func() error {
			if said := c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged -n 30"); !strings.Contains(said, "ReadWritePaths=/data/queue") {
				return errors.New(said)
			}
			return nil
		})
		// A directory that is there is opened, and cannot be written to.
		c.sh("install -d -o airbridged -g airbridged -m 700 /data/queue; systemctl restart airbridged")
		c.has(c.fails(75, "airbridgectl pub "+update+" lost 2>&1"), "ReadWritePaths=/data/queue")
		c.has(c.fails(1, "airbridgectl doctor 2>&1"), "ReadWritePaths=/data/queue")

		c.dropIn("data-directory")
		c.has(c.sh("airbridged --check-config"), "no mistakes")
		c.online(apiSocket)
		c.has(c.sh("airbridgectl pub --wait 30s "+update+" there; ls /data/queue"), "acked")

		c.sh(`systemctl stop airbridged.target
cat >/etc/systemd/system/late.service <<END
[Service]
Type=oneshot
ExecStart=sleep 2
END
cat >/etc/systemd/system/late.mount <<END
[Unit]
Requires=late.service
After=late.service
[Mount]
What=late
Where=/late
Type=tmpfs
Options=mode=700,uid=airbridged
END
cd /etc/systemd/system/airbridged.service.d
sed -i s,/data/queue,/late, data-directory.conf
sed -i s,/data/queue,/late/queue, /etc/airbridged/airbridged.toml.d/zz.toml
systemctl daemon-reload; systemctl start airbridged`)
		c.online(apiSocket)
		if got := c.sh("stat -f -c %T /late/queue"); got != "tmpfs" {
			c.Errorf("the queue is on %s", got)
		}
	})
}

// A container manager's drop-in for all services takes the credentials away. The reason
// is named, and another way. (It was "no secret anywhere", while doctor said "no
// mistakes".)
func TestContainerManagerTakesCredentialsAway(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		// distrobuilder's, which LXD and Incus put into their containers
		c.put("/run/systemd/system/service.d/zzz-lxc-service.conf", "644", `[Service]
ProcSubset=all
ProtectProc=default
ProtectControlGroups=no
ProtectKernelTunables=no
NoNewPrivileges=no
LoadCredential=
PrivateNetwork=no
`)
		c.sh("systemctl daemon-reload")
		c.fails(1, "systemctl restart airbridged 2>&1")
		c.has(c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged -n 30"), "empties LoadCredential=")
		c.has(c.fails(78, "airbridgectl status 2>&1"), "empties LoadCredential=")
		said := c.fails(1, "airbridgectl doctor 2>&1")
		c.has(said, credstore+".product-secret is there, but systemd hands none over: /run/systemd/system/service.d/zzz-lxc-service.conf")
		c.has(c.fails(1, "systemctl stop airbridged.target; systemctl start airbridged || true; systemctl stop airbridged.socket airbridged-metrics.socket; airbridgectl doctor 2>&1"), "status 78")
		c.has(c.fails(78, "airbridged --check-config 2>&1"), "/etc/airbridged/product-secret")

		c.sh("install -o airbridged -g airbridged -m 600 " + credstore + ".product-secret /etc/airbridged/product-secret")
		c.put("/etc/airbridged/airbridged.toml.d/zz.toml", "644", "[device]\nproduct_secret_file = \"/etc/airbridged/product-secret\"\n")
		c.has(c.sh("airbridged --check-config"), "no mistakes")
		c.sh("systemctl start airbridged.target")
		c.online(apiSocket)
		c.sh("airbridgectl doctor")
	})
}

// The shipped gpio.conf starts on a system that had no group gpio, and what is wrong with
// the line is said before it is needed. (It ended with 216/GROUP.)
func TestResetLine(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		c.put("/etc/airbridged/airbridged.toml.d/zz.toml", "644", "[modem]\nreset_gpio = \"gpiochip0/17\"\n")
		c.dropIn("gpio")
		c.online(apiSocket)
		c.has(c.sh("airbridgectl status --json"), "reset-line")
		c.has(c.fails(1, "airbridgectl doctor 2>&1"), "there is no /dev/gpiochip0")
		if pid := c.property("airbridged", "MainPID"); !strings.Contains(c.sh("grep ^Groups /proc/"+pid+"/status"), c.sh("getent group gpio | cut -d : -f 3")) {
			c.Error("the daemon is not in the group gpio")
		}
	})
}

// An instance whose name systemd escapes is one like all others: doctor knows its
// directory, its socket is stopped before it, a purge empties it. And what an
// administrator masked stays so in an upgrade, and is named by a purge.
func TestEscapedNamesAndMasks(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		if c.release == "trixie" {
			c.Skip("systemd 257 cannot start it: systemd-executor: Failed to deserialize: Invalid argument")
		}
		c.dpkg("-i /root/airbridged.deb")
		c.configure()
		const roof = `roof\x20east`
		c.airsim("airsim-roof", "--imei 862991419835266")
		c.put("/root/roof.toml", "644", strings.Replace(configuration, "/run/airsim/", "/run/airsim-roof/", 1)+strings.ReplaceAll(`[state]
dir = '/var/lib/airbridged-NAME'
[outbox]
dir = '/var/lib/airbridged-NAME/outbox'
[socket]
path = '/run/airbridged/NAME.sock'
[metrics]
listen = ""
[mqtt]
socket = ""
`, "NAME", roof))
		c.secret("")
		c.sh("cp /root/roof.toml '/etc/airbridged/" + roof + ".toml'; cp -p " + credstore + ".product-secret '" + credstore + "-" + roof + ".product-secret'; " +
			"systemctl --quiet enable --now 'airbridged@" + roof + ".socket' 'airbridged@" + roof + ".service'")
		socket := "/run/airbridged/" + roof + ".sock"
		c.online(socket)
		c.sh("airbridgectl --socket '" + socket + "' doctor --config '/etc/airbridged/" + roof + ".toml'")
		c.sh("airbridgectl --socket '" + socket + "' doctor --take-port --config '/etc/airbridged/" + roof + ".toml'")
		c.online(socket)

		c.sh("systemctl --quiet mask --now airbridged-metrics.socket")
		c.dpkg("-i /root/airbridged.deb")
		c.online(apiSocket)
		c.online(socket)
		if said, _ := c.try("systemctl", "is-enabled", "airbridged-metrics.socket"); said != "masked" {
			c.Errorf("the masked socket is %s", said)
		}
		c.sh("airbridgectl doctor")

		said := c.dpkg("-r airbridged")
		c.lacks(said, "Invalid unit name")
		c.lacks(said, "Failed")
		c.gone()
		said = c.dpkg("-P airbridged")
		for _, what := range []string{
			"/var/lib/airbridged-" + roof + " is emptied", "  " + credstore + "-" + roof + ".product-secret: ",
			"  /etc/systemd/system/airbridged-metrics.socket: somebody masked it", "  the user airbridged: ",
		} {
			c.has(said, what)
		}
	})
}

// An instance has secrets of its own, however they are handed over; the same questions
// have the same answers as for the daemon without a name.
func TestSecretsOfAnInstance(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.instance("north", "862991419835258")
		const north, config = "/run/airbridged/north.sock", "/etc/airbridged/north.toml"
		healthy := func(how string) {
			c.Helper()
			c.sh("systemctl daemon-reload; systemctl restart airbridged@north.service")
			c.online(north)
			c.has(c.sh("airbridged --check-config --config "+config), "no mistakes")
			c.sh("airbridgectl --socket " + north + " doctor --config " + config)
			c.sh("airbridgectl --socket " + north + " doctor --take-port --config " + config)
			if said := c.dpkg("-i /root/airbridged.deb"); strings.Contains(said, "configur") || strings.Contains(said, "credstore") {
				c.Errorf("%s: an upgrade says %s", how, said)
			}
			c.online(north)
		}
		const dropIn = "/etc/systemd/system/airbridged@north.service.d/secret.conf"
		c.sh("mkdir -p $(dirname " + dropIn + "); mv " + credstore + "-north.product-secret /root/secret; cd /root; " +
			"{ echo '[Service]'; echo LoadCredential=; systemd-creds encrypt --with-key=host --name=product-secret --pretty secret -; } >" + dropIn)
		c.has(c.sh("cat "+dropIn), "SetCredentialEncrypted=product-secret")
		healthy("encrypted in the unit")
		c.put(dropIn, "600", "[Service]\nLoadCredential=\nSetCredential=product-secret:"+productSecret+"\n")
		healthy("in the unit")
		c.sh("install -d -m 700 /etc/credstore.encrypted; cd /root; systemd-creds encrypt --with-key=host --name=product-secret secret /etc/credstore.encrypted/north.cred")
		c.put(dropIn, "600", "[Service]\nLoadCredential=\nLoadCredentialEncrypted=product-secret:north.cred\n")
		healthy("encrypted in the store")

		// A container manager takes it away from all services.
		c.sh("rm " + dropIn + "; mv /root/secret " + credstore + "-north.product-secret")
		c.put("/run/systemd/system/service.d/zzz-lxc-service.conf", "644", "[Service]\nLoadCredential=\n")
		c.sh("systemctl daemon-reload; systemctl restart airbridged@north.service 2>/dev/null || true")
		c.has(c.fails(78, "airbridgectl --socket "+north+" status 2>&1"), "empties LoadCredential=")
		c.has(c.fails(1, "airbridgectl --socket "+north+" doctor --config "+config+" 2>&1"), credstore+"-north.product-secret is there, but systemd hands none over")
	})
}

// A queue in a directory with a blank in its path, for an instance, and a purge that
// leaves it and says so.
func TestQueueOfAnInstanceElsewhere(t *testing.T) {
	all(t)
	each(t, func(c *container) {
		c.dpkg("-i /root/airbridged.deb")
		c.instance("north", "862991419835258")
		c.sh(`install -d -o airbridged -g airbridged -m 700 '/srv/my data/queue'; sed -i 's,^dir = .*/outbox.*,dir = "/srv/my data/queue",' /etc/airbridged/north.toml`)
		const advice = `ReadWritePaths="/srv/my data/queue"`
		c.has(c.fails(78, "airbridged --check-config --config /etc/airbridged/north.toml 2>&1"), advice)
		c.sh("systemctl restart airbridged@north.service || true")
		c.has(c.fails(1, "airbridgectl --socket /run/airbridged/north.sock doctor --config /etc/airbridged/north.toml 2>&1"), advice)
		c.put("/etc/systemd/system/airbridged@north.service.d/data.conf", "644", "[Unit]\nRequiresMountsFor=\"/srv/my data/queue\"\n[Service]\n"+advice+"\n")
		c.sh("systemctl daemon-reload; systemctl restart airbridged@north.service")
		c.online("/run/airbridged/north.sock")
		c.has(c.sh("airbridged --check-config --config /etc/airbridged/north.toml"), "no mistakes")
		c.sh("airbridgectl --socket /run/airbridged/north.sock doctor --config /etc/airbridged/north.toml; ls '/srv/my data/queue' | grep .")
		c.has(c.dpkg("-P airbridged"), "/srv/my data/queue: the configuration put it outside")
		c.sh("ls '/srv/my data/queue' | grep .")
	})
}
