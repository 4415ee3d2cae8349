package session

import (
	"context"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// authenticating gets iotId and iotToken for the MQTT session (vendor guide,
// part 4). A cached token that is still good saves the round trip.
func (s *Session) authenticating(ctx context.Context) (recovery.State, error) {
	s.fresh = false
	if token, ok := s.token(); ok {
		s.show.token(&token)
		return recovery.Connecting, nil
	}
	deviceSecret, known, err := s.deviceSecret()
	switch {
	case err != nil:
		return recovery.Authenticating, storeFailure(err)
	case !known:
		return recovery.Registering, nil
	}
	if err := s.awaitTurn(ctx); err != nil {
		return recovery.Authenticating, err
	}
	body := provision.AuthBody(s.identity, s.clientID(), deviceSecret, s.Cloud.Sign)
	reply, err := s.post(ctx, s.Cloud.AuthURL, body)
	if err != nil {
		return recovery.Authenticating, err
	}
	token, err := provision.ParseAuth(reply)
	if err != nil {
		return recovery.Authenticating, postFailure(err)
	}
	if err := s.Store.SaveToken(s.identity, token); err != nil {
		// Only a cache: this process knows it all the same.
		s.show.warn("token-not-cached", "the token could not be cached, so a restart asks for a new one: "+err.Error())
	}
	s.fresh = true
	s.show.token(&token)
	return recovery.Connecting, nil
}

// token is the cached token, if it is still good.
func (s *Session) token() (provision.Token, bool) {
	token, ok := s.Store.Token(s.identity)
	return token, ok && token.Usable(time.Now())
}

// clientID is the client's tag in both modes: the device name, as in the guide.
func (s *Session) clientID() string { return s.identity.DeviceName }

// credentials are the three strings of MCONFIG, or false when they have to be
// fetched first.
func (s *Session) credentials() (provision.MQTTCredentials, bool, error) {
	if s.Cloud.HTTPSAuth {
		token, ok := s.token()
		if !ok {
			return provision.MQTTCredentials{}, false, nil
		}
		return provision.FromToken(s.clientID(), token), true, nil
	}
	deviceSecret, known, err := s.deviceSecret()
	if err != nil || !known {
		return provision.MQTTCredentials{}, false, err
	}
	s.fresh = true // a signature is always as fresh as it gets
	return provision.Direct(s.identity, s.clientID(), deviceSecret, s.Cloud.Sign, s.Cloud.TLS), true, nil
}

// dropToken forgets a token that the cloud has refused.
func (s *Session) dropToken() {
	if err := s.Store.DropToken(); err != nil {
		s.Log.Warn("the refused token could not be removed", zap.Error(err))
	}
	s.show.token(nil)
}
