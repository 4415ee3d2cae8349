package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"airbridged/internal/secret"
)

func open(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// have checks what the store gives for a device.
func have(t *testing.T, s *Store, id Identity, want secret.Text) {
	t.Helper()
	got, ok, err := s.DeviceSecret(id)
	if err != nil || got != want || ok == want.Empty() {
		t.Errorf("%s: ok %v, right %v, %v", id.DeviceName, ok, got == want, err)
	}
}

// The life of a device: registered, restarted, registered again on purpose,
// the module swapped and swapped back.
func TestGenerations(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	have(t, s, guide, secret.Text{})
	if err := s.Prove(); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveDeviceSecret(guide, older); err != nil {
		t.Fatal(err)
	}
	s, _ = Open(dir)
	have(t, s, guide, older)
	if err := s.SaveDeviceSecret(guide, guideDevice); err != nil {
		t.Fatal(err)
	}
	have(t, s, guide, guideDevice)
	if g := s.generation(previousFile); g.secret != older {
		t.Error("the secret before is not the previous generation")
	}
	have(t, s, foreign, secret.Text{})
	if notes := s.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "belongs to device 862991419835241") {
		t.Error(notes)
	}
	if err := s.SaveDeviceSecret(foreign, theirs); err != nil {
		t.Fatal(err)
	}
	have(t, s, foreign, theirs)
	have(t, s, guide, guideDevice)
	if notes := s.Notes(); len(notes) != 1 || !strings.HasPrefix(notes[0], "device 862991419835241 is here again") {
		t.Error(notes)
	}
	for _, id := range []Identity{{"b1KCi45LcCP", "862991419835242"}, {"b1kCi45LcCP", "862991419835241"}, {"", ""}, {"862991419835241", "b1KCi45LcCP"}} {
		have(t, s, id, secret.Text{})
	}
	files, err := filepath.Glob(dir + "/*.json")
	others, _ := filepath.Glob(dir + "/*/*")
	if err != nil || len(files) != 2 || len(others) != 1 || filepath.Base(others[0]) != "b1KCi45LcCP.861111111111111.json" {
		t.Error(err, files, others)
	}
	files = append(files, others...)
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode() != 0o600 {
			t.Error(err, f, info.Mode())
		}
	}
}

// Nothing, half an identity, and bytes that JSON would change are refused, and
// what is stored stays.
func TestSaveRefusesWhatItCouldNotGiveBack(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	if err := s.SaveDeviceSecret(guide, older); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(filepath.Join(dir, credentialsFile))
	for _, c := range []struct {
		id   Identity
		text secret.Text
	}{
		{guide, secret.Text{}},
		{Identity{"", "x"}, guideDevice},
		{Identity{"x", ""}, guideDevice},
		{guide, secret.New("\xff\xfe")},
		{Identity{"pk", "\xff"}, guideDevice},
	} {
		if err := s.SaveDeviceSecret(c.id, c.text); err == nil || errors.Is(err, ErrUnwritable) {
			t.Errorf("%q: %v", c.id, err)
		}
	}
	after, _ := os.ReadFile(filepath.Join(dir, credentialsFile))
	if !bytes.Equal(before, after) {
		t.Error("the stored secret changed")
	}
	// What JSON escapes comes back as it was.
	odd := secret.New("<&>\u2028\"\\\x01")
	if err := s.SaveDeviceSecret(guide, odd); err != nil {
		t.Fatal(err)
	}
	have(t, s, guide, odd)
}

