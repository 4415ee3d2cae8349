package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	productSecretText = "VWll9fiYWKiwraBk"
	deviceSecretText  = "mRMyB50qafv74A5FofvhxZ2h9iTL9wX7"
)

// surroundings gives a test an environment with a product secret and nothing
// else.
func surroundings(t *testing.T) {
	t.Helper()
	t.Setenv(credentialsVariable, "")
	t.Setenv(productSecretVariable, productSecretText)
}

// write makes a file of mode 0600 and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads text as the main file.
func load(t *testing.T, text string) (Config, []Warning, error) {
	t.Helper()
	return Load(write(t, t.TempDir(), "airbridged.toml", text))
}

const least = "[device]\nproduct_key = \"b1KCi45LcCP\"\n"

// mistakes returns what is wrong with text, a line each and without the file
// name.
func mistakes(t *testing.T, text string) []string {
	t.Helper()
	path := write(t, t.TempDir(), "airbridged.toml", text)
	_, _, err := Load(path)
	if err == nil {
		return nil
	}
	return strings.Split(strings.ReplaceAll(err.Error(), path+":", ""), "\n")
}

// Every file of testdata/mistakes is loaded; what Load says about it is
// compared with the golden file beside it.
func TestEveryMistakeAtOnce(t *testing.T) {
	surroundings(t)
	files, err := filepath.Glob("testdata/mistakes/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			cfg, _, err := Load(file)
			var m *Mistakes
			if !errors.As(err, &m) {
				t.Fatalf("Load accepted the file: %v", err)
			}
			if !reflect.DeepEqual(cfg, Config{}) {
				t.Error("a configuration came out beside the mistakes")
			}
			golden := strings.TrimSuffix(file, ".toml") + ".golden"
			got := m.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("mistakes changed (-update writes them)\n got:\n%s\nwant:\n%s", got, want)
			}
			if strings.Contains(got, productSecretText) {
				t.Error("a mistake shows a secret")
			}
		})
	}
}

// The example is what an operator copies: with the two things filled in that
// have no default, it must say exactly what an empty file says.
func TestExampleEqualsTheDefaults(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	path := write(t, dir, "airbridged.toml", Example)
	write(t, dir, "airbridged.toml.d/site.toml", least)
	example, warnings, err := Load(path)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("example: %v %v", err, warnings)
	}
	plain, _, err := load(t, least)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(example, plain) {
		t.Errorf("the example differs from the defaults:\n%s\n%s", example.Dump(), plain.Dump())
	}
	for _, k := range keys {
		shown := "\n" + lastPart(k.name) + " "
		if k.name == "modem.apn" {
			shown = "\n# apn " // to write it, even as it is by default, has the module set to it
		}
		if !strings.Contains(Example, shown) && !isElement(sectionOf(k.name)) {
			t.Errorf("the example does not show %s", k.name)
		}
	}
}

// The commented tables of the example must be right too.
func TestExampleTablesLoad(t *testing.T) {
	surroundings(t)
	text := strings.ReplaceAll(Example, "\n#", "\n")
	var kept []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") && !strings.Contains(line, "=") || strings.HasPrefix(line, " ") && strings.Contains(line, "...") {
			continue
		}
		kept = append(kept, line)
	}
	text = strings.Join(kept, "")
	text = strings.ReplaceAll(text, `"telemetry"`, `"nobody"`) // whom every machine has
	text = strings.ReplaceAll(text[strings.Index(text, "[modem]"):], `product_key         = ""`, `product_key = "b1KCi45LcCP"`)
	cfg, warnings, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	want := []Subscribe{{Topic: "/${productKey}/${deviceName}/get"}}
	if !reflect.DeepEqual(cfg.Subscribe, want) || len(cfg.Access) != 1 || cfg.Access[0].User != "nobody" {
		t.Errorf("tables: %+v %+v", cfg.Subscribe, cfg.Access)
	}
	if len(cfg.Batch) != 1 || cfg.Batch[0].Topic != "/${productKey}/${deviceName}/update" {
		t.Errorf("tables: %+v", cfg.Batch)
	}
	if len(warnings) != len(unready) {
		t.Errorf("warnings: %v", warnings)
	}
}

