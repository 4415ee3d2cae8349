package mqttd

import (
	"sync"

	"airbridged/internal/mqttd/packet"
)

// answers is what a client is to be told, in its order, as bytes.
type answers struct {
	mu   sync.Mutex
	buf  []byte
	wake chan struct{} // 1-buffered: there is something
	less chan struct{} // 1-buffered: there is less
}

func (a *answers) init() {
	a.wake, a.less = make(chan struct{}, 1), make(chan struct{}, 1)
}

// put adds a packet.
func (a *answers) put(p packet.Packet, level byte) {
	a.mu.Lock()
	a.buf = packet.Append(a.buf, p, level)
	a.mu.Unlock()
	poke(a.wake)
}

// size is how many bytes wait.
func (a *answers) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.buf)
}

// spare is how large a buffer is kept for the next answers, in bytes.
const spare = 1 << 10

// take returns what waits; old is what it returned last.
func (a *answers) take(old []byte) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	buf := a.buf
	if a.buf = nil; cap(old) <= spare {
		a.buf = old[:0]
	}
	poke(a.less)
	return buf
}

// wait returns when there is room for more; false: gone is closed.
func (a *answers) wait(gone <-chan struct{}) bool {
	for a.size() > maxAnswers {
		select {
		case <-a.less:
		case <-gone:
			return false
		}
	}
	return true
}

// poke wakes whoever waits on a 1-buffered channel.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
