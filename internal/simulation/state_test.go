package simulation

import (
	"io"
	"io/fs"
	"time"

	"airbridged/internal/durable"
	"airbridged/internal/outbox/files"
	"airbridged/internal/outbox/simdisk"
)

// stateDir is a simulated disk as the credential store's directory.
type stateDir struct{ *simdisk.Disk }

func (d stateDir) Read(name string) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

func (d stateDir) Create(name string) (durable.File, error) {
	f, err := d.Disk.Create(name)
	if err != nil {
		return nil, err
	}
	return &stream{f, 0}, nil
}

func (d stateDir) Flush(name string) error {
	f, err := d.Open(name)
	if err != nil {
		return err
	}
	return f.Sync()
}

func (d stateDir) Path(name string) string { return "/state/" + name }

func (d stateDir) ModTime(string) (time.Time, error) { return time.Now(), nil }

// stream is a file written from its beginning.
type stream struct {
	files.File
	at int64
}

func (s *stream) Write(b []byte) (int, error) {
	n, err := s.WriteAt(b, s.at)
	s.at += int64(n)
	return n, err
}
