package provision

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"

	"airbridged/internal/secret"
)

func storeOn(d *disk) *Store { return newStore(d) }

var (
	older   = secret.New("older-secret-0000000000000000000")
	oldest  = secret.New("oldest-secret-000000000000000000")
	foreign = Identity{"b1KCi45LcCP", "861111111111111"}
	theirs  = secret.New("theirs-secret-000000000000000000")
	third   = Identity{"b1KCi45LcCP", "863333333333333"}
)

func credentials(id Identity, text secret.Text) []byte {
	return seal(record{Kind: kindCredentials, ProductKey: id.ProductKey, DeviceName: id.DeviceName, Secret: text.Reveal(), SavedAt: 1})
}

// beginning is a state of the store before a new secret is saved.
type beginning struct {
	files  map[string][]byte
	before secret.Text // what DeviceSecret gives before; empty: none
	err    error       // what it says before
	theirs bool        // the other device's secret is there, and must stay
}

func beginnings() map[string]beginning {
	damaged := credentials(guide, older)
	damaged[100] ^= 1
	return map[string]beginning{
		"first registration":           {files: map[string][]byte{}},
		"one generation":               {files: map[string][]byte{credentialsFile: credentials(guide, older)}, before: older},
		"two generations":              {files: map[string][]byte{credentialsFile: credentials(guide, older), previousFile: credentials(guide, oldest)}, before: older},
		"the same secret again":        {files: map[string][]byte{credentialsFile: credentials(guide, guideDevice), previousFile: credentials(guide, older)}, before: guideDevice},
		"current damaged":              {files: map[string][]byte{credentialsFile: damaged, previousFile: credentials(guide, oldest)}, before: oldest},
		"current missing":              {files: map[string][]byte{previousFile: credentials(guide, oldest)}, before: oldest},
		"previous damaged":             {files: map[string][]byte{credentialsFile: credentials(guide, older), previousFile: damaged}, before: older},
		"only a damaged one":           {files: map[string][]byte{credentialsFile: damaged}, err: ErrDamaged},
		"empty file":                   {files: map[string][]byte{credentialsFile: {}}, err: ErrDamaged},
		"another device":               {files: map[string][]byte{credentialsFile: credentials(foreign, theirs)}, theirs: true},
		"another device, ours before":  {files: map[string][]byte{credentialsFile: credentials(foreign, theirs), previousFile: credentials(guide, oldest)}, before: oldest, theirs: true},
		"interrupted":                  {files: map[string][]byte{credentialsFile + unfinished: credentials(guide, older)}, before: older},
		"interrupted, the same secret": {files: map[string][]byte{credentialsFile + unfinished: credentials(guide, guideDevice)}, before: guideDevice},
		"interrupted, another device":  {files: map[string][]byte{credentialsFile: credentials(foreign, theirs), credentialsFile + unfinished: credentials(guide, older)}, before: older, theirs: true},
		"another device, ours aside":   {files: map[string][]byte{credentialsFile: credentials(foreign, theirs), otherFile(guide): credentials(guide, older)}, before: older, theirs: true},
		"ours, another device aside":   {files: map[string][]byte{credentialsFile: credentials(guide, older), otherFile(foreign): credentials(foreign, theirs)}, before: older, theirs: true},
		"three devices":                {files: map[string][]byte{credentialsFile: credentials(third, theirs), previousFile: credentials(foreign, theirs), otherFile(guide): credentials(guide, older)}, before: older, theirs: true},
	}
}

