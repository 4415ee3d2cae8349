package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/recovery"
)

// subscribe does all that is to do with filters, as a session begins with it. One that
// is under suspicion is left for later.
func (s *Session) subscribe(ctx context.Context) error {
	for {
		if did, _, err := s.tendFilters(ctx); err != nil || !did {
			return err
		}
	}
}

// tendInTurn does one operation with a filter where it is due: one for each publish
// while messages wait (more says so), so that programs which subscribe and leave all
// the time do not hold them up, and not more than churn allows. wait is how long the
// next one has to wait.
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
	did, wait, err = s.tendFilters(ctx)
	f.due, f.after = did || wait > 0, did
	if did {
		f.churn.count()
	}
	return did, wait, err
}

// tendFilters does one operation, if one is to do: it gives a filter back that
// nobody wants any more, or asks for one that is wanted and not granted yet. One that
// is under suspicion has to wait until the session has shown that it lives without it.
// The module's SUBACK carries no return code, so that a refusal by the cloud looks like
// a grant; one by the module sets the filter aside for a while, and everything else
// flows.
func (s *Session) tendFilters(ctx context.Context) (did bool, wait time.Duration, err error) {
	if wait := time.Until(s.filters.held); wait > 0 {
		return false, wait, nil
	}
	if filter, ok := s.filters.hub.GiveBack(); ok {
		return true, 0, s.unsubscribeFrom(ctx, filter)
	}
	suspect := func(topic string) bool { return s.suspects.against(theFilter(topic)) > 0 }
	f, suspected, ok := s.filters.missing(suspect)
	switch {
	case !ok:
		return false, 0, nil
	case !suspected:
		return true, 0, s.subscribeTo(ctx, f)
	case !s.proven(time.Now()):
		return false, rightBehind, nil
	}
	return true, 0, s.tryFilter(ctx, f)
}

// tryFilter asks for a filter under suspicion, and then for nothing else until it is
// clear whether the cloud ends the session over it.
func (s *Session) tryFilter(ctx context.Context, f bus.Filter) error {
	if err := s.subscribeTo(ctx, f); err != nil {
		return err
	}
	if err := s.pause(ctx, rightBehind); err != nil {
		return err
	}
	if err := s.lost(); err != nil {
		return err
	}
	if gone := s.linkGone(ctx, errSilentlyGone); gone != nil {
		return gone
	}
	s.suspects.alive(time.Now())
	return nil
}

func (s *Session) subscribeTo(ctx context.Context, f bus.Filter) error {
	if !strings.HasPrefix(f.Topic, "/broadcast/"+s.device.names.ProductKey+"/") {
		s.device.tellForeign(f.Topic, "subscribed to")
	}
	s.progress.expect(s.o.Cloud.Timeouts.SubAck)
	what := theFilter(f.Topic)
	s.suspects.asked(what)
	if err := s.port.modem.Subscribe(ctx, f.Topic, f.QoS); err != nil {
		if err := s.subscriptionFailed(ctx, f.Topic, err); err != nil {
			return err
		}
		s.suspects.harmless(what, false)
		s.setFilterAside(f.Topic, err)
		return nil
	}
	s.filters.taken(f.Topic)
	s.suspects.answered(what, time.Now())
	s.books.subscribed(f.Topic)
	s.filters.hub.Grant(f.Topic)
	s.show.filterTaken(f.Topic)
	return nil
}

// setFilterAside tells those who asked for a filter that the module refuses it, and when
// it is asked for again.
func (s *Session) setFilterAside(filter string, err error) {
	again := s.filters.refusedAgain(filter)
	reason := fmt.Sprintf("the module refuses the subscription (%v); it is asked again in %v", err, again)
	s.filters.hub.SetAside(filter, reason, again)
	s.show.filterRefused(filter, reason)
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
	if errors.Is(err, air.ErrDoubtful) || !errors.Is(err, atengine.ErrRefused) && !errors.Is(err, atengine.ErrUnsafe) {
		return s.port.unanswered(recovery.SubAckTimeout, fmt.Errorf("subscription to %s: %w", filter, err))
	}
	if gone := s.linkGone(ctx, err); gone != nil {
		return gone
	}
	// ERROR without a number is no proof that no SUBACK comes, and that has no id: the
	// next filter would be granted by it.
	var refused *atengine.Error
	if errors.Is(err, air.ErrRefusedBehindOK) && errors.As(err, &refused) && refused.Code == atengine.PlainError {
		s.filters.held = time.Now().Add(s.o.Cloud.Timeouts.SubAck)
	}
	s.show.warn("subscription-refused", fmt.Sprintf("the module refuses the subscription to %s: %v", filter, err))
	return nil
}
