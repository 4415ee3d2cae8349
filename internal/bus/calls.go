package bus

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"airbridged/internal/topic"
)

// CallTime is how long the cloud's caller waits for an answer at most (Aliyun IoT, RRPC:
// 8 s). It begins when the module hands the call over, which is later than at the caller.
const CallTime = 8 * time.Second

// Bounds of calls. Beyond them the oldest is forgotten.
const (
	maxCalls     = 256 // that are known, ended ones too
	maxAnswers   = 64  // that wait for the session
	rememberCall = 10 * time.Minute
)

// Why an answer is not taken.
var (
	ErrCallLate     = errors.New("the time of this call is over")
	ErrCallAnswered = errors.New("this call has been answered")
	ErrCallUnknown  = errors.New("no such call has come")
)

// LateCall is the code of the event that tells of an answer which came too late.
const LateCall = "rrpc-late"

// Calls are the requests of the cloud that wait for an answer. Nothing of them is ever
// stored. It is safe for concurrent use.
type Calls struct {
	ready chan struct{} // 1-buffered: there may be an answer

	mu      sync.Mutex
	known   []*call // by age
	answers []Answer
	stats   CallStats
}

type call struct {
	id, answer string // answer is the topic that it goes to
	begun      time.Time
	answered   bool
}

// Answer is an answer that goes to the cloud, before everything else.
type Answer struct {
	ID, Topic string
	Payload   []byte
	Until     time.Time // from then on nobody waits for it
	Source    uint8     // as outbox.Message.Source
}

// CallStats counts calls since the start.
type CallStats struct {
	Came     uint64 // calls of the cloud
	Answered uint64 // answers that were handed to the module in time
	Late     uint64 // answers that came, or could be sent, too late, and were dropped
}

// NewCalls returns the calls of a hub that has had none.
func NewCalls() *Calls { return &Calls{ready: make(chan struct{}, 1)} }

// come takes in a call; false: the topic is none of calls.
func (c *Calls) come(m Message) bool {
	id, answer, ok := topic.Call(m.Topic)
	if !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.find(id, ""); k != nil && k.answer == answer && !k.over(m.ReceivedAt) {
		return true // the cloud repeats it
	}
	c.stats.Came++
	for len(c.known) >= maxCalls || len(c.known) > 0 && m.ReceivedAt.Sub(c.known[0].begun) > rememberCall {
		c.known = c.known[1:]
	}
	c.known = append(c.known, &call{id: id, answer: answer, begun: m.ReceivedAt})
	return true
}

// find returns the newest call of an id, or of an answer's topic; under the lock.
func (c *Calls) find(id, answer string) *call {
	for i := len(c.known) - 1; i >= 0; i-- {
		if k := c.known[i]; answer != "" && k.answer == answer || answer == "" && k.id == id {
			return k
		}
	}
	return nil
}

func (k *call) until() time.Time { return k.begun.Add(CallTime) }

func (k *call) over(now time.Time) bool { return !now.Before(k.until()) }

// TopicOf is where the answer to a call goes; ok is false where no such call is known.
func (c *Calls) TopicOf(id string) (name string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.find(id, ""); k != nil {
		return k.answer, true
	}
	return "", false
}

// Answer hands an answer over, by the topic that it goes to. It is copied. Errors:
// ErrCallLate, ErrCallAnswered, ErrCallUnknown: it was dropped.
func (c *Calls) Answer(name string, payload []byte, source uint8) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.find("", name)
	switch {
	case k == nil:
		c.stats.Late++
		return ErrCallUnknown
	case k.answered:
		return ErrCallAnswered
	case k.over(time.Now()):
		c.stats.Late++
		return ErrCallLate
	}
	k.answered = true
	if len(c.answers) >= maxAnswers {
		c.answers = c.answers[1:]
		c.stats.Late++
	}
	c.answers = append(c.answers, Answer{k.id, name, bytes.Clone(payload), k.until(), source})
	select {
	case c.ready <- struct{}{}:
	default:
	}
	return nil
}

// Ready wakes whoever calls Take.
func (c *Calls) Ready() <-chan struct{} { return c.ready }

// Take hands out the next answer. late: nobody waits for it any more, and it is dropped.
func (c *Calls) Take() (a Answer, late, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) == 0 {
		return a, false, false
	}
	a = c.answers[0]
	c.answers = c.answers[1:]
	if late = !time.Now().Before(a.Until); late {
		c.stats.Late++
	} else {
		c.stats.Answered++
	}
	return a, late, true
}

// Stats returns the counters.
func (c *Calls) Stats() CallStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// CallOf tells of a message whether it is a call, its id, and how long its caller still
// waits: not at all where left is not positive.
func CallOf(m *Message) (id string, left time.Duration, ok bool) {
	id, _, ok = topic.Call(m.Topic)
	return id, time.Until(m.ReceivedAt.Add(CallTime)), ok
}