// check looks at an image that a power cut left while guideDevice was being
// saved over what was there at the beginning.
func (b beginning) check(image map[string][]byte, saved bool) error {
	s := storeOn(newDisk(image))
	got, ok, err := s.DeviceSecret(guide)
	switch {
	case ok && got == guideDevice:
	case saved:
		return fmt.Errorf("the saved secret is not there: %v %v %v", got == b.before, ok, err)
	case ok && got != b.before:
		return errors.New("a wrong secret")
	case !ok && !b.before.Empty():
		return fmt.Errorf("no secret any more: %v", err)
	case !ok && err != nil && !errors.Is(err, ErrDamaged):
		return err
	}
	if got, ok, err := s.DeviceSecret(foreign); b.theirs && (!ok || got != theirs) || !b.theirs && ok {
		return fmt.Errorf("the other device's secret: %v %v", ok, err)
	}
	if got, ok, _ := s.DeviceSecret(Identity{"b1KCi45LcCP", "862222222222222"}); ok || !got.Empty() {
		return errors.New("a secret for a third device")
	}
	return nil
}

// Whatever call the power goes at, and whatever of the unsynced reaches the
// disk: the secret from before or the new one is readable, and once
// SaveDeviceSecret has returned nil the new one is. The device is saved again
// afterwards, as a restarted daemon would.
func TestSaveSurvivesAPowerCutAtEveryCall(t *testing.T) {
	t.Parallel()
	images := 0
	for name, b := range beginnings() {
		t.Run(name, func(t *testing.T) {
			if got, ok, err := storeOn(newDisk(b.files)).DeviceSecret(guide); got != b.before || ok == b.before.Empty() || !errors.Is(err, b.err) {
				t.Fatalf("before: %v %v", ok, err)
			}
			for _, half := range []bool{false, true} {
				for cut := 1; ; cut++ {
					d := newDisk(b.files)
					d.cut, d.half = cut, half
					err, gone := run(func() error { return storeOn(d).SaveDeviceSecret(guide, guideDevice) })
					if !gone && err != nil {
						t.Fatal(err)
					}
					for _, image := range d.images() {
						images++
						if err := b.check(image, !gone); err != nil {
							t.Fatalf("cut at call %d (half %v): %v\n%q", cut, half, err, image)
						}
						again := newDisk(image)
						if err := storeOn(again).SaveDeviceSecret(guide, guideDevice); err != nil {
							t.Fatal(err)
						}
						for _, image := range again.images() {
							if err := b.check(image, true); err != nil {
								t.Fatalf("saved again after a cut at call %d: %v", cut, err)
							}
						}
					}
					if !gone && d.calls < cut {
						break
					}
				}
			}
		})
	}
	if images < 500 {
		t.Errorf("only %d images: the disk does not lose anything", images)
	}
}

// The adoption of an interrupted save is itself interrupted.
func TestAdoptionSurvivesAPowerCutAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"interrupted", "interrupted, another device", "another device, ours aside", "three devices"} {
		b := beginnings()[name]
		for cut := 1; ; cut++ {
			d := newDisk(b.files)
			d.cut = cut
			_, gone := run(func() error { _, _, err := storeOn(d).DeviceSecret(guide); return err })
			for _, image := range d.images() {
				if err := b.check(image, false); err != nil {
					t.Fatalf("%s: cut at call %d: %v", name, cut, err)
				}
			}
			if !gone {
				break
			}
		}
	}
}

// Each call fails once, or every call from some point on: no error is
// swallowed that matters, nothing is lost, and trying again works.
func TestSaveSurvivesErrorsAtEveryCall(t *testing.T) {
	t.Parallel()
	for name, b := range beginnings() {
		for _, failure := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
			for _, lasting := range []bool{false, true} {
				for n := 1; ; n++ {
					d := newDisk(b.files)
					d.failure = failure
					d.fail = func() bool { return d.calls == n || lasting && d.calls > n }
					s := storeOn(d)
					err := s.SaveDeviceSecret(guide, guideDevice)
					done := d.calls < n
					for _, image := range d.images() {
						if err := b.check(image, err == nil); err != nil {
							t.Fatalf("%s: %v at call %d: %v", name, failure, n, err)
						}
					}
					if err != nil {
						checkStoreError(t, err, failure)
						d.fail = nil
						if err := s.SaveDeviceSecret(guide, guideDevice); err != nil {
							t.Fatalf("%s: tried again after %v at call %d (lasting %v): %v", name, failure, n, lasting, err)
						}
						for _, image := range d.images() {
							if err := b.check(image, true); err != nil {
								t.Fatalf("%s: tried again after %v at call %d (lasting %v): %v", name, failure, n, lasting, err)
							}
						}
					}
					if done {
						break
					}
				}
			}
		}
	}
}

