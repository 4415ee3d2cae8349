// Package durable owns how small files are read and written: the state
// directory's, and any other of which a whole fits into memory.
//
// It promises that a file is replaced so that a power cut leaves the old content
// or the new, never neither; that reading never hangs and never takes more
// memory than it was told, whatever stands under the name: a FIFO, a device, a
// directory, a link to itself, a sparse file of gigabytes; and that "there is
// none" is told apart from "it is damaged" and from "it cannot be read now",
// because only the first two say anything about the file.
//
// It knows nothing of what is in the files.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Conditions of a file, for errors.Is. Any other error but fs.ErrNotExist is of
// the moment, and no verdict on the file.
var (
	// ErrNotRegular: a directory, a FIFO, a device, a socket or a symbolic link
	// stands under the name.
	ErrNotRegular = errors.New("not a regular file")
	// ErrTooLarge: more bytes than such a file ever has.
	ErrTooLarge = errors.New("too large")
	// ErrDamaged: the content is not what was written.
	ErrDamaged = errors.New("damaged")
)

// Verdict says whether an error is about the file itself: it will not get better
// by reading it again. A failing disk, a full descriptor table or memory that is
// short is none.
func Verdict(err error) bool {
	return errors.Is(err, ErrNotRegular) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrDamaged)
}

// Open opens a regular file for reading, with its size. Nothing else is ever
// opened, so that it neither waits for a FIFO's writer nor wakes a device. A
// symbolic link in the last place is not followed.
func Open(path string) (f *os.File, size int64, err error) {
	return OpenFile(path, os.O_RDONLY)
}

// OpenFile is [Open] with flags of its own, such as os.O_RDWR, of a file that is
// there.
func OpenFile(path string, flags int) (f *os.File, size int64, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, 0, err
	}
	if err := Regular(path, info); err != nil {
		return nil, 0, err
	}
	// What stands there may have changed since: O_NONBLOCK keeps a FIFO from being
	// waited for even then.
	f, err = os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ELOOP) {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w: a symbolic link", ErrNotRegular)}
	}
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err == nil {
		err = Regular(path, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// kinds are the words for what is not a regular file.
var kinds = []struct {
	bit  fs.FileMode
	word string
}{
	{fs.ModeDir, "a directory"},
	{fs.ModeSymlink, "a symbolic link"},
	{fs.ModeNamedPipe, "a FIFO"},
	{fs.ModeSocket, "a socket"},
	{fs.ModeDevice, "a device"},
}

// Regular says what stands under a name if that is no regular file: ErrNotRegular.
func Regular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	word := "something else"
	for _, k := range kinds {
		if info.Mode()&k.bit != 0 {
			word = k.word
			break
		}
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w: %s", ErrNotRegular, word)}
}

// Read returns the content of a regular file of at most so many bytes.
func Read(path string, most int64) ([]byte, error) {
	f, size, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if size > most {
		return nil, tooLarge(path, size, most)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most { // it grows
		return nil, tooLarge(path, int64(len(data)), most)
	}
	return data, nil
}

func tooLarge(path string, size, most int64) error {
	return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: %d bytes, at most %d can be right", ErrTooLarge, size, most)}
}
