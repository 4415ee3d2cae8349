package simulation

import (
	"fmt"
	"strings"
	"time"

	"airbridged/internal/bus"
	"airbridged/internal/outbox"
)

// submit books a message before it is published.
func (r *referee) submit(m *message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages[m.program] = append(r.messages[m.program], m)
}

// stopped books the end of a process.
func (r *referee) stopped(q *outbox.Queue, violently bool) {
	stats := q.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range stats.Dropped {
		r.dropped += int(n)
	}
	for _, m := range r.flight {
		if !violently {
			r.violated("%s is neither settled nor put back when the daemon stops", m)
		}
		m.crashed++
	}
	r.flight, r.released = nil, nil
	r.violent = violently
	r.timeline.add(fromDaemon, "stopped")
	if r.online {
		r.left(time.Now())
	}
	r.struckAt, r.disturbed = time.Time{}, time.Now()
}

// reborn checks what a new process finds in its outbox: everything that was accepted
// and has not ended, and of what has ended no more than is promised.
func (r *referee) reborn(q *outbox.Queue, booted bool) {
	page, _ := q.List("", 1<<20)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Lives++
	r.justBooted = booted
	r.timeline.add(fromDaemon, fmt.Sprintf("started, %d messages in the outbox", len(page)))
	r.disturbed = time.Now()
	there, repeats := map[*message]bool{}, 0
	for _, got := range page {
		got, _ = q.Read(got.ID)
		m := r.find(got.Payload)
		switch {
		case m == nil:
			r.violated("the outbox holds %q, which nobody published", got.Payload)
			continue
		case there[m]:
			r.violated("%s is in the outbox twice", m)
		case m.end != "":
			repeats++
			m.end = "" // it is on its way again
		case !m.told && !m.appended:
			r.violated("%s is in the outbox, and its program was told that it is not", m)
		}
		there[m] = true
		m.appended = true
	}
	most := 0
	if r.violent {
		most = outbox.MaxRepeats - 1 + r.together
	}
	if repeats > most && time.Since(r.diskAt) > diskGrace {
		r.violated("%d messages repeat that were settled", repeats)
	}
	for m := range r.owed {
		if !there[m] {
			r.violated("%s was accepted, and is not in the outbox any more", m)
		}
	}
}

// owed yields the messages that were accepted and have neither ended nor an excuse.
func (r *referee) owed(yield func(*message) bool) {
	for _, list := range r.messages {
		replaced := map[string]bool{}
		for i := len(list) - 1; i >= 0; i-- {
			m := list[i]
			if m.QoS == 1 && m.told && m.end == "" && !replaced[m.Topic] && !r.excused(m) && !yield(m) {
				return
			}
			if m.Latest && m.QoS == 1 && m.appended { // QoS 0 replaces nothing that was promised
				replaced[m.Topic] = true
			}
		}
	}
}

// excused says whether a message may be gone by a rule that its program or the owner
// chose.
func (r *referee) excused(m *message) bool {
	return m.TTL > 0 && time.Since(m.AcceptedAt) >= m.TTL || r.lossy
}

// settledAll checks a day at its end: nothing is owed, and nothing arrived more often
// than it may.
func (r *referee) settledAll(stats outbox.Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.owed {
		r.violated("%s was accepted, and never reached the cloud; the outbox is empty", m)
	}
	gone, dropped := 0, r.dropped
	for _, n := range stats.Dropped {
		dropped += int(n)
	}
	for _, list := range r.messages {
		for _, m := range list {
			if extra := m.arrivals - m.unknown - m.crashed - m.settled; extra > 0 {
				r.violated("%s arrived %d times, with %d unknown outcomes, %d crashes and %d settlements", m, m.arrivals, m.unknown, m.crashed, m.settled)
			}
			if m.QoS == 1 && m.told && m.end == "" {
				gone++
			}
		}
	}
	if gone > dropped {
		r.violated("%d messages are gone, and the outbox counted %d", gone, dropped)
	}
}

// sentDown books a message down before it is sent.
func (r *referee) sentDown(filler string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf("down:%d:%s", len(r.down), filler)
	r.down = append(r.down, text)
	r.Down++
	return []byte(text)
}

// heard checks a message that came down to a program.
func (r *referee) heard(last int, m *bus.Message) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int
	_, err := fmt.Sscanf(string(m.Payload), "down:%d:", &n)
	if strings.HasSuffix(m.Topic, forgedTopic) {
		if !r.deceived(m.ReceivedAt.Add(-10*time.Second), m.ReceivedAt) {
			r.violated("a program got a message on %s that was cut out of a payload", m.Topic)
		}
		return last
	}
	if err != nil || m.Topic != downlink || n < 0 || n >= len(r.down) || string(m.Payload) != r.down[n] {
		if !r.garbled {
			r.violated("a program got %q on %s, which the cloud did not send", m.Payload, m.Topic)
		}
		return last
	}
	if n <= last && !r.garbled {
		r.violated("a program got message %d of the cloud after %d", n, last)
	}
	return max(n, last)
}
