package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/outbox"
	"airbridged/internal/recovery"
)

// publishGrace is how long a publish in flight may go on after the daemon was
// asked to stop.
const publishGrace = 5 * time.Second

// silences is how long a publish may take besides its deadlines: the end of a doubt
// before it, and behind a refusal two data phases and the way back in step.
const silences = 2 * time.Minute

// refusals is how often one message may be refused by a module whose link is up
// before the module is probed anew, and then once more as often before it is set
// aside: then it is the message, and the rest must flow.
const refusals = 3

// spared is how many of the CONNECTs of a minute a message does not get that was
// refused more than once: others may need them.
const spared = 2

// publish sends one publication and settles what became of it. Its messages are always
// given back to the queue: done, or released.
func (s *Session) publish(ctx context.Context, p publication) error {
	s.progress.expect(s.o.Cloud.Timeouts.Command + s.o.Cloud.Timeouts.PubAck + silences)
	s.device.tellForeign(p.topic, "published to")
	s.up.quota.begin(int(p.qos), time.Now())
	s.show.meter.InFlight(len(p.messages))
	defer s.show.meter.InFlight(0)
	sendCtx, cancel := withGrace(ctx, publishGrace)
	defer cancel()
	if p.qos > 0 {
		s.suspects.asked(p.suspect())
	}
	receipt, err := s.port.modem.Publish(sendCtx, p.topic, p.qos, p.payload)
	rides := false
	if !s.up.acked.IsZero() && !receipt.WrittenAt.IsZero() {
		turnaround := receipt.WrittenAt.Sub(s.up.acked)
		s.show.meter.Turnaround(turnaround)
		rides = turnaround < ackRides
	}
	s.up.acked = time.Time{}
	var cannot *air.PayloadError
	switch {
	case err == nil:
		s.books.published(p, rides)
		return s.delivered(p, receipt)
	case errors.As(err, &cannot):
		s.suspects.harmless(p.suspect(), true)
		s.cannotCarry(p, cannot)
		return nil
	case errors.Is(err, air.ErrNotSent), errors.Is(err, atengine.ErrRefused) && p.qos == 0: // no PUBACK can come of it
		return s.notSent(ctx, p, err)
	}
	s.books.attempted(p)
	if errors.Is(err, atengine.ErrRefused) {
		return s.refused(ctx, p, err)
	}
	return s.unknown(ctx, p, err)
}

// cannotCarry sets a message aside that the module cannot carry. Of a batch that may be
// the batch: its readings go one by one before that is said of any.
func (s *Session) cannotCarry(p publication, why error) {
	if p.single() {
		s.reject(p.first(), why.Error())
		return
	}
	s.up.splits.split(p)
	for _, m := range p.messages {
		s.putBack(m)
	}
}

// delivered books what is acknowledged, or, for QoS 0, handed over. One PUBACK
// acknowledges all that was in the publish, and nothing else.
func (s *Session) delivered(p publication, r air.Receipt) error {
	state := outbox.Acked
	if p.qos == 0 {
		state = outbox.Sent
	} else {
		s.up.acked = r.AckedAt
		if s.up.quota.acknowledged(r.WrittenAt, r.AckedAt) {
			s.show.log.Info("the cloud takes more messages in a second again", zap.Duration("gap", s.up.quota.gap()))
			s.show.pace(s.up.quota.gap())
		}
		s.carried(p)
	}
	s.suspects.harmless(p.suspect(), true)
	s.suspects.alive(time.Now())
	for _, m := range p.messages {
		s.up.refused.over(m.ID)
		s.up.splits.over(m)
	}
	if err := s.up.queue.DoneAll(p.ids(), state); err != nil {
		return storeFailure(err)
	}
	s.show.published(p.messages, state, r.AckedAt)
	return nil
}

// notSent is a definite refusal by the module: nothing went out. Either the link
// is gone, or this module does not take this message now. Setting a message aside
// loses it, so what is known of the module is found out anew before that.
func (s *Session) notSent(ctx context.Context, p publication, err error) error {
	if gone := s.linkGone(ctx, err); gone != nil {
		if !s.setAsideOver(p, gone) {
			s.tryAgain(p, err)
		}
		return gone
	}
	s.suspects.harmless(p.suspect(), false)
	if s.tooLong(p, err) || s.tooOften(p, err) {
		return nil
	}
	s.tryAgain(p, err)
	return s.refusedAgain(err)
}

// tryAgain gives what was refused back to the queue. What became of it is known only
// where the module says that it sent nothing; otherwise it may arrive twice.
func (s *Session) tryAgain(p publication, err error) {
	s.release(p)
	if !errors.Is(err, air.ErrNotSent) {
		s.show.unknown(p.messages)
	}
}

