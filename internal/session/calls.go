package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// answerCalls sends the answers to the cloud's calls, before anything else. They are QoS 0
// and never stored: one whose time is over is dropped.
func (s *Session) answerCalls(ctx context.Context) error {
	for {
		a, late, ok := s.filters.hub.Calls().Take()
		switch {
		case !ok:
			return nil
		case late:
			s.lostAnswer(a, "it could not be sent in time")
			continue
		}
		if err := s.answerCall(ctx, a); err != nil {
			return err
		}
	}
}

func (s *Session) lostAnswer(a bus.Answer, why string) {
	s.show.log.Warn("an answer was dropped", zap.String("id", a.ID), zap.String("why", why))
	s.show.warn(bus.LateCall, fmt.Sprintf("the answer to the call %q was dropped: %s", a.ID, why))
}

func (s *Session) answerCall(ctx context.Context, a bus.Answer) error {
	s.progress.expect(s.o.Cloud.Timeouts.Command + silences)
	sendCtx, cancel := withGrace(ctx, publishGrace)
	defer cancel()
	p := publication{topic: a.Topic, payload: a.Payload, messages: []outbox.Message{{Topic: a.Topic, Payload: a.Payload, Source: a.Source}}}
	s.up.quota.begin(0, time.Now())
	_, err := s.port.modem.Publish(sendCtx, a.Topic, 0, a.Payload)
	s.up.acked = time.Time{} // the next publish follows no PUBACK
	var cannot *air.PayloadError
	switch {
	case err == nil:
		s.books.published(p, false)
		return nil
	case errors.As(err, &cannot):
		s.lostAnswer(a, cannot.Error())
		return nil
	case errors.Is(err, air.ErrNotSent), errors.Is(err, atengine.ErrRefused):
		s.lostAnswer(a, err.Error())
		return s.linkGone(ctx, err)
	}
	s.books.charge(p, s.books.attempt(p.topic, p.payload, p.qos))
	s.lostAnswer(a, err.Error())
	if why := s.lost(); why != nil {
		return why
	}
	return s.unacknowledged(ctx, err)
}
