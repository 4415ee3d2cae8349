package bus

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"airbridged/internal/topic"
)

// MaxFilters is how many different filters may be subscribed at the cloud at
// once: 100 per device (Aliyun IoT limits, document 30527).
const MaxFilters = 100

// ErrTooManyFilters means that one more filter would pass [MaxFilters].
var ErrTooManyFilters = errors.New("too many filters: the cloud takes 100 subscriptions per device")

// Message is one downlink message as it left the module. The payload is shared
// by all subscribers: nobody may write to it.
type Message struct {
	Topic      string
	Payload    []byte
	ReceivedAt time.Time
}

// Filter is a topic filter that somebody wants, with the QoS to ask for.
type Filter struct {
	Topic string
	QoS   byte
}

// localQoS is asked for on behalf of local programs: the cloud delivers with
// the publisher's QoS, whatever the subscriber asked for (Aliyun IoT, MQTT
// protocol page), so the higher one loses nothing.
const localQoS = 1

// Hub fans downlink messages out to local programs, and knows which filters
// somebody wants and which of them the cloud has acknowledged. It is safe for
// concurrent use.
type Hub struct {
	changed chan struct{}

	mu      sync.Mutex
	kept    []Filter
	subs    map[*Subscription]struct{}
	granted map[string]bool
	stats   HubStats
}

// HubStats counts what went through the hub since it was made.
type HubStats struct {
	Subscribers int    // programs listening now
	Messages    uint64 // downlink messages handed in
	Dropped     uint64 // deliveries lost because a subscriber's queue was full
}

// NewHub returns a hub that nobody listens to yet.
func NewHub() *Hub {
	return &Hub{
		changed: make(chan struct{}, 1),
		subs:    make(map[*Subscription]struct{}),
		granted: make(map[string]bool),
	}
}

// Keep replaces the filters that stay wanted even when no program listens.
func (h *Hub) Keep(filters []Filter) {
	h.mu.Lock()
	h.kept = slices.Clone(filters)
	h.mu.Unlock()
	h.wake()
}

// Publish hands a message to every subscription with a matching filter, once
// each. It never blocks: a full queue counts the message as missed.
func (h *Hub) Publish(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Messages++
	for s := range h.subs {
		if s.wants(m.Topic) && !s.queue.push(Item{Message: &m}, len(m.Payload)) {
			h.stats.Dropped++
		}
	}
}

// Subscribe opens a subscription to one or more filters. The caller owns it and
// must Close it. Errors: what [topic.CheckFilter] says, or [ErrTooManyFilters].
func (h *Hub) Subscribe(filters []string) (*Subscription, error) {
	if len(filters) == 0 {
		return nil, errors.New("no filter given")
	}
	for _, f := range filters {
		if err := topic.CheckFilter(f); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := h.wanted()
	for _, f := range filters {
		if !topic.IsLocal(f) {
			wanted[f] = localQoS
		}
	}
	if len(wanted) > MaxFilters {
		return nil, ErrTooManyFilters
	}
	s := &Subscription{hub: h, filters: slices.Compact(slices.Sorted(slices.Values(filters))), queue: newQueue()}
	h.subs[s] = struct{}{}
	h.wake()
	return s, nil
}

// Wanted returns every filter that is to be subscribed at the cloud, sorted by
// topic. Filters of local topics ([topic.LocalPrefix]) are not among them.
func (h *Hub) Wanted() []Filter {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := h.wanted()
	list := make([]Filter, 0, len(wanted))
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		list = append(list, Filter{Topic: name, QoS: wanted[name]})
	}
	return list
}

// wanted is the union of kept and local filters; a kept one keeps its QoS.
func (h *Hub) wanted() map[string]byte {
	wanted := make(map[string]byte)
	for s := range h.subs {
		for _, f := range s.filters {
			if !topic.IsLocal(f) {
				wanted[f] = localQoS
			}
		}
	}
	for _, f := range h.kept {
		if !topic.IsLocal(f.Topic) {
			wanted[f.Topic] = f.QoS
		}
	}
	return wanted
}

// Changed is woken when Wanted may have changed; wake-ups coalesce.
func (h *Hub) Changed() <-chan struct{} { return h.changed }

// Grant records that the cloud acknowledged a filter and tells its subscribers.
func (h *Hub) Grant(filter string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.granted[filter] {
		return
	}
	h.granted[filter] = true
	for s := range h.subs {
		if slices.Contains(s.filters, filter) {
			s.queue.push(Item{Granted: filter}, 0)
		}
	}
}

// IsGranted says whether the cloud has acknowledged a filter in this session.
func (h *Hub) IsGranted(filter string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.granted[filter]
}

// Unwanted returns the granted filters that nobody wants any more, sorted.
func (h *Hub) Unwanted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := h.wanted()
	var list []string
	for filter := range h.granted {
		if _, ok := wanted[filter]; !ok {
			list = append(list, filter)
		}
	}
	slices.Sort(list)
	return list
}

// Withdraw records that a filter is no longer subscribed at the cloud.
func (h *Hub) Withdraw(filter string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.granted, filter)
}

// Revoke records that the session is gone, and every grant with it.
func (h *Hub) Revoke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.granted)
}

// Stats returns the counters.
func (h *Hub) Stats() HubStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Subscribers = len(h.subs)
	return s
}

func (h *Hub) wake() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}
