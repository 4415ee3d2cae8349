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

// publish sends one message and settles what became of it. The message in hand
// is always given back to the queue: done, or released.
func (s *Session) publish(ctx context.Context, m outbox.Message) error {
	s.progress.expect(s.o.Cloud.Timeouts.Command + s.o.Cloud.Timeouts.PubAck + silences)
	s.device.tellForeign(m.Topic, "published to")
	s.up.pace.begin(time.Now())
	s.show.meter.InFlight(1)
	defer s.show.meter.InFlight(0)
	sendCtx, cancel := withGrace(ctx, publishGrace)
	defer cancel()
	if m.QoS > 0 {
		s.suspects.asked(theMessage(m))
	}
	receipt, err := s.port.modem.Publish(sendCtx, m.Topic, m.QoS, m.Payload)
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
		s.books.published(m, rides)
		return s.delivered(m, receipt)
	case errors.As(err, &cannot):
		s.suspects.harmless(theMessage(m), true)
		s.reject(m, cannot.Error())
		return nil
	case errors.Is(err, air.ErrNotSent), errors.Is(err, atengine.ErrRefused) && m.QoS == 0: // no PUBACK can come of it
		return s.notSent(ctx, m, err)
	}
	s.books.attempted(m)
	if errors.Is(err, atengine.ErrRefused) {
		return s.refused(ctx, m, err)
	}
	return s.unknown(ctx, m, err)
}

// delivered books a message that is acknowledged, or, for QoS 0, handed over.
func (s *Session) delivered(m outbox.Message, r air.Receipt) error {
	state := outbox.Acked
	if m.QoS == 0 {
		state = outbox.Sent
	} else {
		s.up.acked, s.up.pace.acked = r.AckedAt, true
		s.carried(m)
	}
	s.suspects.harmless(theMessage(m), true)
	s.suspects.alive(time.Now())
	s.up.refused.over(m.ID)
	if err := s.up.queue.Done(m.ID, state, ""); err != nil {
		return storeFailure(err)
	}
	s.show.published(m, state, r.AckedAt)
	return nil
}

// notSent is a definite refusal by the module: nothing went out. Either the link
// is gone, or this module does not take this message now. Setting a message aside
// loses it, so what is known of the module is found out anew before that.
func (s *Session) notSent(ctx context.Context, m outbox.Message, err error) error {
	if gone := s.linkGone(ctx, err); gone != nil {
		if !s.setAsideOver(m, gone) {
			s.tryAgain(m, err)
		}
		return gone
	}
	s.suspects.harmless(theMessage(m), false)
	if s.tooLong(m, err) || s.tooOften(m, err) {
		return nil
	}
	s.tryAgain(m, err)
	return s.refusedAgain(err)
}

// tryAgain gives a refused message back to the queue. What became of it is known only
// where the module says that it sent nothing; otherwise it may arrive twice.
func (s *Session) tryAgain(m outbox.Message, err error) {
	s.release(m)
	if !errors.Is(err, air.ErrNotSent) {
		s.show.unknown(m)
	}
}

// refused is a refusal that proves nothing: it may have been the answer to something
// else, and the message may be at the cloud. So the session is torn down as after any
// outcome that is unknown; but a message that the module refuses in one session after
// the other does not hold up the rest for ever.
func (s *Session) refused(ctx context.Context, m outbox.Message, err error) error {
	why := s.linkGone(ctx, err)
	if why == nil {
		why = &recovery.Failure{Cause: recovery.DoubtfulAnswer, Err: err}
		if s.tooLong(m, err) || s.tooOften(m, err) {
			return why
		}
		if again := s.refusedAgain(err); again != nil {
			why = again
		}
	}
	if s.setAsideOver(m, why) {
		return why
	}
	s.release(m)
	s.show.unknown(m)
	return why
}

// tooOften counts a refusal by a module whose link is up, and sets the message aside
// if there were too many.
func (s *Session) tooOften(m outbox.Message, err error) bool {
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
func (s *Session) unknown(ctx context.Context, m outbox.Message, err error) error {
	why := s.lost()
	if why != nil && s.setAsideOver(m, why) {
		return why
	}
	s.release(m)
	s.show.unknown(m)
	if why != nil {
		return why // the event that ended the wait says more exactly what happened
	}
	return s.unacknowledged(ctx, err)
}

func (s *Session) release(m outbox.Message) {
	if err := s.up.queue.Release(m.ID); err != nil {
		s.show.log.Error("a message could not be put back", zap.String("id", m.ID), zap.Error(err))
	}
}

// reject sets a message aside that this module can never carry.
func (s *Session) reject(m outbox.Message, reason string) {
	if err := s.up.queue.Done(m.ID, outbox.Rejected, reason); err != nil {
		s.show.log.Error("a message could not be set aside", zap.String("id", m.ID), zap.Error(err))
	}
	s.show.published(m, outbox.Rejected, time.Time{})
	s.show.warn("message-rejected", fmt.Sprintf("message %s was set aside: %s", m.ID, reason))
}

// unacknowledged finds out more about a PUBACK that did not come. It is the
// cloud holding back, and not a wedge, when link and signal are fine, and either
// messages followed each other fast, or a reset of the module has changed nothing.
// A single PUBACK can get lost on any line, so where they were slower than the
// quota it has to happen again, which it does within seconds.
func (s *Session) unacknowledged(ctx context.Context, err error) error {
	why := s.port.unanswered(recovery.PubAckTimeout, err)
	var f *recovery.Failure
	if !errors.As(why, &f) || f.Cause != recovery.PubAckTimeout || ctx.Err() != nil {
		return why
	}
	likely := s.past.Failed(recovery.PubAckTimeout) || s.up.pace.gap > 0 || s.up.pace.between < quotaSpan
	tooFast := likely && s.up.pace.tooFast()
	if !tooFast && !s.past.ResetInVain() {
		return why
	}
	if gone := s.linkGone(ctx, err); gone != nil {
		return gone
	}
	s.readSignal(ctx)
	if !s.network.fine() {
		return why
	}
	if tooFast {
		s.up.pace.slower(time.Now())
		s.show.pace(s.up.pace.gap)
		s.show.warn("throttled", fmt.Sprintf("the cloud drops messages that come too fast: from now on one in %v at most", s.up.pace.gap.Round(time.Millisecond)))
	}
	return &recovery.Failure{Cause: recovery.Throttled, Err: err}
}

// easePace tries a shorter gap when it is time to.
func (s *Session) easePace() {
	if s.up.pace.eased(time.Now()) {
		s.show.log.Info("sending faster again", zap.Duration("gap", s.up.pace.gap))
		s.show.pace(s.up.pace.gap)
	}
}
