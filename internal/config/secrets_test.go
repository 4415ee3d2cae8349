package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretsCase is one arrangement of files, credentials and environment.
type secretsCase struct {
	config      string            // under [device]; DIR stands for the directory of the files
	files       map[string]string // secret files, mode 0600
	modes       map[string]os.FileMode
	credentials map[string]string // nil: no credentials directory
	env         string
}

// try loads the arrangement. DIR stands for the directory in what comes back.
func (c secretsCase) try(t *testing.T) (cfg Config, warnings, mistakes string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(productSecretVariable, c.env)
	t.Setenv(credentialsVariable, "")
	for name, text := range c.files {
		write(t, dir, name, text)
	}
	if c.credentials != nil {
		creds := filepath.Join(dir, "credentials")
		if err := os.Mkdir(creds, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range c.credentials {
			// systemd writes credentials with mode 0400 or 0440.
			if err := os.WriteFile(filepath.Join(creds, name), []byte(text), 0o440); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv(credentialsVariable, creds)
	}
	for name, mode := range c.modes {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	path := write(t, dir, "a.toml", least+strings.ReplaceAll(c.config, "DIR", dir))
	cfg, list, err := Load(path)
	short := func(s string) string { return strings.ReplaceAll(s, dir, "DIR") }
	var lines []string
	for _, w := range list {
		lines = append(lines, short(w.String()))
	}
	if err != nil {
		mistakes = short(err.Error())
	}
	warnings = strings.Join(lines, "\n")
	for _, leak := range []string{"hidden", productSecretText, deviceSecretText} {
		if strings.Contains(mistakes+warnings+cfg.Dump(), leak) {
			t.Errorf("a secret was shown:\n%s\n%s\n%s", mistakes, warnings, cfg.Dump())
		}
	}
	return cfg, warnings, mistakes
}

func TestSecretPrecedence(t *testing.T) {
	file := "product_secret_file = \"DIR/ps\"\n"
	for _, c := range []struct {
		name string
		secretsCase
		product, device, warnings string
	}{
		{"file over all", secretsCase{
			config: file, files: map[string]string{"ps": "hidden1\n"}, credentials: map[string]string{"product-secret": "hidden2"}, env: "hidden3",
		}, "hidden1", "", "DIR/a.toml:3:1: device.product_secret_file: credential product-secret holds another secret than file DIR/ps, which is used\n" +
			"DIR/a.toml:3:1: device.product_secret_file: $AIRBRIDGED_PRODUCT_SECRET holds another secret than file DIR/ps, which is used"},
		{"credential over environment", secretsCase{
			credentials: map[string]string{"product-secret": " hidden2\r\n"}, env: "hidden3",
		}, "hidden2", "", "DIR/a.toml:1:2: device.product_secret_file: $AIRBRIDGED_PRODUCT_SECRET holds another secret than credential product-secret, which is used"},
		{"the same twice is no clash", secretsCase{
			config: file, files: map[string]string{"ps": "hidden1"}, env: "hidden1",
		}, "hidden1", "", ""},
		{"environment alone", secretsCase{env: "hidden3"}, "hidden3", "", ""},
		{"device secret by file needs no product secret", secretsCase{
			config: "device_secret_file = \"DIR/ds\"\n", files: map[string]string{"ds": "hidden4"},
		}, "", "hidden4", ""},
		{"device secret by credential", secretsCase{credentials: map[string]string{"device-secret": "hidden5"}}, "", "hidden5", ""},
		{"device secret file over credential", secretsCase{
			config: "device_secret_file = \"DIR/ds\"\n", files: map[string]string{"ds": "hidden4"}, credentials: map[string]string{"device-secret": "hidden5"},
		}, "", "hidden4", "DIR/a.toml:3:1: device.device_secret_file: credential device-secret holds another secret than file DIR/ds, which is used"},
		{"a file inside the credentials directory may be 0440", secretsCase{
			config: "product_secret_file = \"DIR/credentials/mine\"\n", credentials: map[string]string{"mine": "hidden6"},
		}, "hidden6", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, warnings, mistakes := c.try(t)
			if mistakes != "" {
				t.Fatal(mistakes)
			}
			if cfg.Device.ProductSecret.Reveal() != c.product || cfg.Device.DeviceSecret.Reveal() != c.device {
				t.Errorf("got %q and %q", cfg.Device.ProductSecret.Reveal(), cfg.Device.DeviceSecret.Reveal())
			}
			if warnings != c.warnings {
				t.Errorf("warnings\n got %s\nwant %s", warnings, c.warnings)
			}
		})
	}
}

func TestSecretMistakes(t *testing.T) {
	file := "product_secret_file = \"DIR/ps\"\n"
	at := "DIR/a.toml:3:1: device.product_secret_file: "
	for _, c := range []struct {
		name string
		secretsCase
		want string
	}{
		{"none at all", secretsCase{}, "DIR/a.toml:1:2: device.product_secret_file: no secret anywhere, name the file that holds the ProductSecret, or give the systemd credential product-secret or $AIRBRIDGED_PRODUCT_SECRET"},
		{"missing file", secretsCase{config: file, env: "hidden3"}, at + "file DIR/ps does not exist, write the secret into it and chmod it to 600"},
		{"open to the group", secretsCase{config: file, files: map[string]string{"ps": "hidden1"}, modes: map[string]os.FileMode{"ps": 0o640}}, at + "file DIR/ps can be opened by others (mode 0640), close it: chmod 600 DIR/ps"},
		{"open to the world", secretsCase{config: file, files: map[string]string{"ps": "hidden1"}, modes: map[string]os.FileMode{"ps": 0o604}}, at + "file DIR/ps can be opened by others (mode 0604), close it: chmod 600 DIR/ps"},
		{"a directory", secretsCase{config: "product_secret_file = \"DIR\"\n"}, at + "file DIR is not a regular file, name the file that holds the secret"},
		{"empty", secretsCase{config: file, files: map[string]string{"ps": " \n"}}, at + "file DIR/ps is empty, write the secret into it"},
		{"broken by a PDF", secretsCase{config: file, files: map[string]string{"ps": "hidden hidden"}}, at + "file DIR/ps has a blank inside, after character 6; none belongs there (PDF documents break values like this), delete it"},
		{"two lines", secretsCase{config: file, files: map[string]string{"ps": "hidden\r\nhidden\r\n"}}, at + "file DIR/ps has a blank inside, after character 6; none belongs there (PDF documents break values like this), delete it"},
		{"a quote", secretsCase{config: file, files: map[string]string{"ps": `"hidden"`}}, at + "file DIR/ps holds a quote, which would end the argument of an AT command; delete it"},
		{"a control character", secretsCase{config: file, files: map[string]string{"ps": "hidden\x1a"}}, at + "file DIR/ps has a control character or one outside ASCII, copy the secret from the console again"},
		{"too long", secretsCase{config: file, files: map[string]string{"ps": strings.Repeat("h", 257)}}, at + "file DIR/ps has 257 characters, a secret has at most 256, copy it from the console again"},
		{"the wrong file", secretsCase{config: file, files: map[string]string{"ps": strings.Repeat("h", 5000)}}, at + "file DIR/ps has 5000 bytes, too many for a secret, name the file that holds nothing else"},
		{"the secret itself", secretsCase{config: "product_secret_file = \"hidden\"\n"}, at + "must be the absolute path of a file that holds the secret, not the secret itself and not a relative path"},
		{"broken environment", secretsCase{env: "hidden hidden"}, "DIR/a.toml:1:2: device.product_secret_file: $AIRBRIDGED_PRODUCT_SECRET has a blank inside, after character 6; none belongs there (PDF documents break values like this), delete it"},
		{"broken credential beside a good file", secretsCase{
			config: file, files: map[string]string{"ps": "hidden1"}, credentials: map[string]string{"product-secret": ""},
		}, at + "credential product-secret is empty, write the secret into it"},
		{"both broken", secretsCase{config: file + "device_secret_file = \"DIR/ds\"\n"}, at + "file DIR/ps does not exist, write the secret into it and chmod it to 600\n" +
			"DIR/a.toml:4:1: device.device_secret_file: file DIR/ds does not exist, write the secret into it and chmod it to 600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, mistakes := c.try(t)
			if mistakes != c.want {
				t.Errorf("\n got %s\nwant %s", mistakes, c.want)
			}
		})
	}
}

// A pipe given as a secret file must not hang the start.
func TestSecretFileIsNoPipe(t *testing.T) {
	surroundings(t)
	got := mistakes(t, least+"product_secret_file = \"/dev/null\"\n")
	if len(got) != 1 || !strings.Contains(got[0], "/dev/null is not a regular file") {
		t.Error(got)
	}
}
