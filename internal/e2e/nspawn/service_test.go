package nspawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The published example product of the vendor's guide.
const (
	productKey    = "b1KCi45LcCP"
	productSecret = "VWll9fiYWKiwraBk"
	imei          = "862991419835241"
	update        = "/" + productKey + "/" + imei + "/update"
)

const configuration = `[modem]
device = "/run/airsim/modem"
[device]
product_key = "` + productKey + `"
[recovery]
backoff_min = "100ms"
backoff_max = "2s"
connects_per_minute = 60
`

// A package's life on each Debian that it is for.
func TestDebian(t *testing.T) {
	need(t)
	all(t)
	deb := debs(t)
	for _, release := range []string{"bookworm", "trixie"} {
		t.Run(release, func(t *testing.T) {
			c := boot(t, release)
			c.copyIn(deb.daemon, "/root/airbridged.deb")
			c.copyIn(deb.simulator, "/root/airsim.deb")
			for _, step := range []struct {
				name string
				do   func(*container)
			}{
				{"install", (*container).install},
				{"with a wrong configuration", (*container).misconfigured},
				{"start", (*container).start},
				{"credential", (*container).credential},
				{"units as installed", (*container).units},
				{"socket permissions", (*container).permissions},
				{"journal", (*container).journal},
				{"metrics", (*container).metrics},
				{"reload", (*container).reload},
				{"socket activation", (*container).activation},
				{"nobody is refused during a restart", (*container).restart},
				{"watchdog", (*container).watchdog},
				{"encrypted credential", (*container).encrypted},
				{"own user namespace", (*container).privateUsers},
				{"socket for MQTT", (*container).mqtt},
				{"second module", (*container).template},
				{"upgrade", (*container).upgrade},
			} {
				begin, ok := time.Now(), false
				t.Run(step.name, func(t *testing.T) {
					part := *c
					part.T = t
					c.sh("systemctl reset-failed") // a person does not restart it 20 times in half a minute
					step.do(&part)
					ok = !t.Failed()
				})
				t.Logf("%-40s %5.1f s", step.name, time.Since(begin).Seconds())
				if !ok {
					t.Fatal("the steps after a failed one mean nothing")
				}
			}
		})
	}
}

func (c *container) install() {
	c.sh("dpkg -i /root/airbridged.deb /root/airsim.deb")
	for _, unit := range []string{"airbridged.service", "airbridged.socket", "airbridged-mqtt.socket", "airbridged-metrics.socket"} {
		if said, _ := c.try("systemctl", "is-enabled", unit); said != "enabled" {
			c.Errorf("%s is %s", unit, said)
		}
	}
	c.sh("getent passwd airbridged; getent group airbridged")
}

