package bus

import (
	"cmp"
	"errors"
	"slices"
	"strings"
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

	// Of [Hub.Keep], for whoever keeps messages.
	Keep   bool // before any program has asked for them
	Latest bool // only the newest of each topic
}

// localQoS is asked for on behalf of local programs: the cloud delivers with
// the publisher's QoS, whatever the subscriber asked for (Aliyun IoT, MQTT
// protocol page), so the higher one loses nothing.
const localQoS = 1

// Linger is how long a filter stays subscribed at the cloud after the last program
// that listened to it left: most come back, and each coming and going costs the SIM
// two exchanges.
const Linger = 30 * time.Second

// Hub fans downlink messages out to local programs, and knows which filters
// somebody wants and which of them the cloud has acknowledged. It is safe for
// concurrent use.
type Hub struct {
	changed chan struct{}

	mu      sync.Mutex
	subs    map[*Subscription]struct{}
	filters map[string]*interest
	aside   map[string]aside // that the cloud refuses, whether somebody wants them or not
	round   uint64           // of handing out, so that nobody gets a message twice
	asked   uint64           // filters that somebody began to want
	linger  *time.Timer
	stats   HubStats
	shares  shares

	calls    *Calls
	onKeep   func([]Filter) // nil: nobody is told
	matching []*interest    // of the message that is handed out
	made     uint64         // subscriptions
}

// interest is what the hub knows of one filter that somebody wants, or that the
// cloud has.
type interest struct {
	subs    map[*Subscription]bool // programs that listen; true: what matches is kept for it, see [Subscription.KeepFor]
	kept    bool                   // wanted even when none does
	qos     byte                   // to ask for
	granted bool                   // the cloud has acknowledged it, and is not being told otherwise
	asked   uint64                 // when it was wanted first, as a count
	left    time.Time              // since when nobody wants it
}

// aside is a filter that is not asked for until then.
type aside struct {
	until  time.Time
	reason string
}

// maxAside bounds how many are remembered; beyond it the one whose time is over first
// is forgotten.
const maxAside = 64

func (f *interest) wanted() bool { return f.kept || len(f.subs) > 0 }

// HubStats counts what went through the hub since it was made.
type HubStats struct {
	Subscribers  int    // programs listening now
	Messages     uint64 // downlink messages handed in
	Dropped      uint64 // deliveries lost because a subscriber's queue was full
	Subscribed   uint64 // filters that the cloud acknowledged
	Unsubscribed uint64 // filters that were given back
}

// NewHub returns a hub that nobody listens to yet.
func NewHub() *Hub {
	return &Hub{
		changed: make(chan struct{}, 1),
		calls:   NewCalls(),
		subs:    make(map[*Subscription]struct{}),
		filters: make(map[string]*interest),
		aside:   make(map[string]aside),
		shares:  shares{users: make(map[string]*share)},
	}
}

// Keep replaces the filters that stay wanted even when no program listens.
func (h *Hub) Keep(filters []Filter) {
	h.mu.Lock()
	h.stand(filters)
	tell := h.onKeep
	h.mu.Unlock()
	if tell != nil {
		tell(filters)
	}
}

// OnKeep has somebody told of the filters that [Hub.Keep] is given, from the next time
// on. He must not wait.
func (h *Hub) OnKeep(tell func([]Filter)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onKeep = tell
}

func (h *Hub) stand(filters []Filter) {
	for name, f := range h.filters {
		if f.kept {
			f.kept, f.qos = false, localQoS
			h.leave(name, f)
		}
	}
	for _, keep := range filters {
		f := h.interestIn(keep.Topic)
		f.kept, f.qos = true, keep.QoS
	}
	h.wake()
}

// interestIn returns what is known of a filter, from now on.
func (h *Hub) interestIn(name string) *interest {
	f := h.filters[name]
	if f == nil {
		h.asked++
		f = &interest{subs: make(map[*Subscription]bool), qos: localQoS, asked: h.asked}
		h.filters[name] = f
	}
	return f
}

// leave is for a filter that somebody lost interest in. One that nobody wants is
// forgotten, or lingers while the cloud has it.
func (h *Hub) leave(name string, f *interest) {
	switch {
	case f.wanted():
	case !f.granted:
		delete(h.filters, name)
	default:
		f.left = time.Now()
		if h.linger == nil {
			h.linger = time.AfterFunc(Linger, h.lingered)
		}
	}
}

// lingered wakes who gives filters back, and comes again while some linger.
func (h *Hub) lingered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.linger = nil
	next := time.Duration(-1)
	for _, f := range h.filters {
		if left := Linger - time.Since(f.left); !f.wanted() && left > 0 && (next < 0 || left < next) {
			next = left
		}
	}
	if next >= 0 {
		h.linger = time.AfterFunc(next, h.lingered)
	}
	h.wake()
}

