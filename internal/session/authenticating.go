package session

import (
	"context"
	"time"

	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// authenticating gets iotId and iotToken for the MQTT session (vendor guide,
// part 4). A cached token that is still good saves the round trip.
func (s *Session) authenticating(ctx context.Context) (recovery.State, error) {
	s.device.fresh = false
	if token, ok := s.device.cachedToken(time.Now()); ok {
		s.show.token(&token)
		return recovery.Connecting, nil
	}
	deviceSecret, known, err := s.device.secret()
	switch {
	case err != nil:
		return "", storeFailure(err)
	case !known:
		return recovery.Registering, nil
	}
	if err := s.awaitRequest(ctx); err != nil {
		return "", err
	}
	body := provision.AuthBody(s.device.names, s.device.clientID(), deviceSecret, s.o.Cloud.Sign)
	reply, err := s.post(ctx, s.o.Cloud.AuthURL, body)
	if err != nil {
		return "", s.device.refused(err, recovery.DeviceSecretRefused)
	}
	token, err := provision.ParseAuth(reply)
	if err != nil {
		return "", s.device.refused(inquiry{url: s.o.Cloud.AuthURL}.failure(err), recovery.DeviceSecretRefused)
	}
	s.device.granted(token)
	return recovery.Connecting, nil
}
