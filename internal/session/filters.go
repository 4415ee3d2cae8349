package session

import (
	"slices"
	"sync"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/provision"
)

// filters are the subscriptions at the cloud: what programs and the configuration
// want is the hub's to know, what was granted too. One is subscribed while a program
// listens to it, and for good if it stands in [[subscribe]].
type filters struct {
	hub    *bus.Hub
	expand func(topic, productKey, deviceName string) string

	refusals map[string]int // by the module, in a row
	held     time.Time      // until when a SUBACK could be that of another filter
	due      bool           // something may have to be subscribed or given back
	after    bool           // one operation was done since the last publish
	churn    churn

	mu       sync.Mutex // guards the fields that follow, which a reload may change
	standing []bus.Filter
	replies  []bus.Filter       // of [[on_connect]], which never change
	names    provision.Identity // of the device, which stand in standing; zero: not known yet
}

func (f *filters) begin(o Options) { f.hub, f.expand, f.standing = o.Hub, o.Expand, o.Subscribe }

// Subscribe replaces the filters that stay subscribed even when no program listens.
func (s *Session) Subscribe(standing []bus.Filter) { s.filters.stand(standing) }

func (f *filters) stand(standing []bus.Filter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.standing = slices.Clone(standing)
	f.hub.Forgive()
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
	for _, r := range f.replies {
		if !slices.ContainsFunc(list, func(s bus.Filter) bool { return s.Topic == r.Topic }) {
			list = append(list, r)
		}
	}
	for i := range list {
		list[i].Topic = f.expand(list[i].Topic, f.names.ProductKey, f.names.DeviceName)
	}
	return list
}

// newSession begins a session at the cloud, in which no SUBACK is owed.
func (f *filters) newSession() { f.held = time.Time{} }

// refusedMost bounds how many filters are remembered that the module refused.
const refusedMost = 128

// refusedAgain counts a refusal by the module, and says for how long the filter is not
// asked for: a busy module takes it soon, one that never will is not pestered.
func (f *filters) refusedAgain(filter string) time.Duration {
	if len(f.refusals) >= refusedMost || f.refusals == nil {
		f.refusals = make(map[string]int)
	}
	f.refusals[filter]++
	switch f.refusals[filter] {
	case 1:
		return time.Minute
	case 2:
		return 10 * time.Minute
	}
	return asideFor
}

// taken forgets that the module refused a filter.
func (f *filters) taken(filter string) { delete(f.refusals, filter) }

// lost says that the session is over, and with it all that was granted.
func (f *filters) lost() { f.hub.Revoke() }

// missing is the filter to be asked for next: one that is wanted, and neither granted
// nor set aside; ok is false where there is none. Those that suspect names come last.
func (f *filters) missing(suspect func(topic string) bool) (next bus.Filter, suspected, ok bool) {
	for _, w := range f.hub.Missing() {
		switch {
		case !suspect(w.Topic):
			return w, false, true
		case !ok:
			next, suspected, ok = w, true, true
		}
	}
	return next, suspected, ok
}

// churn bounds what programs that subscribe and leave may cost: a whole set of filters
// twice at once, and then one operation a second. It never holds up what a session
// begins with.
type churn struct {
	used float64 // operations, less those that time has forgiven
	at   time.Time
	made int       // since it was told last
	told time.Time // that they come too fast
}

const (
	churnBurst = 2 * bus.MaxFilters
	churnEvery = time.Second
	churnTell  = time.Hour
)

// wait is how long the next operation has to wait.
func (c *churn) wait(now time.Time) time.Duration {
	c.used = max(0, c.used-float64(now.Sub(c.at))/float64(churnEvery))
	c.at = now
	return time.Duration(max(0, c.used-churnBurst+1) * float64(churnEvery))
}

// count books one operation.
func (c *churn) count() { c.used++; c.made++ }

// tell says whether to tell of it now, and how many operations there were.
func (c *churn) tell(now time.Time) (made int, ok bool) {
	if !c.told.IsZero() && now.Sub(c.told) < churnTell {
		return 0, false
	}
	made, c.made, c.told = c.made, 0, now
	return made, true
}
