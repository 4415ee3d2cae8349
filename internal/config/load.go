package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"airbridged/internal/durable"
)

// Bounds of what is read, so that nobody waits for a configuration that is none.
const (
	maxFile    = 1 << 20 // bytes of a file
	maxAll     = 4 << 20 // of all of them
	maxEntries = 10_000  // names in the directory of drop-ins
)

// Load reads the main file at path and the drop-ins in path.d, puts them over
// the defaults, reads the secrets and checks everything. The error is always a
// *[Mistakes]; with it the Config is the zero value. Warnings come with and
// without mistakes.
func Load(path string) (Config, []Warning, error) { return LoadFor(path, Service{}) }

// LoadFor is Load for the daemon that a service runs, from outside of it: with the
// secrets that it hands over, and with a mistake for each directory that it closes.
// Secrets that only the service manager can read are taken to be there, and stay empty.
func LoadFor(path string, service Service) (Config, []Warning, error) {
	cfg, _, warnings, err := LoadPlaced(path, service)
	return cfg, warnings, err
}

// load reads the files, applies them and checks everything.
func (l *loader) load(path string) (Config, []Warning, error) {
	data, err := l.read(path)
	if err != nil {
		l.unread(err)
		l.wrong(Position{path, 1, 1}, "file", fileTrouble(err)+"; write it, or name another one with --config")
		return l.result()
	}
	l.apply(path, data)
	l.dropIns(path + ".d")
	if l.broken {
		return l.result() // what is missing may stand behind the error
	}
	l.check()
	l.directories()
	l.guardPrograms()
	l.secrets()
	l.apnPassword()
	l.notYet()
	return l.result()
}

// loader puts the files together and remembers where each value stands.
type loader struct {
	cfg      Config
	main     string
	files    []string            // in reading order
	where    map[string]Position // of the effective value of a key, of a section's header as [section]
	bad      map[string]bool     // keys whose value was refused: they are not missing
	guarded  map[string]bool     // directories that were looked at
	size     int                 // bytes that were read
	mistakes []Mistake
	warnings []Warning
	broken   bool // a file was not read to its end
	passing  bool // something could not be read that may be readable in a moment
	service  Service
}

func newLoader(path string) *loader {
	return &loader{
		cfg: Default(), main: path, files: []string{path}, where: map[string]Position{}, bad: map[string]bool{}, guarded: map[string]bool{},
	}
}

// dropIns applies the files of a directory in name order.
func (l *loader) dropIns(dir string) {
	names, err := list(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.unread(err)
		l.wrong(Position{dir, 1, 1}, "file", fileTrouble(err)+"; make the directory readable, or delete it")
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".toml") || strings.HasPrefix(name, ".") {
			continue
		}
		name = filepath.Join(dir, name)
		l.files = append(l.files, name)
		data, err := l.read(name)
		if err != nil {
			l.unread(err)
			l.wrong(Position{name, 1, 1}, "file", fileTrouble(err)+"; correct that, or delete the file")
			continue
		}
		l.apply(name, data)
	}
}

// result hands out what was loaded, or every mistake in reading order.
func (l *loader) result() (Config, []Warning, error) {
	if len(l.mistakes) > 0 {
		sortByPlace(l.mistakes, l.files)
		return Config{}, l.warnings, &Mistakes{l.mistakes, l.passing}
	}
	return l.cfg, l.warnings, nil
}

// list names what is in a directory, in order.
func list(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(maxEntries + 1)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	case len(names) > maxEntries:
		return nil, errCrowded
	}
	slices.Sort(names)
	return names, nil
}

var (
	errNotRegular = errors.New("is not a regular file")
	errTooLarge   = errors.New("is too large for a configuration")
	errAllTooMuch = errors.New("is too much: all files together are too large for a configuration")
	errCrowded    = fmt.Errorf("has more than %d names in it", maxEntries)
)

// read reads a regular file of bounded size, or the one that a symbolic link
// leads to, and refuses one that others may write. It never waits for a pipe.
func (l *loader) read(path string) ([]byte, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	data, err := durable.Read(real, maxFile)
	switch {
	case errors.Is(err, durable.ErrNotRegular):
		return nil, errNotRegular
	case errors.Is(err, durable.ErrTooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, err
	}
	if l.size += len(data); l.size > maxAll {
		return nil, errAllTooMuch
	}
	l.guardFile(path)
	return data, nil
}

// unread notes an error of reading.
func (l *loader) unread(err error) {
	for _, passing := range []error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN, syscall.ESTALE} {
		l.passing = l.passing || errors.Is(err, passing)
	}
}

// fileTrouble says what is wrong with a file, without its name: that stands at
// the beginning of the line already.
func fileTrouble(err error) string {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("cannot be read by uid %d: permission denied", os.Geteuid())
	case errors.As(err, &pe):
		return "cannot be read: " + pe.Err.Error()
	}
	return err.Error()
}

func (l *loader) wrong(at Position, key, text string) {
	l.mistakes = append(l.mistakes, Mistake{at, key, text})
}

func (l *loader) warn(at Position, key, text string) {
	l.warnings = append(l.warnings, Warning{at, key, text})
}

// at returns where the effective value of a key stands, else the section it
// belongs to, else the first byte of the main file.
func (l *loader) at(key string) Position {
	if p, ok := l.where[key]; ok {
		return p
	}
	if p, ok := l.where["["+sectionOf(key)+"]"]; ok {
		return p
	}
	return Position{l.main, 1, 1}
}

// known is the list of sections, once.
var known = sections()

func isElement(name string) bool { return slices.Contains(elements, name) }
func isSection(name string) bool { return slices.Contains(known, name) && !isElement(name) }
