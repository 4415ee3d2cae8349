package session

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/durable"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
	"airbridged/internal/secret"
)

// deviceSecret finds the DeviceSecret: the one provisioned by hand, one that
// the cloud handed out and the disk has not taken yet, or the stored one.
func (s *Session) deviceSecret() (secret.Text, bool, error) {
	if !s.Device.DeviceSecret.Empty() {
		return s.Device.DeviceSecret, true, nil
	}
	defer s.tellNotes()
	if !s.unsaved.secret.Empty() {
		// Durable before it is used: until it is on disk there is nothing to use.
		err := s.Store.SaveDeviceSecret(s.unsaved.id, s.unsaved.secret)
		if err != nil && s.unsaved.id == s.identity {
			return secret.Text{}, false, err
		}
		if err == nil {
			s.unsaved = unsaved{}
		}
	}
	return s.Store.DeviceSecret(s.identity)
}

// unsaved is a DeviceSecret that the cloud handed out and the disk has not taken
// yet. The module may be another one by the time it does.
type unsaved struct {
	id     provision.Identity
	secret secret.Text
}

// tellNotes passes on what the store found and could help itself with, such as a
// damaged file whose previous generation serves; once each.
func (s *Session) tellNotes() {
	for _, note := range s.Store.Notes() {
		if !s.told[note] {
			s.told[note] = true
			s.show.warn("credentials", note)
		}
	}
}

// registerGrace is how long a registration under way may go on after the daemon
// was asked to stop: the vendor's logs show about 2 s for one, bad radio needs
// more, and systemd kills after 90 s.
const registerGrace = 30 * time.Second

// registering asks the cloud for the DeviceSecret, which it gives out once
// (vendor guide, part 3). The store is proven writable before the request. With a
// stored secret it only looks for one that got lost, unless a person asked for a
// new one.
func (s *Session) registering(ctx context.Context) (recovery.State, error) {
	old, known, err := s.deviceSecret()
	wanted := s.errands.wanted()
	switch {
	case err != nil && !(wanted && errors.Is(err, provision.ErrDamaged)):
		return s.unfulfilled(storeFailure(err))
	case known && !wanted && !s.marked():
		return s.afterAttach()
	case !known && s.Device.ProductSecret.Empty():
		return recovery.Registering, &recovery.Failure{
			Cause: recovery.SignatureRefused, Hint: "give device.product_secret_file to register with, or device.device_secret_file",
			Err: errors.New("no stored DeviceSecret and no ProductSecret to register with"),
		}
	}
	if !known || wanted {
		if err := s.Store.Prove(); err != nil {
			return s.unfulfilled(storeFailure(err))
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
		s.Log.Info("registered: the cloud handed out the device secret, and it is stored")
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
	if err := s.mark().Save(struct{}{}); err != nil {
		return storeFailure(err)
	}
	s.searched = false
	body := provision.RegisterBody(s.identity, s.Device.ProductSecret, s.Random(), s.Cloud.Sign)
	s.progress.expect(s.Cloud.Timeouts.HTTP + httpCommands*s.Cloud.Timeouts.Command)
	var refused error
	answered := 0
	err := s.port.modem.PostOnce(ctx, s.Cloud.RegisterURL, body, func(reply []byte) error {
		answered = len(reply)
		issued, err := provision.ParseRegister(reply, s.identity)
		if err != nil {
			refused = err // there is nothing to keep
			return nil
		}
		return s.keepSecret(issued)
	})
	s.books.posted(s.Cloud.RegisterURL, len(body), answered, err)
	if err != nil {
		return postFailure(s.port.unanswered(recovery.HTTPFailed, err))
	}
	s.unmark()
	if refused != nil {
		return postFailure(refused)
	}
	return nil
}

// keepSecret stores a DeviceSecret that the cloud handed out. While the disk does
// not take it, deviceSecret tries again.
func (s *Session) keepSecret(issued secret.Text) error {
	s.unsaved = unsaved{s.identity, issued}
	if _, _, err := s.deviceSecret(); err != nil {
		return storeFailure(err)
	}
	s.dropToken() // one there was for the secret before
	return nil
}

// lostSecret looks for the answer to an earlier request that never arrived here,
// and keeps it: the port went away, the module fell silent, or the daemon was
// killed. The module has it until its HTTP session ends. What is found counts only
// if it is not the secret that is stored already.
func (s *Session) lostSecret(ctx context.Context, stored secret.Text) (found bool, err error) {
	if !s.asked() {
		return false, nil
	}
	s.progress.expect(s.Cloud.Timeouts.HTTP + httpCommands*s.Cloud.Timeouts.Command)
	_, err = s.port.modem.Leftover(ctx, func(reply []byte) error {
		issued, err := provision.ParseRegister(reply, s.identity)
		if err != nil || issued == stored {
			return nil // a refusal, another request's answer, or one that was kept
		}
		found = true
		return s.keepSecret(issued)
	})
	if err != nil {
		return false, s.port.unanswered(recovery.HTTPFailed, err)
	}
	s.unmark()
	s.searched = true
	if found {
		s.Log.Info("found the answer to a registration that was cut off")
	}
	return found, nil
}

// mark is the file that marks a registration whose answer was not read yet.
func (s *Session) mark() durable.Note[struct{}] {
	return durable.NewNote[struct{}](s.State, "registering.json")
}

// asked says whether a registration may have been asked for whose answer was not
// read yet. A mark that is damaged or cannot be read now is one: to look for an
// answer that is not there harms nobody.
func (s *Session) asked() bool {
	_, err := s.mark().Load()
	return !errors.Is(err, fs.ErrNotExist)
}

// marked says whether there may be an answer that nobody has looked for yet.
func (s *Session) marked() bool {
	return !s.searched && s.Device.DeviceSecret.Empty() && s.asked()
}

func (s *Session) unmark() {
	if err := s.mark().Remove(); err != nil {
		s.Log.Debug("the mark of a registration could not be removed", zap.Error(err))
	}
}

// post sends a request through the module, and sorts what can become of it.
func (s *Session) post(ctx context.Context, url, body string) ([]byte, error) {
	s.progress.expect(s.Cloud.Timeouts.HTTP + httpCommands*s.Cloud.Timeouts.Command)
	reply, err := s.port.modem.Post(ctx, url, body)
	s.books.posted(url, len(body), len(reply), err)
	if err != nil {
		return nil, postFailure(s.port.unanswered(recovery.HTTPFailed, err))
	}
	return reply, nil
}
