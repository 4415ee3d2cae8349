package mqttd

import (
	"fmt"
	"sync"
	"time"

	"airbridged/internal/bus"
)

// What is remembered of programs that publish what can never go.
const (
	maxPoison   = 256
	poisonFor   = 5 * time.Minute // after the last one
	firstDelay  = time.Second
	longestWait = connackTime
)

// poison remembers clients that publish what can never go. Up to 3.1.1 they can
// only be closed, and most libraries come back at once and send the same: their
// next CONNECT is answered later and later.
type poison struct {
	board *bus.StatusBoard
	mu    sync.Mutex
	of    map[string]*strikes
}

type strikes struct {
	owner  string
	n      int // messages
	closed int // connections
	last   time.Time
}

func (p *poison) init(b *bus.StatusBoard) { p.board, p.of = b, map[string]*strikes{} }

// note counts one message that can never go. From the second one on it is a
// warning that lasts.
func (p *poison) note(c *conn, topic, why string, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := c.key()
	s := p.of[key]
	if s == nil {
		p.makeRoom()
		s = &strikes{owner: c.who.owner()}
		p.of[key] = s
	}
	s.last = time.Now()
	if s.n++; closed {
		s.closed++
	}
	if s.n > 1 {
		p.board.SetWarning(bus.Warning{
			Code: bus.ProgramRepeats, About: key,
			Detail: fmt.Sprintf("program %s, client %s, keeps publishing %s, which can never go: %s", c.who.person(), shown(c.clientID), shown(topic), why),
			Hint:   "mend the program: what it sends is refused each time, and up to MQTT 3.1.1 its connection is closed with it",
		})
	}
}

// makeRoom forgets the client that has been quiet for longest, of the user with
// most, when there are too many; under the lock.
func (p *poison) makeRoom() {
	if len(p.of) < maxPoison {
		return
	}
	count, of := map[string]int{}, ""
	for _, s := range p.of {
		if count[s.owner]++; count[s.owner] > count[of] {
			of = s.owner
		}
	}
	oldest := ""
	for key, s := range p.of {
		if s.owner == of && (oldest == "" || s.last.Before(p.of[oldest].last)) {
			oldest = key
		}
	}
	p.forget(oldest)
}

// forget ends what is remembered of a client; under the lock.
func (p *poison) forget(key string) {
	delete(p.of, key)
	p.board.ClearWarning(bus.ProgramRepeats, key)
}

// expired forgets those who have been quiet for long enough, and says when to look
// again; zero: nobody is left.
func (p *poison) expired(now time.Time) (next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, s := range p.of {
		at := s.last.Add(poisonFor)
		switch {
		case !now.Before(at):
			p.forget(key)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return next
}

// delay is how late the next CONNECT of a client is answered.
func (p *poison) delay(key string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.of[key]
	if s == nil || s.closed == 0 {
		return 0
	}
	return min(firstDelay<<min(s.closed-1, 10), longestWait)
}
