package outbox

import "math"

// slot is one message in the index: 56 bytes.
type slot struct {
	seq       uint64
	at        int64 // accepted: by the clock, or with slotOld nanoseconds since 1970
	due       int64 // expires: by the clock, or never
	segment   uint32
	size      uint32 // of topic and payload
	topic     uint32 // in the topic table
	nextLevel uint32 // position of the next younger of its level, dead or alive; or elsewhere
	nextTopic uint32 // the same of its topic
	heap      uint32 // place in the heap of expiries, or none
	offset    uint16 // of its record in the segment, in units of 8 bytes
	ordinal   uint16 // of its record in the segment
	owner     uint16 // in the owner table
	priority  Priority
	flags     uint8
}

const (
	slotDead   = 1 << iota // removed; the place is reclaimed later
	slotLatest             // came with Latest
	slotOld                // was accepted by an earlier process
)

// slotSource is how far the message's source stands left in the flags: five bits
// that cost no memory.
const (
	slotSource = 3
	maxSource  = 1<<(8-slotSource) - 1
)

// chunkSlots is how many slots are allocated at once.
const chunkSlots = 256

// none is no position.
const none = ^uint32(0)

// lastPosition is where positions begin anew.
const lastPosition = 1 << 30

// index is messages in the order of their sequence numbers, in slots that are
// never moved but by renumber. A position counts slots since the last one.
type index struct {
	chunks []*[chunkSlots]slot
	base   uint32 // position of the first slot of chunks[0]
	first  uint32 // position of the oldest live slot; end if there is none
	end    uint32 // position behind the youngest
	n      int    // live
	bytes  int64  // topics and payloads of the live
	level  [levels]chain
	places places
	topics topicTable
	owners ownerTable
	due    dueHeap

	asides  int                                    // live messages that are in no level
	foreign func(s *slot, topic string) (yes bool) // says which are to be; nil: none
	tries   map[uint64]uint16                      // how often Take handed a message out, by sequence number
	own     map[uint64]bool                        // Latest messages that replace their owner's alone, by sequence number
	longer  map[uint64]int                         // by how much the topic is longer than the accepted one, by sequence number
}

// aside marks a slot that is in no level: its message is foreign.
const aside = none - 2

// chain is the live messages of a level or topic, and some dead ones, but never
// a dead head: what a chunk that is given up holds, no chain begins with.
type chain struct{ head, tail uint32 }

var emptyChain = chain{none, none}

func newIndex() index {
	x := index{topics: newTopicTable(), owners: newOwnerTable(), tries: map[uint64]uint16{}, own: map[uint64]bool{}}
	for i := range x.level {
		x.level[i] = emptyChain
	}
	x.places.of = map[uint64]uint64{}
	return x
}

func (x *index) slot(pos uint32) *slot {
	i := pos - x.base
	return &x.chunks[i/chunkSlots][i%chunkSlots]
}

// live returns the slot at a position, nil if it is gone.
func (x *index) live(pos uint32) *slot {
	if pos < x.base || pos >= x.end {
		return nil
	}
	if s := x.slot(pos); s.flags&slotDead == 0 {
		return s
	}
	return nil
}

// add takes a message in whose sequence number is greater than every other. place
// is the sequence number in whose place it is sent; 0: its own.
func (x *index) add(s slot, topic string, place uint64) *slot {
	if dead := int(x.end-x.first) - x.n; dead > x.n+chunkSlots || x.end >= lastPosition {
		x.renumber()
	}
	s.topic = x.topics.intern(topic)
	return x.put(s, place)
}

// addOf is add of a message of an owner.
func (x *index) addOf(s slot, topic, owner string, place uint64) *slot {
	s.owner = x.owners.intern(owner)
	return x.add(s, topic, place)
}

// tried counts a message as handed out so much more often; it does not go below 0, nor
// beyond what there is room for.
func (x *index) tried(seq uint64, by int) {
	n := min(max(int(x.tries[seq])+by, 0), math.MaxUint16)
	if x.tries[seq] = uint16(n); n == 0 {
		delete(x.tries, seq)
	}
}

func (x *index) put(s slot, place uint64) *slot {
	pos := x.end
	if int(pos-x.base) == len(x.chunks)*chunkSlots {
		x.chunks = append(x.chunks, new([chunkSlots]slot))
	}
	x.end++
	slot := x.slot(pos)
	*slot = s
	slot.nextLevel, slot.nextTopic, slot.heap = none, none, none
	if x.foreign != nil && x.foreign(slot, x.topics.list[s.topic].name) {
		slot.nextLevel = aside
		x.asides++
		if place != 0 {
			x.places.of[s.seq] = place
		}
	} else if l := &x.level[s.priority]; place != 0 {
		slot.nextLevel = elsewhere
		x.places.put(s.priority, placing{place, s.seq})
	} else if l.head == none {
		*l = chain{pos, pos}
	} else {
		x.slot(l.tail).nextLevel = pos
		l.tail = pos
	}
	t := &x.topics.list[s.topic]
	if t.head == none {
		t.chain = chain{pos, pos}
	} else {
		x.slot(t.tail).nextTopic = pos
		t.tail = pos
	}
	t.n++
	x.owners.count(s.owner, 1, int64(s.size))
	x.n++
	x.bytes += int64(s.size)
	if s.due != never {
		x.due.push(x, pos)
	}
	return slot
}

