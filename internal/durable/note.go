package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// Note is one value that outlives the process: a line of JSON in a file of its
// own. The zero value keeps nothing, and loads nothing. It is for one goroutine at
// a time.
type Note[T any] struct {
	dir  Directory
	name string
}

// NewNote returns the note of that name in a directory; nothing is read yet.
func NewNote[T any](dir Directory, name string) Note[T] { return Note[T]{dir, name} }

// Path is what the file is called in messages.
func (n Note[T]) Path() string {
	if n.dir == nil {
		return n.name
	}
	return n.dir.Path(n.name)
}

// Load returns what was saved last. The error is fs.ErrNotExist where nothing is
// kept; one of which [Verdict] says so where what is there is no such value, as
// after a power cut on a disk that lies; and any other where it cannot be read
// now, which says nothing about it: what is kept then must not be replaced before
// it was read.
func (n Note[T]) Load() (value T, err error) {
	if n.dir == nil {
		return value, fs.ErrNotExist
	}
	data, err := n.dir.Read(n.name)
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(data, &value); err != nil {
		var none T
		return none, fmt.Errorf("%s is %w: %s", n.Path(), ErrDamaged, Looks(data))
	}
	return value, nil
}

// Looks says what somebody sees who opens a damaged file.
func Looks(data []byte) string {
	switch {
	case len(data) == 0:
		return "it is empty"
	case zeros(data):
		return fmt.Sprintf("it is %d bytes of zeros", len(data))
	}
	return fmt.Sprintf("its %d bytes are not what was written", len(data))
}

func zeros(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

// Save replaces what is kept. After nil it survives a power cut, after an error
// either value is there.
func (n Note[T]) Save(value T) error {
	if n.dir == nil {
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return Replace(n.dir, n.name, append(data, '\n'))
}

// Remove forgets what is kept. There need not be anything.
func (n Note[T]) Remove() error {
	if n.dir == nil {
		return nil
	}
	if err := n.dir.Remove(n.name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return n.dir.SyncDir(parent(n.name))
}
