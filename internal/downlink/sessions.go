package downlink

import (
	"context"
	"slices"
	"time"

	"airbridged/internal/bus"
)

// Forever is the expiry of a session that is kept until it is dropped: the longest that
// MQTT knows (5, 3.1.2.11.2).
const Forever = (1<<32 - 1) * time.Second

// Session is what an earlier process has kept of an MQTT client.
type Session struct {
	Who
	Client  string
	Box     *Box
	Filters []Filter
	Expiry  time.Duration
	Left    time.Time // since when it has no connection, as far as is known
}

// Sessions are those of an earlier process. dropped is told, from then on, of the client
// whose session was dropped on request; nothing is held meanwhile.
func (s *Store) Sessions(dropped func(client string)) []Session {
	s.mu.Lock()
	s.dropped = dropped
	s.mu.Unlock()
	var list []Session
	for _, b := range s.sorted() {
		s.mu.Lock()
		if c := b.card; c.Kind == MQTT && !b.gone {
			list = append(list, Session{Who{c.Owner, c.User}, c.Name, b, slices.Clone(c.Filters), c.Expiry, c.Left})
		}
		s.mu.Unlock()
	}
	return list
}

// NewSession makes the session of an MQTT client, in place of the one that it had. It
// waits for nothing: [Box.Save] does.
func (s *Store) NewSession(who Who, client string, expiry time.Duration) *Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.find(MQTT, client); old != nil {
		s.forget(old)
	}
	now := time.Now().UTC()
	b := s.add(card{Kind: MQTT, Name: client, Owner: who.Owner, User: who.User, Since: now, Expiry: expiry, Left: now})
	s.soil(b)
	return b
}

// Keep takes a message for the subscription. It is for [bus.Hub.OpenKept].
func (b *Box) Keep(m bus.Message) { b.keep(m) }

// Choose says which filters the subscription has. They are on disk after Save. What was
// kept under one of them before anybody asked for it is its own from now on.
func (b *Box) Choose(filters []Filter) {
	s := b.store
	s.mu.Lock()
	if b.gone || slices.Equal(b.card.Filters, filters) {
		s.mu.Unlock()
		return
	}
	b.card.Filters = filters
	s.soil(b)
	closed := s.inherit(b)
	s.mu.Unlock()
	for _, sub := range closed {
		sub.Close()
	}
}

// Expire says how long the session is kept without a connection, and since when it has
// none; zero: it has one. When it left is written with the next change, or at the latest
// when the store ends.
func (b *Box) Expire(expiry time.Duration, left time.Time) {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := b.card.Expiry != expiry
	b.card.Expiry, b.card.Left = expiry, left
	switch {
	case b.gone:
	case changed:
		s.soil(b)
	case !b.unsure:
		b.unsure = true
		s.dirty = append(s.dirty, b)
	}
}

// Save waits until what was said of the session is on disk, or ctx ends. The warnings
// tell of a disk that fails.
func (b *Box) Save(ctx context.Context) {
	s := b.store
	s.mu.Lock()
	if !b.unsure && !b.writing {
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	_ = b.saved(ctx)
}

// End ends the session, with what is kept for it. It waits for nothing: Save does.
func (b *Box) End() {
	s := b.store
	s.mu.Lock()
	s.forget(b)
	warned := b.warned
	s.mu.Unlock()
	if warned && s.board != nil {
		s.board.ClearWarning(bus.DownlinkFull, b.about())
	}
}

// Taken says whether the session may still be used: it was not dropped on request.
func (b *Box) Taken() bool {
	s := b.store
	s.mu.Lock()
	defer s.mu.Unlock()
	return !b.gone
}
