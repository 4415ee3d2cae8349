package session

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/provision"
	"airbridged/internal/secret"
)

// deviceSecret finds the DeviceSecret: the one provisioned by hand, one that
// the cloud handed out and the disk has not taken yet, or the stored one.
func (s *Session) deviceSecret() (secret.Text, bool, error) {
	if !s.Device.DeviceSecret.Empty() {
		return s.Device.DeviceSecret, true, nil
	}
	defer s.tellNotes()
	if !s.unsaved.Empty() {
		// Durable before it is used: until it is on disk there is nothing to use.
		if err := s.Store.SaveDeviceSecret(s.identity, s.unsaved); err != nil {
			return secret.Text{}, false, err
		}
		s.unsaved = secret.Text{}
	}
	return s.Store.DeviceSecret(s.identity)
}

// tellNotes passes on what the store found and could help itself with, such as a
// damaged file whose previous generation serves; once each.
func (s *Session) tellNotes() {
	for _, note := range s.Store.Notes() {
		if !s.told[note] {
			s.told[note] = true
			s.warn("credentials", note)
		}
	}
}

// registerGrace is how long a registration under way may go on after the daemon
// was asked to stop: the vendor's logs show about 2 s for one, bad radio needs
// more, and systemd kills after 90 s.
const registerGrace = 30 * time.Second

// registering asks the cloud for the DeviceSecret, which it gives out once
// (vendor guide, part 3). The store is proven writable before the request.
func (s *Session) registering(ctx context.Context) (State, error) {
	_, known, err := s.deviceSecret()
	switch {
	case err != nil:
		return Registering, storeFailure(err)
	case known:
		return s.afterAttach()
	case s.Device.ProductSecret.Empty():
		return Registering, &Failure{Cause: SignatureRefused, Err: errors.New("no stored DeviceSecret and no ProductSecret to register with")}
	}
	if err := s.Store.Prove(); err != nil {
		return Registering, storeFailure(err)
	}
	// The answer comes once in a device's life: a stop in this very moment waits
	// for it.
	ctx, cancel := withGrace(ctx, registerGrace)
	defer cancel()
	issued, err := s.lostSecret(ctx)
	if err == nil && issued.Empty() {
		issued, err = s.requestSecret(ctx)
	}
	if err != nil {
		return Registering, err
	}
	s.unsaved = issued
	if _, _, err := s.deviceSecret(); err != nil {
		return Registering, storeFailure(err)
	}
	s.Log.Info("registered: the cloud handed out the device secret, and it is stored")
	return s.afterAttach()
}

// httpCommands is how many commands one request takes at most, +HTTPACTION apart
// (vendor guide, part 3; a repeated HTTPINIT and HTTPREAD included).
const httpCommands = 11

// requestSecret asks the cloud. The request is marked on disk until its answer
// was read, whatever it says, so that one that gets lost on the way is looked for.
func (s *Session) requestSecret(ctx context.Context) (secret.Text, error) {
	if err := writeFile(s.asked(), struct{}{}); err != nil {
		return secret.Text{}, storeFailure(err)
	}
	body := provision.RegisterBody(s.identity, s.Device.ProductSecret, s.Random(), s.Cloud.Sign)
	reply, err := s.post(ctx, s.Cloud.RegisterURL, body)
	if err != nil {
		return secret.Text{}, err
	}
	s.unmark()
	issued, err := provision.ParseRegister(reply, s.identity)
	if err != nil {
		return secret.Text{}, postFailure(err)
	}
	return issued, nil
}

// lostSecret looks for the answer to an earlier request that never arrived here:
// the port went away, the module fell silent, or the daemon was killed. The
// module keeps it until its HTTP session ends. Empty: there is none.
func (s *Session) lostSecret(ctx context.Context) (secret.Text, error) {
	if _, err := os.Stat(s.asked()); err != nil {
		return secret.Text{}, nil
	}
	reply, err := s.line.modem.Leftover(ctx)
	if err != nil {
		return secret.Text{}, s.unanswered(HTTPFailed, err)
	}
	s.unmark()
	issued, err := provision.ParseRegister(reply, s.identity)
	if err != nil {
		return secret.Text{}, nil // nothing, a refusal, or another request's answer
	}
	s.Log.Info("found the answer to a registration that was cut off")
	return issued, nil
}

// asked is the file that marks a registration whose answer was not read yet.
func (s *Session) asked() string { return filepath.Join(s.StateDir, "registering.json") }

func (s *Session) unmark() {
	if err := os.Remove(s.asked()); err != nil {
		s.Log.Debug("the mark of a registration could not be removed", zap.Error(err))
	}
}

// post sends a request through the module, and sorts what can become of it.
func (s *Session) post(ctx context.Context, url, body string) ([]byte, error) {
	s.health.expect(s.Cloud.Timeouts.HTTP + httpCommands*s.Cloud.Timeouts.Command)
	reply, err := s.line.modem.Post(ctx, url, body)
	s.Recorder.CloudBytes("handshake", httpBytes(len(url)+len(body)+len(reply)))
	if err != nil {
		return nil, postFailure(s.unanswered(HTTPFailed, err))
	}
	return reply, nil
}