// remove takes a live message out.
func (x *index) remove(pos uint32) {
	s := x.slot(pos)
	s.flags |= slotDead
	delete(x.longer, s.seq)
	delete(x.tries, s.seq)
	delete(x.own, s.seq)
	x.n--
	x.bytes -= int64(s.size)
	if s.heap != none {
		x.due.remove(x, int(s.heap))
	}
	if l := &x.level[s.priority]; s.nextLevel == aside {
		x.asides--
		delete(x.places.of, s.seq)
	} else if s.nextLevel == elsewhere {
		x.places.remove(s.priority, s.seq)
	} else if l.head == pos {
		l.head = x.nextInLevel(s)
		if l.head == none {
			*l = emptyChain
		}
	}
	t := &x.topics.list[s.topic]
	t.n--
	if t.n == 0 {
		x.topics.release(s.topic)
	} else if t.head == pos {
		t.head = x.nextInTopic(s)
	}
	x.owners.count(s.owner, -1, -int64(s.size))
	for x.first < x.end && x.slot(x.first).flags&slotDead != 0 {
		x.first++
		if x.first-x.base == chunkSlots {
			x.chunks[0] = nil
			x.chunks = x.chunks[1:]
			x.base = x.first
		}
	}
}

// nextInLevel is the position of the next live message of its level, or none.
func (x *index) nextInLevel(s *slot) uint32 {
	for pos := s.nextLevel; pos != none; pos = x.slot(pos).nextLevel {
		if x.live(pos) != nil {
			return pos
		}
	}
	return none
}

func (x *index) nextInTopic(s *slot) uint32 {
	for pos := s.nextTopic; pos != none; pos = x.slot(pos).nextTopic {
		if x.live(pos) != nil {
			return pos
		}
	}
	return none
}

// renumber gives back the positions of the dead.
func (x *index) renumber() {
	old := *x
	x.chunks, x.base, x.first, x.end, x.n, x.bytes, x.due, x.asides = nil, 0, 0, 0, 0, 0, nil, 0
	x.places = places{of: map[uint64]uint64{}}
	for i := range x.level {
		x.level[i] = emptyChain
	}
	for i := range x.topics.list {
		x.topics.list[i].chain, x.topics.list[i].n = emptyChain, 0
	}
	x.owners.empty()
	for pos := old.first; pos < old.end; pos++ {
		if s := old.live(pos); s != nil {
			x.put(*s, old.places.of[s.seq])
		}
		if i := (pos - old.base) / chunkSlots; (pos+1-old.base)%chunkSlots == 0 {
			old.chunks[i] = nil // so that both copies never exist in full
		}
	}
}

// merge takes in the messages of another index, whatever their age. None may be in
// both.
func (x *index) merge(other *index) {
	a, b := *x, *other
	*x = newIndex()
	x.foreign = a.foreign
	from := func(y *index, s *slot) {
		x.lengthen(s.seq, y.longer[s.seq])
		if n := y.tries[s.seq]; n > 0 {
			x.tries[s.seq] = n
		}
		if y.own[s.seq] {
			x.own[s.seq] = true
		}
		x.addOf(*s, y.topics.list[s.topic].name, y.owners.list[s.owner].name, y.places.of[s.seq])
	}
	for i, j := a.first, b.first; ; {
		pos, s := a.next(i)
		at, t := b.next(j)
		switch {
		case s == nil && t == nil:
			return
		case t == nil || s != nil && s.seq < t.seq:
			from(&a, s)
			i = pos + 1
		default:
			from(&b, t)
			j = at + 1
		}
	}
}

// remake builds the index anew, because other messages are foreign now, or are sent
// under other topics.
func (x *index) remake(topicOf func(seq uint64, topic string) string) {
	old := *x
	*x = newIndex()
	x.foreign, x.longer, x.tries, x.own = old.foreign, old.longer, old.tries, old.own
	for pos, s := old.next(old.first); s != nil; pos, s = old.next(pos + 1) {
		was := old.topics.list[s.topic].name
		topic := topicOf(s.seq, was)
		x.lengthen(s.seq, len(topic)-len(was))
		x.addOf(*s, topic, old.owners.list[s.owner].name, old.places.of[s.seq])
	}
}

// lengthen notes that a message is sent under a topic that is so much longer than the
// one it was accepted with. Its size stays what it takes on disk.
func (x *index) lengthen(seq uint64, by int) {
	if by == 0 {
		return
	}
	if x.longer == nil {
		x.longer = map[uint64]int{}
	}
	x.longer[seq] += by
}

// from returns the position of the first slot, dead or alive, whose sequence
// number is at least seq; end if there is none.
func (x *index) from(seq uint64) uint32 {
	lo, hi := x.first, x.end
	for lo < hi {
		mid := lo + (hi-lo)/2
		if x.slot(mid).seq < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// find returns the position of a live message.
func (x *index) find(seq uint64) (uint32, *slot) {
	pos := x.from(seq)
	if s := x.live(pos); s != nil && s.seq == seq {
		return pos, s
	}
	return none, nil
}

// next returns the first live slot at or behind a position; nil if there is none.
func (x *index) next(pos uint32) (uint32, *slot) {
	for ; pos < x.end; pos++ {
		if s := x.live(pos); s != nil {
			return pos, s
		}
	}
	return none, nil
}

func (x *index) oldest() *slot { return x.live(x.first) }
