package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airbridged/internal/batch"
)

// The dictionary is read with the configuration: a file that is gone or cut by the
// time of the first batch would make bytes that no receiver reads.
func TestADictionaryIsReadWithTheConfiguration(t *testing.T) {
	surroundings(t)
	for _, c := range []struct{ name, content, words string }{
		{"a reading", `{"t":1}`, ""},
		{"as much as deflate looks back", strings.Repeat("x", batch.MaxDictionary), ""},
		{"one byte more", strings.Repeat("x", batch.MaxDictionary+1), "keep the last ones"},
		{"nothing", "", "is empty"},
	} {
		dir := t.TempDir()
		dictionary := filepath.Join(dir, "dictionary")
		if err := os.WriteFile(dictionary, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		path := write(t, dir, "airbridged.toml", least+"\n[[batch]]\ntopic = \"/a/b\"\ncompress = \"deflate\"\ndictionary_file = \""+dictionary+"\"\n")
		cfg, _, err := Load(path)
		if c.words == "" {
			if err != nil || len(cfg.Batch) != 1 || string(cfg.Batch[0].Dictionary) != c.content {
				t.Errorf("%s: %v, %d tables", c.name, err, len(cfg.Batch))
			}
			continue
		}
		var m *Mistakes
		if !errors.As(err, &m) || len(m.List) != 1 || m.List[0].Key != "batch.dictionary_file" || !strings.Contains(m.Error(), c.words) {
			t.Errorf("%s: %v, want a mistake with %q", c.name, err, c.words)
		}
	}
}
