package simulation

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"airbridged/internal/airsim"
	"airbridged/internal/airsim/simcloud"
	"airbridged/internal/outbox"
)

// referee holds both ends against each other at all times. Everything that anybody
// does or is told passes through it; the first broken promise ends the day.
type referee struct {
	over chan struct{} // closed at the first broken promise

	mu       sync.Mutex // guards all that follows; nothing under it waits
	timeline *timeline
	broken   string // the first broken promise, with the timeline up to it
	messages [][]*message
	byID     map[string]*message
	packing  *simcloud.Packing // how readings travel; nil: each by itself
	together int               // so many at most
	flight   []*message        // taken from the outbox and not given back, for one publish
	released []*message        // given back last, while nobody said what became of them
	wire     string            // the QoS 1 publish whose acknowledgement the module owes
	arrived  map[lane]int
	dropped  int       // by a rule of the owner's, as the outbox counted it, in earlier lives
	refusing bool      // a fault had the module refuse messages
	garbled  bool      // a fault damaged bytes on the line
	lossy    bool      // the owner has the outbox drop the oldest when it is full
	violent  bool      // the last process was murdered
	blind    bool      // for once, what passes over the line is not judged
	diskAt   time.Time // when the outbox's disk failed last
	reported [][]byte  // the secrets, as bytes
	connects []time.Time
	resets   []time.Time
	down     []string    // what the cloud sent down
	became   []byte      // what a fault made of the line that is printed next; nil: nothing
	alike    []time.Time // when a payload came that nobody can tell from the module's own words
	sends    func()      // is told of every publish; must not wait
	clocks
	tally
}

// tally is what a day came to.
type tally struct {
	Accepted, Acked, Unknown, Duplicates, Refused int
	Lives, Logins, Registrations, Batches         int
	Down, Alike                                   int // messages down; what was believed of them because nobody can tell
	Strikes                                       map[string]int
	Late                                          []string // usual recoveries that took long
}

// lane is what keeps its order: one program's messages of one priority.
type lane struct {
	program  int
	priority outbox.Priority
}

// message is one message as both ends know it.
type message struct {
	outbox.Message
	program, n int
	told       bool // the program was told that it is accepted
	appended   bool // it was told, or may be there without: the answer got lost in a crash
	passed     bool // others go before it, because session after session ended over it

	takes, arrivals, unknown, crashed, settled int
	end                                        outbox.State // what the session made of it; empty: nothing yet
	taken                                      time.Time    // from the outbox, last
	arrived                                    time.Time    // at the cloud, last
	deceived                                   bool         // it was acknowledged by a payload, and nobody could tell
}

func (m *message) String() string { return fmt.Sprintf("message %d:%d", m.program, m.n) }

func newReferee(programs int) *referee {
	return &referee{
		over: make(chan struct{}), timeline: newTimeline(), messages: make([][]*message, programs), byID: map[string]*message{},
		arrived: map[lane]int{}, clocks: newClocks(), tally: tally{Strikes: map[string]int{}},
	}
}

// violated records a broken promise; under the lock.
func (r *referee) violated(format string, args ...any) {
	if r.broken != "" {
		return
	}
	what := fmt.Sprintf(format, args...)
	r.timeline.add(fromReferee, what)
	r.broken = what + "\n" + r.timeline.last(shown)
	close(r.over)
}

// fail is violated for those without the lock.
func (r *referee) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violated(format, args...)
}

func (r *referee) note(from, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeline.add(from, fmt.Sprintf(format, args...))
}

// find returns the message whose payload this is.
func (r *referee) find(payload []byte) *message {
	head, rest, _ := bytes.Cut(bytes.TrimPrefix(payload, []byte(`"`)), []byte(":"))
	number, _, _ := bytes.Cut(rest, []byte(":"))
	program, err := strconv.Atoi(string(head))
	n, err2 := strconv.Atoi(string(number))
	if err != nil || err2 != nil || program < 0 || program >= len(r.messages) || n < 0 || n >= len(r.messages[program]) {
		return nil
	}
	if m := r.messages[program][n]; bytes.Equal(m.Payload, payload) {
		return m
	}
	return nil
}

