package outbox

import (
	"cmp"
	"iter"
	"slices"
)

// elsewhere marks a slot whose order in its level is not that of its acceptance.
const elsewhere = none - 1

// placing is a message that is sent in the place of another one, which it has
// replaced: as if it had been accepted when that was.
type placing struct {
	place uint64 // sequence number of the one that was replaced
	seq   uint64 // its own
}

func (p placing) compare(q placing) int {
	return cmp.Or(cmp.Compare(p.place, q.place), cmp.Compare(p.seq, q.seq))
}

// places is the messages that are sent in the place of others. There are at most
// as many as topics with Latest messages that wait.
type places struct {
	level [levels][]placing
	of    map[uint64]uint64 // by sequence number
}

func (p *places) put(level Priority, x placing) {
	i, _ := slices.BinarySearchFunc(p.level[level], x, placing.compare)
	p.level[level] = slices.Insert(p.level[level], i, x)
	p.of[x.seq] = x.place
}

func (p *places) remove(level Priority, seq uint64) {
	i, ok := slices.BinarySearchFunc(p.level[level], placing{p.of[seq], seq}, placing.compare)
	if ok {
		p.level[level] = slices.Delete(p.level[level], i, i+1)
	}
	delete(p.of, seq)
}

// placeOf is the sequence number in whose place a live message is sent.
func (x *index) placeOf(s *slot) uint64 {
	if s.nextLevel != elsewhere {
		return s.seq
	}
	return x.places.of[s.seq]
}

// inLevel yields the live messages of a level in the order in which they are sent,
// those behind the position after (none: all) of those that are sent in their own
// place. What it yields may be removed meanwhile.
func (x *index) inLevel(level Priority, after uint32) iter.Seq[*slot] {
	return func(yield func(*slot) bool) {
		pos := x.level[level].head
		if after != none {
			pos = x.nextInLevel(x.slot(after))
		}
		placed := slices.Clone(x.places.level[level])
		for pos != none || len(placed) > 0 {
			if len(placed) > 0 && (pos == none || placed[0].place < x.slot(pos).seq) {
				_, s := x.find(placed[0].seq)
				placed = placed[1:]
				if s != nil && !yield(s) {
					return
				}
				continue
			}
			s := x.slot(pos)
			next := x.nextInLevel(s)
			if !yield(s) {
				return
			}
			pos = next
		}
	}
}

// head returns the message of a level that is sent first; nil if there is none.
func (x *index) head(level Priority) (first *slot) {
	if pos := x.level[level].head; pos != none {
		first = x.slot(pos)
	}
	if placed := x.places.level[level]; len(placed) > 0 && (first == nil || placed[0].place < first.seq) {
		_, first = x.find(placed[0].seq)
	}
	return first
}
