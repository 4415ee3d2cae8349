package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"airbridged/internal/secret"
)

// The two generations of the credentials, and where a damaged file is set
// aside before it is replaced: a person may still make out the secret in it.
const (
	credentialsFile = "credentials.json"
	previousFile    = "credentials.prev.json"
	damagedFile     = "credentials.damaged.json"
)

// DeviceSecret returns the secret of a device from the newest valid generation
// that is its own. No secret and no error means that none was ever stored for
// it, so that it may register. [ErrDamaged] means that one may have been
// stored and cannot be read. Notes tell when another generation than the
// current one is used and when another device's credentials were found.
func (s *Store) DeviceSecret(id Identity) (secret.Text, bool, error) {
	current, previous := s.generation(credentialsFile), s.generation(previousFile)
	switch {
	case current.holds(id):
		if previous.err != nil {
			s.note("%s is unreadable (%v); the current credentials are good", s.file(previousFile), cause(previous.err))
		}
		return current.secret, true, nil
	case previous.holds(id):
		s.note("%s", s.whyPrevious(current))
		return previous.secret, true, nil
	}
	if text, ok := s.leftover(id); ok {
		return text, true, nil
	}
	switch {
	case current.err != nil:
		return secret.Text{}, false, s.damaged(credentialsFile, current.err)
	case previous.err != nil && !current.valid():
		return secret.Text{}, false, s.damaged(previousFile, previous.err)
	case current.valid():
		s.note("%s belongs to device %s of product %s and is kept; none is stored for device %s of product %s",
			s.file(credentialsFile), current.id.DeviceName, current.id.ProductKey, id.DeviceName, id.ProductKey)
	}
	return secret.Text{}, false, nil
}

// leftover looks where no generation has a device's secret: at credentials
// whose saving was interrupted just before they were put into place, which may
// be all that is left of a registration, and at a file that was set aside
// because it could not be read then.
func (s *Store) leftover(id Identity) (secret.Text, bool) {
	if staged := s.generation(credentialsFile + unfinished); staged.holds(id) {
		s.note("saving %s was interrupted; the unfinished file is complete and is used", s.file(credentialsFile))
		if err := s.SaveDeviceSecret(id, staged.secret); err != nil {
			s.note("it could not be put into place: %v", err)
		}
		return staged.secret, true
	}
	if aside := s.generation(damagedFile); aside.holds(id) {
		s.note("%s is readable after all and is used", s.file(damagedFile))
		return aside.secret, true
	}
	return secret.Text{}, false
}

func (s *Store) whyPrevious(current generation) string {
	switch {
	case current.err != nil:
		return fmt.Sprintf("%s is unreadable (%v); the previous generation is used", s.file(credentialsFile), cause(current.err))
	case current.valid():
		return fmt.Sprintf("%s belongs to device %s of product %s; the previous generation is used",
			s.file(credentialsFile), current.id.DeviceName, current.id.ProductKey)
	}
	return fmt.Sprintf("%s is missing; the previous generation is used", s.file(credentialsFile))
}

// damaged says that a file cannot be read and what can be done.
func (s *Store) damaged(name string, err error) error {
	if !errors.Is(err, errDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, &StoreError{opRead, s.file(name), err})
	}
	return fmt.Errorf("%w: %s: %w; restore it from a backup, write the DeviceSecret from the console into device.device_secret_file, or remove the file to register again",
		ErrDamaged, s.file(name), err)
}

// cause drops the path that package os puts before an error.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// generation reads one file of credentials.
func (s *Store) generation(name string) generation {
	raw, err := s.dir.Read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return generation{}
	case err != nil:
		return generation{err: err}
	}
	return decodeGeneration(raw)
}

// errRefused: a secret that must not be stored.
var errRefused = errors.New("device secret not stored, nothing was changed")

// SaveDeviceSecret stores the secret of a device as the new current
// generation; the one before, of whichever device, becomes the previous. After
// nil the new secret survives a power cut. After an error the old generations
// are still there, and the new one may or may not be: try again. An empty
// secret, and one that would not read back as it is, is refused.
//
// All that needs room on disk is written before anything is replaced, and a
// good current file is replaced, never moved away: there is no moment without
// it.
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
	if staged.valid() && !s.holds(staged.id) {
		// An interrupted try got this far, and this is its only copy. It goes
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
	return s.install(decodeGeneration(data))
}

// holds says whether one of the generations is that device's.
func (s *Store) holds(id Identity) bool {
	return s.generation(credentialsFile).holds(id) || s.generation(previousFile).holds(id)
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
	current := s.generation(credentialsFile)
	if current.valid() && (current.id != staged.id || current.secret != staged.secret) {
		if err := s.keep(current); err != nil {
			return err
		}
	}
	if current.err != nil {
		s.setAside(current)
	}
	if err := s.commit(credentialsFile); err != nil {
		return err
	}
	return s.verify(credentialsFile, staged.raw)
}

// keep makes the current generation the previous one. After an interrupted try
// it may be that already.
func (s *Store) keep(current generation) error {
	if previous := s.generation(previousFile); bytes.Equal(previous.raw, current.raw) {
		return nil
	}
	return s.put(previousFile, current.raw)
}

// setAside keeps a damaged current file. A failure must not keep the new
// secret from being saved.
func (s *Store) setAside(current generation) {
	var err error
	if current.raw != nil {
		err = s.put(damagedFile, current.raw)
	} else {
		err = s.dir.Rename(credentialsFile, damagedFile)
	}
	if err != nil {
		s.note("%s was unreadable and could not be set aside (%v); it is replaced", s.file(credentialsFile), cause(err))
		return
	}
	s.note("%s was unreadable and is kept as %s", s.file(credentialsFile), s.file(damagedFile))
}