// Publish hands a message to every subscription with a matching filter, once
// each. It never blocks: a full queue counts the message as missed.
func (h *Hub) Publish(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Messages++
	h.stats.Dropped += h.handOut(m, h.calls.come(m))
}

// Calls are those messages that wait for an answer.
func (h *Hub) Calls() *Calls { return h.calls }

// handOut puts a message into the queues and returns how many had no room for it.
// Each filter is held against the topic once, however many programs have it.
func (h *Hub) handOut(m Message, call bool) (missed uint64) {
	h.round++
	matching := h.matching[:0]
	for name, f := range h.filters {
		if len(f.subs) > 0 && topic.Match(name, m.Topic) {
			matching = append(matching, f)
			if !call { // who is away cannot answer in time
				h.keep(f, m)
			}
		}
	}
	h.matching = matching
	for _, f := range matching {
		for s := range f.subs {
			if s.round == h.round {
				continue
			}
			s.round = h.round
			if !s.queue.push(Item{Message: &m}, len(m.Payload), h.shares.full(s.queue.user, len(m.Payload))) {
				missed++
			}
		}
	}
	return missed
}

// keep hands a message to those who have it kept for this filter.
func (h *Hub) keep(f *interest, m Message) {
	for s, kept := range f.subs {
		if kept && s.round != h.round {
			s.round = h.round
			s.keep(m)
		}
	}
}

// Subscribe opens a subscription to one or more filters. The caller owns it and
// must Close it. Errors: what [topic.CheckFilter] says, or [ErrTooManyFilters].
func (h *Hub) Subscribe(filters []string) (*Subscription, error) { return h.SubscribeFor("", filters) }

// SubscribeFor is Subscribe in a user's name. Where the queues are full, and where the
// cloud takes no more filters, a user who has more of them gives way to one who has
// less: his newest subscription with a filter that nobody else wants ends with
// [ErrCrowdedOut].
func (h *Hub) SubscribeFor(user string, filters []string) (*Subscription, error) {
	if len(filters) == 0 {
		return nil, errors.New("no filter given")
	}
	for _, f := range filters {
		if err := topic.CheckFilter(f); err != nil {
			return nil, err
		}
	}
	filters = slices.Compact(slices.Sorted(slices.Values(filters)))
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.fits(filters...) {
		if !h.makeRoom(user, len(filters)) {
			return nil, ErrTooManyFilters
		}
	}
	s := h.newSubscription(user, filters)
	for _, name := range filters {
		h.listen(s, name)
	}
	h.wake()
	return s, nil
}

func (h *Hub) newSubscription(user string, filters []string) *Subscription {
	h.made++
	s := &Subscription{hub: h, filters: filters, name: user, n: h.made, queue: newQueue(&h.shares, h.shares.enter(user))}
	h.subs[s] = struct{}{}
	return s
}

// makeRoom ends a subscription of the user who wants most filters, unless he then had
// no more than this one, who needs so many more; false: there is none to end.
func (h *Hub) makeRoom(user string, need int) bool {
	wanted := make(map[string]int) // filters, by user; one that two subscriptions share counts twice
	for s := range h.subs {
		wanted[s.name] += len(s.filters)
	}
	var newest *Subscription
	for s := range h.subs {
		if s.name == "" || s.name == user || wanted[s.name] <= wanted[user]+need || !slices.ContainsFunc(s.filters, h.onlyOnes) {
			continue
		}
		if newest == nil || wanted[s.name] > wanted[newest.name] || s.name == newest.name && s.n > newest.n {
			newest = s
		}
	}
	if newest == nil {
		return false
	}
	h.end(newest, ErrCrowdedOut)
	return true
}

// onlyOnes says whether one subscription alone wants a filter at the cloud.
func (h *Hub) onlyOnes(name string) bool {
	f := h.filters[name]
	return f != nil && !f.kept && len(f.subs) == 1 && !topic.IsLocal(name)
}

// end forgets a subscription; Next then returns why, behind what there is.
func (h *Hub) end(s *Subscription, why error) {
	if _, open := h.subs[s]; !open {
		return
	}
	delete(h.subs, s)
	for _, name := range s.filters {
		if f := h.filters[name]; f != nil {
			delete(f.subs, s)
			h.leave(name, f)
		}
	}
	h.shares.leave(s.name)
	s.queue.close(why)
	h.wake()
}

