package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A configuration that is looked at from outside is held against the service that runs
// it: its secrets are the service's, and a directory that its sandbox closes is a
// mistake (it used to be "no mistakes", and the daemon never started).
func TestLoadForAService(t *testing.T) {
	t.Setenv(credentialsVariable, "")
	t.Setenv(productSecretVariable, "")
	dir := t.TempDir()
	path, stored, empty := filepath.Join(dir, "a.toml"), filepath.Join(dir, "stored"), filepath.Join(dir, "empty")
	for file, text := range map[string]string{path: "[device]\nproduct_key = \"b1KCi45LcCP\"\n[outbox]\ndir = \"/data/queue\"\n", stored: "VWll9fiYWKiwraBk\n", empty: "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	everything := func(string) bool { return true }
	for _, c := range []struct {
		name    string
		service Service
		want    string // in the mistakes; "": there are none
	}{
		{"nothing is known", Service{}, path + ":1:2: device.product_secret_file: no secret anywhere, name the file"},
		{"a file", Service{Credentials: map[string]Credential{"product-secret": {"/etc/credstore/x", stored}}}, ""},
		{"a file without a secret", Service{Credentials: map[string]Credential{"product-secret": {"/etc/credstore/x", empty}}}, "credential product-secret (/etc/credstore/x) is empty"},
		{"only the manager can read it", Service{Credentials: map[string]Credential{"device-secret": {"LoadCredentialEncrypted=", ""}}}, ""},
		{"taken away", Service{NoSecret: "x empties LoadCredential="}, "no secret anywhere, x empties LoadCredential="},
		{"everything may be written", Service{Credentials: map[string]Credential{"product-secret": {}}, Writable: everything}, ""},
		{
			"closed",
			Service{Name: "airbridged@north.service", Credentials: map[string]Credential{"product-secret": {}}, Writable: func(d string) bool { return d != "/data/queue" }},
			path + ":4:1: outbox.dir: /data/queue is closed to airbridged@north.service, whose sandbox leaves it read-only; open it by a drop-in with ReadWritePaths=/data/queue",
		},
	} {
		_, _, err := LoadFor(path, c.service)
		m, _ := errors.AsType[*Mistakes](err)
		switch {
		case c.want == "" && err != nil, c.want != "" && (m == nil || len(m.List) != 1 || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
