package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"airbridged/internal/recovery"
)

// ErrExit means that the last rung was reached: only a new process can help.
var ErrExit = errors.New("recovery is at its end: the process must be started anew")

// Run brings the module online and keeps it there until ctx ends, which is the
// good end and returns nil after the MQTT session was closed. It returns an
// error that wraps ErrExit when only a new process can help. All goroutines it
// started are gone when it returns.
func (s *Session) Run(ctx context.Context) error {
	s.show.begins(s.o)
	s.past.Begin(time.Now())
	if s.o.JustBooted {
		s.gate.booted(s.random)
	}
	for {
		following, err := s.step(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, errAside) {
			following, err = s.recover(ctx, err)
		}
		switch {
		case err == nil:
			s.enter(following, nil, 0)
		case ctx.Err() != nil:
			s.enter(recovery.Stopping, nil, 0)
			s.leave()
			return nil
		case errors.Is(err, errAside):
			s.enter(s.aside(), nil, 0)
		default:
			s.port.close()
			return err
		}
	}
}

// step runs the present state to its end.
func (s *Session) step(ctx context.Context) (recovery.State, error) {
	switch state, _ := s.progress.at(); state {
	case recovery.Probing:
		return s.probing(ctx)
	case recovery.Attaching:
		return s.attaching(ctx)
	case recovery.Registering:
		return s.registering(ctx)
	case recovery.Authenticating:
		return s.authenticating(ctx)
	case recovery.Connecting:
		return s.connecting(ctx)
	case recovery.Online:
		return s.online(ctx)
	default:
		return "", fmt.Errorf("no way out of state %q", state)
	}
}

// leave closes the MQTT session politely and lets go of the port. It is given
// a moment of its own, because the context that ended the work is over.
func (s *Session) leave() {
	if s.port.isOpen() && s.link.loggedIn {
		ctx, cancel := context.WithTimeout(context.Background(), hangupGrace)
		s.tearDown(ctx)
		cancel()
	}
	s.sessionLost()
	s.port.close()
}

// hangupGrace is how long a stop may spend on MDISCONNECT and MIPCLOSE.
const hangupGrace = 2 * time.Second
