package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOnConnect: the payload is read with the configuration; what cannot be is a mistake
// with what to do.
func TestOnConnect(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	payload := write(t, dir, "login.json", `{"id":1}`)
	large := write(t, dir, "large", strings.Repeat("x", maxPayload+1))
	load := func(table string) (Config, error) {
		cfg, _, err := Load(write(t, dir, "airbridged.toml", least+"\n[[on_connect]]\n"+table))
		return cfg, err
	}
	cfg, err := load("topic = \"/ext/session/${productKey}/${deviceName}/combine/login\"\npayload_file = \"" + payload + "\"\nwait_for = \"/ext/session/${productKey}/${deviceName}/combine/login_reply\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.OnConnect) != 1 || string(cfg.OnConnect[0].Payload) != `{"id":1}` || cfg.OnConnect[0].Wait != 10*time.Second {
		t.Errorf("%+v", cfg.OnConnect)
	}
	for table, want := range map[string]string{
		"payload_file = \"" + payload + "\"\n":                                                "on_connect.topic: is missing",
		"topic = \"/a/+\"\n":                                                                  "on_connect.topic: \"/a/+\" has a wildcard",
		"topic = \"/a/${name}\"\n":                                                            "on_connect.topic: unknown",
		"topic = \"/a\"\nwait_for = \"/a/#/b\"\n":                                             "on_connect.wait_for: ",
		"topic = \"/a\"\npayload_file = \"" + filepath.Join(dir, "none") + "\"\n":             "on_connect.payload_file: file " + filepath.Join(dir, "none") + " does not exist",
		"topic = \"/a\"\npayload_file = \"" + dir + "\"\n":                                    "is not a regular file",
		"topic = \"/a\"\npayload_file = \"" + large + "\"\n":                                  "make it shorter",
		"topic = \"/a\"\nwait = \"1ms\"\n":                                                    "on_connect.wait: ",
		strings.Repeat("topic = \"/a\"\n[[on_connect]]\n", maxOnConnect) + "topic = \"/a\"\n": "there are 33 of these",
	} {
		if _, err := load(table); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", table[:min(len(table), 80)], err, want)
		}
	}
	if os.Geteuid() != 0 {
		_ = os.Chmod(payload, 0)
		if _, err := load("topic = \"/a\"\npayload_file = \"" + payload + "\"\n"); err == nil || !strings.Contains(err.Error(), "make it readable") {
			t.Error(err)
		}
	}
}
