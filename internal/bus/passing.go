package bus

import (
	"sync"
	"time"
)

// passingKept is how many of the last messages are remembered.
const passingKept = 64

// Passed is one message that went by, without what was in it.
type Passed struct {
	At     time.Time
	Up     bool // to the cloud
	Topic  string
	Bytes  int    // of the payload
	QoS    int    // -1: not known, as of what comes down
	Result string // of a message up: its final state; else empty
}

// Passing remembers the last messages up and down for people who watch. It never
// holds a payload. It is safe for concurrent use, and nobody who writes to it waits.
// The zero value has seen none.
type Passing struct {
	mu   sync.Mutex
	ring ring[Passed]
}

// Note takes in a message that went by now.
func (p *Passing) Note(m Passed) {
	m.At = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ring.add(m, passingKept)
}

// After returns what went by behind a number, oldest first, as far as it is
// remembered, and the number of the newest. Numbers count from 1; 0 asks for all.
func (p *Passing) After(seq uint64) (list []Passed, last uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list, last = p.ring.after(seq)
	now := time.Now()
	for i := range list {
		list[i].At = byClock(list[i].At, now)
	}
	return list, last
}
