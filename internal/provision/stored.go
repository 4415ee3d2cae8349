package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"airbridged/internal/durable"
)

// Last tells whose the current credentials are.
func (s *Store) Last() (id Identity, ok bool) {
	for _, name := range []string{credentialsFile, previousFile} {
		if g := s.generation(name); g.valid() {
			return g.id, true
		}
	}
	return Identity{}, false
}

// Stored tells for which devices a state directory holds a DeviceSecret, the
// newest generation first. It changes nothing, and hands out no secret. A
// directory that is not there holds none; a file that cannot be read is an
// error, with what the others hold.
func Stored(dir string) (ids []Identity, err error) {
	s := newStore(durable.OnDisk(dir))
	others, err := s.otherFiles()
	if err != nil {
		return nil, err
	}
	for _, name := range append([]string{credentialsFile, previousFile}, others...) {
		g := s.generation(name)
		switch {
		case errors.Is(g.err, fs.ErrNotExist):
		case errors.Is(g.err, fs.ErrPermission):
			return nil, &StoreError{opRead, s.file(name), g.err}
		case g.damaged():
			err = errors.Join(err, fmt.Errorf("%w: %s: %w", ErrDamaged, s.file(name), cause(g.err)))
		case g.err != nil:
			err = errors.Join(err, &StoreError{opRead, s.file(name), g.err})
		case g.valid() && !slices.Contains(ids, g.id):
			ids = append(ids, g.id)
		}
	}
	return ids, err
}
