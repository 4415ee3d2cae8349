// Package intake is what is asked of a message before it goes into the outbox, and
// what the outbox's refusals mean, whichever local interface it came through. Each
// interface has its own words for the answer: a problem, a reason code.
package intake

import (
	"context"
	"errors"
	"syscall"

	"airbridged/internal/bus"
	"airbridged/internal/outbox"
	"airbridged/internal/topic"
)

// Cause is why a message is not taken. The set is closed.
type Cause int

// The causes.
const (
	Internal     Cause = iota // the daemon's fault
	BadTopic                  // nobody can publish there
	Reserved                  // the topic is the daemon's own
	TooLarge                  // the module carries less
	NotCarried                // a byte that the module cannot carry
	NotBatchable              // it cannot stand among the readings of its topic
	KeyReused                 // the idempotency key belongs to another message
	Full                      // the outbox's bounds
	Disk                      // the disk of the outbox is full or failing
	Late                      // the outbox did not answer in time
	Stopping                  // the daemon takes no messages any more
)

// Passes says whether the same message may be taken later, as things are.
func (c Cause) Passes() bool { return c == Full || c == Disk || c == Late || c == Stopping }

// Refusal is why a message was not taken. Nothing of it was kept.
type Refusal struct {
	Cause  Cause
	Detail string          // what is in the way
	Advice string          // what the outbox says can be done; may be empty
	Carry  *bus.CarryError // of TooLarge, NotCarried and NotBatchable, where the numbers are known
}

func (r *Refusal) Error() string { return r.Detail }

// Topic judges a topic to publish to; nil: it can be published to.
func Topic(name string) *Refusal {
	if topic.IsLocal(name) {
		return &Refusal{Cause: Reserved, Detail: "topics under " + topic.LocalPrefix + " never leave the gateway; only the daemon publishes them"}
	}
	if err := topic.Check(name); err != nil {
		return &Refusal{Cause: BadTopic, Detail: err.Error()}
	}
	return nil
}

// Payload judges by carry, which says as *bus.CarryError why the module at hand
// cannot carry a message; nil: it carries all.
func Payload(name string, payload []byte, carry func(topic string, payload []byte) error) *Refusal {
	if carry == nil {
		return nil
	}
	err := carry(name, payload)
	if err == nil {
		return nil
	}
	r := &Refusal{Cause: NotCarried, Detail: err.Error()}
	if ce, ok := errors.AsType[*bus.CarryError](err); ok {
		r.Carry = ce
		switch {
		case ce.TooLarge:
			r.Cause = TooLarge
		case ce.Unfit:
			r.Cause = NotBatchable
		}
	}
	return r
}

// diskErrors are what a file system says when it cannot keep a byte; what the
// outbox says of its own to that effect belongs here too.
var diskErrors = []error{outbox.ErrDisk, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO}

// Of translates what the outbox said to a message that was handed to it.
func Of(err error) *Refusal {
	r := &Refusal{Detail: err.Error()}
	if oe, ok := errors.AsType[*outbox.Error](err); ok {
		r.Detail, r.Advice = oe.Err.Error(), oe.Hint
	}
	switch {
	case errors.Is(err, outbox.ErrKey):
		r.Cause = KeyReused
	case errors.Is(err, outbox.ErrFull):
		r.Cause = Full
	case errors.Is(err, outbox.ErrClosed):
		r.Cause = Stopping
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		r.Cause = Late
	}
	for _, disk := range diskErrors {
		if errors.Is(err, disk) {
			r.Cause = Disk
		}
	}
	return r
}
