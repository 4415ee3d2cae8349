package durable

import "sync/atomic"

// Counted is a directory that counts what is written to it.
type Counted struct {
	Directory
	written atomic.Uint64
}

// Count counts from zero.
func Count(d Directory) *Counted { return &Counted{Directory: d} }

// Written returns how many bytes were written. Any goroutine may ask.
func (c *Counted) Written() uint64 { return c.written.Load() }

// Create makes a file whose bytes are counted.
func (c *Counted) Create(name string) (File, error) {
	f, err := c.Directory.Create(name)
	if err != nil {
		return nil, err
	}
	return countedFile{f, c}, nil
}

type countedFile struct {
	File
	in *Counted
}

func (f countedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.in.written.Add(uint64(max(n, 0)))
	return n, err
}
