package host

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Bounds of the log's way out. What is beyond sinkBytes or sinkLines while nobody
// takes it is dropped, the newest first, and counted.
const (
	sinkBytes = 256 << 10
	sinkLines = 2048
)

// SinkPatience is how long the end of the process waits for the log's reader.
const SinkPatience = time.Second

// Sink is where the log is written. Whatever becomes of its reader, nobody who
// writes waits or fails: lines go through a bounded buffer to a goroutine of its
// own, and what it cannot get rid of is dropped and counted. A broken pipe does not
// end the process.
//
// It is for the process's end to Close it. The goroutine may stay behind in a write
// that nobody takes: no system call can be called off.
type Sink struct {
	to io.Writer

	mu      sync.Mutex
	queue   [][]byte
	bytes   int
	writing time.Time // since when a line is being written; zero: none is
	broken  bool      // the last line was cut off in its middle
	lost    uint64
	err     error         // why the last line that was tried is lost; nil: it was written
	more    chan struct{} // of capacity 1: there is something in the queue
	idle    chan struct{} // closed when there is nothing left to write; nil: nobody waits
	closed  bool
	done    chan struct{} // closed when the goroutine is gone
}

// NewSink begins to write to a file.
func NewSink(to io.Writer) *Sink {
	s := &Sink{to: to, more: make(chan struct{}, 1), done: make(chan struct{})}
	// A write to a broken pipe on descriptor 1 or 2 ends a Go program, ignored or
	// not, unless it takes the signal (os/signal). Programs that are started get the
	// default back, which they would not after signal.Ignore.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go s.run()
	return s
}

// Write takes one line. It never fails and never waits.
func (s *Sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.queue) >= sinkLines || s.bytes+len(line) > sinkBytes && len(s.queue) > 0 {
		s.lost++
		return len(line), nil
	}
	s.queue = append(s.queue, slices.Clone(line))
	s.bytes += len(line)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(line), nil
}

// Sync waits until what was written is out, at most SinkPatience.
func (s *Sink) Sync() error {
	s.mu.Lock()
	if len(s.queue) == 0 && s.writing.IsZero() {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(SinkPatience):
	}
	return nil
}

// Close is Sync, and the end of the goroutine. What is written after it is lost.
func (s *Sink) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.more)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-time.After(SinkPatience):
	}
}

// SinkStats is how the log's way out is.
type SinkStats struct {
	Lost  uint64        // lines, since the start
	Err   error         // why the last line is lost; nil: the last one that was tried is written
	Stuck time.Duration // how long the reader has taken nothing although there is something
}

// Stats says how it is now.
func (s *Sink) Stats() SinkStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := SinkStats{Lost: s.lost, Err: s.err}
	if !s.writing.IsZero() {
		st.Stuck = time.Since(s.writing)
	}
	return st
}

func (s *Sink) run() {
	defer close(s.done)
	for open := true; open; {
		_, open = <-s.more // when it is closed, what waits goes out first
		for line, ok := s.next(); ok; line, ok = s.next() {
			n, err := s.put(line)
			s.wrote(n, len(line), err)
		}
	}
}

// wrote takes down what became of a line.
func (s *Sink) wrote(n, of int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.err = time.Time{}, err
	if err != nil {
		s.lost++
	}
	if n > 0 {
		s.broken = n < of
	}
}

// next takes the oldest line; without one it wakes those who wait for that.
func (s *Sink) next() (line []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		if s.idle != nil {
			close(s.idle)
			s.idle = nil
		}
		return nil, false
	}
	line = s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	s.bytes -= len(line)
	if s.broken {
		line = append([]byte("\n"), line...)
	}
	s.writing = time.Now()
	return line, true
}

// put writes a line. Somebody who shares the descriptor may have made it
// non-blocking; then it is tried again for a while.
func (s *Sink) put(line []byte) (n int, err error) {
	for range 20 {
		var m int
		m, err = s.to.Write(line[n:])
		n += m
		if !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return n, err
}

// under is the file that a writer writes to in the end.
func under(w io.Writer) io.Writer {
	if s, ok := w.(*Sink); ok {
		return s.to
	}
	return w
}
