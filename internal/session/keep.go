package session

import (
	"slices"

	"airbridged/internal/bus"
	"airbridged/internal/provision"
)

// Keep replaces the filters that stay subscribed even when no program listens.
func (s *Session) Keep(filters []bus.Filter) {
	s.keepMu.Lock()
	defer s.keepMu.Unlock()
	s.kept = slices.Clone(filters)
	if s.keptFor.DeviceName != "" {
		s.Hub.Keep(s.expanded())
	}
}

// keepFor settles whose names stand in the kept filters.
func (s *Session) keepFor(id provision.Identity) {
	s.keepMu.Lock()
	defer s.keepMu.Unlock()
	s.keptFor = id
	s.Hub.Keep(s.expanded())
}

// expanded are the kept filters with the device's own names in them.
func (s *Session) expanded() []bus.Filter {
	list := slices.Clone(s.kept)
	for i := range list {
		list[i].Topic = s.Expand(list[i].Topic, s.keptFor.ProductKey, s.keptFor.DeviceName)
	}
	return list
}
