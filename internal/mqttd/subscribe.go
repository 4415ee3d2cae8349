package mqttd

import (
	"errors"
	"strings"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/mqttd/packet"
	"airbridged/internal/topic"
)

// subscribe answers at once what is valid and allowed: whether the cloud grants it
// shows on $airbridge/state.
func (c *conn) subscribe(p *packet.Subscribe) {
	id, _ := p.Properties.Number(packet.SubscriptionID)
	answer := &packet.Suback{Kind: packet.SUBACK, ID: p.ID}
	var local []string
	for f := range p.Filters() {
		w := wish{qos: min(f.QoS, 1), noLocal: f.NoLocal, id: id}
		n := c.want(f.Filter, w)
		switch {
		case n == nil:
			answer.Codes = append(answer.Codes, w.qos)
			if topic.IsLocal(f.Filter) {
				local = append(local, f.Filter)
			}
		case c.level >= packet.Level5:
			answer.Codes = append(answer.Codes, byte(n.code))
		default:
			answer.Codes = append(answer.Codes, packet.SubscriptionRefused)
		}
		if n != nil && c.srv.told.first("filter "+c.key()+" "+f.Filter) {
			c.srv.o.Log.Warn("a subscription is refused", c.fields(zap.String("filter", short(f.Filter)), zap.String("why", n.why))...)
		}
	}
	c.keepFilters()
	c.answer(answer)
	for _, f := range local {
		c.srv.showState(c.session, f)
	}
	c.obey() // the rules may have changed in between
}

// want adds a filter to the session, or says why not.
func (c *conn) want(filter string, w wish) *never {
	if n := judgeFilter(filter); n != nil {
		return n
	}
	if err := c.rights().Subscribe(filter); err != nil {
		return &never{packet.NotAuthorized, err.Error()}
	}
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.filters[filter]
	if !there && len(s.filters) >= maxFilters {
		return &never{packet.QuotaExceeded, "it has 200 filters already"}
	}
	if !isSys(filter) {
		if err := add(s.sub, filter, w.qos > 0 && !topic.IsLocal(filter)); errors.Is(err, bus.ErrTooManyFilters) {
			return &never{packet.QuotaExceeded, err.Error()}
		} else if err != nil {
			return &never{packet.FilterInvalid, err.Error()}
		}
	}
	if !there {
		c.srv.sessions.watch(filter)
	}
	s.filters[filter] = w
	s.echo.some = s.echo.some || w.noLocal
	return nil
}

// isSys: what a broker tells of itself. There is none here, and nothing to tell.
func isSys(filter string) bool { return filter == "$SYS" || strings.HasPrefix(filter, "$SYS/") }

// judgeFilter says what is wrong with a filter, or nil.
func judgeFilter(filter string) *never {
	switch {
	case strings.HasPrefix(filter, "$share/"):
		return &never{packet.SharedUnsupported, "there are no shared subscriptions"}
	case isSys(filter), topic.IsLocal(filter):
	case strings.HasPrefix(filter, "$"):
		return &never{packet.FilterInvalid, "the cloud has no topics that begin with $"}
	case topic.Wide(filter):
		return &never{packet.FilterInvalid, "it has a wildcard where the product or the device stands; name them"}
	}
	if err := topic.CheckFilter(filter); err != nil {
		return &never{packet.FilterInvalid, err.Error()}
	}
	return nil
}

// unsubscribe gives filters up.
func (c *conn) unsubscribe(p *packet.Unsubscribe) {
	answer := &packet.Suback{Kind: packet.UNSUBACK, ID: p.ID}
	s := c.session
	for f := range p.Filters() {
		s.mu.Lock()
		_, there := s.filters[f]
		delete(s.filters, f)
		s.mu.Unlock()
		code := packet.NoSubscriptionExisted
		if there {
			code = packet.Success
			s.sub.Remove(f)
			c.srv.sessions.unwatch(f)
		}
		if c.level >= packet.Level5 {
			answer.Codes = append(answer.Codes, byte(code))
		}
	}
	c.keepFilters()
	c.answer(answer)
}
