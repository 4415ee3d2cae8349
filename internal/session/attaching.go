package session

import (
	"context"
	"errors"
	"time"

	"airbridged/internal/air"
	"airbridged/internal/atengine"
	"airbridged/internal/provision"
	"airbridged/internal/recovery"
)

// How long a module may take to find its SIM and its network before something
// is called wrong: the vendor polls the SIM once a second up to 10 s, and gives
// the attach 2 minutes (vendor FAQ).
const (
	simPatience    = 10 * time.Second
	attachPatience = 2 * time.Minute
	askAgain       = time.Second
	// attachByItself is how long a registered module is left to attach by itself
	// before it is told to.
	attachByItself = 20 * time.Second
	// registrationEvery is how often one that takes longer is asked what the network
	// says, and deniedFor how long that has to be a refusal for the rest of the patience
	// to be in vain: a module goes from one network to the next meanwhile.
	registrationEvery = 5 * time.Second
	deniedFor         = 15 * time.Second
)

// attaching goes from the SIM to an open data bearer.
func (s *Session) attaching(ctx context.Context) (recovery.State, error) {
	s.network.attempt()
	modem := s.port.modem
	if err := s.until(ctx, simPatience, func() (bool, error) {
		err := modem.SIM(ctx)
		if notYet := simFailure(err); notYet != nil {
			err = s.wakeRadio(ctx, notYet)
		}
		return err == nil, err
	}); err != nil {
		return "", s.port.unanswered(recovery.SIMMissing, err)
	}
	s.past.SIMReady()
	s.readICCID(ctx)
	if err := s.setAPN(ctx); err != nil {
		return "", s.port.unanswered(recovery.BearerFailed, err)
	}
	s.readSignal(ctx)
	begun := time.Now()
	if err := s.until(ctx, attachPatience, func() (bool, error) {
		attached, err := modem.Attached(ctx)
		if err != nil {
			return false, err
		}
		if !attached {
			err = s.nudge(ctx, begun, &recovery.Failure{Cause: recovery.NotRegistered, Err: errors.New("AT+CGATT? stays 0")})
		}
		return attached, err
	}); err != nil {
		s.show.registered(false)
		return "", s.port.unanswered(recovery.NotRegistered, s.unattached(ctx, err))
	}
	s.show.registered(true)
	s.readOperator(ctx)
	s.progress.expect(3 * s.o.Cloud.Timeouts.Bearer) // to open it, and to see it up
	if err := modem.OpenBearer(ctx, s.apn.point); err != nil {
		return "", s.bearerFailed(err)
	}
	s.network.attached = true
	if err := s.noteRegistration(ctx); err != nil {
		return "", err
	}
	return s.afterAttach()
}

// noteRegistration finds out whether the module says that it is registered while it
// is: then it is believed when it says no, from the first poll on.
func (s *Session) noteRegistration(ctx context.Context) error {
	state, err := s.port.modem.NetworkState(ctx)
	if err != nil && !air.Undecided(err) {
		return s.port.unanswered(recovery.NotRegistered, err)
	}
	s.network.registers = s.network.registers || state.Registered()
	return nil
}

// wakeRadio switches the radio on, once for each attempt to attach: a daemon that
// was stopped between the two halves of the radio rung left it off, and then
// there is no SIM and no network until somebody sends AT+CFUN=1. On a radio that
// is on it changes nothing. It returns notYet, or what is wrong with the module.
func (s *Session) wakeRadio(ctx context.Context, notYet *recovery.Failure) error {
	if s.network.awake {
		return notYet
	}
	s.network.awake = true
	if err := s.port.modem.Radio(ctx, true); err != nil && !errors.Is(err, atengine.ErrRefused) {
		return err
	}
	return notYet
}

// nudge tells a module to attach that is registered and still has not, once for
// each attempt, and asks now and then what the network says. It returns notYet, a
// denial that lasts, or what is wrong with the module.
func (s *Session) nudge(ctx context.Context, since time.Time, notYet *recovery.Failure) error {
	n := &s.network
	if time.Since(since) < attachByItself || time.Since(n.heardOf) < registrationEvery {
		return s.wakeRadio(ctx, notYet)
	}
	n.heardOf = time.Now()
	state, err := s.port.modem.NetworkState(ctx)
	switch {
	case err == nil && state.Denied():
		if n.deniedSince.IsZero() {
			n.deniedSince = n.heardOf
		}
		if n.heardOf.Sub(n.deniedSince) >= deniedFor {
			return &air.NetworkError{State: state}
		}
	case err == nil:
		n.deniedSince = time.Time{}
	}
	if state.Registered() && !n.nudged {
		n.nudged = true
		err = s.port.modem.Attach(ctx)
		if state = state.Attached(err); state.Denied() {
			return &air.NetworkError{State: state}
		}
	}
	if err != nil && !air.Undecided(err) {
		return err
	}
	return notYet
}

// unattached finds out what the network has to say of an attempt to attach that ended
// with err.
func (s *Session) unattached(ctx context.Context, err error) error {
	var told *air.NetworkError
	var f *recovery.Failure
	switch {
	case errors.As(err, &told):
		return networkFailure(told.State)
	case !errors.As(err, &f):
		return err // the module, and not the network
	}
	state, asked := s.port.modem.NetworkState(ctx)
	switch {
	case asked == nil:
		return networkFailure(state)
	case air.Undecided(asked):
		return err
	}
	return asked
}

// afterAttach chooses how to get the credentials for the MQTT session.
func (s *Session) afterAttach() (recovery.State, error) {
	_, known, err := s.device.secret()
	_, cached := s.device.cachedToken(time.Now())
	switch {
	case s.errands.wanted() && (err == nil || errors.Is(err, provision.ErrDamaged)):
		return recovery.Registering, nil
	case err != nil && s.o.Cloud.HTTPSAuth && cached && !errors.Is(err, provision.ErrDamaged):
		return recovery.Authenticating, nil // the secret cannot be read now, and is not needed now
	case err != nil:
		return "", storeFailure(err)
	case !known, s.device.unread():
		return recovery.Registering, nil
	case s.o.Cloud.HTTPSAuth:
		return recovery.Authenticating, nil
	}
	return recovery.Connecting, nil
}

// until asks once a second until the answer is yes. An error that is a *Failure
// means "not yet", and is what remains when patience is at its end; any other
// error ends the asking.
func (s *Session) until(ctx context.Context, patience time.Duration, ask func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		s.progress.expect(s.o.Cloud.Timeouts.Bearer)
		done, err := ask()
		var notYet *recovery.Failure
		switch {
		case done:
			return nil
		case err != nil && !errors.As(err, &notYet):
			return err
		case time.Now().After(deadline):
			return err
		}
		if err := s.pause(ctx, askAgain); err != nil {
			return err
		}
	}
}

// readICCID asks again for the SIM's number where it was not known when the
// module was identified, because the SIM was not ready yet, or may be another one by now.
func (s *Session) readICCID(ctx context.Context) {
	if s.network.iccid != "" {
		return
	}
	if iccid, err := s.port.modem.ICCID(ctx); err == nil {
		s.network.iccid = iccid
		s.show.iccid(iccid)
	}
}

func (s *Session) readOperator(ctx context.Context) {
	s.progress.expect(s.o.Cloud.Timeouts.Bearer)
	if name, err := s.port.modem.Operator(ctx); err == nil {
		s.show.operator(name)
	}
}