// refused is a refusal that proves nothing: it may have been the answer to something
// else, and the message may be at the cloud. So the session is torn down as after any
// outcome that is unknown; but a message that the module refuses in one session after
// the other does not hold up the rest for ever.
func (s *Session) refused(ctx context.Context, p publication, err error) error {
	why := s.linkGone(ctx, err)
	if why == nil {
		why = &recovery.Failure{Cause: recovery.DoubtfulAnswer, Err: err}
		if s.tooLong(p, err) || s.tooOften(p, err) {
			return why
		}
		if again := s.refusedAgain(err); again != nil {
			why = again
		}
	}
	if s.setAsideOver(p, why) {
		return why
	}
	s.release(p)
	s.show.unknown(p.messages)
	return why
}

// tooOften counts a refusal by a module whose link is up, and sets the message aside
// if there were too many. A batch is none: its readings soon go one by one.
func (s *Session) tooOften(p publication, err error) bool {
	if !p.single() {
		s.up.refused = repeats{}
		return false
	}
	m := p.first()
	n := s.up.refused.again(m.ID)
	if n < 2*refusals {
		return false
	}
	s.reject(m, fmt.Sprintf("the module refused it %d times while its link was up (%v)", n, err))
	return true
}

// refusedAgain has the module probed anew when it has refused one message often.
func (s *Session) refusedAgain(err error) error {
	if s.up.refused.n != refusals {
		return nil
	}
	s.port.close() // so that it is probed again
	return &recovery.Failure{Cause: recovery.OutOfSync, Hint: "the module refuses a message; finding out anew what it can carry", Err: err}
}

// unknown is the dangerous case: the message may or may not have reached the
// cloud. It goes back to the head of the queue, and the session is torn down
// before anything is published again.
func (s *Session) unknown(ctx context.Context, p publication, err error) error {
	why := s.lost()
	if why != nil && s.setAsideOver(p, why) {
		return why
	}
	s.release(p)
	s.show.unknown(p.messages)
	if why != nil {
		return why // the event that ended the wait says more exactly what happened
	}
	return s.unacknowledged(ctx, err)
}

// release gives back what was not acknowledged. A batch repeats as a whole, but for
// what expires meanwhile.
func (s *Session) release(p publication) {
	s.up.splits.failed(p)
	for _, m := range p.messages {
		s.backInPlace(m, s.up.queue.Release(m.ID))
	}
}

// putBack gives back a message that was not sent.
func (s *Session) putBack(m outbox.Message) { s.backInPlace(m, s.up.queue.PutBack(m.ID)) }

func (s *Session) backInPlace(m outbox.Message, err error) {
	if err != nil {
		s.show.log.Error("a message could not be put back", zap.String("id", m.ID), zap.Error(err))
	}
}

// reject sets a message aside that this module can never carry.
func (s *Session) reject(m outbox.Message, reason string) {
	s.up.splits.over(m)
	if err := s.up.queue.Done(m.ID, outbox.Rejected, reason); err != nil {
		s.show.log.Error("a message could not be set aside", zap.String("id", m.ID), zap.Error(err))
	}
	s.show.published([]outbox.Message{m}, outbox.Rejected, time.Time{})
	s.show.warn("message-rejected", fmt.Sprintf("message %s was set aside: %s", m.ID, reason))
}

// unacknowledged finds out more about a PUBACK that did not come. It is the
// cloud holding back, and not a wedge, when link and signal are fine, and either the
// message was one too many of its second, in two sessions, or a reset of the module has
// changed nothing. A single PUBACK can get lost on any line.
func (s *Session) unacknowledged(ctx context.Context, err error) error {
	why := s.port.unanswered(recovery.PubAckTimeout, err)
	var f *recovery.Failure
	if !errors.As(why, &f) || f.Cause != recovery.PubAckTimeout || ctx.Err() != nil {
		return why
	}
	if !s.up.quota.unusual() && !s.past.ResetInVain() {
		s.up.quota.missing(time.Now()) // of the line, and so may have been the ones before
		return why
	}
	if gone := s.linkGone(ctx, err); gone != nil {
		return gone
	}
	s.readSignal(ctx)
	if !s.network.fine() {
		return why
	}
	if s.up.quota.missing(time.Now()) {
		s.show.pace(s.up.quota.gap())
		s.show.warn("throttled", fmt.Sprintf("the cloud takes no more than %d messages in a second, and drops the rest: that is kept to", s.up.quota.learned))
	} else if !s.past.ResetInVain() {
		return why
	}
	return &recovery.Failure{Cause: recovery.Throttled, Err: err}
}
