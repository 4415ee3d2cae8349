package bus

import (
	"slices"

	"airbridged/internal/topic"
)

// Open opens a subscription without a filter, for a program that adds and removes
// them as it goes. The caller owns it and must Close it.
func (h *Hub) Open() *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newSubscription("", nil)
}

// Add adds a filter, unless it is there. Errors: what [topic.CheckFilter] says, or
// [ErrTooManyFilters], of the cloud's and of one program's.
func (s *Subscription) Add(filter string) error { return s.add(filter, false) }

// AddKept is Add and KeepFor in one step, so that nothing gets by in between.
func (s *Subscription) AddKept(filter string) error { return s.add(filter, true) }

func (s *Subscription) add(filter string, kept bool) error {
	if err := topic.CheckFilter(filter); err != nil {
		return err
	}
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.subs[s]; !open || slices.Contains(s.filters, filter) {
		return nil
	}
	if len(s.filters) >= MaxFilters || !h.fits(filter) {
		return ErrTooManyFilters
	}
	s.filters = append(s.filters, filter)
	h.listen(s, filter)
	h.filters[filter].subs[s] = kept && s.keep != nil
	h.wake()
	return nil
}

// Remove gives a filter up, and says whether it was there. What matched it before
// stays in the queue.
func (s *Subscription) Remove(filter string) bool {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(s.filters, filter)
	if _, open := h.subs[s]; !open || i < 0 {
		return false
	}
	s.filters = slices.Delete(s.filters, i, i+1)
	f := h.filters[filter]
	delete(f.subs, s)
	h.leave(filter, f)
	h.wake()
	return true
}

// OpenKept is Open for a program whose messages somebody keeps: keep is handed what
// matches a filter that [Subscription.KeepFor] marked, in the order in which it came
// and in place of the queue. It must not wait, nor call the hub.
func (h *Hub) OpenKept(keep func(Message)) *Subscription {
	s := h.Open()
	s.keep = keep
	return s
}

// KeepFor says whether what matches a filter of it is kept, of a subscription that
// OpenKept made. A message that matches several is kept if one of them says so, once.
func (s *Subscription) KeepFor(filter string, yes bool) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.filters[filter]; f != nil && s.keep != nil {
		if _, there := f.subs[s]; there {
			f.subs[s] = yes
		}
	}
}

// Ready delivers when TryNext may have something. One wake-up may stand for
// several items.
func (s *Subscription) Ready() <-chan struct{} { return s.queue.wake }

// TryNext returns the next item if there is one.
func (s *Subscription) TryNext() (Item, bool) {
	it, ok, _ := s.queue.pop()
	return it, ok
}

// Offer hands a message to this subscription alone, if a filter of it matches.
func (s *Subscription) Offer(m Message) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.wants(m.Topic) {
		s.queue.push(Item{Message: &m}, len(m.Payload), false)
	}
}

// Tell hands a message of the daemon's own, on a local topic, to every
// subscription with a matching filter. It is no downlink and not counted as such.
func (h *Hub) Tell(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handOut(m, false)
}