// listen enters a subscription at a filter, and tells it if that is set aside.
func (h *Hub) listen(s *Subscription, name string) {
	f := h.interestIn(name)
	f.subs[s] = false
	if h.isAside(name) {
		s.queue.push(Item{Refused: name, Reason: h.aside[name].reason}, 0, false)
	}
}

// fits says whether the cloud would take these filters, each given once, as well.
func (h *Hub) fits(filters ...string) bool {
	n := h.wanted()
	for _, name := range filters {
		if f := h.filters[name]; !topic.IsLocal(name) && (f == nil || !f.wanted()) {
			n++
		}
	}
	return n <= MaxFilters
}

// wanted counts the filters that are to be subscribed at the cloud.
func (h *Hub) wanted() (n int) {
	for name, f := range h.filters {
		if f.wanted() && !topic.IsLocal(name) {
			n++
		}
	}
	return n
}

// Wanted returns every filter that is to be subscribed at the cloud, sorted by
// topic. Filters of local topics ([topic.LocalPrefix]) are not among them.
func (h *Hub) Wanted() []Filter {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list(func(f *interest) bool { return f.wanted() })
}

// Missing returns the filters that are wanted and that the cloud does not have,
// those first that were wanted first.
func (h *Hub) Missing() []Filter {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.list(func(f *interest) bool { return f.wanted() && !f.granted })
	list = slices.DeleteFunc(list, func(f Filter) bool { return h.isAside(f.Topic) })
	slices.SortStableFunc(list, func(a, b Filter) int { return cmp.Compare(h.filters[a.Topic].asked, h.filters[b.Topic].asked) })
	return list
}

// list is sorted by topic.
func (h *Hub) list(pick func(*interest) bool) []Filter {
	list := make([]Filter, 0, len(h.filters))
	for name, f := range h.filters {
		if !topic.IsLocal(name) && pick(f) {
			list = append(list, Filter{Topic: name, QoS: f.qos})
		}
	}
	slices.SortFunc(list, func(a, b Filter) int { return strings.Compare(a.Topic, b.Topic) })
	return list
}

// Changed is woken when Missing or GiveBack may have something; wake-ups coalesce.
func (h *Hub) Changed() <-chan struct{} { return h.changed }

// Grant records that the cloud acknowledged a filter and tells its subscribers.
func (h *Hub) Grant(filter string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.interestIn(filter)
	if f.granted {
		return
	}
	f.granted = true
	h.stats.Subscribed++
	for s := range f.subs {
		s.queue.push(Item{Granted: filter}, 0, false)
	}
	h.leave(filter, f) // if all left meanwhile
}

// SetAside has a filter not asked for a while, because the cloud refuses it, and tells
// its subscribers, those that come meanwhile too.
func (h *Hub) SetAside(filter, reason string, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.aside[filter] = aside{time.Now().Add(d), reason}
	if len(h.aside) > maxAside {
		first := filter
		for name, a := range h.aside {
			if a.until.Before(h.aside[first].until) {
				first = name
			}
		}
		delete(h.aside, first)
	}
	if f := h.filters[filter]; f != nil {
		f.granted = false
		for s := range f.subs {
			s.queue.push(Item{Refused: filter, Reason: reason}, 0, false)
		}
		h.leave(filter, f)
	}
}

// isAside says whether a filter is set aside now.
func (h *Hub) isAside(filter string) bool {
	a, ok := h.aside[filter]
	if ok && !time.Now().Before(a.until) {
		delete(h.aside, filter)
		return false
	}
	return ok
}

// Forgive has all filters asked for again that were set aside.
func (h *Hub) Forgive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.aside)
	h.wake()
}

// GiveBack picks a filter that the cloud has and that nobody has wanted for
// [Linger], or sooner where the cloud would have more than it takes; ok is false if
// there is none. From then on it is not granted any more: who comes now is told so,
// and it is Missing, although the cloud hears of its end only now.
func (h *Hub) GiveBack() (filter string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	had := 0
	for name, f := range h.filters {
		if topic.IsLocal(name) {
			continue
		}
		if f.wanted() || f.granted {
			had++
		}
		if f.wanted() {
			continue
		}
		if g := h.filters[filter]; g == nil || f.left.Before(g.left) || f.left.Equal(g.left) && name < filter {
			filter = name
		}
	}
	f := h.filters[filter]
	if f == nil || time.Since(f.left) < Linger && had <= MaxFilters {
		return "", false
	}
	delete(h.filters, filter)
	h.stats.Unsubscribed++
	return filter, true
}

// Revoke records that the session is gone, and every grant with it.
func (h *Hub) Revoke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, f := range h.filters {
		f.granted = false
		h.leave(name, f)
	}
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
