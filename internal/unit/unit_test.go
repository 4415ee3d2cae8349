package unit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shown is what systemd 252 prints of the packaged unit, shortened.
const shown = `ExecMainCode=1
ExecMainStatus=78
Result=exit-code
ExecStart={ path=/usr/bin/airbridged ; argv[]=/usr/bin/airbridged --config /etc/airbridged/north.toml ; ignore_errors=no ; pid=0 }
DeviceAllow=char-ttyACM rw
DeviceAllow=char-ttyUSB rw
DevicePolicy=closed
User=airbridged
SupplementaryGroups=dialout gpio
ReadWritePaths=/data/queue -/data/other
ProtectHome=yes
ProtectSystem=strict
RuntimeDirectory=airbridged
StateDirectory=airbridged-north
TriggeredBy=airbridged@north.socket metrics.socket
LoadState=loaded
ActiveState=failed
SubState=failed
ConditionResult=yes
`

func TestParse(t *testing.T) {
	u := Parse("airbridged@north.service", shown)
	if u.State != "failed" || u.Result != "exit-code" || u.Exit != 78 || !u.Ended || !u.Condition || u.Runs() {
		t.Errorf("%+v", u)
	}
	if u.Base() != "airbridged@north" || u.configuration() != "/etc/airbridged/north.toml" {
		t.Errorf("%s with %s", u.Base(), u.configuration())
	}
	if !slices.Equal(u.Triggers, []string{"airbridged@north.socket", "metrics.socket"}) || !slices.Equal(u.OwnGroups(), []string{"dialout", "gpio"}) {
		t.Errorf("triggers %q, groups %q", u.Triggers, u.OwnGroups())
	}
	if !u.AllowsDevice("char-ttyUSB") || u.AllowsDevice("char-gpiochip") {
		t.Error("devices")
	}
	if got := u.Ending(); !strings.Contains(got, "configuration") {
		t.Errorf("exit status 78 is %q", got)
	}
}

// Whoever presses Ctrl-C twice while the service is stopped for him gets it started again:
// the terminal's signal does not reach the systemctl that does it. (The service stayed
// stopped, with its sockets.)
func TestStartingAgainIsNotInterrupted(t *testing.T) {
	dir := t.TempDir()
	const script = "#!/bin/sh\ncase $2 in show) echo active;; *) cut -d ' ' -f 1,5 /proc/$$/stat >>\"$GROUPS_FILE\"; echo $2 >>\"$GROUPS_FILE\";; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("GROUPS_FILE", filepath.Join(dir, "groups"))
	was := running
	running = dir
	defer func() { running = was }()
	start, err := Parse("airbridged.service", shown).Stop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := start(t.Context()); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "groups"))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(said))
	if len(words) != 6 || words[2] != "stop" || words[5] != "start" {
		t.Fatalf("systemctl was called otherwise: %q", said)
	}
	if words[0] != words[1] || words[3] != words[4] {
		t.Errorf("systemctl is in a process group with others: %q", said)
	}
}

// systemctl quotes what has a blank or a backslash in it. (An instance called roof\x20east
// was told that its own directory is closed to it, and the socket that starts it was not
// found.)
func TestNamesThatSystemdEscapes(t *testing.T) {
	u := Parse(`airbridged@roof\x20east.service`, `ExecStart={ path=/usr/bin/airbridged ; argv[]=/usr/bin/airbridged --config "/etc/airbridged/roof\\x20east.toml" ; ignore_errors=no ; pid=0 }
ProtectSystem=strict
ReadWritePaths="/srv/my data/queue" /mnt/disk
StateDirectory="airbridged-roof\\x20east"
TriggeredBy="airbridged@roof\\x20east.socket" metrics.socket
`)
	if got := u.configuration(); got != `/etc/airbridged/roof\x20east.toml` {
		t.Errorf("configuration %s", got)
	}
	if want := []string{`airbridged@roof\x20east.socket`, "metrics.socket"}; !slices.Equal(u.Triggers, want) {
		t.Errorf("triggers %q", u.Triggers)
	}
	for dir, want := range map[string]bool{`/var/lib/airbridged-roof\x20east/outbox`: true, "/srv/my data/queue/outbox": true, "/mnt/disk": true, "/srv/my": false} {
		if got := u.Writable(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}

func TestWritable(t *testing.T) {
	u := Parse("airbridged@north.service", shown)
	for dir, want := range map[string]bool{
		"/var/lib/airbridged-north": true, "/var/lib/airbridged-north/outbox": true, "/run/airbridged": true, "/data/queue": true, "/data/other/x": true,
		"/data": false, "/data/queue2": false, "/var/lib/airbridged": false, "/home/pi/queue": false, "/etc/airbridged": false, "/": false,
	} {
		if got := u.Writable(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
	open := Parse("x.service", "ProtectSystem=full\nProtectHome=read-only\n")
	for dir, want := range map[string]bool{"/data/queue": true, "/etc/x": false, "/root/x": false, "/usr/x": false, "/var/x": true} {
		if got := open.Writable(dir); got != want {
			t.Errorf("ProtectSystem=full: %s: %v", dir, got)
		}
	}
}

// What a drop-in empties, and what others name, in the order in which they count.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := file("secret", "x")
	base := file("unit", "[Unit]\nLoadCredential=no:such\n[Service]\n# LoadCredential=a:b\nLoadCredential=product-secret:"+secret+"\nLoadCredential=device-secret:airbridged-%i.none\n")
	encrypted := file("encrypted", "[Service]\nLoadCredential=\nLoadCredentialEncrypted=product-secret:\\\n"+secret+"\n")
	emptied := file("zzz-lxc-service.conf", "[Service]\nProtectProc=default\nLoadCredential=\n")
	set := file("set", "[Service]\nSetCredential=product-secret:text\n")

	list := func(files ...string) (string, string) {
		found, by := (&Unit{Name: "airbridged@north.service", files: files}).Credentials()
		var words []string
		for _, c := range found {
			word := c.Setting + " " + c.Name
			if c.There() {
				word += " there"
			}
			if c.Readable() {
				word += " readable"
			}
			words = append(words, word)
		}
		return strings.Join(words, ", "), by
	}
	for _, c := range []struct {
		files    []string
		want, by string
	}{
		{[]string{base}, "LoadCredential product-secret there readable, LoadCredential device-secret readable", ""},
		{[]string{base, encrypted}, "LoadCredentialEncrypted product-secret there", ""},
		{[]string{base, emptied}, "", emptied},
		{[]string{base, emptied, set}, "SetCredential product-secret there", ""},
		{[]string{filepath.Join(dir, "gone"), base, emptied, base}, "LoadCredential product-secret there readable, LoadCredential device-secret readable", ""},
	} {
		if got, by := list(c.files...); got != c.want || by != c.by {
			t.Errorf("%q: %q, emptied by %q", c.files, got, by)
		}
	}
	u := &Unit{Name: "airbridged.service", files: []string{base, emptied}}
	for _, words := range []string{secret + " is there", emptied, "product-secret, with mode 0600"} {
		if s := u.Service(); !strings.Contains(s.NoSecret, words) {
			t.Errorf("%q is not in %q", words, s.NoSecret)
		}
	}
}
