package session

import (
	"slices"
	"sync"

	"airbridged/internal/bus"
	"airbridged/internal/provision"
)

// filters are the subscriptions at the cloud: what programs and the configuration
// want is the hub's to know, what was granted too. One is subscribed while a program
// listens to it, and for good if it stands in [[subscribe]].
type filters struct {
	hub    *bus.Hub
	expand func(topic, productKey, deviceName string) string

	refused map[string]bool // that the module does not take in this session

	mu       sync.Mutex // guards the fields that follow, which a reload may change
	standing []bus.Filter
	names    provision.Identity // of the device, which stand in standing; zero: not known yet
}

func newFilters(o Options) filters {
	return filters{hub: o.Hub, expand: o.Expand, standing: o.Subscribe}
}

// Subscribe replaces the filters that stay subscribed even when no program listens.
func (s *Session) Subscribe(standing []bus.Filter) { s.filters.stand(standing) }

func (f *filters) stand(standing []bus.Filter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.standing = slices.Clone(standing)
	if f.names.DeviceName != "" {
		f.hub.Keep(f.expanded())
	}
}

// belongTo settles whose names stand in the filters of the configuration.
func (f *filters) belongTo(id provision.Identity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = id
	f.hub.Keep(f.expanded())
}

// expanded are the standing filters with the device's own names in them.
func (f *filters) expanded() []bus.Filter {
	list := slices.Clone(f.standing)
	for i := range list {
		list[i].Topic = f.expand(list[i].Topic, f.names.ProductKey, f.names.DeviceName)
	}
	return list
}

// newSession begins a session at the cloud, in which the module may take what it
// refused before.
func (f *filters) newSession() { f.refused = make(map[string]bool) }

// lost says that the session is over, and with it all that was granted.
func (f *filters) lost() { f.hub.Revoke() }

// missing are the filters that are wanted, and neither granted nor refused.
func (f *filters) missing() (list []bus.Filter) {
	for _, w := range f.hub.Wanted() {
		if !f.hub.IsGranted(w.Topic) && !f.refused[w.Topic] {
			list = append(list, w)
		}
	}
	return list
}
