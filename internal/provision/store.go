package provision

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"airbridged/internal/durable"
	"airbridged/internal/secret"
)

// What the store can be doing.
const (
	opRead    = "read"
	opWrite   = "write"
	opReplace = "replace"
	opRemove  = "remove"
	opVerify  = "verify"
	opOpen    = "open state directory"
)

// Store keeps credentials, token and connect times in one directory of mode
// 0700, in files of mode 0600. It is for one goroutine of one process at a
// time.
type Store struct {
	dir   durable.Directory
	notes []string
	known known // the device that was asked for last

	unread      error     // why the newest credentials could not be read at the last look; nil: they could
	unreadSince time.Time // since when that has been so

	token     Token    // the one that was last saved or read, with its age by the monotonic clock
	tokenOf   Identity // whose it is
	tokenRead bool     // it was read, or replaced: the file has nothing to say any more
}

// known is a secret that this process has read or saved.
type known struct {
	id     Identity
	secret secret.Text // empty: none
}

// Open prepares a state directory and opens the store in it.
func Open(dir string) (*Store, error) {
	if err := Prepare(dir); err != nil {
		return nil, err
	}
	return OpenIn(durable.OnDisk(dir)), nil
}

// Prepare makes a state directory if it is missing, with mode 0700; one that
// others may enter is closed to them. A directory of another user, one that
// everybody may write to, and the root directory are refused: closing them would
// harm others.
func Prepare(dir string) error {
	if err := prepare(dir); err != nil {
		return &StoreError{opOpen, dir, err}
	}
	return nil
}

// OpenIn opens the store in a directory that was prepared. What an interrupted
// write left behind is removed.
func OpenIn(dir durable.Directory) *Store {
	s := newStore(dir)
	for _, name := range []string{credentialsFile, previousFile, damagedFile, tokenFile, connectsFile, probeFile, probeFile2} {
		// Credentials that were written whole but not put into place may be
		// the only ones: DeviceSecret looks at them.
		if name != credentialsFile || s.generation(name+unfinished).damaged() {
			_ = s.dir.Remove(name + unfinished)
		}
	}
	return s
}

// File is where the newest credentials are, for people.
func (s *Store) File() string { return s.dir.Path(credentialsFile) }

func newStore(dir durable.Directory) *Store {
	return &Store{dir: dir}
}

func prepare(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return create(dir)
	}
	if err != nil {
		return err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return errors.New("this is a file; remove it, or set state.dir to a directory")
	case filepath.Clean(dir) == "/" || info.Mode()&fs.ModeSticky != 0:
		return errors.New("this directory belongs to everybody; set state.dir to one of its own")
	case known && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to uid %d, this program runs as uid %d; run it as that user, or change the owner", owner.Uid, os.Geteuid())
	case info.Mode().Perm() != 0o700:
		if err := os.Chmod(dir, 0o700); !errors.Is(err, syscall.EROFS) {
			return err
		}
	}
	return nil // what cannot be written can still be read
}

func create(dir string) error {
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return durable.SyncDir(parent)
}

// Notes returns what the operator should know although nothing failed, such
// as that the previous generation is in use, and forgets it. Each note is a
// sentence that names the file; none holds a secret.
func (s *Store) Notes() []string {
	notes := s.notes
	s.notes = nil
	return notes
}

// maxNotes bounds the notes that nobody fetches; later ones are dropped.
const maxNotes = 16

func (s *Store) note(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); len(s.notes) < maxNotes && !slices.Contains(s.notes, note) {
		s.notes = append(s.notes, note)
	}
}

// unfinished marks a file that is being written.
const unfinished = durable.Unfinished

// stage writes a file beside the one of that name, durably.
func (s *Store) stage(name string, data []byte) error {
	tmp := name + unfinished
	fail := func(err error) error {
		_ = s.dir.Remove(tmp)
		return &StoreError{opWrite, s.file(tmp), err}
	}
	f, err := s.dir.Create(tmp)
	if err != nil {
		return fail(err)
	}
	if _, err := f.Write(data); err != nil {
		_ = f.Close()
		return fail(err)
	}
	// After a failed sync the kernel may forget what was not written: the file
	// is given up, never synced a second time.
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return fail(err)
	}
	if err := f.Close(); err != nil {
		return fail(err)
	}
	return nil
}

// commit puts a staged file into its place, durably.
func (s *Store) commit(name string) error {
	if err := s.dir.Rename(name+unfinished, name); err != nil {
		return &StoreError{opReplace, s.file(name), err}
	}
	return s.sync(name)
}

// sync makes durable what happened to a file's name.
func (s *Store) sync(name string) error {
	dir, _ := split(name)
	if err := s.dir.SyncDir(dir); err != nil {
		return &StoreError{opReplace, s.file(name), err}
	}
	return nil
}

// put replaces a file durably and reads it back.
func (s *Store) put(name string, data []byte) error {
	if err := s.stage(name, data); err != nil {
		return err
	}
	if err := s.commit(name); err != nil {
		return err
	}
	return s.verify(name, data)
}

func (s *Store) verify(name string, data []byte) error {
	got, err := s.dir.Read(name)
	if err == nil && !bytes.Equal(got, data) {
		err = errors.New("it reads back differently; the storage fails, replace it")
	}
	if err != nil {
		return &StoreError{opVerify, s.file(name), err}
	}
	return nil
}

func (s *Store) remove(name string) error {
	err := s.dir.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &StoreError{opRemove, s.file(name), err}
	}
	return s.sync(name)
}

func (s *Store) file(name string) string { return s.dir.Path(name) }

// The files of a proof: saving a secret has two new files on disk at once.
const (
	probeFile  = "probe"
	probeFile2 = "probe2"
)

// Prove shows that a secret could be kept now: it writes two files of at least
// the size of the credentials, syncs them, puts them in place, reads them back
// and removes them. Run it before a secret is asked for.
func (s *Store) Prove() error {
	data := seal(record{Kind: kindProbe, Secret: strings.Repeat("x", 4096), SavedAt: time.Now().UnixMilli()})
	err := s.stage(probeFile, data)
	if err == nil {
		err = s.put(probeFile2, data)
	}
	if err == nil {
		err = s.commit(probeFile)
	}
	if err == nil {
		err = s.verify(probeFile, data)
	}
	// A probe that cannot be removed again proves that renames would fail too.
	gone := errors.Join(s.remove(probeFile), s.remove(probeFile2), s.remove(probeFile+unfinished))
	if err == nil {
		err = gone
	}
	return err
}
