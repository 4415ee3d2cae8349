package provision

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"airbridged/internal/secret"
)

// module is a device with its secret.
type module struct {
	id     Identity
	secret secret.Text
}

func modules(n int) []module {
	var list []module
	for i := range n {
		list = append(list, module{
			Identity{"b1KCi45LcCP", fmt.Sprintf("8600000000000%02d", i)}, secret.New(fmt.Sprintf("secret-of-module-%02d-0000000000000", i)),
		})
	}
	return list
}

// use is what a daemon does with the module that it finds: it has the secret, or
// registers.
func (m module) use(s *Store) error {
	text, ok, err := s.DeviceSecret(m.id)
	if err == nil && !ok {
		return s.SaveDeviceSecret(m.id, m.secret)
	}
	if err == nil && text != m.secret {
		err = errors.New("a wrong secret")
	}
	return err
}

// has says what is wrong with what the disk holds for the modules.
func has(files map[string][]byte, list []module) error {
	for _, m := range list {
		if got, ok, err := OpenIn(newDisk(files)).DeviceSecret(m.id); err != nil || !ok || got != m.secret {
			return fmt.Errorf("%s: found %v, right %v, %v", m.id.DeviceName, ok, got == m.secret, err)
		}
	}
	return nil
}

// Three modules took turns on one gateway, and the first one's secret was gone,
// although the log said that it was kept; the cloud gives it once. Now every secret
// stays, however often they are swapped, and wherever the power goes meanwhile.
func TestSwappedModulesKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	m := modules(3)
	turns := []module{m[0], m[1], m[2], m[0], m[2], m[1], m[1], m[0]}
	files := map[string][]byte{}
	for turn, now := range turns {
		var registered []module
		for _, m := range turns[:turn] {
			if !slices.Contains(registered, m) {
				registered = append(registered, m)
			}
		}
		for cut := 1; ; cut++ {
			d := newDisk(maps.Clone(files))
			d.cut = cut
			err, gone := run(func() error { return now.use(OpenIn(d)) })
			for _, image := range d.images() {
				if err := has(image, registered); err != nil {
					t.Fatalf("turn %d, power cut at call %d: %v\n%v", turn, cut, err, slices.Sorted(maps.Keys(image)))
				}
				again := newDisk(image)
				if err := now.use(OpenIn(again)); err != nil {
					t.Fatalf("turn %d, after a power cut at call %d: %v", turn, cut, err)
				}
				for _, image := range again.images() {
					if err := has(image, append(slices.Clone(registered), now)); err != nil {
						t.Fatalf("turn %d, once more after a power cut at call %d: %v", turn, cut, err)
					}
				}
			}
			if gone {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			files = map[string][]byte{}
			for name, n := range d.seen {
				files[name] = n.data
			}
			if g := decodeGeneration(files[credentialsFile]); !g.holds(now.id) {
				t.Errorf("turn %d: the current credentials are not those of the device that is here", turn)
			}
			break
		}
	}
	if len(files) != 4 { // two generations, and two devices aside
		t.Errorf("%v", slices.Sorted(maps.Keys(files)))
	}
}

// Every call of a swap fails, once or from then on, in every way that is known:
// what was registered is found, and what is kept is never taken for "none".
func TestSwapMeetsEveryErrno(t *testing.T) {
	t.Parallel()
	m := modules(4)
	files := map[string][]byte{}
	for _, one := range m[:3] {
		d := newDisk(files)
		if err := one.use(OpenIn(d)); err != nil {
			t.Fatal(err)
		}
		for name, n := range d.seen {
			files[name] = n.data
		}
	}
	for _, failure := range errnos {
		for _, lasting := range []bool{false, true} {
			for _, now := range m {
				for n := 1; ; n++ {
					d := newDisk(maps.Clone(files))
					d.failure = failure
					d.fail = func() bool { return d.calls == n || lasting && d.calls > n }
					s := OpenIn(d)
					err := now.use(s)
					done := d.calls < n
					if errors.Is(err, ErrDamaged) {
						t.Fatalf("%v at call %d of a swap to %s: it is said to be damaged: %v", failure, n, now.id.DeviceName, err)
					}
					d.fail = nil
					kept := m[:3]
					if err == nil {
						kept = append(slices.Clone(kept), now)
					}
					for _, image := range d.images() {
						if err := has(image, kept); err != nil {
							t.Fatalf("%v at call %d of a swap to %s (lasting %v): %v", failure, n, now.id.DeviceName, lasting, err)
						}
					}
					if err := now.use(s); err != nil {
						t.Fatalf("tried again: %v", err)
					}
					if done {
						break
					}
				}
			}
		}
	}
}

