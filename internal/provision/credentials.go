package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airbridged/internal/durable"
	"airbridged/internal/secret"
)

// The two generations of the credentials, and where a damaged file is set
// aside before it is replaced: a person may still make out the secret in it.
// Those of other devices that were here are in othersDir, see others.go.
const (
	credentialsFile = "credentials.json"
	previousFile    = "credentials.prev.json"
	damagedFile     = "credentials.damaged.json"
)

// DeviceSecret returns the secret of a device from the newest valid generation
// that is its own, wherever it lies. No secret and no error means that none was
// ever stored for it, so that it may register. [ErrDamaged] means that one may
// have been stored and is damaged, a *[StoreError] that one may be stored and
// cannot be read now. Notes tell when another generation than the current one is
// used and when another device's credentials were found.
//
// A secret that was read once stays known while the process lives: a file that
// fails, is damaged or is taken away later does not make the device forget who
// it is, and one that is gone is written again.
func (s *Store) DeviceSecret(id Identity) (secret.Text, bool, error) {
	text, ok, err := s.find(id)
	if ok {
		s.known = known{id, text}
		return text, true, nil
	}
	if s.known.id != id || s.known.secret.Empty() {
		return secret.Text{}, false, err
	}
	if err != nil {
		s.note("the stored secret cannot be read any more (%v); the one that was read before is used", err)
		return s.known.secret, true, nil
	}
	if err := s.SaveDeviceSecret(id, s.known.secret); err != nil {
		s.note("%s is gone, and could not be written again (%v); the secret that was read before is used", s.file(credentialsFile), err)
	} else {
		s.note("%s was gone and is written again", s.file(credentialsFile))
	}
	return s.known.secret, true, nil
}

// find looks for a device's secret on disk.
func (s *Store) find(id Identity) (secret.Text, bool, error) {
	staged, current, previous := s.generation(credentialsFile+unfinished), s.generation(credentialsFile), s.generation(previousFile)
	if !s.readable(staged, current) {
		// What cannot be read may be newer than what can.
		return secret.Text{}, false, s.unread
	}
	switch {
	case staged.holds(id):
		return s.takeUp(staged), true, nil
	case current.holds(id):
		if previous.err != nil {
			s.note("%s is unreadable (%v); the current credentials are good", s.file(previousFile), cause(previous.err))
		}
		return current.secret, true, nil
	case previous.holds(id) && current.valid():
		return s.comeBack(id, previous.secret, previousFile), true, nil
	case previous.holds(id):
		s.note("%s", s.whyPrevious(current))
		return previous.secret, true, nil
	}
	other := s.generation(otherFile(id))
	if other.holds(id) {
		return s.comeBack(id, other.secret, otherFile(id)), true, nil
	}
	if aside := s.generation(damagedFile); aside.holds(id) {
		s.note("%s is readable after all and is used", s.file(damagedFile))
		return aside.secret, true, nil
	}
	for _, g := range []generation{staged, current, previous, other} {
		if g.err != nil && !g.damaged() {
			return secret.Text{}, false, &StoreError{opRead, s.file(g.name), g.err}
		}
	}
	switch {
	case current.err != nil:
		return secret.Text{}, false, &DamagedError{s.file(credentialsFile), current.err}
	case other.err != nil:
		return secret.Text{}, false, &DamagedError{s.file(other.name), other.err}
	case previous.err != nil && !current.valid():
		return secret.Text{}, false, &DamagedError{s.file(previousFile), previous.err}
	case current.valid():
		s.note("%s belongs to device %s of product %s and is kept; none is stored for device %s of product %s",
			s.file(credentialsFile), current.id.DeviceName, current.id.ProductKey, id.DeviceName, id.ProductKey)
	}
	return secret.Text{}, false, nil
}

// comeBack makes the credentials of a device that was here before the current
// ones again. Those that are current now are another device's, and are kept.
func (s *Store) comeBack(id Identity, text secret.Text, from string) secret.Text {
	if err := s.SaveDeviceSecret(id, text); err != nil {
		s.note("device %s is here again; its credentials in %s are used where they are (%v)", id.DeviceName, s.file(from), err)
		return text
	}
	s.note("device %s is here again: its credentials are the current ones, those of the device before are kept in %s", id.DeviceName, s.file(othersDir))
	return text
}

// takeUp uses credentials whose saving was interrupted just before they were put
// into place. They are newer than any that are in place, and may be all that is left
// of a registration.
func (s *Store) takeUp(staged generation) secret.Text {
	s.note("saving %s was interrupted; the unfinished file is complete and is used", s.file(credentialsFile))
	if err := s.finish(staged); err != nil {
		s.note("it could not be put into place: %v", err)
	}
	return staged.secret
}

// stubborn is how long credentials may fail to be read before older ones are used
// instead: a disk that fails for a moment is no reason to log in with a secret that
// the cloud no longer knows.
const stubborn = 10 * time.Minute

// readable says whether all that may hold the newest secret could be read, or has
// failed for so long that what can be read has to do. Otherwise unread says why
// not.
func (s *Store) readable(list ...generation) bool {
	for _, g := range list {
		if g.err == nil || g.damaged() {
			continue
		}
		if s.unread == nil {
			s.unreadSince = time.Now()
		}
		s.unread = &StoreError{opRead, s.file(g.name), g.err}
		return time.Since(s.unreadSince) >= stubborn
	}
	s.unread = nil
	return true
}

// whyPrevious says why the previous generation is used although the current one
// is not another device's.
func (s *Store) whyPrevious(current generation) string {
	if current.err != nil {
		return fmt.Sprintf("%s is unreadable (%v); the previous generation is used", s.file(credentialsFile), cause(current.err))
	}
	return fmt.Sprintf("%s is missing; the previous generation is used", s.file(credentialsFile))
}

