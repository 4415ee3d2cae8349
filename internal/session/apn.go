package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"airbridged/internal/air"
	"airbridged/internal/durable"
	"airbridged/internal/recovery"
)

// 4G modules run MQTT, HTTP and sockets in the default context that the network opens
// when they attach. Its access point is set for good, by a command whose question has no
// known answer; so it is set once for each module, card and value, and that is
// remembered.

// apnFile remembers for which modules, cards and values the access point was set.
const apnFile = "apn.json"

const (
	// apnsKept bounds how many are remembered; a gateway sees few cards.
	apnsKept = 16
	// Where nothing comes of it in so many attempts, the module may have forgotten it:
	// it is set again, but not more often than that.
	apnAttempts = 6
	apnEvery    = 6 * time.Hour
)

// apnNote is what apnFile holds: by module and card, a digest of the value. Salt is of
// this file alone, so that the digest tells nobody what the value is.
type apnNote struct {
	Salt string            `json:"salt"`
	Set  map[string]string `json:"set"`
}

// apn sets the module's access point.
type apn struct {
	point air.AccessPoint
	given bool // the configuration names it, so the module's own default context is set to it
	note  durable.Note[apnNote]

	kept    *apnNote // nil: not read yet
	setAt   time.Time
	refused bool // told
}

func newAPN(o Options) apn {
	return apn{
		point: air.AccessPoint{Name: o.Modem.APN, User: o.Modem.APNUser, Password: o.Modem.APNPassword, Auth: air.AccessAuthOf(o.Modem.APNAuth)},
		given: o.Modem.APNGiven, note: durable.NewNote[apnNote](o.State, apnFile),
	}
}

// digest stands for the value.
func (a *apn) digest(salt string) string {
	p := a.point
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d", salt, p.Name, p.User, p.Password.Reveal(), p.Auth))
	return hex.EncodeToString(sum[:])
}

// recall reads what was set; what cannot be read is set again.
func (a *apn) recall(salt func() string) *apnNote {
	if a.kept == nil {
		note, err := a.note.Load()
		if err != nil || note.Salt == "" {
			note = apnNote{Salt: salt()}
		}
		a.kept = &note
	}
	return a.kept
}

// remember keeps that it was set for a module and a card.
func (a *apn) remember(about string, now time.Time) error {
	kept := a.kept
	if len(kept.Set) >= apnsKept || kept.Set == nil {
		kept.Set = make(map[string]string)
	}
	kept.Set[about] = a.digest(kept.Salt)
	a.setAt = now
	return a.note.Save(*kept)
}

// setAPN sets the access point of the module's default context where the configuration
// names one, that firmware has such a context, and it was not set before; and has the
// radio begin anew with it.
func (s *Session) setAPN(ctx context.Context) error {
	a := &s.apn
	if !a.given || !air.SetsDefaultAPN(s.caps.Firmware) {
		return nil
	}
	about, kept := s.network.imei+" "+s.network.iccid, a.recall(s.salt)
	if kept.Set[about] == a.digest(kept.Salt) && (s.past.Attempts() < apnAttempts || time.Since(a.setAt) < apnEvery) {
		return nil
	}
	s.progress.expect(2 * s.o.Cloud.Timeouts.Bearer)
	modem := s.port.modem
	err := modem.SetDefaultAPN(ctx, a.point)
	switch {
	case errors.Is(err, air.ErrAPNRefused):
		if !a.refused {
			a.refused = true
			s.show.warn("apn-refused", fmt.Sprintf("%v: MQTT goes by the access point that the network gives", err))
		}
		return nil
	case err != nil:
		return err
	}
	s.show.log.Info("the access point of the module's default context is set", zap.String("apn", a.point.Name))
	if err := a.remember(about, time.Now()); err != nil {
		s.show.log.Warn("that the access point is set could not be stored; it is set again after a restart", zap.Error(err))
	}
	return s.cycleRadio(ctx)
}

// cycleRadio switches the radio off and on.
func (s *Session) cycleRadio(ctx context.Context) error {
	modem := s.port.modem
	if err := modem.Radio(ctx, false); err != nil && !air.Refused(err) {
		return err
	}
	if err := s.pause(ctx, radioRest); err != nil {
		return err
	}
	if err := modem.Radio(ctx, true); err != nil && !air.Refused(err) {
		return err
	}
	return nil
}

// salt is random, so that equal passwords look different.
func (s *Session) salt() string { return fmt.Sprintf("%016x", s.random.Uint64()) }

// bearerFailed is a data connection that does not open, with the keys that decide about
// it on this module.
func (s *Session) bearerFailed(err error) error {
	f := s.port.unanswered(recovery.BearerFailed, err)
	var failure *recovery.Failure
	if !errors.As(f, &failure) || failure.Cause != recovery.BearerFailed || failure.Hint != "" || !errors.Is(err, air.ErrBearer) {
		return f
	}
	switch {
	case s.apn.point.User != "":
		failure.Hint = "the data bearer does not open: check modem.apn, apn_user, apn_password_file and apn_auth with the SIM's operator, and that the SIM has data left"
	case s.apn.unset(s.caps.Firmware):
		failure.Hint = "the data bearer does not open: has the SIM data left? If so, " + apnUnset
	}
	return f
}

const (
	// apnDoubts is how many attempts fail before the access point is among what may be
	// wrong with a connection.
	apnDoubts = 3
	apnUnset  = "where the SIM wants an access point of its own, write modem.apn into the configuration, and apn_user, apn_password_file and apn_auth where it wants a login: a 4G module is not told the default"
)

// unset says whether the module takes an access point for all that it does, and was told
// none.
func (a *apn) unset(firmware string) bool { return !a.given && air.SetsDefaultAPN(firmware) }
