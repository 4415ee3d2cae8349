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
)

// attaching goes from the SIM to an open data bearer.
func (s *Session) attaching(ctx context.Context) (recovery.State, error) {
	s.attached, s.awake, s.nudged = false, false, false
	modem := s.line.modem
	if err := s.until(ctx, simPatience, func() (bool, error) {
		err := modem.SIM(ctx)
		if errors.Is(err, air.ErrNoSIM) || errors.Is(err, air.ErrSIMBusy) || errors.Is(err, air.ErrSIMLocked) {
			err = s.wakeRadio(ctx, &recovery.Failure{Cause: recovery.SIMMissing, Err: err})
		}
		return err == nil, err
	}); err != nil {
		return recovery.Attaching, s.unanswered(recovery.SIMMissing, err)
	}
	s.readICCID(ctx)
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
		return recovery.Attaching, s.unanswered(recovery.NotRegistered, err)
	}
	s.show.registered(true)
	s.readOperator(ctx)
	s.progress.expect(3 * s.Cloud.Timeouts.Bearer) // to open it, and to see it up
	if err := modem.OpenBearer(ctx, s.Modem.APN); err != nil {
		return recovery.Attaching, s.unanswered(recovery.BearerFailed, err)
	}
	s.attached = true
	return s.afterAttach()
}

// wakeRadio switches the radio on, once for each attempt to attach: a daemon that
// was stopped between the two halves of the radio rung left it off, and then
// there is no SIM and no network until somebody sends AT+CFUN=1. On a radio that
// is on it changes nothing. It returns notYet, or what is wrong with the module.
func (s *Session) wakeRadio(ctx context.Context, notYet *recovery.Failure) error {
	if s.awake {
		return notYet
	}
	s.awake = true
	if err := s.line.modem.Radio(ctx, true); err != nil && !errors.Is(err, atengine.ErrRefused) {
		return err
	}
	return notYet
}

// afterAttach chooses how to get the credentials for the MQTT session.
func (s *Session) afterAttach() (recovery.State, error) {
	_, known, err := s.deviceSecret()
	switch {
	case s.wanted() && (err == nil || errors.Is(err, provision.ErrDamaged)):
		return recovery.Registering, nil
	case err != nil:
		return recovery.Attaching, storeFailure(err)
	case !known, s.marked():
		return recovery.Registering, nil
	case s.Cloud.HTTPSAuth:
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
		s.progress.expect(s.Cloud.Timeouts.Bearer)
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

// readSignal refreshes the signal in status and metrics. Not knowing it is no
// reason to stop, so an error leaves it unknown.
func (s *Session) readSignal(ctx context.Context) {
	dbm, err := s.line.modem.Signal(ctx)
	if err != nil {
		dbm = nil
	}
	s.signal = dbm
	s.show.signal(dbm)
}

// readICCID asks again for the SIM's number where it was not known when the
// module was identified, because the SIM was not ready yet.
func (s *Session) readICCID(ctx context.Context) {
	if s.iccid != "" {
		return
	}
	if iccid, err := s.line.modem.ICCID(ctx); err == nil {
		s.iccid = iccid
		s.show.iccid(iccid)
	}
}

// How often the module is asked for the network's time: once it knows it, and
// until then.
const (
	clockEvery = 10 * time.Minute
	clockUntil = time.Minute
)

// readClock refreshes the network's time in status, when it is due. What the module
// does not know leaves the last time that it knew.
func (s *Session) readClock(ctx context.Context) {
	if time.Since(s.clockAsked) < s.clockWait {
		return
	}
	told, err := s.line.modem.NetworkTime(ctx)
	s.clockAsked, s.clockWait = time.Now(), clockUntil
	if err != nil || told.IsZero() {
		return
	}
	s.clockWait = clockEvery
	s.show.networkTime(told, s.clockAsked)
}

func (s *Session) readOperator(ctx context.Context) {
	s.progress.expect(s.Cloud.Timeouts.Bearer)
	if name, err := s.line.modem.Operator(ctx); err == nil {
		s.show.operator(name)
	}
}
