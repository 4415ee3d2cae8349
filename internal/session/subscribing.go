package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// subscribe does all that is to do with filters, as a session begins with it.
func (s *Session) subscribe(ctx context.Context) error {
	for {
		if did, err := s.tendFilters(ctx); err != nil || !did {
			return err
		}
	}
}

// tendInTurn does one operation with a filter where it is due: one for each publish
// while messages wait (more says so), so that programs which subscribe and leave all
// the time do not hold them up, and not more than churn allows. wait is how long the
// next one has to wait for that.
func (s *Session) tendInTurn(ctx context.Context, more bool) (did bool, wait time.Duration, err error) {
	f := &s.filters
	if !f.due || more && f.after {
		return false, 0, nil
	}
	if wait := f.churn.wait(time.Now()); wait > 0 {
		if made, ok := f.churn.tell(time.Now()); ok {
			s.show.warn("filter-churn", fmt.Sprintf("programs subscribe and leave so often that filters were subscribed and given back %d times; each costs the SIM, "+
				"so that from now on it is once in %v at most", made, churnEvery))
		}
		return false, wait, nil
	}
	did, err = s.tendFilters(ctx)
	f.due, f.after = did, did
	if did {
		f.churn.count()
	}
	return did, 0, err
}

// tendFilters does one operation, if one is to do: it gives a filter back that
// nobody wants any more, or asks for one that is wanted and not granted yet. The
// module's SUBACK carries no return code, so that a refusal by the cloud looks like a
// grant; one by the module leaves the filter out for this session, and everything
// else flows.
func (s *Session) tendFilters(ctx context.Context) (did bool, err error) {
	if filter, ok := s.filters.hub.GiveBack(); ok {
		return true, s.unsubscribeFrom(ctx, filter)
	}
	if f, ok := s.filters.missing(); ok {
		return true, s.subscribeTo(ctx, f)
	}
	return false, nil
}

func (s *Session) subscribeTo(ctx context.Context, f bus.Filter) error {
	if !strings.HasPrefix(f.Topic, "/broadcast/"+s.device.names.ProductKey+"/") {
		s.device.tellForeign(f.Topic, "subscribed to")
	}
	s.progress.expect(s.o.Cloud.Timeouts.SubAck)
	if err := s.port.modem.Subscribe(ctx, f.Topic, f.QoS); err != nil {
		if err := s.subscriptionFailed(ctx, f.Topic, err); err != nil {
			return err
		}
		s.filters.refused[f.Topic] = true
		return nil
	}
	s.books.subscribed(f.Topic)
	s.filters.hub.Grant(f.Topic)
	return nil
}

// unsubscribeFrom gives a filter back. Where the module does not take that, the
// filter stays subscribed, and what comes of it goes nowhere.
func (s *Session) unsubscribeFrom(ctx context.Context, filter string) error {
	s.progress.expect(s.o.Cloud.Timeouts.SubAck)
	if err := s.port.modem.Unsubscribe(ctx, filter); err != nil {
		return s.subscriptionFailed(ctx, filter, err)
	}
	s.books.subscribed(filter)
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
	s.show.warn("subscription-refused", fmt.Sprintf("the module refuses the subscription to %s: %v", filter, err))
	return nil
}
