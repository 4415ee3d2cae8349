package session

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// connecting opens the MQTT session (vendor guide, part 5). It always begins by
// tearing down whatever session the module may still hold: this is the barrier
// that keeps a late PUBACK from being taken for another message's.
func (s *Session) connecting(ctx context.Context) (recovery.State, error) {
	login, ok, err := s.device.login(time.Now())
	switch {
	case err != nil:
		return "", storeFailure(err)
	case !ok:
		return recovery.Authenticating, nil
	}
	if err := s.passGate(ctx); err != nil {
		return "", err
	}
	modem := s.port.modem
	s.tearDown(ctx)
	if err := modem.Quiet(ctx); err != nil {
		return "", s.port.unanswered(recovery.ConnectFailed, err)
	}
	if err := modem.Configure(ctx, login.ClientID, login.User, login.Password); err != nil {
		return "", s.port.unanswered(recovery.ConnectFailed, err)
	}
	s.port.since = modem.Mark()
	if err := s.dial(ctx); err != nil {
		return "", err
	}
	if err := s.login(ctx, login); err != nil {
		return "", err
	}
	s.filters.newSession()
	s.suspects.newSession()
	s.device.served()
	s.link.opened(time.Now())
	if err := s.subscribe(ctx); err != nil {
		return "", err
	}
	return recovery.Online, nil
}

// passGate waits for the cloud's limit on CONNECTs and books the one to come,
// on disk, before it happens.
func (s *Session) passGate(ctx context.Context) error {
	if err := s.awaitTurn(ctx); err != nil {
		return err
	}
	spare := 0
	if s.up.refused.n > 1 {
		spare = spared
	}
	if d := s.gate.wait(time.Now(), spare); d > 0 {
		s.show.log.Info("waiting for the limit on connects", zap.Duration("wait", d.Round(time.Second)), zap.Int("per_minute", s.o.Recovery.ConnectsPerMinute))
		if err := s.pause(ctx, d); err != nil {
			return err
		}
	}
	if err := s.gate.pass(time.Now()); err != nil {
		s.show.log.Warn("connect times could not be stored; a restart may exceed the limit", zap.Error(err))
	}
	return nil
}

// dial opens TCP and TLS. Older modules need a bearer of their own for sockets,
// which is tried once when the first connect fails (the guide does without,
// a vendor library for Air202 does not).
func (s *Session) dial(ctx context.Context) error {
	modem := s.port.modem
	s.progress.expect(s.o.Cloud.Timeouts.Connect)
	err := modem.Dial(ctx, s.o.Cloud.Host, s.o.Cloud.Port, s.o.Cloud.TLS)
	s.books.dialed(s.o.Cloud.Host, err)
	if errors.Is(err, air.ErrConnectFailed) && s.past.Failed(recovery.ConnectFailed) {
		s.show.log.Debug("connect failed again: opening the socket bearer first")
		if bearerErr := modem.OpenSocketBearer(ctx, s.apn.point); bearerErr == nil {
			err = modem.Dial(ctx, s.o.Cloud.Host, s.o.Cloud.Port, s.o.Cloud.TLS)
			s.books.dialed(s.o.Cloud.Host, err)
		}
	}
	if errors.Is(err, air.ErrConnectFailed) {
		if attached, asked := modem.Attached(ctx); asked == nil && !attached {
			s.network.attached = false
			return &recovery.Failure{Cause: recovery.NotRegistered, Err: err}
		}
	}
	if errors.Is(err, air.ErrConnectFailed) && s.past.Attempts() >= apnDoubts && s.apn.unset(s.caps.Firmware) {
		return &recovery.Failure{Cause: recovery.ConnectFailed, Hint: recovery.ConnectFailed.Hint() + "; " + apnUnset, Err: err}
	}
	if err != nil {
		return s.port.unanswered(recovery.ConnectFailed, err)
	}
	return nil
}

// login sends MCONNECT at once after CONNECT OK: the server closes a connection
// that stays silent (vendor guide, field reports of 5 s).
func (s *Session) login(ctx context.Context, who provision.MQTTCredentials) error {
	s.progress.expect(s.o.Cloud.Timeouts.ConnAck)
	err := s.port.modem.Login(ctx, s.o.Cloud.Clean, s.o.Cloud.Keepalive)
	s.books.login(who)
	s.show.loggedIn()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, air.ErrConnectRefused):
		hint := ""
		if s.o.Cloud.HTTPSAuth {
			s.device.dropToken()
		} else {
			which, cure := s.device.deviceSecret()
			hint = "the MQTT server refuses the login: is the device disabled in the console? Is " + which + " the one that the console shows? If not: " + cure
		}
		return &recovery.Failure{Cause: recovery.ConnAckRefused, Hint: hint, Err: err}
	}
	return s.port.unanswered(recovery.ConnectFailed, err)
}
