package config

import (
	"slices"
	"testing"

	"airbridged/internal/secret"
)

// What a reload reports has to name every difference, and nothing else.
func TestChanged(t *testing.T) {
	uid := 7
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"nothing", func(*Config) {}, nil},
		{"a level", func(c *Config) { c.Log.Level = "debug" }, []string{"log.level"}},
		{
			"several, in the order of the file", func(c *Config) { c.Log.Format, c.Modem.Device, c.Cloud.Timeouts.HTTP = "json", "/dev/x", 1 },
			[]string{"modem.device", "cloud.timeouts.http", "log.format"},
		},
		{"a subscription more", func(c *Config) { c.Subscribe = []Subscribe{{Topic: "/a"}, {Topic: "/b"}} }, []string{"subscribe"}},
		{"an access rule", func(c *Config) { c.Access = []Access{{UID: &uid}} }, []string{"access"}},
		{"a dictionary of the same name", func(c *Config) { c.Batch = []Batch{{Topic: "/a", Dictionary: []byte("b")}} }, []string{"batch"}},
		{"a program", func(c *Config) { c.Modem.ResetCommand = []string{"/bin/reset"} }, []string{"modem.reset_command"}},
		{"another secret in the same file", func(c *Config) { c.Device.ProductSecret = secret.New("b") }, []string{"device.product_secret_file"}},
	} {
		was := Default()
		was.Device.ProductSecret = secret.New("a")
		was.Subscribe = []Subscribe{{Topic: "/a"}}
		was.Batch = []Batch{{Topic: "/a", Dictionary: []byte("a")}}
		is := was
		c.change(&is)
		if got := Changed(was, is); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