// One flipped bit or one missing byte anywhere: the file counts as damaged,
// never as another secret.
func TestEveryFlippedBitIsSeen(t *testing.T) {
	t.Parallel()
	good := credentials(guide, guideDevice)
	previous := credentials(guide, older)
	form := regexp.MustCompile(`^/state/credentials.json is unreadable \((checksum or form is wrong|it is empty)\); the previous generation is used$`)
	try := func(what string, damaged []byte) {
		t.Helper()
		s := storeOn(newDisk(map[string][]byte{credentialsFile: damaged, previousFile: previous}))
		have(t, s, guide, older)
		if notes := s.Notes(); len(notes) != 1 || !form.MatchString(notes[0]) {
			t.Fatal(what, notes)
		}
		s = storeOn(newDisk(map[string][]byte{credentialsFile: damaged}))
		if got, ok, err := s.DeviceSecret(guide); ok || !got.Empty() || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "/state/credentials.json") {
			t.Fatal(what, ok, err)
		}
	}
	for i := range good {
		for bit := range 8 {
			damaged := bytes.Clone(good)
			damaged[i] ^= 1 << bit
			try(fmt.Sprintf("byte %d bit %d", i, bit), damaged)
		}
		try(fmt.Sprintf("cut at %d", i), good[:i])
	}
	try("twice", append(bytes.Clone(good), good...))
	try("another kind of file", seal(record{Kind: kindToken, ProductKey: guide.ProductKey, DeviceName: guide.DeviceName, Secret: guideToken}))
	try("no secret in it", seal(record{Kind: kindCredentials, ProductKey: guide.ProductKey, DeviceName: guide.DeviceName}))
}

// A damaged file is all that may be left of a secret: a person gets to see it.
func TestDamagedFileIsKept(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	damaged := credentials(guide, older)
	damaged[90] ^= 4
	if err := os.WriteFile(filepath.Join(dir, credentialsFile), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveDeviceSecret(guide, guideDevice); err != nil {
		t.Fatal(err)
	}
	have(t, s, guide, guideDevice)
	if kept, err := os.ReadFile(filepath.Join(dir, damagedFile)); err != nil || !bytes.Equal(kept, damaged) {
		t.Error(err)
	}
	if notes := s.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "is kept as "+dir+"/credentials.damaged.json") {
		t.Error(notes)
	}
}

// The power went after the new credentials were written and before they had
// their name. The cloud will not give them again.
func TestInterruptedSaveIsTakenUp(t *testing.T) {
	t.Parallel()
	_, dir := open(t)
	tmp := filepath.Join(dir, credentialsFile+unfinished)
	if err := os.WriteFile(tmp, credentials(guide, guideDevice), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	have(t, s, guide, guideDevice)
	if notes := s.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "was interrupted") {
		t.Error(notes)
	}
	if _, err := os.Stat(tmp); !errors.Is(err, fs.ErrNotExist) {
		t.Error("not put into place:", err)
	}
	have(t, s, guide, guideDevice)
	// Half a file is of no use, and goes.
	if err := os.WriteFile(tmp, credentials(guide, guideDevice)[:50], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tmp); !errors.Is(err, fs.ErrNotExist) {
		t.Error("half a file stays:", err)
	}
}

func TestTokenIsCached(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	if _, ok := s.Token(guide); ok {
		t.Error("a token from nowhere")
	}
	if err := s.DropToken(); err != nil {
		t.Error(err)
	}
	token := Token{"PbUqGh2URAj1AtNyyd7X00107ceb00", secret.New(guideToken), time.Now()}
	if err := s.SaveToken(guide, token); err != nil {
		t.Fatal(err)
	}
	s, _ = Open(dir)
	got, ok := s.Token(guide)
	if !ok || got.IotID != token.IotID || got.Secret != token.Secret || got.ObtainedAt.UnixMilli() != token.ObtainedAt.UnixMilli() || !got.Usable(time.Now()) {
		t.Errorf("%v %+v", ok, got)
	}
	if _, ok := s.Token(foreign); ok {
		t.Error("another device's token")
	}
	if info, err := os.Stat(filepath.Join(dir, tokenFile)); err != nil || info.Mode() != 0o600 {
		t.Error(err)
	}
	if err := s.DropToken(); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Token(guide); ok {
		t.Error("dropped, and still there")
	}
	// A clock that has lost its mind must not keep anything from being saved.
	wild := time.Unix(1<<40, 0)
	if err := errors.Join(s.SaveToken(guide, Token{"x", token.Secret, wild}), s.SaveConnects([]time.Time{wild})); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Token(guide); !ok || got.Usable(time.Now()) {
		t.Error(ok, got)
	}
	sealed, _ := os.ReadFile(filepath.Join(dir, tokenFile))
	for i := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		if _, ok := storeOn(newDisk(map[string][]byte{tokenFile: damaged})).Token(guide); ok {
			t.Fatalf("byte %d changed, and the token is still good", i)
		}
	}
}

