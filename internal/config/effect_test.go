package config

import (
	"path/filepath"
	"testing"
)

// Each value is told with the file and line that it is from, also of an array of tables,
// and what a reload could not change stays where it was.
func TestSettingsSayWhereTheyStand(t *testing.T) {
	t.Setenv(productSecretVariable, "VWll9fiYWKiwraBk")
	dir := t.TempDir()
	main := filepath.Join(dir, "a.toml")
	put := func(name, text string) { t.Helper(); write(t, dir, filepath.Base(name), text) }
	put(main, "[device]\nproduct_key = \"b1KCi45LcCP\"\n[cloud]\nkeepalive = \"300s\"\n[[subscribe]]\ntopic = \"/a/b/one\"\n")
	read := func() (Config, []Setting) {
		t.Helper()
		cfg, places, _, err := LoadPlaced(main, Service{})
		if err != nil {
			t.Fatal(err)
		}
		return cfg, cfg.Settings(places)
	}
	find := func(list []Setting, key string) Setting {
		t.Helper()
		for _, s := range list {
			if s.Key == key {
				return s
			}
		}
		t.Fatalf("there is no %s", key)
		return Setting{}
	}
	_, before := read()
	if s := find(before, "subscribe[0].topic"); s.Value != `"/a/b/one"` || s.At.File != main || s.At.Line != 6 {
		t.Errorf("%+v", s)
	}
	if s := find(before, "modem.apn"); s.Given {
		t.Errorf("a default: %+v", s)
	}
	put(main, "# one line more\n[device]\nproduct_key = \"b1KCi45LcCP\"\n[cloud]\nkeepalive = \"60s\"\n")
	_, after := read()
	now := InEffect(before, after)
	if s := find(now, "device.product_key"); s.At.Line != 3 {
		t.Errorf("it stands elsewhere now: %+v", s)
	}
	if s := find(now, "cloud.keepalive"); s.Value != `"5m"` && s.Value != `"300s"` && s.Value != `"5m0s"` {
		t.Errorf("it needs a restart: %+v", s)
	}
}