func checkStoreError(t *testing.T, err, failure error) {
	t.Helper()
	var se *StoreError
	if !errors.As(err, &se) || !errors.Is(err, failure) || !bytes.HasPrefix([]byte(se.Path), []byte("/state/")) {
		t.Errorf("which file, and why? %v", err)
	}
	if full := failure == syscall.ENOSPC; errors.Is(err, ErrFull) != full || errors.Is(err, ErrUnwritable) == full && se.Op != opRead {
		t.Errorf("%v: full %v, unwritable %v", err, errors.Is(err, ErrFull), errors.Is(err, ErrUnwritable))
	}
}

// Prove must find every failure that a save could meet, and leave nothing.
func TestProveFindsEveryFailure(t *testing.T) {
	t.Parallel()
	d := newDisk(nil)
	if err := storeOn(d).Prove(); err != nil || len(d.seen) != 0 {
		t.Fatal(err, slices.Collect(maps.Keys(d.seen)))
	}
	healthy := d.calls
	for _, failure := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EDQUOT} {
		for n := 1; n <= healthy; n++ {
			d := newDisk(map[string][]byte{credentialsFile: credentials(guide, older)})
			d.failure = failure
			d.fail = func() bool { return d.calls == n }
			err := storeOn(d).Prove()
			if err == nil {
				t.Fatalf("call %d of %d failed and Prove did not tell", n, healthy)
			}
			var se *StoreError
			if !errors.As(err, &se) || !errors.Is(err, failure) {
				t.Errorf("%v", err)
			}
			if got, ok, err := storeOn(d).DeviceSecret(guide); !ok || got != older || err != nil {
				t.Fatalf("Prove touched the credentials: %v", err)
			}
		}
	}
	// A storage that takes everything and gives back something else.
	lying := &liar{newDisk(nil)}
	if err := newStore(lying).Prove(); err == nil || !errors.Is(err, ErrUnwritable) {
		t.Error(err)
	}
	if err := newStore(lying).SaveDeviceSecret(guide, guideDevice); err == nil {
		t.Error("saved on a storage that reads back differently")
	}
}

type liar struct{ *disk }

func (l *liar) Read(name string) ([]byte, error) {
	data, err := l.disk.Read(name)
	if len(data) > 10 {
		data[10] ^= 1
	}
	return data, err
}

// A current file that cannot be read at all does not stop a new secret from
// being saved: it was asked for with Prove passed.
func TestUnreadableCurrentIsMovedAside(t *testing.T) {
	t.Parallel()
	d := newDisk(map[string][]byte{credentialsFile: credentials(foreign, theirs)})
	s := newStore(&unreadable{d})
	if err := s.SaveDeviceSecret(guide, guideDevice); err != nil {
		t.Fatal(err)
	}
	if notes := s.Notes(); len(notes) != 1 || notes[0] != "/state/credentials.json was unreadable and is kept as /state/credentials.damaged.json" {
		t.Error(notes)
	}
	s = storeOn(d)
	have(t, s, guide, guideDevice)
	if len(s.Notes()) != 0 {
		t.Error(s.Notes())
	}
	// It was the storage that could not be read, not the file that was bad.
	have(t, s, foreign, theirs)
	if notes := s.Notes(); len(notes) != 1 || notes[0] != "/state/credentials.damaged.json is readable after all and is used" {
		t.Error(notes)
	}
}

// unreadable cannot read the current credentials of another device.
type unreadable struct{ *disk }

func (u *unreadable) Read(name string) ([]byte, error) {
	data, err := u.disk.Read(name)
	if name == credentialsFile && decodeGeneration(data).holds(foreign) {
		return nil, syscall.EIO
	}
	return data, err
}
