package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

// What each kind of value takes and refuses. The words behind a refusal are a
// part of its message.
func TestKindsOfValue(t *testing.T) {
	surroundings(t)
	for _, c := range []struct{ key, value, want string }{
		{"cloud.register_url", "https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device", ""},
		{"cloud.register_url", "https://h:65535/?a=b%20c", ""},
		{"cloud.register_url", "HTTPS://h/", ""},
		{"cloud.register_url", "iot-auth.cn-shanghai.aliyuncs.com", "is no address"},
		{"cloud.register_url", "https://%zz/", "is no address"},
		{"cloud.register_url", "https:///path", "has no host"},
		{"cloud.register_url", "https:h/path", "has no host"},
		{"cloud.register_url", "https://h:0/", "port 0"},
		{"cloud.register_url", "https://h/#x", "holds # or a backslash"},
		{"cloud.register_url", `https://h/\`, "holds # or a backslash"},
		{"cloud.register_url", "https://h/ü", "outside ASCII"},
		{"cloud.auth_url", "ftp://h/", "begins with ftp://, write https://"},
		{"cloud.mqtt_host", "127.0.0.1", ""},
		{"cloud.mqtt_host", "h:1883", `has a port, write "h" here and "1883" into cloud.mqtt_port`},
		{"cloud.mqtt_host", "h..x", "cannot be right"},
		{"cloud.mqtt_host", ".h", "cannot be right"},
		{"cloud.mqtt_host", "h/x", "cannot be right"},
		{"cloud.instance", "iot-06z00ipoepm2g97", ""},
		{"cloud.instance", "iot_ä", "cannot be right"},
		{"cloud.keepalive", "30s", ""},
		{"cloud.keepalive", "1200s", ""},
		{"cloud.keepalive", "1201s", "write a duration from 30s to 20m"},
		{"cloud.keepalive", "30500ms", "is 30.5s, write whole seconds"},
		{"modem.apn", "cmnet.mnc000.mcc460.gprs", ""},
		{"modem.apn", "a,b", "cannot be right"},
		{"modem.apn", `a\b`, "cannot be right"},
		{"modem.reset_gpio", "gpiochip0/17", ""},
		{"modem.reset_gpio", "gpiochip0/17/active-high", "is no GPIO line"},
		{"modem.reset_gpio", "/dev/gpiochip0/17", "is no GPIO line"},
		{"device.device_name", "862991419835241", ""},
		{"device.device_name", "a b c", "has a blank inside, after character 1"},
		{"device.device_name", "日本語日本語", "cannot be right"},
		{"socket.mode", "0777", ""},
		{"socket.mode", "1777", "is no file mode"},
		{"socket.mode", "77", "is no file mode"},
		{"socket.mode", "rw-rw----", "is no file mode"},
		{"socket.mode", "0440", "not even the owner"},
		{"socket.mode", "06\\u00005", "control character 0x00"},
		{"socket.group", "air-bridge_1", ""},
		{"socket.group", "-x", "is no name"},
		{"outbox.max_bytes", "65536B", ""},
		{"outbox.max_bytes", "1TiB", ""},
		{"outbox.max_bytes", "63KiB", "write a size from 64KiB to 1TiB"},
		{"outbox.max_bytes", "2TiB", "write a size from 64KiB to 1TiB"},
		{"outbox.max_bytes", "0B", "is 0B"},
		{"outbox.max_bytes", "64", "has no unit that is known"},
		{"outbox.max_bytes", "64m", `did you mean "64MiB"`},
		{"outbox.max_bytes", "64parsecs", "has no unit that is known"},
		{"outbox.max_bytes", "1.5GiB", "is no size"},
		{"outbox.max_bytes", "-1B", "is no size"},
		{"outbox.max_bytes", "999999999999999TiB", "more than can be counted"},
		{"outbox.max_bytes", "\\t", "is no size"},
		{"outbox.max_age", "0", ""},
		{"outbox.max_age", "87600h", ""},
		{"outbox.max_age", "99999999h", "is no duration"},
		{"outbox.max_age", "2 days", `days are written in hours: "48h"`},
		{"outbox.dir", "/data/outbox", ""},
		{"outbox.dir", "/tmp", "belongs to others too"},
		{"state.dir", "//", "belongs to others too"},
		{"state.dir", "/etc/.", "belongs to others too"},
		{"metrics.listen", "/run/x", "write it as unix:/run/x"},
		{"metrics.listen", "unix:x", "is no absolute path"},
		{"log.level", "warning", `did you mean "warn"?`},
	} {
		value := `"` + c.value + `"`
		if strings.Count(c.value, `\`) == 1 && !strings.Contains(c.value, `\u`) && !strings.Contains(c.value, `\t`) {
			value = "'" + c.value + "'"
		}
		got := strings.Join(mistakes(t, `device.product_key = "b1KCi45LcCP"`+"\n"+c.key+" = "+value+"\n"), "\n")
		if c.want == "" && got != "" || c.want != "" && (!strings.HasPrefix(got, "2:1: "+c.key+": ") || !strings.Contains(got, c.want) || strings.Contains(got, "\n")) {
			t.Errorf("%s = %s: %q, want %q", c.key, value, got, c.want)
		}
	}
}

// A value is shown in a message only up to a bound, and never cut inside a
// character.
func TestLongValuesAreShortened(t *testing.T) {
	surroundings(t)
	for _, long := range []string{strings.Repeat("x", 5000), strings.Repeat("é", 5000), "x" + strings.Repeat("é", 5000)} {
		got := mistakes(t, least+"[log]\nlevel = \""+long+"\"\n\""+long+"\" = 1\n")
		if len(got) != 2 || len(got[0]) > 300 || len(got[1]) > 800 || !utf8.ValidString(got[0]+got[1]) || !strings.Contains(got[0], "...") {
			t.Errorf("%q", got)
		}
	}
}

// A line that is no TOML is told with its place, its key, and what its writer may
// have meant; and it is the end of the list.
func TestSyntaxErrors(t *testing.T) {
	surroundings(t)
	for line, want := range map[string][2]string{
		"[modem":                {"modem: TOML: ", "close the bracket: [section]"},
		"[[subscribe]":          {"subscribe: TOML: ", "close both brackets: [[section]]"},
		"device = /dev/ttyUSB0": {"modem.device: TOML: ", "in quotes"},
		"apn = “CMIOT”":         {"modem.apn: TOML: ", "typographic quotes"},
		"baud 115200":           {"modem.baud: TOML: ", "a line reads key = value"},
		`apn = "cmiot`:          {"modem.apn: TOML: ", "close the quote on the same line"},
		"baud = 0660":           {"modem.baud: TOML: ", `put it in quotes, like a file mode: mode = "0660"`},
		`apn = "a\qb"`:          {"modem.apn: TOML: ", "a backslash begins an escape"},
		"apn = ":                {"modem.apn: TOML: ", "the value is missing"},
		`apn = """cmiot`:        {"modem.apn: TOML: ", "close the three quotes"},
		`reset_command = ["a"`:  {"modem.reset_command: TOML: ", "close the bracket of the list"},
		"= 1":                   {"syntax: TOML: ", "a line reads key = value"},
	} {
		got := mistakes(t, least+"[modem]\n"+line+"\nnonsense = 1\n")
		if len(got) != 1 || !strings.Contains(got[0], want[0]) || !strings.Contains(got[0], want[1]) || !strings.HasSuffix(got[0], "what is behind it was not read") {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// More subscriptions than the cloud takes.
func TestTooManySubscriptions(t *testing.T) {
	surroundings(t)
	var text strings.Builder
	for i := range 101 {
		text.WriteString("[[subscribe]]\ntopic = \"/" + strings.Repeat("a", i+1) + "\"\n")
	}
	got := mistakes(t, least+text.String())
	if len(got) != 1 || got[0] != "204:1: subscribe: there are 101 of these, the cloud takes at most 100, use + and #" {
		t.Errorf("%q", got)
	}
}

// Files that the daemon's user cannot open: told with its number, not as a
// missing secret.
func TestFilesWithoutPermission(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	file := write(t, dir, "ps", "hidden")
	path := write(t, dir, "a.toml", least+"product_secret_file = \""+file+"\"\n")
	locked := write(t, dir, "locked.toml", least)
	if os.Geteuid() == 0 {
		for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	} else {
		for _, f := range []string{file, locked} {
			if err := os.Chmod(f, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			// Never unlocked: the thread ends with the goroutine.
			runtime.LockOSThread()
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
				t.Error(errno)
				return
			}
		}
		_, _, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), "a.toml:3:1: device.product_secret_file: file "+file+" cannot be read by uid ") || strings.Count(err.Error(), "\n") != 0 {
			t.Error(err)
		}
		if _, _, err = Load(locked); err == nil || !strings.Contains(err.Error(), "locked.toml:1:1: file: cannot be read by uid ") {
			t.Error(err)
		}
	}()
	<-done
}
