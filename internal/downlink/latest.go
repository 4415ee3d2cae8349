package downlink

import (
	"slices"

	"airbridged/internal/topic"
)

// isLatest says whether of a topic only the newest message is kept; under the lock.
func (s *Store) isLatest(name string) bool {
	return slices.ContainsFunc(s.latest, func(filter string) bool { return topic.Match(filter, name) })
}
