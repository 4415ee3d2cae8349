package bus

import (
	"sync"
	"time"

	"airbridged/client/api"
)

// Bounds of the flight recorder; the oldest traffic is overwritten at either. A
// session that has nothing to do leaves 6 entries of about 12 bytes with every
// status_poll, so that this is some 3 hours; one that publishes without a pause
// leaves 3 for each message.
const (
	flightEntries = 2048
	flightBytes   = 64 << 10
)

// Dir says which way traffic went.
type Dir uint8

// The directions. A note is what the daemon did or saw that is not on the line.
const (
	Sent     Dir = iota + 1 // to the module
	Received                // from the module
	Noted
)

var dirWords = [...]string{Sent: "tx", Received: "rx", Noted: "note"}

// String is the word of the socket API: tx, rx or note.
func (d Dir) String() string { return dirWords[d] }

// Traffic is one line of the flight recorder.
type Traffic struct {
	Seq     uint64        // counts from 1, without holes
	At      time.Time     // by the wall clock
	Elapsed time.Duration // since the recorder was made; no clock that is set changes it
	Dir     Dir
	Text    string // redacted
	Bytes   int    // on the line, without line ends; 0 for a note
}

// Flight is the flight recorder: the last traffic with the module, in memory of
// a fixed size. It keeps what it is given as it is: whoever writes to it has
// taken the secrets out. It is safe for concurrent use, and writing to it
// neither waits for a reader nor allocates.
type Flight struct {
	begun time.Time

	mu    sync.Mutex
	kept  [flightEntries]flightEntry // entry n is at n % flightEntries
	text  [flightBytes]byte          // byte n of all that was ever kept is at n % flightBytes
	first uint64                     // sequence number of the oldest entry
	last  uint64                     // and of the newest; less than first: there is none
	end   uint64                     // of all text that was ever kept, in bytes
	more  chan struct{}              // closed and replaced when an entry comes; nil: nobody waits
}

// flightEntry is a Traffic whose text is elsewhere.
type flightEntry struct {
	at     time.Time
	begin  uint64 // of the text
	length uint32
	bytes  uint32
	dir    Dir
}

// NewFlight returns a recorder without traffic.
func NewFlight() *Flight { return &Flight{begun: time.Now(), first: 1} }

// Add records one piece of traffic; bytes is its size on the line. Text beyond
// flightBytes is cut off.
func (f *Flight) Add(dir Dir, text []byte, bytes int) {
	now := time.Now()
	text = text[:min(len(text), flightBytes)]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	if f.last-f.first == flightEntries {
		f.first++
	}
	for f.first < f.last && f.end+uint64(len(text))-f.kept[f.first%flightEntries].begin > flightBytes {
		f.first++
	}
	f.kept[f.last%flightEntries] = flightEntry{at: now, begin: f.end, length: uint32(len(text)), bytes: uint32(bytes), dir: dir}
	n := copy(f.text[f.end%flightBytes:], text)
	copy(f.text[:], text[n:])
	f.end += uint64(len(text))
	if f.more != nil {
		close(f.more)
		f.more = nil
	}
}

// Note records what is no traffic, such as a change of state.
func (f *Flight) Note(text string) { f.Add(Noted, []byte(text), 0) }

// After returns the traffic behind a sequence number, oldest first, at most so
// many pieces of it; missed is how many between were overwritten. more is closed
// when there is something behind the last piece that was returned.
func (f *Flight) After(seq uint64, most int) (list []Traffic, missed uint64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	begin := max(seq+1, f.first)
	missed = begin - (seq + 1)
	for n := begin; n <= f.last && len(list) < most; n++ {
		list = append(list, f.at(n))
	}
	if begin+uint64(len(list)) <= f.last {
		there := make(chan struct{})
		close(there)
		return list, missed, there
	}
	if f.more == nil {
		f.more = make(chan struct{})
	}
	return list, missed, f.more
}

func (f *Flight) at(n uint64) Traffic {
	e := f.kept[n%flightEntries]
	text := make([]byte, e.length)
	k := copy(text, f.text[e.begin%flightBytes:])
	copy(text[k:], f.text[:])
	return Traffic{Seq: n, At: e.at, Elapsed: e.at.Sub(f.begun), Dir: e.dir, Text: string(text), Bytes: int(e.bytes)}
}

// Last is the sequence number of the newest traffic; 0: there was none.
func (f *Flight) Last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Line is the traffic in the form of GET /v1/trace and of a dump.
func (t Traffic) Line() api.Traffic {
	return api.Traffic{Type: api.TrafficLine, Seq: t.Seq, At: t.At.UTC(), Elapsed: t.Elapsed.Seconds(), Dir: t.Dir.String(), Text: t.Text, Bytes: t.Bytes}
}
