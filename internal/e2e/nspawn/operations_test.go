package nspawn

import (
	"fmt"
	"strings"
	"time"
)

// systemctl reload waits, and fails with the mistakes; the daemon goes on.
func (c *container) reload() {
	main := c.property("airbridged", "MainPID")
	c.put("/etc/airbridged/airbridged.toml.d/zz.toml", "644", "[log]\nlevel = \"debug\"\n")
	c.sh("systemctl reload airbridged")
	c.has(c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged"), `"changed":["log.level"]`)

	c.put("/etc/airbridged/airbridged.toml.d/zz.toml", "644", "[modem]\nbawd = 9600\n[log]\nlevel = \"loud\"\n")
	c.fails(1, "systemctl reload airbridged")
	said := c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged -n 20")
	c.has(said, "/etc/airbridged/airbridged.toml.d/zz.toml:2:1: modem.bawd: ")
	c.has(said, "/etc/airbridged/airbridged.toml.d/zz.toml:4:1: log.level: ")
	c.fails(78, "airbridgectl reload")
	c.sh("rm /etc/airbridged/airbridged.toml.d/zz.toml; systemctl reload airbridged")
	if now := c.property("airbridged", "MainPID"); now != main || c.property("airbridged", "SubState") != "running" {
		c.Errorf("process %s became %s, %s", main, now, c.property("airbridged", "SubState"))
	}
}

// A program that connects to the socket of a stopped daemon starts it.
func (c *container) activation() {
	begin := time.Now()
	c.sh("systemctl stop airbridged.service 2>/dev/null")
	if d := time.Since(begin); d > 4*time.Second {
		c.Errorf("with nothing to do it took %v to stop", d)
	}
	if s := c.property("airbridged", "ActiveState"); s != "inactive" {
		c.Fatalf("stopped, it is %s", s)
	}
	c.has(c.sh("airbridgectl status"), "state ")
	if s := c.property("airbridged", "ActiveState"); s != "active" {
		c.Errorf("after a program connected it is %s", s)
	}
	c.online(apiSocket)
}

// Programs publish all the time while the daemon is restarted: none is refused,
// and everything arrives.
func (c *container) restart() {
	const messages = 300
	began := make(chan string, 1)
	go func() {
		said, code := c.try("sh", "-euc", fmt.Sprintf("for i in $(seq %d); do airbridgectl pub %s restart-$i >/dev/null; done", messages, update))
		began <- fmt.Sprintf("exit %d %s", code, said)
	}()
	for range 3 {
		c.sh("systemctl restart airbridged.service")
	}
	if said := <-began; said != "exit 0 " {
		c.Errorf("publishing during restarts: %s", said)
	}
	c.arrived("restart-", messages)
}

// arrived waits until the cloud has got so many different messages.
func (c *container) arrived(prefix string, want int) {
	c.Helper()
	c.await("messages at the cloud", func() error {
		got := c.sh("curl -fsS --unix-socket /run/airsim/control 'http://airsim/v1/messages?follow=0' | grep -o '" + prefix + "[0-9]*' | sort -u | wc -l")
		if got != fmt.Sprint(want) {
			return fmt.Errorf("%s of %d", got, want)
		}
		return nil
	})
}

// A process that is frozen does not ping: systemd kills it and starts another,
// which comes back online.
func (c *container) watchdog() {
	c.put("/etc/systemd/system/airbridged.service.d/watchdog.conf", "644", "[Service]\nWatchdogSec=4s\nRestartSec=1s\n")
	c.sh("systemctl daemon-reload; systemctl restart airbridged")
	c.online(apiSocket)
	time.Sleep(10 * time.Second) // more than two intervals: it lives because it pings
	main := c.property("airbridged", "MainPID")
	if n := c.property("airbridged", "NRestarts"); n != "0" {
		c.Fatalf("a working daemon was restarted %s times", n)
	}
	begin := time.Now()
	c.sh("kill -STOP " + main)
	c.await("another process", func() error {
		if now := c.property("airbridged", "MainPID"); now == main || now == "0" {
			return fmt.Errorf("process %s", now)
		}
		return nil
	})
	c.Logf("frozen, killed and started anew within %v (WatchdogSec=4s, RestartSec=1s)", time.Since(begin).Round(100*time.Millisecond))
	c.has(c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged"), "Watchdog timeout")
	c.online(apiSocket)
	c.sh("rm /etc/systemd/system/airbridged.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart airbridged")
	c.online(apiSocket)
}

// dropIn puts one of the shipped examples in force.
func (c *container) dropIn(name string) (undo func()) {
	c.Helper()
	c.sh("mkdir -p /etc/systemd/system/airbridged.service.d; cd /usr/share/doc/airbridged/examples/systemd; " +
		"{ cat " + name + ".conf 2>/dev/null || zcat " + name + ".conf.gz; } >/etc/systemd/system/airbridged.service.d/" + name + ".conf; systemctl daemon-reload; systemctl restart airbridged")
	return func() {
		c.sh("rm /etc/systemd/system/airbridged.service.d/" + name + ".conf; systemctl daemon-reload; systemctl restart airbridged")
		c.online(apiSocket)
	}
}

// The secret at rest can be encrypted with the machine's key.
func (c *container) encrypted() {
	c.sh("systemd-creds encrypt --with-key=host --name=product-secret /etc/credstore/airbridged.product-secret /etc/airbridged/product-secret.cred; " +
		"mv /etc/credstore/airbridged.product-secret /root/")
	undo := c.dropIn("encrypted-secret")
	c.online(apiSocket)
	c.sh("mv /root/airbridged.product-secret /etc/credstore/")
	undo()
}

// With PrivateUsers=yes the daemon works, but no longer sees who connects: the
// reason why the unit does not have it.
func (c *container) privateUsers() {
	c.put("/etc/airbridged/airbridged.toml.d/zz.toml", "644", "[log]\nlevel = \"debug\"\n")
	who := func() string {
		c.sh("su app -c 'airbridgectl outbox' 2>/dev/null")
		return c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged | grep 'GET /v1/outbox' | tail -n 1 | grep -o '\"uid\":[0-9]*'")
	}
	c.sh("systemctl restart airbridged")
	if got := who(); got != `"uid":`+c.sh("id -u app") {
		c.Errorf("as installed, a program is %s", got)
	}
	undo := c.dropIn("private-users")
	c.online(apiSocket)
	if got := who(); got != `"uid":65534` {
		c.Errorf("with a user namespace of its own, a program is %s", got)
	}
	c.sh("airbridgectl reload; rm /etc/airbridged/airbridged.toml.d/zz.toml")
	undo()
}

// MQTT programs find their socket, also while the daemon does not run yet.
func (c *container) mqtt() {
	c.sh("systemctl stop airbridged.service 2>/dev/null; systemctl start airbridged-mqtt.socket")
	c.sh("curl -sS --max-time 60 --unix-socket /run/airbridged/mqtt.sock -d hello mqtt://localhost/test")
	c.online(apiSocket)
}

// A second module by the template: its own configuration, state, secret and
// socket.
func (c *container) template() {
	c.airsim("airsim2", "--imei 862991419835258")
	c.put("/etc/airbridged/second.toml", "644", strings.Replace(configuration, "/run/airsim/", "/run/airsim2/", 1)+`[state]
dir = "/var/lib/airbridged-second"
[outbox]
dir = "/var/lib/airbridged-second/outbox"
[socket]
path = "/run/airbridged/second.sock"
[metrics]
listen = "unix:/run/airbridged/second-metrics.sock"
[mqtt]
socket = ""
`)
	c.sh("cp -p /etc/credstore/airbridged.product-secret /etc/credstore/airbridged-second.product-secret")
	c.sh("systemctl start airbridged@second.socket airbridged@second.service")
	c.online("/run/airbridged/second.sock")
	c.online(apiSocket)
	c.sh("systemctl reload airbridged@second")
	c.has(c.sh("curl -fsS --unix-socket /run/airbridged/second-metrics.sock http://d/metrics"), `airbridged_session_state{state="online"} 1`)
	c.sh("systemctl stop airbridged@second.target airsim2")
	if _, code := c.try("test", "-e", apiSocket); code != 0 {
		c.Error("the first one's socket is gone")
	}
	c.online(apiSocket)
}

// The package is upgraded while the cloud is out of reach and messages wait: the
// programs notice nothing, and every message arrives.
func (c *container) upgrade() {
	const messages = 50
	c.await("an empty queue", func() error { // what an earlier step sent with QoS 0 does not outlive the daemon
		if n := c.sh("airbridgectl outbox --json | wc -l"); n != "0" {
			return fmt.Errorf("%s messages", n)
		}
		return nil
	})
	c.do("outage on")
	c.sh(fmt.Sprintf("for i in $(seq %d); do airbridgectl pub %s upgrade-$i >/dev/null; done", messages, update))
	before, main := c.sh("airbridgectl outbox --json | wc -l"), c.property("airbridged", "MainPID")
	inode := c.sh("stat -c %i " + apiSocket)
	if before == "0" {
		c.Fatal("nothing waits, so nothing is tested")
	}
	c.Logf("%s messages wait; upgrading %s", before, c.sh("dpkg-query -Wf '${Version}' airbridged"))
	c.sh("dpkg -i /root/airbridged.deb")
	c.Logf("upgraded to %s", c.sh("dpkg-query -Wf '${Version}' airbridged"))
	if now := c.property("airbridged", "MainPID"); now == main {
		c.Error("the old process still runs")
	}
	if now := c.sh("stat -c %i " + apiSocket); now != inode {
		c.Error("the socket was made anew: a program that connected in between was refused")
	}
	if after := c.sh("airbridgectl outbox --json | wc -l"); after != before {
		c.Errorf("%s messages wait after the upgrade, %s before", after, before)
	}
	c.do("outage off")
	c.arrived("upgrade-", messages)
}
