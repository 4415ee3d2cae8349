package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/bus"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// A registration on purpose: the device was reset in the cloud's console, or its
// secret leaked, and a person asks for a new one. It never happens by itself. The
// procedure is the same as the first time: the store is proven, the request is
// marked on disk, and the answer is durable, with the old secret as the previous
// generation, before anything is done with it.

// wish is a registration that a person asked for.
type wish struct {
	until  time.Time  // after that it is forgotten: nobody expects it any more
	done   chan error // of capacity 1; what became of it
	failed error      // what will be said unless the answer is found in the module after all
}

// wishLife is how long a registration on purpose may wait for the module to be
// attached, and may take.
const wishLife = 5 * time.Minute

// Reprovision registers the device anew and returns when its new secret is stored.
// It returns bus.ErrUnderWay when ctx ends before that, and otherwise an
// *bus.AskError that says why it was not done; the old secret is in use then.
func (s *Session) Reprovision(ctx context.Context) error {
	if state, _ := s.progress.at(); state == recovery.Registering {
		return alreadyRegistering()
	}
	w := &wish{until: time.Now().Add(wishLife), done: make(chan error, 1)}
	answer := make(chan error, 1)
	if err := s.errands.hand(ctx, func(context.Context) error {
		err := s.mayReprovision()
		answer <- err
		if err != nil {
			return nil
		}
		s.errands.wish = w
		s.show.warn("reprovision", "registering once more on request")
		return errAside
	}); err != nil {
		return err
	}
	if err := <-answer; err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return &bus.AskError{Err: bus.ErrUnderWay, Detail: "the registration is under way", Hint: "GET /v1/events and the log tell what becomes of it"}
	}
}

// mayReprovision says what speaks against a registration on purpose.
func (s *Session) mayReprovision() error {
	if err := s.unready(); err != nil {
		return err
	}
	no := func(detail, hint string) error {
		return &bus.AskError{Err: bus.ErrNotNow, Detail: detail, Hint: hint}
	}
	_, known, err := s.device.secret()
	switch {
	case !s.device.given.Load().DeviceSecret.Empty():
		return no("the device secret is provisioned by hand, and never registered for", "put the new secret in its place, or take device.device_secret_file out of the configuration")
	case s.device.given.Load().ProductSecret.Empty():
		return no("there is no product secret to register with", "give device.product_secret_file")
	case s.errands.wish != nil:
		return alreadyRegistering()
	case s.device.names.DeviceName == "":
		return &bus.AskError{Err: bus.ErrNoModule, Detail: "the module was not identified yet", Hint: "try again in some seconds"}
	case err != nil && !errors.Is(err, provision.ErrDamaged):
		return no(err.Error(), "put the state directory right first")
	case err == nil && !known:
		return no("the device has no secret yet, so that it is being registered by itself", "GET /v1/status tells what is in the way")
	}
	return nil
}

func alreadyRegistering() error {
	return &bus.AskError{Err: bus.ErrNotNow, Detail: "a registration is in progress", Hint: "GET /v1/events tells what becomes of it"}
}

// wanted says whether a registration on purpose is to be made now. One that
// waited too long is forgotten.
func (r *errands) wanted() bool {
	if r.wish == nil {
		return false
	}
	if time.Now().After(r.wish.until) {
		_, advice := r.progress.at()
		r.fulfil(&bus.AskError{Err: bus.ErrNoModule, Detail: fmt.Sprintf("the module was not ready to register in %d minutes", int(wishLife.Minutes())), Hint: advice})
		return false
	}
	return true
}

// fulfil tells who asked for a registration what became of it.
func (r *errands) fulfil(err error) {
	if r.wish == nil {
		return
	}
	r.wish.done <- err
	r.wish = nil
	if err != nil {
		r.show.warn("reprovision-failed", "the device keeps its old secret: "+err.Error())
		return
	}
	r.show.warn("reprovisioned", "the device has a new secret; the old one is kept as the previous generation")
}

// unfulfilled deals with a registration that failed. One on purpose is over with
// what the cloud or the disk says, and the session goes on with the secret it has;
// a module that does not answer is for recovery, and the wish waits.
func (s *Session) unfulfilled(err error) (recovery.State, error) {
	var f *recovery.Failure
	if s.errands.wish == nil || !errors.As(err, &f) || f.Cause.Errand() == recovery.ErrandWaits {
		return "", err
	}
	s.show.log.Debug("registration on request", zap.Error(err))
	kind := bus.ErrCloud
	if f.Cause.Errand() == recovery.ErrandNotNow {
		kind = bus.ErrNotNow
	}
	before := s.errands.wish.failed
	advice := f.Advice()
	if f.Cause == recovery.AlreadyActivated { // what stands there is for a device without its secret
		advice = "the device keeps the secret that it has; for a new one, reset the device in the console, or delete it there and add it again, and ask once more"
	}
	s.errands.wish.failed = &bus.AskError{Err: kind, Detail: f.Error(), Hint: advice}
	if before == nil && s.device.unread() {
		return recovery.Registering, nil // the answer may be in the module all the same: once more, to look
	}
	s.errands.fulfil(s.errands.wish.failed)
	return s.afterAttach()
}