func TestConnectTimes(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	if got, err := s.Connects(); len(got) != 0 || err != nil {
		t.Error(got, err)
	}
	now := time.Now().Truncate(time.Millisecond)
	if err := s.SaveConnects([]time.Time{now.Add(-time.Second), now.Add(-time.Minute), now.Add(24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	s, _ = Open(dir)
	got, _ := s.Connects()
	if len(got) != 3 || !got[0].Equal(now.Add(-time.Minute)) || !got[1].Equal(now.Add(-time.Second)) {
		t.Fatal(got)
	}
	if got[2].Before(now) || got[2].After(time.Now()) {
		t.Error("a login in the future is not counted as made now:", got[2])
	}
	var many []time.Time
	for i := range 100 {
		many = append(many, now.Add(-time.Duration(i)*time.Second))
	}
	if err := s.SaveConnects(many); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Connects(); len(got) != maxConnects || !got[len(got)-1].Equal(now) || !many[1].Before(many[0]) {
		t.Error(len(got))
	}
	if err := s.SaveConnects(nil); err != nil {
		t.Error(err)
	}
	if got, err := s.Connects(); len(got) != 0 || err != nil {
		t.Error(got, err)
	}
}

// Whatever bytes stand in the files, a secret comes out only for the device
// that is written in a sound one.
func FuzzCredentials(f *testing.F) {
	f.Add(credentials(guide, guideDevice), credentials(guide, older))
	f.Add([]byte(`{"sha256":"","content":{}}`+"\n"), []byte{})
	f.Add(seal(record{Kind: kindToken, IotID: "x", Secret: "y"}), seal(record{}))
	f.Fuzz(func(t *testing.T, current, previous []byte) {
		for _, files := range []map[string][]byte{
			{credentialsFile: current, previousFile: previous},
			{tokenFile: current, connectsFile: previous, credentialsFile + unfinished: current},
		} {
			s := storeOn(newDisk(files))
			got, ok, err := s.DeviceSecret(guide)
			sound := decodeGeneration(current).holds(guide) || decodeGeneration(previous).holds(guide) && files[previousFile] != nil
			if ok != sound || ok == got.Empty() || ok && err != nil {
				t.Fatal(ok, sound, err)
			}
			s.Token(guide)
			_, _ = s.Connects()
			for _, note := range s.Notes() {
				if ok && strings.Contains(note, got.Reveal()) && len(got.Reveal()) > 8 {
					t.Fatalf("a note shows the secret: %s", note)
				}
			}
		}
	})
}

// What is read back has its age by the monotonic clock from then on, so that
// setting the wall clock makes a token neither older nor younger, and a login
// neither forgotten nor counted for years.
func TestAgesSurviveASetClock(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	obtained := time.Now().Add(-time.Hour)
	if err := s.SaveToken(guide, Token{IotID: "id", Secret: secret.New("token"), ObtainedAt: obtained}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveConnects([]time.Time{obtained, time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s, err = Open(filepath.Join(dir, "state")); err != nil {
			t.Fatal(err)
		}
		first, ok := s.Token(guide)
		if !ok || !monotonic(first.ObtainedAt) || first.ObtainedAt.Sub(obtained).Abs() > time.Second {
			t.Errorf("the token is of %v, %v", first.ObtainedAt, ok)
		}
		if again, _ := s.Token(guide); again.ObtainedAt != first.ObtainedAt {
			t.Errorf("obtained at %v, and then at %v", first.ObtainedAt, again.ObtainedAt)
		}
		connects, _ := s.Connects()
		if len(connects) != 2 || !monotonic(connects[0]) || !monotonic(connects[1]) || connects[1].After(time.Now()) {
			t.Errorf("connects at %v", connects)
		}
	}
}