// accepted books what a program was told of its message. lost means that the daemon
// died under it: nobody knows whether it is kept.
func (r *referee) accepted(m *message, got outbox.Message, err error, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case lost:
		m.appended = true
		r.timeline.add(fromProgram, m.String()+" has no answer: the daemon died")
	case err != nil:
		r.Refused++
		r.timeline.add(fromProgram, fmt.Sprintf("%s refused: %v", m, err))
	default:
		m.ID, m.AcceptedAt, m.told, m.appended = got.ID, got.AcceptedAt, true, true
		r.byID[m.ID] = m
		r.Accepted++
		r.timeline.add(fromProgram, fmt.Sprintf("%s accepted: qos %d, %s, ttl %v, latest %v", m, m.QoS, priorities[m.Priority], m.TTL, m.Latest))
	}
}

var priorities = [...]string{"high", "normal", "low"}

// toldState checks what a program is told of its message.
func (r *referee) toldState(m *message, s outbox.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeline.add(fromProgram, fmt.Sprintf("%s is told %s", m, s))
	switch {
	case s == outbox.Acked && m.arrivals == 0 && !m.deceived:
		r.violated("%s is told acked, and the cloud never got it", m)
	case s == outbox.Expired && (m.TTL == 0 || time.Since(m.AcceptedAt) < m.TTL):
		r.violated("%s is told expired %v after it was accepted, with a time to live of %v", m, time.Since(m.AcceptedAt), m.TTL)
	}
}

// take books what the session takes from the outbox.
func (r *referee) take(got outbox.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = nil
	if len(r.flight) > 0 {
		r.violated("%q is handed out while %s is in flight", got.Payload, r.flight[0])
	}
	r.taken(got)
}

// takeAlong books what is to travel with what the session has taken before.
func (r *referee) takeAlong(got outbox.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.flight) == 0 {
		r.violated("%q is handed out to go along with nothing", got.Payload)
		return
	}
	if first := r.flight[0]; first.Topic != got.Topic || first.Priority != got.Priority || first.QoS != 1 || got.QoS != 1 {
		r.violated("%q is handed out to go along with %s", got.Payload, first)
	}
	r.taken(got)
}

func (r *referee) taken(got outbox.Message) {
	m := r.find(got.Payload)
	switch {
	case m == nil:
		r.violated("the outbox hands out %q, which nobody published", got.Payload)
		return
	case m.Topic != got.Topic || m.QoS != got.QoS || m.Priority != got.Priority:
		r.violated("%s comes out of the outbox as %+v", m, got)
	case m.TTL > 0 && m.told && time.Since(m.AcceptedAt) > m.TTL:
		r.violated("%s is handed out %v after it was accepted, with a time to live of %v", m, time.Since(m.AcceptedAt), m.TTL)
	}
	m.takes++
	m.taken, m.ID = time.Now(), got.ID
	r.flight = append(r.flight, m)
}

// land takes a message out of what is in flight; nil: it is not.
func (r *referee) land(id string) *message {
	for i, m := range r.flight {
		if m.ID == id {
			r.flight = slices.Delete(r.flight, i, i+1)
			return m
		}
	}
	return nil
}

// done books how the session settles a message.
func (r *referee) done(id string, s outbox.State, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.land(id)
	if m == nil {
		r.violated("%s is settled as %s and was not in flight", id, s)
		return
	}
	m.settled++
	m.end = s
	switch s {
	case outbox.Acked:
		r.Acked++
		r.proved()
		switch {
		case m.arrivals > 0 && !m.arrived.Before(m.taken):
		case r.deceived(m.taken, time.Now()):
			m.deceived = true
			r.Alike++
		default:
			r.violated("%s is settled as acked, and the cloud never got it (this time; %d times before)", m, m.arrivals)
		}
	case outbox.Rejected:
		if !r.refusing {
			r.violated("%s is set aside: %s", m, reason)
		}
	}
}

