package provision

import (
	"net/url"
	"path"
	"strings"
)

// Modules are swapped, and swapped back. The cloud gives a secret once, so those of
// devices that were here are kept, each in a file of its own, until the device is
// here again.

// othersDir is their directory, and maxOthers the bound of what is kept in it: the
// one that was put there longest ago goes then, which is told.
const (
	othersDir = "credentials.d"
	maxOthers = 64
)

// otherFile is the file of a device. What a name may not have in it is escaped as
// in a URL.
func otherFile(id Identity) string {
	return othersDir + "/" + url.PathEscape(id.ProductKey) + "." + url.PathEscape(id.DeviceName) + ".json"
}

func split(name string) (dir, base string) {
	dir, base = path.Split(name)
	return path.Clean(dir), base
}

// keepOthers puts the generations that are to be replaced by one of id, and are
// another device's, under their own names. What is current is at least as new as
// what is there; what is the previous generation is at most as new.
func (s *Store) keepOthers(id Identity, current, previous generation) error {
	if previous.valid() && previous.id != id && previous.id != current.id {
		if there := s.generation(otherFile(previous.id)); there.err != nil && !there.damaged() {
			return &StoreError{opRead, s.file(there.name), there.err}
		} else if !there.valid() {
			if err := s.keepOther(previous); err != nil {
				return err
			}
		} else if err := s.sync(there.name); err != nil {
			return err
		}
	}
	if current.valid() && current.id != id {
		return s.keepOther(current)
	}
	return nil
}

// keepOther puts credentials under their device's name.
func (s *Store) keepOther(g generation) error {
	name := otherFile(g.id)
	there := s.generation(name)
	switch {
	case there.err != nil && !there.damaged():
		return &StoreError{opRead, s.file(name), there.err}
	case there.holds(g.id) && there.secret == g.secret:
		return s.sync(name) // an interrupted try may not have come to that
	}
	newest, err := s.makeRoom(name)
	if err != nil {
		return err
	}
	return s.put(name, seal(record{
		Kind: kindCredentials, ProductKey: g.id.ProductKey, DeviceName: g.id.DeviceName, Secret: g.secret.Reveal(), SavedAt: g.savedAt, Kept: newest + 1,
	}))
}

// makeRoom sees to it that one more file fits, and returns the greatest number that
// one there has.
func (s *Store) makeRoom(name string) (newest uint64, err error) {
	if err := s.dir.Mkdir(othersDir); err != nil {
		return 0, &StoreError{opWrite, s.file(othersDir), err}
	}
	if err := s.sync(othersDir); err != nil {
		return 0, err
	}
	names, err := s.otherFiles()
	if err != nil {
		return 0, err
	}
	var oldest generation
	others := 0
	for _, n := range names {
		g := s.generation(n)
		newest = max(newest, g.kept)
		if n == name || !g.valid() {
			continue
		}
		if others++; others == 1 || g.kept < oldest.kept {
			oldest = g
		}
	}
	if others < maxOthers {
		return newest, nil
	}
	s.note("credentials of %d other devices are kept, which is as many as there may be: those of device %s of product %s go", others, oldest.id.DeviceName, oldest.id.ProductKey)
	return newest, s.remove(oldest.name)
}

// otherFiles lists the files of other devices.
func (s *Store) otherFiles() ([]string, error) {
	names, err := s.dir.List(othersDir)
	if err != nil {
		return nil, &StoreError{opRead, s.file(othersDir), err}
	}
	var files []string
	for _, n := range names {
		if strings.HasSuffix(n, ".json") {
			files = append(files, othersDir+"/"+n)
		}
	}
	return files, nil
}

// dropOther removes the copy of a device that is the current one again. A copy
// that stays does no harm: the current generation is looked at first, and replaces
// it when the device leaves.
func (s *Store) dropOther(name string) {
	if err := s.remove(name); err != nil {
		s.note("a copy of the current credentials stays: %v", err)
	}
}
