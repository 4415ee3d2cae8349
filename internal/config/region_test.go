package config

import (
	"os"
	"strings"
	"testing"
)

// Seen: "no mistakes" for YOUR_PRODUCT_KEY, and for the region cn-shangai, whose hosts no
// name server knows: hours went by before somebody looked at the letters.
func TestWhatWasCopiedFromADocument(t *testing.T) {
	for _, c := range []struct{ section, line, want string }{
		{"device", `product_key = "YOUR_PRODUCT_KEY"`, "device.product_key: "},
		{"device", `product_key = "<ProductKey>"`, "device.product_key: "},
		{"modem", `apn = "YOUR_APN"`, "modem.apn: "},
		{"device", "product_key = \"b1KCi45LcCP\"\ndevice_name = \"YOUR_DEVICE_NAME\"", "device.device_name: "},
	} {
		_, err := loadText(t, "["+c.section+"]\n"+c.line+"\n")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "stands for a value") {
			t.Errorf("%s: %v", c.line, err)
		}
	}
	for _, real := range []string{"b1KCi45LcCP", "a1B2c3D4e5F", "youRk3y9abc"} {
		if isPlaceholder(real) {
			t.Errorf("%s is no placeholder", real)
		}
	}
	t.Setenv(productSecretVariable, "YOUR_PRODUCT_SECRET")
	if _, err := loadText(t, "[device]\nproduct_key = \"b1KCi45LcCP\"\n"); err == nil || !strings.Contains(err.Error(), "stand for a secret") {
		t.Errorf("%v", err)
	}
}

// A region that nobody knows is a warning with the nearest one, because there may be more
// by now; where every address is overridden it is nothing.
func TestUnknownRegionIsAWarning(t *testing.T) {
	const device = "[device]\nproduct_key = \"b1KCi45LcCP\"\n[cloud]\n"
	const overridden = "register_url = \"https://a.example/r\"\nauth_url = \"https://a.example/a\"\nmqtt_host = \"a.example\"\n"
	for text, want := range map[string]string{
		`region = "cn-shangai"` + "\n":              "did you mean cn-shanghai?",
		`region = "mars-1"` + "\n":                  "known are cn-shanghai, ",
		`region = "ap-southeast-1"` + "\n":          "",
		`region = "cn-shangai"` + "\n" + overridden: "",
	} {
		warnings, err := loadText(t, device+text)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(warnings) > 0; got != (want != "") || got && (!strings.Contains(warnings[0].String(), want) || warnings[0].Key != "cloud.region") {
			t.Errorf("%q: %v", text, warnings)
		}
	}
}

// loadText loads one file, with a secret from the environment unless there is one.
func loadText(t *testing.T, text string) ([]Warning, error) {
	t.Helper()
	if os.Getenv(productSecretVariable) == "" {
		t.Setenv(productSecretVariable, "VWll9fiYWKiwraBk")
	}
	_, warnings, err := Load(write(t, t.TempDir(), "a.toml", text))
	return warnings, err
}
