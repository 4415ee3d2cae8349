package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What somebody copies from the README is a configuration without a mistake or a warning,
// and the README is read to its end: it is short.
func TestConfigurationOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```toml\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("there is none")
	}
	if warnings, err := loadText(t, string(block[1])); err != nil || len(warnings) > 0 {
		t.Errorf("%v %v", err, warnings)
	}
	if n := strings.Count(string(readme), "\n"); n >= 150 {
		t.Errorf("it has %d lines", n)
	}
	for _, want := range []string{"```sh\nmake demo\n```", "```sh\nmake test\n```", "none yet"} {
		if !strings.Contains(string(readme), want) {
			t.Errorf("%q is not in it", want)
		}
	}
}