// postponed books that the session lets others pass the message in hand, which it may
// do after sessions ended over it.
func (r *referee) postponed(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.land(id); m != nil {
		m.passed = true
		if m.takes--; m.takes < 2 {
			r.violated("%s is passed by others after %d attempts", m, m.takes)
		}
	}
}

func (r *referee) release(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.land(id); m != nil {
		r.released = append(r.released, m)
	}
}

// putBack books a message that was not tried after all.
func (r *referee) putBack(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.land(id); m != nil {
		m.takes--
	}
}

// gathers books that all in flight wait for others.
func (r *referee) gathers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.flight {
		m.takes--
	}
	r.flight = nil
}

// outcome hears what the session reports to its recorder right after it released a
// message.
func (r *referee) outcome(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if what != "unknown" || len(r.released) == 0 {
		r.released = nil
		return
	}
	m := r.released[0]
	r.released = r.released[1:]
	m.unknown++
	r.Unknown++
	r.timeline.add(fromDaemon, m.String()+" has an unknown outcome")
}

// cloud hears what the cloud does, with the locks of the simulator held.
func (r *referee) cloud(h simcloud.Happening) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch h.Kind {
	case simcloud.MessageTaken:
		r.received(h.Message)
		return
	case simcloud.Connected:
		r.Logins++
	case simcloud.SecretGiven, simcloud.TokenGiven:
		r.conceal(h.Secret)
		if h.Kind == simcloud.SecretGiven {
			r.Registrations++
		}
	}
	r.timeline.add(fromCloud, h.Kind)
}

// received checks what the cloud got: a message, or the readings in one.
func (r *referee) received(got simcloud.Received) {
	if r.packing == nil {
		r.arrives(got, got.Payload)
		return
	}
	readings, err := r.packing.Unpack(got.Payload)
	if err != nil || len(readings) == 0 || len(readings) > r.together || got.QoS == 0 && len(readings) > 1 {
		r.violated("the cloud got %q on %s with qos %d, in which are %d readings: %v", got.Payload, got.Topic, got.QoS, len(readings), err)
		return
	}
	if len(readings) > 1 {
		r.Batches++
	}
	for _, reading := range readings {
		r.arrives(got, reading)
	}
}

func (r *referee) arrives(got simcloud.Received, payload []byte) {
	m := r.find(payload)
	if m == nil {
		r.violated("the cloud got %q on %s, which nobody published", payload, got.Topic)
		return
	}
	m.arrivals++
	m.arrived = time.Now()
	r.timeline.add(fromCloud, fmt.Sprintf("got %s, time %d", m, m.arrivals))
	in := lane{m.program, m.Priority}
	switch {
	case m.Topic != got.Topic || m.QoS != got.QoS:
		r.violated("%s arrived on %s with qos %d", m, got.Topic, got.QoS)
	case m.arrivals > m.takes:
		r.violated("%s arrived %d times and was sent %d times", m, m.arrivals, m.takes)
	case m.arrivals > 1:
		r.Duplicates++
	case m.Latest, m.passed: // it is sent in the place of what it replaced, or others went first
	case m.n < r.arrived[in]-1:
		r.violated("%s arrived after message %d of the same program and priority", m, r.arrived[in]-1)
	}
	// QoS 0 does not wait for a disk that cannot be read.
	if passes := m.QoS == 0 && time.Since(r.diskAt) < 5*time.Minute; !m.Latest && !passes {
		r.arrived[in] = max(r.arrived[in], m.n+1)
	}
}

