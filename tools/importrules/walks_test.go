package importrules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A walk that leads through a function which was renamed leads nowhere.
func TestWalksLeadThroughWhatExists(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(data), "\n## Four walks\n")
	text, _, _ = strings.Cut(text, "\n## ")
	hops := regexp.MustCompile(`(?m)^[0-9]+\. \x60([a-z/_]+\.go)\x60 \x60(\w+)\x60 .+$`).FindAllStringSubmatch(text, -1)
	if lines := regexp.MustCompile(`(?m)^[0-9]+\. `).FindAllString(text, -1); !found || len(hops) != len(lines) || len(hops) < 20 {
		t.Fatalf("%d of %d hops name a file and a function", len(hops), len(lines))
	}
	for _, hop := range hops {
		source, err := os.ReadFile(filepath.Join(root, hop[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + hop[2] + `\(`).Match(source) {
			t.Errorf("%s has no function %s", hop[1], hop[2])
		}
	}
}