// An image vendor ships the main file, a site adds its own: later keys win,
// lists are replaced, tables add up, and a mistake names the file it is in.
func TestDropInsOverrideInNameOrder(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	path := write(t, dir, "airbridged.toml", least+`
[modem]
apn = "CMNET"
reset_command = ["/a", "b"]
[[subscribe]]
topic = "/main"
`)
	write(t, dir, "airbridged.toml.d/20-site.toml", "[modem]\napn = \"UNINET\"\nreset_command = [\"/c\"]\n")
	write(t, dir, "airbridged.toml.d/10-vendor.toml", "[modem]\napn = \"3GNET\"\nbaud = 9600\n[[subscribe]]\ntopic = \"/vendor\"\nqos = 1\n")
	write(t, dir, "airbridged.toml.d/.30-hidden.toml", "[modem]\napn = \"HIDDEN\"\n")
	write(t, dir, "airbridged.toml.d/40-note.txt", "not TOML")
	cfg, _, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Modem.APN != "UNINET" || cfg.Modem.Baud != 9600 || !reflect.DeepEqual(cfg.Modem.ResetCommand, []string{"/c"}) {
		t.Errorf("modem: %+v", cfg.Modem)
	}
	if want := []Subscribe{{Topic: "/main"}, {Topic: "/vendor", QoS: 1}}; !reflect.DeepEqual(cfg.Subscribe, want) {
		t.Errorf("subscribe: %+v", cfg.Subscribe)
	}

	write(t, dir, "airbridged.toml.d/20-site.toml", "[recovery]\nbackoff_min = \"1h\"\n[modem]\nbuad = 1\n")
	write(t, dir, "airbridged.toml.d/10-vendor.toml", "[cloud]\nmqtt_port = 0\n")
	_, _, err = Load(path)
	want := strings.Join([]string{
		dir + "/airbridged.toml.d/10-vendor.toml:2:1: cloud.mqtt_port: is 0, write a number from 1 to 65535",
		dir + "/airbridged.toml.d/20-site.toml:2:1: recovery.backoff_min: backoff_min is 1h, above backoff_max of 5m, write a smaller minimum or a larger maximum",
		dir + "/airbridged.toml.d/20-site.toml:4:1: modem.buad: unknown key, did you mean modem.baud?",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// A missing file, a directory, a file that is no text: each is told with its
// name and what to do.
func TestUnreadableFiles(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "airbridged.toml")
	check := func(want string) {
		t.Helper()
		_, _, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	check(path + ":1:1: file: does not exist; write it, or name another one with --config")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	check(path + ":1:1: file: is not a regular file")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "airbridged.toml", least)
	if err := os.MkdirAll(path+".d/site.toml", 0o700); err != nil {
		t.Fatal(err)
	}
	check(path + ".d/site.toml:1:1: file: is not a regular file; correct that, or delete the file")
	if err := os.RemoveAll(path + ".d"); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "airbridged.toml", "#"+strings.Repeat(" ", maxFile))
	check("is too large for a configuration")
	write(t, dir, "airbridged.toml", "\x7fELF\x00\x01")
	check(path + ":1:1: syntax: TOML:")
	write(t, dir, "airbridged.toml", least+"x=\xff\n")
	check(path + ":3:3: device.x: TOML:")
	write(t, dir, "airbridged.toml", least)
	write(t, dir, "airbridged.toml.d", "")
	check(path + ".d:1:1: file:")
}

// Everything that can be written about a device is taken in as it is meant.
func TestEveryKeyIsTakenIn(t *testing.T) {
	surroundings(t)
	cfg, _, err := load(t, `
[modem]
device = " /dev/air "
baud = 0x2580
apn = ""
max_payload = 4_100
[device]
product_key = "\tb1KCi45LcCP\u00a0"
device_name = "dev-1_@.:x"
[cloud]
region = "ap-southeast-1"
instance = "iot-060a0bcd"
auth = "direct"
sign = "hmacsha256"
register_url = "https://r.example:8443/x?y=z"
auth_url = "https://a.example/x"
mqtt_port = 8883
tls = false
keepalive = "20m"
clean_session = false
quota_qos1 = 5
quota_qos0 = 0
timeouts.http = "1m30s"
[outbox]
max_bytes = "512 KiB"
max_age = "168h"
when_full = "drop-oldest"
[socket]
mode = "600"
[mqtt]
socket = ""
[metrics]
listen = "unix:/run/airbridged/metrics.sock"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Modem.Device, want.Modem.Baud, want.Modem.APN, want.Modem.MaxPayload = "/dev/air", 9600, "", 4100
	want.Device.ProductKey, want.Device.DeviceName = "b1KCi45LcCP", "dev-1_@.:x"
	want.Device.ProductSecret, want.Device.ProductFrom = cfg.Device.ProductSecret, "$"+productSecretVariable
	want.Cloud = Cloud{
		Region: "ap-southeast-1", Instance: "iot-060a0bcd", Auth: "direct", Sign: "hmacsha256",
		OverrideRegisterURL: "https://r.example:8443/x?y=z", OverrideAuthURL: "https://a.example/x", MQTTPort: 8883,
		Keepalive: 20 * time.Minute, QuotaQoS1: 5, Timeouts: want.Cloud.Timeouts,
	}
	want.Cloud.Timeouts.HTTP = 90 * time.Second
	want.Outbox.MaxBytes, want.Outbox.MaxAge, want.Outbox.WhenFull = 512<<10, 168*time.Hour, "drop-oldest"
	want.Socket.Mode, want.MQTT.Socket, want.Metrics.Listen = 0o600, "", "unix:/run/airbridged/metrics.sock"
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v\nwant %+v", cfg, want)
	}
	if cfg.Device.ProductSecret.Reveal() != productSecretText {
		t.Error("the product secret is not the one of the environment")
	}
}

// 40,000 keys that nobody knows took over 20 s, while the watchdog's, the service
// manager's and the reload's patience ran out: each was held against all keys letter
// by letter, and then all against each other. All of them are still told.
func TestManyUnknownKeys(t *testing.T) {
	const many = 40_000
	var under, sections, inline strings.Builder
	under.WriteString("[modem]\n")
	inline.WriteString("modem = {")
	for i := range many {
		fmt.Fprintf(&under, "key%d = 1\n", i)
		fmt.Fprintf(&sections, "[s%d]\n", i)
		fmt.Fprintf(&inline, "k%d=1,", i)
	}
	inline.WriteString("z=1}\n")
	for what, text := range map[string]string{"keys": under.String(), "sections": sections.String(), "an inline table": inline.String()} {
		path := write(t, t.TempDir(), "many.toml", text)
		begun := cpuTime(t)
		_, _, err := Load(path)
		took := cpuTime(t) - begun
		var m *Mistakes
		if !errors.As(err, &m) || len(m.List) < many {
			t.Errorf("%s: not every mistake is told: %.100v", what, err)
		}
		if took > 8*time.Second {
			t.Errorf("%s: %v of processor time", what, took)
		}
	}
}

// cpuTime is what this process has used, so that a busy machine does not count.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
