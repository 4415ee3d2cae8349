package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airbridged/internal/secret"
)

// The module's default context is set only where a file says so: the default value of
// modem.apn touches nothing, and the same value in a file does.
func TestAPNGiven(t *testing.T) {
	surroundings(t)
	for text, want := range map[string]bool{
		"":                           false,
		"[modem]\nbaud = 9600\n":     false,
		"[modem]\napn = \"\"\n":      false,
		"[modem]\napn = \"CMIOT\"\n": true,
		"[modem]\napn = \"iot\"\n":   true,
		"[modem]\napn_user = \"u\"\napn_auth = \"pap\"\n": true,
	} {
		cfg, _, err := load(t, least+text)
		if err != nil || cfg.Modem.APNGiven != want {
			t.Errorf("%q: given %v, %v", text, cfg.Modem.APNGiven, err)
		}
	}
}

// The password is a secret: from a file that nobody else can read or from the credential,
// shown nowhere, and refused where no AT command can carry it.
func TestAPNPassword(t *testing.T) {
	surroundings(t)
	dir := t.TempDir()
	file := write(t, dir, "password", " hidden1\n")
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	const login = least + "[modem]\napn_user = \"meter\"\napn_auth = \"chap\"\n"
	cfg, _, err := load(t, login+"apn_password_file = \""+file+"\"\n")
	if err != nil || cfg.Modem.APNPassword.Reveal() != "hidden1" || !strings.Contains(cfg.Modem.APNPasswordFrom, file) {
		t.Errorf("%+v, %v", cfg.Modem, err)
	}
	if dump := cfg.Dump(); strings.Contains(dump, "hidden1") || !strings.Contains(dump, "# APN secret: [secret], from file "+file) {
		t.Errorf("the dump:\n%s", dump)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write(t, dir, "apn-password", "hidden2\n")
	if cfg, _, err = load(t, login); err != nil || cfg.Modem.APNPassword.Reveal() != "hidden2" {
		t.Errorf("%+v, %v", cfg.Modem, err)
	}
	if cfg, _, err = load(t, least); err != nil || !cfg.Modem.APNPassword.Empty() {
		t.Errorf("without a user name: %v", err)
	}
	for _, bad := range []string{`hid"den`, `hid\den`} {
		write(t, filepath.Clean(dir), "apn-password", bad)
		if _, _, err := load(t, login); err == nil || !strings.Contains(err.Error(), "apn_password_file") || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A password that changed, and a value that a file now says by itself, are changes.
func TestAPNChanges(t *testing.T) {
	t.Parallel()
	a, b := Default(), Default()
	b.Modem.APNGiven, b.Modem.APNPassword = true, secret.New("another")
	if got := strings.Join(Changed(a, b), " "); got != "modem.apn modem.apn_password_file" {
		t.Errorf("changed: %s", got)
	}
}
