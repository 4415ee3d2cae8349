package mqttd

import (
	"context"

	"go.uber.org/zap"

	"airbridged/internal/access"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/outbox"
)

// rights are what the client may do now.
func (c *conn) rights() access.Rights { return c.srv.o.Access.Of(c.who.asker()) }

// judgeByRules says what the access rules have against a message, or nil.
func judgeByRules(rights access.Rights, topic string, payload []byte) *never {
	if err := rights.Publish(topic); err != nil {
		return &never{packet.NotAuthorized, err.Error()}
	}
	if err := rights.Payload(len(payload)); err != nil {
		return &never{packet.TooLarge, err.Error()}
	}
	return nil
}

// inscribe notes whose a message is, and what the rules say of it.
func inscribe(m *outbox.Message, rights access.Rights) {
	m.Owner, m.Share, m.OwnOnly = rights.Who().Owner(), rights.Share(), rights.DropsAll() != nil
	m.Priority = outbox.Priority(rights.Usual())
}

// followRules ends what is no longer allowed whenever the rules change.
func (s *Server) followRules(ctx context.Context) {
	for {
		changed := s.o.Access.Changed() // nil without rules, and then it never comes
		for _, c := range s.sessions.connected() {
			c.obey()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// connected returns the connections that have a session.
func (r *registry) connected() (list []*conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.byID {
		if s.conn != nil {
			list = append(list, s.conn)
		}
	}
	return list
}

// obey closes a connection that has a filter which the rules do not allow, or for which
// there is no rule any more. There is no other way to tell a client that a subscription
// has ended. Its session ends when it comes back, so that it knows.
func (c *conn) obey() {
	err := c.rights().Any()
	if err == nil {
		err = forbidden(c.rights(), c.session)
	}
	if err == nil {
		return
	}
	c.close(whyRules + err.Error())
	c.srv.o.Log.Warn("a client is disconnected, because the access rules have changed", c.fields(zap.String("why", err.Error()))...)
}

// forbidden says why a filter of a session is not allowed, or nil.
func forbidden(rights access.Rights, s *session) error {
	if !rights.Bound() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.filters {
		if err := rights.Subscribe(f); err != nil {
			return err
		}
	}
	return nil
}

// forbids says whether a session has a filter that is not for this client of its user: a
// process in other groups made it, or the rules have changed.
func (c *conn) forbids(s *session) bool { return forbidden(c.rights(), s) != nil }

// banned is the last word to a client of 5 that the rules do not allow any more.
func (c *conn) banned(why string) *packet.Disconnect {
	d := &packet.Disconnect{Code: packet.NotAuthorized}
	if c.problems {
		d.Properties = d.Properties.WithData(packet.ReasonString, []byte(why))
	}
	return d
}