// starts counts how often the service was started since the last vacuum of the
// journal.
func (c *container) starts(since string) int {
	c.Helper()
	n, err := strconv.Atoi(c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged.service --since='" + since + "' | grep -c '^Starting ' || true"))
	if err != nil {
		c.Fatal(err)
	}
	return n
}

func (c *container) now() string { return c.sh("date '+%F %T'") }

// With a mistake in its configuration the service is not started again and again. A
// program that knocks is told the mistakes, and can go on knocking: the sockets stay.
func (c *container) misconfigured() {
	c.put(site, "644", "[modem]\nbawd = 9600\n")
	c.fails(1, "systemctl restart airbridged")
	if s := c.property("airbridged", "ExecMainStatus"); s != "78" {
		c.Fatalf("status %s", s)
	}
	c.has(c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u airbridged -p err"), site+":2:1: modem.bawd: ")
	since := c.now()
	for range 4 {
		said := c.fails(78, "timeout 60 airbridgectl status")
		c.has(said, site+":2:1: modem.bawd: ")
		c.has(said, "systemctl restart airbridged")
	}
	c.fails(78, "timeout 60 airbridgectl pub "+update+" lost")
	n := c.starts(since)
	c.Logf("a program that knocks while the configuration is wrong: started %d times, the socket is %s", n, c.property("airbridged.socket", "SubState"))
	if n > 5 {
		c.Errorf("started %d times", n)
	}
	c.active("active", "airbridged.socket", "airbridged-metrics.socket")
	c.sh("rm " + site + "; systemctl stop airbridged.target; systemctl reset-failed")
}

// airsim is a module in the container, on a terminal that the daemon may open. It is
// root's, so that it sees who has its terminal open: doctor, too.
func (c *container) airsim(name string, args string) {
	c.sh("systemd-run -q --unit=" + name + " -p RuntimeDirectory=" + name + " /usr/bin/airsim --link /run/" + name +
		"/modem --control /run/" + name + "/control --product-key " + productKey + " --product-secret " + productSecret + " --connects-per-minute -1 " + args)
	c.await("the module", func() error {
		if _, code := c.try("test", "-e", "/run/"+name+"/modem"); code != 0 {
			return errors.New("no terminal")
		}
		return nil
	})
	c.sh("chmod 666 /run/" + name + "/modem")
}

// do gives airsim a command.
func (c *container) do(command string) string {
	c.Helper()
	return c.sh("AIRSIM_CONTROL=/run/airsim/control airsim do " + command)
}

// status asks the daemon.
func (c *container) status(socket string) (state, cause string, err error) {
	c.Helper()
	said, code := c.try("airbridgectl", "--socket", socket, "status", "--json")
	if code != 0 {
		return "", "", fmt.Errorf("exit %d: %s", code, said)
	}
	var st struct{ State, Cause string }
	err = json.Unmarshal([]byte(said), &st)
	return st.State, st.Cause, err
}

const apiSocket = "/run/airbridged/airbridged.sock"

func (c *container) online(socket string) {
	c.Helper()
	begin := time.Now()
	c.await("online", func() error {
		state, cause, err := c.status(socket)
		if err == nil && state != "online" {
			err = fmt.Errorf("%s %s", state, cause)
		}
		return err
	})
	if d := time.Since(begin); d > 3*time.Second {
		c.Logf("it took %v to come online:\n%s", d.Round(100*time.Millisecond), c.sh("journalctl -q --sync; journalctl -q --no-pager -o cat -u 'airbridged*' -n 12"))
	}
}

func (c *container) start() {
	c.configure()
	if got := c.property("airbridged", "ActiveState") + " " + c.property("airbridged", "Type"); got != "active notify" {
		c.Errorf("the service is %s", got)
	}
	c.await("STATUS=", func() error {
		if s := c.property("airbridged", "StatusText"); !strings.HasPrefix(s, "Online since ") {
			return errors.New(s)
		}
		return nil
	})
	c.has(c.sh("airbridgectl pub --wait 30s "+update+" one"), "acked")
}

// The secret is the daemon's alone, however this version of systemd stores it.
func (c *container) credential() {
	c.Logf("%s", c.sh("ls -l /run/credentials/airbridged.service/ | grep secret"))
	c.has(c.sh("systemd-run -q --pipe --wait -p LoadCredential=product-secret:airbridged.product-secret airbridged --check-config"), "no mistakes")
	c.sh("useradd --create-home guest; useradd --create-home --groups airbridged app")
	c.fails(1, "su guest -c 'cat /run/credentials/airbridged.service/product-secret' 2>/dev/null")
	c.fails(1, "su app -c 'cat /run/credentials/airbridged.service/product-secret' 2>/dev/null")
	for _, line := range strings.Split(c.sh("journalctl -q --no-pager -o cat; cat /proc/$(systemctl show --value -p MainPID airbridged)/environ | tr '\\0' '\\n'"), "\n") {
		if strings.Contains(line, productSecret) && !strings.Contains(line, "airsim") {
			c.Errorf("the secret is in %s", line)
		}
	}
}

// What the tools say of the installed units on this version of systemd: here, and
// not only on the one that the package was built on.
func (c *container) units() {
	if said := c.sh("systemd-analyze verify --man=no --recursive-errors=no airbridged.service airbridged.socket airbridged-metrics.socket airbridged-mqtt.socket airbridged@x.service airbridged@x.socket 2>&1"); said != "" {
		c.Errorf("verify: %s", said)
	}
	score := c.sh("systemd-analyze security --threshold=6 --no-pager airbridged.service")
	c.Logf("running: %s", score[strings.LastIndex(score, "Overall"):])
	said, code := c.try("udevadm", "verify", "--resolve-names=never", "/usr/lib/udev/rules.d/90-airbridged.rules")
	switch {
	case strings.Contains(said, "Unknown command verb") || strings.Contains(said, "unknown"):
		c.Logf("udevadm verify: this version has none")
	case code != 0:
		c.Errorf("udevadm verify: %s", said)
	}
}

// Members of the group may use the socket and nothing else; who they are is seen.
func (c *container) permissions() {
	if got := c.sh("stat -c '%A %U %G' " + apiSocket); got != "srw-rw---- root airbridged" {
		c.Errorf("the socket is %s", got)
	}
	if got := c.sh("stat -c '%a %U' /var/lib/airbridged /var/lib/airbridged/credentials.json"); got != "700 airbridged\n600 airbridged" {
		c.Errorf("state: %s", got)
	}
	c.has(c.sh("su app -c 'airbridgectl pub --wait 30s "+update+" two'"), "acked")
	c.fails(77, "su guest -c 'airbridgectl status'")
	c.has(c.fails(77, "su app -c 'airbridgectl reload'"), "uid "+c.sh("id -u app"))
	c.sh("su app -c 'airbridgectl outbox drop --topic /none'; airbridgectl reload")

	// Another group in a drop-in of the socket stays what it is when the service
	// starts.
	c.sh("groupadd apps")
	c.put("/etc/systemd/system/airbridged.socket.d/group.conf", "644", "[Socket]\nSocketGroup=apps\n")
	c.sh("systemctl daemon-reload; systemctl stop airbridged.service; systemctl restart airbridged.socket; systemctl start airbridged.service")
	if got := c.sh("stat -c '%A %U %G' " + apiSocket); got != "srw-rw---- root apps" {
		c.Errorf("with SocketGroup=apps the socket is %s", got)
	}
	c.sh("rm /etc/systemd/system/airbridged.socket.d/group.conf; systemctl daemon-reload; systemctl stop airbridged.service; systemctl restart airbridged.socket; systemctl start airbridged.service")
	c.online(apiSocket)
}

// journald takes the priority from each line and keeps it out of the text.
func (c *container) journal() {
	said := c.sh("journalctl -q --sync; journalctl -q --no-pager -u airbridged -o json --output-fields=PRIORITY,MESSAGE _COMM=airbridged")
	byLevel := map[string]string{"debug": "7", "info": "6", "warn": "4", "error": "3"}
	seen := map[string]int{}
	for _, line := range strings.Split(said, "\n") {
		var entry struct{ PRIORITY, MESSAGE string }
		var log struct{ Level string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			c.Fatalf("%v in %s", err, line)
		}
		if json.Unmarshal([]byte(entry.MESSAGE), &log) != nil {
			continue // a mistake of the configuration, in plain text
		}
		seen[log.Level]++
		if entry.PRIORITY != byLevel[log.Level] {
			c.Errorf("priority %s for %s", entry.PRIORITY, entry.MESSAGE)
		}
	}
	c.Logf("lines by level: %v", seen)
	if seen["info"] == 0 {
		c.Error("there is no line of level info")
	}
}

// The daemon has no network of its own, and yet answers scrapes on loopback.
func (c *container) metrics() {
	c.has(c.sh("curl -fsS http://127.0.0.1:9481/metrics"), `airbridged_session_state{state="online"} 1`)
	pid := c.property("airbridged", "MainPID")
	if own, our := c.sh("readlink /proc/"+pid+"/ns/net"), c.sh("readlink /proc/1/ns/net"); own == our {
		c.Errorf("the daemon has the network of the system (%s)", own)
	}
}