// errnos are what a call can fail with.
var errnos = []error{
	syscall.EIO, syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR, syscall.EROFS, syscall.ENOENT, syscall.ESTALE,
}

// The bound of what is kept of others: the one that was put aside longest ago goes,
// and that is told. The names are what the contract says.
func TestOthersAreBounded(t *testing.T) {
	t.Parallel()
	d := newDisk(nil)
	s := OpenIn(d)
	m := modules(maxOthers + 3)
	var told []string
	for _, one := range m {
		if err := one.use(s); err != nil {
			t.Fatal(err)
		}
		for _, n := range s.Notes() {
			if strings.HasSuffix(n, " go") {
				told = append(told, n)
			}
		}
	}
	names, err := s.otherFiles()
	slices.Sort(names)
	if err != nil || len(names) != maxOthers || names[0] != "credentials.d/b1KCi45LcCP.860000000000002.json" {
		t.Errorf("%d: %v", len(names), names)
	}
	if len(told) != 2 || !strings.Contains(told[0], "860000000000000") {
		t.Errorf("told: %q", told)
	}
	have(t, s, m[2].id, m[2].secret) // the oldest that is left
	have(t, s, m[0].id, secret.Text{})
}

// A name with a slash in it stays in the directory.
func TestOtherFile(t *testing.T) {
	for id, want := range map[Identity]string{
		{"pk", "dn"}:          "credentials.d/pk.dn.json",
		{"pk", "a:b@c_d-e.f"}: "credentials.d/pk.a:b@c_d-e.f.json",
		{"..", "../../etc/x"}: "credentials.d/.....%2F..%2Fetc%2Fx.json",
		{"p/k", "\x00"}:       "credentials.d/p%2Fk.%00.json",
	} {
		if got := otherFile(id); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
	}
}

// credentials.json of zeros or empty, as a power cut leaves it on a disk that lies,
// was told as "cannot be written: check free space".
func TestDamageSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for looks, data := range map[string][]byte{"it is 200 bytes of zeros": make([]byte, 200), "it is empty": {}, "checksum or form is wrong": []byte("{}\n")} {
		s := storeOn(newDisk(map[string][]byte{credentialsFile: data}))
		_, _, err := s.DeviceSecret(guide)
		var d *DamagedError
		if !errors.As(err, &d) || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), looks) {
			t.Fatal(err)
		}
		for _, want := range []string{looks, "/state/credentials.json", "backup", "device.device_secret_file", "reset the device", "remove the file"} {
			if !strings.Contains(d.Hint(), want) {
				t.Errorf("the hint does not say %q: %s", want, d.Hint())
			}
		}
		if strings.Contains(d.Hint(), "space") {
			t.Errorf("%s", d.Hint())
		}
	}
}

// What a call that fails once makes of a device that is registered: a note, an
// error that is no verdict, never "none is stored".
func TestTransientErrorsAreNotAbsence(t *testing.T) {
	t.Parallel()
	for name, b := range beginnings() {
		if b.before.Empty() {
			continue
		}
		for _, failure := range errnos {
			for _, lasting := range []bool{false, true} {
				for n := 1; ; n++ {
					d := newDisk(maps.Clone(b.files))
					d.failure = failure
					d.fail = func() bool { return d.calls == n || lasting && d.calls > n }
					got, ok, err := storeOn(d).DeviceSecret(guide)
					if !ok && err == nil || ok && got != b.before || errors.Is(err, ErrDamaged) {
						t.Fatalf("%s: %v at call %d (lasting %v): found %v, %v", name, failure, n, lasting, ok, err)
					}
					if d.calls < n {
						break
					}
				}
			}
		}
	}
}

// What was read once stays known: the file is damaged, cannot be read or is taken
// away while the daemon runs, and the device does not forget who it is.
func TestWhatWasReadStaysKnown(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*disk){
		"gone":       func(d *disk) { delete(d.seen, credentialsFile) },
		"damaged":    func(d *disk) { d.seen[credentialsFile].data = bytes.Repeat([]byte{0}, 100) },
		"unreadable": func(d *disk) { d.failure, d.fail = syscall.EIO, func() bool { return true } },
		"all gone":   func(d *disk) { clear(d.seen) },
	} {
		d := newDisk(map[string][]byte{credentialsFile: credentials(guide, older)})
		s := OpenIn(d)
		have(t, s, guide, older)
		harm(d)
		have(t, s, guide, older)
		if notes := s.Notes(); len(notes) == 0 {
			t.Errorf("%s: nothing is told", name)
		}
		if _, ok, _ := s.DeviceSecret(foreign); ok {
			t.Errorf("%s: a secret of another device", name)
		}
		if strings.Contains(name, "gone") {
			have(t, OpenIn(d), guide, older) // it is there again
		}
	}
}
