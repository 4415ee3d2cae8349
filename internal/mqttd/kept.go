package mqttd

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/downlink"
	"airbridged/internal/topic"
)

// make makes a session. One that outlives its connection has what comes for it kept;
// under the lock.
func (r *registry) make(c *conn, expiry time.Duration) *session {
	s := &session{id: c.clientID, owner: c.who.owner(), acks: make(chan struct{}, 1), filters: map[string]wish{}}
	if r.store != nil && expiry > 0 {
		s.box = r.store.NewSession(downlink.Who{Owner: s.owner, User: c.who.user()}, s.id, expiry)
		s.sub = r.hub.OpenKept(s.box.Keep)
	} else {
		s.sub = r.hub.Open()
	}
	r.byID[s.id] = s
	return s
}

// settle waits until it is on disk that a connection has its session, so that CONNACK
// says the same after a restart. ctx bounds the wait for a disk that hangs.
func (r *registry) settle(ctx context.Context, c *conn) {
	for _, box := range []*downlink.Box{c.ended, c.session.box} {
		if box != nil {
			box.Save(ctx)
		}
	}
	c.ended = nil
}

// restore takes in the sessions that an earlier process has kept.
func (r *registry) restore(log *zap.Logger) {
	if r.store == nil {
		return
	}
	now := time.Now()
	for _, k := range r.store.Sessions(r.dropped) {
		s := &session{id: k.Client, owner: k.Owner, acks: make(chan struct{}, 1), filters: map[string]wish{}, box: k.Box, expiry: k.Expiry}
		s.sub = r.hub.OpenKept(s.box.Keep)
		for _, f := range k.Filters {
			if !isSys(f.Topic) {
				if err := add(s.sub, f.Topic, f.QoS > 0 && !topic.IsLocal(f.Topic)); err != nil {
					log.Warn("a session that was kept lost a filter", zap.String("client", short(s.id)), zap.String("filter", short(f.Topic)), zap.Error(err))
					continue
				}
			}
			s.filters[f.Topic] = wish{qos: f.QoS, noLocal: f.NoLocal, id: f.ID}
			s.echo.some = s.echo.some || f.NoLocal
			r.watch(f.Topic)
		}
		s.until = until(k, now)
		r.mu.Lock()
		r.byID[s.id] = s
		r.mu.Unlock()
	}
}

// maxClockStep is what a clock that is right may say at most has passed since a session
// was left.
const maxClockStep = 5 * 365 * 24 * time.Hour

// until is when a session of an earlier process ends. Where it is not known when it was
// left, its time begins anew: it had a connection when that process was killed, or the
// clock is not right.
func until(k downlink.Session, now time.Time) time.Time {
	away := now.Sub(k.Left)
	if k.Left.IsZero() || away < 0 || away > maxClockStep {
		away = 0
	}
	return now.Add(k.Expiry - away)
}

// dropped ends a session that somebody has dropped on request. A client that has it is
// disconnected, and comes back to none.
func (r *registry) dropped(client string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byID[client]
	switch {
	case s == nil || s.box == nil || s.box.Taken():
	case s.conn == nil:
		r.remove(s)
	default:
		s.expiry = 0
		s.conn.close("its session was dropped on request")
	}
}

// add adds a filter to a subscription, kept or not; again, it changes that.
func add(sub *bus.Subscription, filter string, kept bool) error {
	if !kept {
		err := sub.Add(filter)
		sub.KeepFor(filter, false)
		return err
	}
	err := sub.AddKept(filter)
	sub.KeepFor(filter, true)
	return err
}

// keepFilters brings the session's filters to disk, before the client is told that it
// has them.
func (c *conn) keepFilters() {
	s := c.session
	if s.box == nil {
		return
	}
	s.mu.Lock()
	list := make([]downlink.Filter, 0, len(s.filters))
	for f, w := range s.filters {
		list = append(list, downlink.Filter{Topic: f, QoS: w.qos, NoLocal: w.noLocal, ID: w.id})
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b downlink.Filter) int { return cmp.Compare(a.Topic, b.Topic) })
	s.box.Choose(list)
	ctx, cancel := context.WithTimeout(context.Background(), saveTime)
	defer cancel()
	s.box.Save(ctx)
}

// sendKept writes the next message down that is kept for the session; false: there is
// none.
func (c *conn) sendKept() bool {
	box := c.session.box
	if box == nil {
		return false
	}
	k, ok := box.Next()
	if ok && !c.send(&k.Message, k.ID, k.Again) && k.ID != "" {
		box.Ack(k.ID) // it is not wanted any more, or has no answer
	}
	return ok
}

// keptReady delivers when there may be something to sendKept.
func (c *conn) keptReady() <-chan struct{} {
	if box := c.session.box; box != nil {
		return box.Ready()
	}
	return nil
}
