package downlink

import (
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/topic"
)

// standing is what [[subscribe]] says, with the device's own names in it.
type standing struct {
	known  bool     // it was said
	keep   []string // filters that are kept before anybody has asked for them
	latest []string // of a topic under one of these only the newest is kept
}

// stand takes in what [[subscribe]] says. It is what the hub tells.
func (s *Store) stand(filters []bus.Filter) {
	st := standing{known: true}
	for _, f := range filters {
		if f.Keep {
			st.keep = append(st.keep, f.Topic)
		}
		if f.Latest {
			st.latest = append(st.latest, f.Topic)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing = st
	poke(s.work)
}

// isLatest says whether of a topic only the newest message is kept; under the lock.
func (s *Store) isLatest(name string) bool {
	return slices.ContainsFunc(s.standing.latest, func(filter string) bool { return topic.Match(filter, name) })
}

// takes says whether a program's subscription takes all that falls under a filter; under
// the lock.
func (b *Box) takes(filter string) bool {
	return b.card.Kind != Kept && slices.ContainsFunc(b.card.Filters, func(f Filter) bool { return f.QoS > 0 && topic.Covers(f.Topic, filter) })
}

// balance makes a subscription for each filter that is to be kept and that no program
// takes, and ends those that [[subscribe]] does not have any more. It is Run's.
func (s *Store) balance() {
	fresh, over := s.unbalanced()
	if len(fresh) > 0 {
		s.write() // before anything is kept for it
	}
	for _, b := range fresh {
		s.listen(b)
	}
	for _, b := range over {
		s.mu.Lock()
		waiting := len(b.list)
		s.mu.Unlock()
		if waiting > 0 {
			s.log.Warn("what was kept under a [[subscribe]] is given up: it is not in the configuration any more", zap.String("filter", b.card.Name), zap.Int("messages", waiting))
		}
		s.end(b)
	}
	if len(over) > 0 {
		s.write()
	}
}

func (s *Store) unbalanced() (fresh, over []*Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.standing.known {
		return nil, nil
	}
	missing := slices.Clone(s.standing.keep)
	for _, b := range s.boxes {
		if b.card.Kind == Kept && !slices.Contains(s.standing.keep, b.card.Name) {
			over = append(over, b)
		}
		missing = slices.DeleteFunc(missing, func(f string) bool { return b.card.Kind == Kept && b.card.Name == f || b.takes(f) })
	}
	for _, f := range missing {
		b := s.add(card{Kind: Kept, Name: f, Since: time.Now().UTC(), Filters: []Filter{{Topic: f, QoS: 1}}})
		s.soil(b)
		fresh = append(fresh, b)
	}
	return fresh, over
}

// inherit has a program's subscription take over what was kept before anybody asked for
// it. The caller closes what is returned; under the lock.
func (s *Store) inherit(b *Box) (closed []*bus.Subscription) {
	for _, k := range s.boxes {
		if k.card.Kind != Kept || !b.takes(k.card.Name) {
			continue
		}
		numbers := append(slices.Clone(k.card.Also), k.key)
		b.card.Also = append(b.card.Also, numbers...)
		for _, n := range numbers {
			s.byKey[n] = b
		}
		for _, e := range k.list {
			s.counts(e, -1)
			e.box = b
			s.counts(e, 1)
		}
		// What was handed out stays in front: it is not handed out again for that.
		rest := append(k.list, b.list[b.next:]...)
		slices.SortStableFunc(rest, byAge)
		b.list = append(slices.Clone(b.list[:b.next]), rest...)
		b.loose += k.loose
		b.lost += k.lost
		b.newest = max(b.newest, k.newest)
		k.list, k.next, k.gone, k.heir = nil, 0, true, b
		delete(s.boxes, k.key)
		s.soil(b)
		s.soil(k)
		if k.sub != nil {
			closed = append(closed, k.sub)
		}
		poke(b.ready)
	}
	return closed
}

// byAge orders messages as they came; those that are not on the disk came last.
func byAge(x, y *entry) int {
	switch {
	case x.id == "" && y.id == "":
		return 0
	case x.id == "":
		return 1
	case y.id == "":
		return -1
	}
	return strings.Compare(x.id, y.id)
}

// settleHeirs ends the files of what was taken over before the process ended: their
// messages are the heir's. Under the lock.
func (s *Store) settleHeirs() {
	for _, b := range s.boxes {
		for _, n := range b.card.Also {
			if k := s.boxes[n]; k != nil {
				k.gone = true
				delete(s.boxes, n)
				s.soil(k)
			}
			s.byKey[n] = b
		}
	}
}
