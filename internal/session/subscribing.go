package session

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"airbridged/internal/atengine"
	"airbridged/internal/recovery"
)

// subscribe asks for every filter that is wanted and not granted yet, and gives
// back those nobody wants any more. The module's SUBACK carries no return code,
// so that a refusal by the cloud looks like a grant; one by the module leaves the
// filter out for this session, and everything else flows.
func (s *Session) subscribe(ctx context.Context) error {
	for _, f := range s.filters.missing() {
		if !strings.HasPrefix(f.Topic, "/broadcast/"+s.device.names.ProductKey+"/") {
			s.device.tellForeign(f.Topic, "subscribed to")
		}
		s.progress.expect(s.o.Cloud.Timeouts.SubAck)
		if err := s.port.modem.Subscribe(ctx, f.Topic, f.QoS); err != nil {
			if err := s.subscriptionFailed(ctx, f.Topic, err); err != nil {
				return err
			}
			continue
		}
		s.books.subscribed(f.Topic)
		s.filters.hub.Grant(f.Topic)
	}
	for _, topic := range s.filters.hub.Unwanted() {
		s.progress.expect(s.o.Cloud.Timeouts.SubAck)
		if err := s.port.modem.Unsubscribe(ctx, topic); err != nil {
			if err := s.subscriptionFailed(ctx, topic, err); err != nil {
				return err
			}
		}
		s.books.subscribed(topic)
		s.filters.hub.Withdraw(topic)
	}
	return nil
}

// subscriptionFailed tells a link that is gone from a filter that this module
// does not take: the second is no reason to give up the session.
func (s *Session) subscriptionFailed(ctx context.Context, filter string, err error) error {
	if why := s.lost(); why != nil {
		return why
	}
	if !errors.Is(err, atengine.ErrRefused) && !errors.Is(err, atengine.ErrUnsafe) {
		return s.port.unanswered(recovery.SubAckTimeout, fmt.Errorf("subscription to %s: %w", filter, err))
	}
	if gone := s.linkGone(ctx, err); gone != nil {
		return gone
	}
	s.filters.refused[filter] = true
	s.show.warn("subscription-refused", fmt.Sprintf("the module refuses the subscription to %s: %v", filter, err))
	return nil
}