// spoken hears every line of the dialogue between host and module.
func (r *referee) spoken(dir, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch dir {
	case airsim.DirCommand:
		r.command(text)
		r.timeline.add(fromHost, text)
	case airsim.DirLine:
		// Any other refusal proves nothing: the message may be on its way.
		if text == "PUBACK" || text == "CLOSED" || text == "+CME ERROR: 50" {
			r.wire = ""
		}
		r.printedBlock(text)
		r.timeline.add(fromModule, text)
	case airsim.DirNote:
		if strings.HasPrefix(text, "power") {
			r.wire = ""
		}
		if quoted, found := strings.CutPrefix(text, "became "); found {
			bytes, _ := strconv.Unquote(quoted)
			r.became = []byte(bytes)
		}
		r.disturbedBy(text)
		r.timeline.add(fromFault, text)
	}
}

// printedBlock takes down whether a message that the module has printed can be told
// from its own words, by what became of it on the line.
func (r *referee) printedBlock(text string) {
	raw := r.became
	if r.became = nil; raw == nil {
		raw = []byte(text)
	}
	if strings.HasPrefix(text, "+MSUB:") && seemsGenuine(raw) {
		r.alike = append(r.alike, time.Now())
		r.timeline.add(fromFault, "what is left of this message cannot be told from the module's own words")
	}
}

// deceived says whether something came in a time that nobody can tell from the
// module's own words.
func (r *referee) deceived(from, to time.Time) bool {
	return slices.ContainsFunc(r.alike, func(t time.Time) bool { return !t.Before(from) && !t.After(to) })
}

// tearDown are the commands that end an MQTT session, so that no acknowledgement of
// it can come any more.
var tearDown = []string{"AT+MDISCONNECT", "AT+MIPCLOSE", "AT+RESET", "AT+CFUN=0", "AT+CFUN=1,1"}

func (r *referee) command(text string) {
	switch {
	case strings.HasPrefix(text, "AT+MPUB") && strings.Contains(text, `",1,0,`):
		if r.sends != nil {
			r.sends()
		}
		if r.wire != "" && !r.blind {
			r.violated("two in flight: %s follows %s, which is neither acknowledged nor torn down", text, r.wire)
		}
		r.wire = text
	case strings.HasPrefix(text, "AT+MCONNECT"):
		r.connects = append(r.connects, time.Now())
		if n := len(r.connects) - 6; n >= 0 && time.Since(r.connects[n]) < time.Minute {
			r.violated("6 CONNECTs in %v", time.Since(r.connects[n]))
		}
	case strings.HasPrefix(text, "AT+MCONFIG="):
		if part := strings.Split(text, `"`); len(part) >= 6 && len(part[5]) > 8 {
			r.conceal(part[5]) // the token, or a signature
		}
	}
	for _, t := range tearDown {
		if strings.HasPrefix(text, t) {
			r.wire = ""
		}
	}
}

// conceal learns a secret; of many it remembers the first and the latest.
func (r *referee) conceal(secret string) {
	const most = 12
	if slices.ContainsFunc(r.reported, func(known []byte) bool { return string(known) == secret }) {
		return
	}
	if r.reported = append(r.reported, []byte(secret)); len(r.reported) > most {
		r.reported = slices.Delete(r.reported, 3, 4)
	}
}

// resetsAnHour is recovery.hard_resets_per_hour.
const resetsAnHour = 4

// rung hears of a rung; resets of the module have a budget of 4 in any hour,
// whatever becomes of the process meanwhile.
func (r *referee) rung(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timeline.add(fromState, "rung: "+name)
	if name != "reset" {
		return
	}
	r.resetAt = time.Now()
	r.resets = append(r.resets, time.Now())
	if n := len(r.resets) - resetsAnHour - 1; n >= 0 && time.Since(r.resets[n]) < time.Hour {
		r.violated("5 resets of the module in %v", time.Since(r.resets[n]))
	}
}

// printed checks what the daemon shows to anybody.
func (r *referee) printed(where string, text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range r.reported {
		if bytes.Contains(text, secret) {
			r.violated("a secret is printed to %s: %s", where, text)
		}
	}
}
