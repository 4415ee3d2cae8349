package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"airbridged/internal/secret"
)

func TestHostAndAddresses(t *testing.T) {
	surroundings(t)
	for _, c := range []struct{ name, text, host, register, auth string }{
		{
			"old public instance, as in the vendor's guide", "", "b1KCi45LcCP.iot-as-mqtt.cn-shanghai.aliyuncs.com",
			"https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device", "https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename",
		},
		{
			"another region", "[cloud]\nregion = \"ap-southeast-1\"\n", "b1KCi45LcCP.iot-as-mqtt.ap-southeast-1.aliyuncs.com",
			"https://iot-auth.ap-southeast-1.aliyuncs.com/auth/register/device", "https://iot-auth.ap-southeast-1.aliyuncs.com/auth/devicename",
		},
		{
			"instance", "[cloud]\ninstance = \"iot-06z00ipoepm2g97\"\n", "iot-06z00ipoepm2g97.mqtt.iothub.aliyuncs.com",
			"https://iot-auth.cn-shanghai.aliyuncs.com/auth/register/device", "https://iot-auth.cn-shanghai.aliyuncs.com/auth/devicename",
		},
		{
			"overrides win", "[cloud]\ninstance = \"iot-x\"\nmqtt_host = \"10.0.0.1\"\nregister_url = \"https://r/\"\nauth_url = \"https://a/\"\n",
			"10.0.0.1", "https://r/", "https://a/",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, _, err := load(t, least+c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := []string{cfg.MQTTHost(), cfg.Cloud.RegisterURL(), cfg.Cloud.AuthURL()}; !reflect.DeepEqual(got, []string{c.host, c.register, c.auth}) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The largest values that pass must fit the module: three MCONFIG fields of
// 256 bytes and a host of 255.
func TestLargestValuesFitTheModule(t *testing.T) {
	surroundings(t)
	key, name := strings.Repeat("k", 63), strings.Repeat("n", 32)
	text := "[device]\nproduct_key = \"" + key + "\"\ndevice_name = \"" + name + "\"\n[cloud]\nregion = \"" + strings.Repeat("r", 40) + "\"\n"
	cfg, _, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	clientID := name + "|securemode=2,signmethod=hmacsha256|"
	if user := name + "&" + key; len(clientID) > 256 || len(user) > 256 || len(cfg.MQTTHost()) > 255 {
		t.Errorf("%d %d %d", len(clientID), len(user), len(cfg.MQTTHost()))
	}
	for key, value := range map[string]string{
		"device.product_key": key + "k", "device.device_name": name + "n", "cloud.region": strings.Repeat("r", 41),
		"cloud.mqtt_host": strings.Repeat("h", 256), "cloud.instance": strings.Repeat("i", 64), "modem.apn": strings.Repeat("a", 51),
		"cloud.auth_url": "https://a/" + strings.Repeat("u", 500),
	} {
		got := mistakes(t, key+" = \""+value+"\"\n")
		if len(got) == 0 || !strings.HasPrefix(got[0], "1:1: "+key+": has ") {
			t.Errorf("%s: %q", key, got)
		}
	}
}

// No control character, quote or blank passes in any text that ends in an AT
// argument, wherever in the value it stands.
func TestNothingLeavesItsArgument(t *testing.T) {
	surroundings(t)
	values := map[string]string{
		"modem.apn": "CMIOT", "device.product_key": "b1KCi45LcCP", "device.device_name": "862991419835241", "cloud.region": "cn-shanghai",
		"cloud.instance": "iot-x", "cloud.register_url": "https://a/b", "cloud.auth_url": "https://a/b", "cloud.mqtt_host": "a.b.c",
	}
	try := func(key, value string) []string {
		if key == "subscribe.topic" {
			return mistakes(t, least+"[[subscribe]]\ntopic = "+value+"\n")
		}
		if key == "device.product_key" {
			return mistakes(t, key+" = "+value+"\n")
		}
		return mistakes(t, "device.product_key = \"b1KCi45LcCP\"\n"+key+" = "+value+"\n")
	}
	values["subscribe.topic"] = "/${productKey}/${deviceName}/get"
	for key, value := range values {
		if got := try(key, literal(value)); got != nil {
			t.Fatalf("%s = %q is refused: %q", key, value, got)
		}
		for _, bad := range []string{`\r`, `\n`, `\u0000`, `\u001a`, `\u001b`, `\"`, ` `, `\t`, `\u00a0`, `\u3000`, `\u200b`} {
			broken := `"` + value[:3] + bad + value[3:] + `"`
			if got := try(key, broken); len(got) != 1 || !strings.Contains(got[0], key+": ") {
				t.Errorf("%s = %s: %q", key, broken, got)
			}
			if strings.HasPrefix(bad, `\u00`) && bad != `\u00a0` || bad == `\"` {
				for _, edge := range []string{`"` + bad + value + `"`, `"` + value + bad + `"`} {
					if got := try(key, edge); len(got) != 1 {
						t.Errorf("%s = %s: %q", key, edge, got)
					}
				}
			} else if got := try(key, `"`+bad+value+bad+`"`); got != nil {
				t.Errorf("blanks around %s are not trimmed: %q", key, got)
			}
		}
	}
}

func TestWarnsOfWhatHasNoEffectYet(t *testing.T) {
	surroundings(t)
	_, warnings, err := load(t, least+`
[modem]
work_baud = 921600
reset_gpio = "gpiochip0/17/active-low"
[outbox]
commit_window = "5ms"
[mqtt]
socket = "/run/mqtt.sock"
listen = "127.0.0.1:1883"
[[access]]
group = "daemon"
publish = ["/a/+/#"]
[[access]]
uid = 1000
subscribe = ["/b"]
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		_, line, _ := strings.Cut(w.String(), ".toml:")
		got = append(got, line)
	}
	want := []string{
		"11:1: mqtt.listen: programs there may do nothing: there are access rules, and none has client = ... for them",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What is written as its default, or turned off, has the effect it says.
	_, warnings, err = load(t, least+"[mqtt]\nsocket = \"/run/airbridged/mqtt.sock\"\n[modem]\nwork_baud = 0\n[outbox]\ncommit_window = \"0s\"\n")
	if err != nil || len(warnings) > 0 {
		t.Error(err, warnings)
	}
	if _, warnings, err = load(t, least+"[mqtt]\nsocket = \"\"\n"); err != nil || len(warnings) > 0 {
		t.Error(err, warnings)
	}
}

// What --dump shows can be used as a configuration file.
func TestDumpLoadsAgain(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	file := write(t, dir, "secret", deviceSecretText)
	cfg, _, err := load(t, least+`device_secret_file = "`+file+`"
[modem]
device = "/dev/with \"quotes\" and \\ and é"
reset_command = ["/bin/sh", "-c", "echo \"x\""]
[recovery]
backoff_min = "1500ms"
[outbox]
max_bytes = "65537B"
max_age = "36h"
[[subscribe]]
topic = "/a"
qos = 1
[[subscribe]]
topic = "/b/${deviceName}"
[[access]]
uid = 0
publish = ["/a", "/b/#"]
[[access]]
user = "daemon"
subscribe = ["/c"]
rate = "6/m"
share = "25%"
see = ["status"]
`)
	if err != nil {
		t.Fatal(err)
	}
	dump := cfg.Dump()
	for _, secret := range []string{productSecretText, deviceSecretText} {
		if strings.Contains(dump, secret) {
			t.Errorf("the dump shows a secret:\n%s", dump)
		}
	}
	for _, line := range []string{
		"# product secret: [secret], from $AIRBRIDGED_PRODUCT_SECRET", "# device secret: [secret], from file " + file,
		"backoff_min = \"1.5s\"", "max_bytes = \"65537B\"", "mode = \"0660\"", "[cloud.timeouts]\ncommand = \"9s\"", "[[access]]\nuid = 0\npublish = [\"/a\", \"/b/#\"]\n",
	} {
		if !strings.Contains(dump, line) {
			t.Errorf("the dump lacks %s:\n%s", line, dump)
		}
	}
	again, _, err := load(t, dump)
	if err != nil {
		t.Fatalf("%v\n%s", err, dump)
	}
	again.Modem.APNGiven = cfg.Modem.APNGiven // what was a default stands in a file now
	if !reflect.DeepEqual(again, cfg) {
		t.Errorf("another configuration came out:\n%s\n%s", dump, again.Dump())
	}
	plain := Default()
	plain.Device.ProductSecret = secret.New(productSecretText)
	if !strings.Contains(plain.Dump(), "# product secret: [secret]\n# device secret: none\n") {
		t.Error(plain.Dump())
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/${productKey}/${deviceName}/get": "/b1KCi45LcCP/862991419835241/get",
		"${deviceName}${deviceName}":       "862991419835241862991419835241",
		"/plain/$x/{productKey}":           "/plain/$x/{productKey}",
		"/${productkey}":                   "/${productkey}",
	} {
		if got := Expand(in, "b1KCi45LcCP", "862991419835241"); got != want {
			t.Errorf("Expand(%q) = %q", in, got)
		}
	}
	// A value is not expanded again.
	if got := Expand("${productKey}", "${deviceName}", "x"); got != "${deviceName}" {
		t.Error(got)
	}
}

func TestListeners(t *testing.T) {
	surroundings(t)
	try := func(key, value string) []string {
		return mistakes(t, least+"["+sectionOf(key)+"]\n"+lastPart(key)+" = "+literal(value)+"\n")
	}
	for _, good := range []string{"127.0.0.1:1", "127.8.0.1:65535", "[::1]:1883", "localhost:80", ""} {
		for _, key := range []string{"mqtt.listen", "metrics.listen"} {
			if got := try(key, good); got != nil {
				t.Errorf("%s = %q: %q", key, good, got)
			}
		}
	}
	for _, bad := range []string{"127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1", "0.0.0.0:1", "[::]:1", ":1", "*:1", "192.168.1.1:80", "example.com:80", "localhost", "unix:relative", "unix:"} {
		for _, key := range []string{"mqtt.listen", "metrics.listen"} {
			if got := try(key, bad); len(got) != 1 {
				t.Errorf("%s = %q: %q", key, bad, got)
			}
		}
	}
	if got := try("metrics.listen", "unix:/run/m.sock"); got != nil {
		t.Error(got)
	}
	if got := try("mqtt.listen", "unix:/run/m.sock"); len(got) != 1 || !strings.Contains(got[0], "mqtt.socket") {
		t.Error(got)
	}
	if got := try("metrics.listen", "unix:/run/airbridged/airbridged.sock"); len(got) != 1 || !strings.Contains(got[0], "names the same socket as socket.path") {
		t.Error(got)
	}
}

// Every key of the table refuses every type that is not its own, and says so
// at its own position.
func TestEveryKeyRefusesOtherTypes(t *testing.T) {
	surroundings(t)
	values := []string{`""`, "1", "1.5", "true", "1979-05-27", "[1]", "{}", "[]"}
	for _, k := range keys {
		refused := 0
		for _, v := range values {
			text := "[device]\nproduct_key = \"b1KCi45LcCP\"\n[" + sectionOf(k.name) + "]\n"
			if sectionOf(k.name) == "device" {
				text = "[device]\n"
			}
			text = strings.ReplaceAll(text, "[subscribe]", "[[subscribe]]\n\n")
			text = strings.ReplaceAll(text, "[access]", "[[access]]\n\n")
			for _, line := range mistakes(t, text+lastPart(k.name)+" = "+v+"\n") {
				if strings.Contains(line, ":1: "+k.name+": ") {
					refused++
					break
				}
			}
		}
		if refused < len(values)-3 {
			t.Errorf("%s accepts %d of %d types", k.name, len(values)-refused, len(values))
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"modem.buad": "modem.baud", "modem.Device": "modem.device", "cloud.keep-alive": "cloud.keepalive", "keepalive": "cloud.keepalive",
		"outbox.maxbytes": "outbox.max_bytes", "socket.modee": "socket.mode", "access.publsh": "access.publish", "subscribe.publish": "access.publish",
		"device.secret": "device.product_secret_file device.device_secret_file", "log.levels": "log.level", "dir": "outbox.dir state.dir downlink.dir", "x": "", "cloud.product_key": "device.product_key",
	} {
		if got := strings.Join(nearestKeys(word), " "); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

// FuzzLoad: whatever the file holds, Load returns a configuration that it
// would accept again, or mistakes that each have a place in the file.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/mistakes/*.toml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(Example))
	f.Add([]byte(least))
	f.Add([]byte("\ufeff" + least + "[[subscribe]]\ntopic=\"/${deviceName}/#\"\n"))
	f.Add([]byte("a=[[[[[[[[[[{a={a={a=[1]}}}]]]]]]]]]]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		surroundings(t)
		path := filepath.Join(t.TempDir(), "f.toml")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, _, err := Load(path)
		if err == nil {
			if cfg.Device.ProductKey == "" || cfg.Device.ProductSecret.Empty() || strings.ContainsAny(cfg.MQTTHost()+cfg.Modem.APN, "\r\n\x00\x1a\x1b\" ") {
				t.Fatalf("accepted: %+v", cfg)
			}
			again, _, err := load(t, cfg.Dump())
			again.Modem.APNGiven = cfg.Modem.APNGiven // what was a default stands in a file now
			if err != nil || !reflect.DeepEqual(again, cfg) {
				t.Fatalf("the dump is another configuration: %v\n%s\n%s", err, cfg.Dump(), again.Dump())
			}
			return
		}
		var m *Mistakes
		if !errors.As(err, &m) || len(m.List) == 0 || !reflect.DeepEqual(cfg, Config{}) {
			t.Fatalf("%v", err)
		}
		lines := strings.Split(string(data), "\n")
		for _, one := range m.List {
			if one.File != path || one.Line < 1 || one.Line > len(lines) || one.Column < 1 || one.Column > len(lines[one.Line-1])+1 || one.Key == "" || one.Text == "" {
				t.Fatalf("no place in the file: %s", one)
			}
			if strings.ContainsAny(one.Key+one.Text, "\r\n\x00") {
				t.Fatalf("not one line: %q", one)
			}
		}
	})
}
