package session

import (
	"fmt"
	"time"

	"airbridged/internal/batch"
	"airbridged/internal/outbox"
)

// publication is what one publish carries: a message as it is, or on a topic with a
// [[batch]] rule the readings of one batch, each a message with its own end.
type publication struct {
	topic    string
	qos      byte
	payload  []byte
	messages []outbox.Message // in flight, all of them; empty: there is nothing to send yet
}

func (p publication) first() outbox.Message { return p.messages[0] }

// single says that what becomes of the publish becomes of one message.
func (p publication) single() bool { return len(p.messages) == 1 }

func (p publication) ids() (list []string) {
	for _, m := range p.messages {
		list = append(list, m.ID)
	}
	return list
}

// suspect is what the publication is called among [suspects]. Of a batch nobody knows
// which of its readings it was: what is said of it is said of none of them.
func (p publication) suspect() string {
	if p.single() {
		return theMessage(p.first())
	}
	return "batch " + p.first().ID
}

// next takes what goes out next; ok is false where there is nothing. This is the one
// place where messages become a publish.
func (s *Session) next() (p publication, ok bool) {
	m, ok := s.up.queue.Take()
	if !ok || s.passedOver(m) {
		return publication{}, ok
	}
	p = publication{m.Topic, m.QoS, m.Payload, []outbox.Message{m}}
	if rule := s.o.Limits.Rule(m.Topic); rule != nil {
		p = s.batch(m, rule)
	}
	if len(p.messages) == 1 && s.afterOthers(p.payload) {
		s.postpone(m, rightBehind)
		return publication{}, true
	}
	return p, true
}

// batch makes a publication of a reading, of those that may travel with it and fit, and
// of nothing if it waits for more. What does not fit goes back to its place.
func (s *Session) batch(m outbox.Message, rule *batch.Rule) publication {
	if err := rule.Envelope.Fits(m.Payload); err != nil { // it was accepted before there was the rule
		s.reject(m, err.Error())
		return publication{}
	}
	p := publication{m.Topic, m.QoS, nil, append([]outbox.Message{m}, s.companions(m, rule)...)}
	readings := make([][]byte, len(p.messages))
	for i, m := range p.messages {
		readings[i] = m.Payload
	}
	payload, n := rule.Pack(readings, func(b []byte, n int) bool { return s.takes(p.topic, b, n) })
	full := n < len(p.messages) || n == rule.MaxMessages
	for _, m := range p.messages[max(n, 1):] {
		s.putBack(m)
	}
	if n == 0 {
		s.reject(m, s.tooLarge(p.topic, payload, rule))
		return publication{}
	}
	p.payload, p.messages = payload, p.messages[:n]
	if !full && s.awaitsMore(p, rule) {
		return publication{}
	}
	s.up.gathers.over(p)
	return p
}

// takes says whether the module carries a payload of so many readings. What is longer
// than it is believed to carry is tried with a lone reading, never with a batch.
func (s *Session) takes(topic string, payload []byte, readings int) bool {
	_, over := s.caps.Wire(payload)
	return s.port.modem.Carries(topic, payload) == nil && (readings == 1 || !over)
}

// companions are the readings that may travel with one: those that wait for its topic
// with its priority, up to the bounds of the rule.
func (s *Session) companions(m outbox.Message, rule *batch.Rule) (list []outbox.Message) {
	if m.QoS == 0 || s.up.splits.single(m) {
		return nil
	}
	for n, size := 1, len(m.Payload); ; {
		other, ok := s.up.queue.TakeAlong()
		if !ok {
			return list
		}
		if !rule.Room(n, size, len(other.Payload)) || rule.Envelope.Fits(other.Payload) != nil || s.up.splits.single(other) || s.suspects.against(theMessage(other)) > 0 {
			s.putBack(other)
			return list
		}
		n, size, list = n+1, size+len(other.Payload), append(list, other)
	}
}

// tooLarge says why a reading cannot go, not even alone.
func (s *Session) tooLarge(topic string, payload []byte, rule *batch.Rule) string {
	if err := s.port.modem.Carries(topic, payload); err != nil {
		return fmt.Sprintf("alone in its %s envelope: %v", rule.Envelope, err)
	}
	limit := rule.MaxBytes
	if limit == 0 {
		limit = batch.MaxUnpacked
	}
	return fmt.Sprintf("alone in its %s envelope it has %d bytes, and its [[batch]] rule allows %d", rule.Envelope, len(payload), limit)
}

// awaitsMore has a batch that is not full wait for others, if its rule says so, and
// says whether it does.
func (s *Session) awaitsMore(p publication, rule *batch.Rule) bool {
	if rule.MaxWait == 0 || p.qos == 0 || p.single() && s.up.splits.single(p.first()) {
		return false
	}
	now := time.Now()
	until := s.up.gathers.until(p, rule.MaxWait, now)
	n := len(p.messages)
	return until.After(now) && s.up.queue.Gather(until, min(n, rule.MaxMessages-n))
}

// gathers remembers since when topics wait for more readings: one that is replaced
// again and again (latest) must not begin anew each time.
type gathers map[gatherKey]time.Time

type gatherKey struct {
	topic    string
	priority outbox.Priority
}

// gathersMost bounds how many topics wait; what is beyond it goes at once.
const gathersMost = 64

func (p publication) gatherKey() gatherKey { return gatherKey{p.topic, p.first().Priority} }

// until is how long a batch may wait: none of its readings longer than the rule says,
// nor than half of its time to live.
func (g gathers) until(p publication, most time.Duration, now time.Time) time.Time {
	since, known := g[p.gatherKey()]
	if !known {
		if len(g) >= gathersMost {
			return now
		}
		since = now
		g[p.gatherKey()] = now
	}
	until := since.Add(most)
	for _, m := range p.messages {
		wait := most
		if !m.ExpiresAt.IsZero() {
			wait = min(wait, m.ExpiresAt.Sub(m.AcceptedAt)/2)
		}
		if end := m.AcceptedAt.Add(wait); end.Before(until) {
			until = end
		}
	}
	return until
}

func (g gathers) over(p publication) { delete(g, p.gatherKey()) }

// splitAfter is how many times in a row a batch may fail.
const splitAfter = 2

// splits has readings go one by one whose batch was not acknowledged twice in a row:
// it may be one of them, or that they are too many, and nothing is set aside and nothing
// waits for ever over what one of them does.
type splits struct {
	failures repeats         // of batches that begin with the same reading
	singles  map[string]bool // ids of readings that go by themselves, at most one batch
}

// failed counts a batch that was not acknowledged.
func (s *splits) failed(p publication) {
	if !p.single() && s.failures.again(p.first().ID) >= splitAfter {
		s.split(p)
	}
}

// split has the readings of a batch go one by one from now on.
func (s *splits) split(p publication) {
	s.failures = repeats{}
	s.singles = make(map[string]bool, len(p.messages))
	for _, m := range p.messages {
		s.singles[m.ID] = true
	}
}

// single says whether a reading goes by itself.
func (s *splits) single(m outbox.Message) bool { return s.singles[m.ID] }

// over forgets a message that has ended.
func (s *splits) over(m outbox.Message) {
	delete(s.singles, m.ID)
	s.failures.over(m.ID)
}