// generation reads one file of credentials.
func (s *Store) generation(name string) generation {
	raw, err := s.dir.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = s.absent(name)
		if err == nil {
			return generation{name: name}
		}
	}
	if err != nil {
		return generation{name: name, err: err}
	}
	g := decodeGeneration(raw)
	g.name = name
	return g
}

// errUnsure: a file is said not to be there by one call and to be there by
// another, as on a network file system that was lost, or a disk that fails.
var errUnsure = errors.New("it is listed, but cannot be opened")

// absent returns nil if a file is really not there. That it cannot be opened does
// not prove it, and what would follow is a registration: so the directory has to
// be there, and not list it.
func (s *Store) absent(name string) error {
	dir, base := split(name)
	names, err := s.dir.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n == base {
			return errUnsure
		}
	}
	return nil
}

// errRefused: a secret that must not be stored.
var errRefused = errors.New("device secret not stored, nothing was changed")

// SaveDeviceSecret stores the secret of a device as the new current
// generation; the one before, of whichever device, becomes the previous, and one
// of another device is kept under its name besides. After nil the new secret
// survives a power cut. After an error the old generations are still there, and
// the new one may or may not be: try again. An empty secret, and one that would
// not read back as it is, is refused.
//
// All that needs room on disk is written before anything is replaced, and a
// good current file is replaced, never moved away: there is no moment without
// it. A file that cannot be read now is not replaced.
func (s *Store) SaveDeviceSecret(id Identity, text secret.Text) error {
	if text.Empty() || id.ProductKey == "" || id.DeviceName == "" {
		return fmt.Errorf("%w: secret, product key or device name is empty", errRefused)
	}
	data := seal(record{
		Kind: kindCredentials, ProductKey: id.ProductKey, DeviceName: id.DeviceName, Secret: text.Reveal(), SavedAt: time.Now().UnixMilli(),
	})
	if back := decodeGeneration(data); !back.holds(id) || back.secret != text {
		return fmt.Errorf("%w: secret or identity is not text", errRefused)
	}
	staged := s.generation(credentialsFile + unfinished)
	if staged.err != nil && !staged.damaged() {
		return &StoreError{opRead, s.file(staged.name), staged.err} // it may be a secret's only copy
	}
	if staged.valid() {
		// An interrupted try got this far, and this may be its only copy. It goes
		// into its place before its name is used again, unless that fails and
		// the new secret is of the same device: then the new one counts.
		err := s.finish(staged)
		if err == nil && staged.holds(id) && staged.secret == text || err != nil && staged.id != id {
			return err
		}
	}
	if err := s.stage(credentialsFile, data); err != nil {
		return err
	}
	if err := s.install(decodeGeneration(data)); err != nil {
		return err
	}
	s.known = known{id, text}
	return nil
}

// finish puts credentials into place whose saving was interrupted.
func (s *Store) finish(staged generation) error {
	if err := s.dir.Flush(credentialsFile + unfinished); err != nil {
		return &StoreError{opWrite, s.file(credentialsFile + unfinished), err}
	}
	return s.install(staged)
}

// install makes the staged file the current generation.
func (s *Store) install(staged generation) error {
	// From here on the staged file survives a power cut, so that the previous
	// generation can be given up; and what an interrupted try renamed does too.
	if err := s.sync(credentialsFile + unfinished); err != nil {
		return err
	}
	current, previous, stale := s.generation(credentialsFile), s.generation(previousFile), s.generation(otherFile(staged.id))
	if previous.err != nil && !previous.damaged() {
		return &StoreError{opRead, s.file(previousFile), previous.err}
	}
	if err := s.keepOthers(staged.id, current, previous); err != nil {
		return err
	}
	if current.valid() && (current.id != staged.id || current.secret != staged.secret) {
		if err := s.keep(current, previous); err != nil {
			return err
		}
	}
	if current.err != nil {
		if err := s.setAside(current); err != nil {
			return err
		}
	}
	if err := s.commit(credentialsFile); err != nil {
		return err
	}
	if err := s.verify(credentialsFile, staged.raw); err != nil {
		return err
	}
	if stale.raw != nil {
		s.dropOther(stale.name)
	}
	return nil
}

// keep makes the current generation the previous one. After an interrupted try
// it may be that already.
func (s *Store) keep(current, previous generation) error {
	if bytes.Equal(previous.raw, current.raw) {
		return nil
	}
	return s.put(previousFile, current.raw)
}

// setAside keeps a current file that is damaged or cannot be read. Only of one
// that cannot be read, and may be whole, a failure keeps the new secret from being
// put into its place.
func (s *Store) setAside(current generation) error {
	var err error
	if current.raw != nil {
		err = s.put(damagedFile, current.raw)
	} else if before := s.generation(damagedFile); current.damaged() || before.err == nil && before.raw == nil || before.damaged() {
		err = s.dir.Rename(credentialsFile, damagedFile)
	} else {
		return &StoreError{opRead, s.file(credentialsFile), current.err} // two that may be whole
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it could not be told whether there is one
	case err == nil:
		s.note("%s was unreadable and is kept as %s", s.file(credentialsFile), s.file(damagedFile))
		return nil
	case current.damaged():
		s.note("%s was unreadable and could not be set aside (%v); it is replaced", s.file(credentialsFile), cause(err))
		return nil
	}
	return &StoreError{opReplace, s.file(credentialsFile), err}
}

// damaged says whether a file is there and is not what was written; otherwise its
// error is of the moment.
func (g generation) damaged() bool { return errors.Is(g.err, errDamaged) || durable.Verdict(g.err) }
