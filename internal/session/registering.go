package session

import (
	"context"
	"errors"
	"time"

	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
)

// registerGrace is how long a registration under way may go on after the daemon
// was asked to stop: the vendor's logs show about 2 s for one, bad radio needs
// more, and systemd kills after 90 s.
const registerGrace = 30 * time.Second

// registering asks the cloud for the DeviceSecret, which it gives out once
// (vendor guide, part 3). The store is proven writable before the request. With a
// stored secret it only looks for one that got lost, unless a person asked for a
// new one.
func (s *Session) registering(ctx context.Context) (recovery.State, error) {
	old, known, err := s.device.secret()
	wanted := s.errands.wanted()
	switch {
	case err != nil && !(wanted && errors.Is(err, provision.ErrDamaged)):
		return s.unfulfilled(storeFailure(err))
	case known && !wanted && !s.device.unread():
		return s.afterAttach()
	case !known && s.device.given.Load().ProductSecret.Empty():
		return "", &recovery.Failure{
			Cause: recovery.SignatureRefused, Hint: "give device.product_secret_file to register with, or device.device_secret_file",
			Err: errors.New("no stored DeviceSecret and no ProductSecret to register with"),
		}
	}
	if !known || wanted {
		if err := s.o.Store.Prove(); err != nil {
			return s.unfulfilled(storeFailure(err))
		}
		if err := s.awaitRequest(ctx); err != nil {
			return "", err
		}
	}
	// The answer comes once in a device's life: a stop in this very moment waits
	// for it.
	ctx, cancel := withGrace(ctx, registerGrace)
	defer cancel()
	found, err := s.lostSecret(ctx, old)
	switch {
	case err != nil, found:
	case wanted && s.errands.wish.failed != nil:
		s.errands.fulfil(s.errands.wish.failed)
	case !known || wanted:
		err = s.requestSecret(ctx)
		found = err == nil
	}
	if err != nil {
		return s.unfulfilled(err)
	}
	if found {
		s.show.log.Info("registered: the cloud handed out the device secret, and it is stored")
		s.errands.fulfil(nil)
	}
	return s.afterAttach()
}

// httpCommands is how many commands one request takes at most, +HTTPACTION apart
// (vendor guide, part 3; a repeated HTTPINIT and HTTPREAD included).
const httpCommands = 20

// requestSecret asks the cloud. The request is marked on disk until its answer
// was read and kept, so that one that gets lost on the way is looked for. The
// module is told to forget the answer only after that: a daemon that is killed
// between the two would have burnt the identity.
func (s *Session) requestSecret(ctx context.Context) error {
	if err := s.device.requests(); err != nil {
		return err
	}
	body := provision.RegisterBody(s.device.names, s.device.given.Load().ProductSecret, s.o.Random(), s.o.Cloud.Sign)
	s.progress.expect(s.o.Cloud.Timeouts.HTTP + httpCommands*s.o.Cloud.Timeouts.Command)
	request := inquiry{registers: true, url: s.o.Cloud.RegisterURL}
	var refused error
	answered := 0
	err := s.port.modem.PostOnce(ctx, s.o.Cloud.RegisterURL, body, func(reply []byte) error {
		answered = len(reply)
		issued, err := provision.ParseRegister(reply, s.device.names)
		if err != nil {
			refused = err // there is nothing to keep
			return nil
		}
		return s.device.keep(issued)
	})
	s.books.posted(s.o.Cloud.RegisterURL, len(body), answered, err)
	if err != nil {
		return s.device.refused(request.failure(s.port.unanswered(recovery.HTTPFailed, err)), recovery.SignatureRefused)
	}
	s.device.answered()
	if refused != nil {
		return s.device.refused(request.failure(refused), recovery.SignatureRefused)
	}
	return nil
}

// lostSecret looks for the answer to an earlier request that never arrived here,
// and keeps it: the port went away, the module fell silent, or the daemon was
// killed. The module has it until its HTTP session ends. What is found counts only
// if it is not the secret that is stored already.
func (s *Session) lostSecret(ctx context.Context, stored secret.Text) (found bool, err error) {
	if !s.device.requested() {
		return false, nil
	}
	s.progress.expect(s.o.Cloud.Timeouts.HTTP + httpCommands*s.o.Cloud.Timeouts.Command)
	_, err = s.port.modem.Leftover(ctx, func(reply []byte) error {
		issued, err := provision.ParseRegister(reply, s.device.names)
		if err != nil || issued == stored {
			return nil // a refusal, another request's answer, or one that was kept
		}
		found = true
		return s.device.keep(issued)
	})
	if err != nil {
		return false, s.port.unanswered(recovery.HTTPFailed, err)
	}
	s.device.answered()
	s.device.searched = true
	if found {
		s.show.log.Info("found the answer to a registration that was cut off")
	}
	return found, nil
}

// post sends a request through the module, and sorts what can become of it.
func (s *Session) post(ctx context.Context, url, body string) ([]byte, error) {
	s.progress.expect(s.o.Cloud.Timeouts.HTTP + httpCommands*s.o.Cloud.Timeouts.Command)
	reply, err := s.port.modem.Post(ctx, url, body)
	s.books.posted(url, len(body), len(reply), err)
	if err != nil {
		return nil, inquiry{url: url}.failure(s.port.unanswered(recovery.HTTPFailed, err))
	}
	return reply, nil
}
