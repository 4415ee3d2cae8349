package provision

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"airbridged/internal/secret"
)

func TestStored(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if ids, err := Stored(dir); err != nil || len(ids) != 0 {
		t.Errorf("no directory: %v, %v", ids, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory was made")
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	one, two := Identity{"product", "one"}, Identity{"product", "two"}
	for _, id := range []Identity{one, two} {
		if err := s.SaveDeviceSecret(id, secret.New("0123456789abcdef0123456789abcdef")); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := Stored(dir); err != nil || !slices.Equal(ids, []Identity{two, one}) {
		t.Errorf("two generations: %v, %v", ids, err)
	}
	if err := os.WriteFile(filepath.Join(dir, credentialsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ids, err := Stored(dir); !errors.Is(err, ErrDamaged) || !slices.Equal(ids, []Identity{one}) {
		t.Errorf("one is damaged: %v, %v", ids, err)
	}
}
